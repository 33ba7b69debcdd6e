use std::io::Write;

use flate2::write::GzEncoder;

use super::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn read(name: &str, content: &[u8]) -> Result<Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, content).unwrap();
    let mut plain = Vec::new();
    let mut file = open(&path)?;
    while file.fill(&mut plain, 1000)? && plain.len() < 1000 {}
    Ok(plain)
}

#[test]
fn every_member_and_every_frame_is_read_whatever_the_name() {
    let members = [gzip(b"one,"), gzip(b"two")].concat();
    let frames = [zstd::encode_all(&b"one,"[..], 1).unwrap(), zstd::encode_all(&b"two"[..], 1).unwrap()].concat();
    for (name, content) in [("a.csv.gz", &members), ("a.csv", &members), ("a.zst", &frames), ("a", &frames)] {
        assert_eq!(read(name, content).unwrap(), b"one,two", "{name}");
    }
    let skippable = [&[0x53, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9][..], &frames].concat();
    assert_eq!(read("a.zst", &skippable).unwrap(), b"one,two");
}

#[test]
fn plain_and_empty_files_are_read_as_they_are() {
    assert_eq!(read("a.csv", b"x\n1\n").unwrap(), b"x\n1\n");
    assert_eq!(read("a.csv", b"x").unwrap(), b"x");
    assert_eq!(read("a.csv.gz", b"").unwrap(), b"");
}

#[test]
fn a_cut_stream_is_bad_data_and_says_so() {
    let cut_gzip = gzip(&[7; 500]);
    let noise: Vec<u8> = (0..500_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let cut_zstd = zstd::encode_all(&noise[..], 1).unwrap();
    for (name, content) in [("a.gz", &cut_gzip[..cut_gzip.len() - 6]), ("a.zst", &cut_zstd[..cut_zstd.len() / 2])] {
        let error = read(name, content).unwrap_err();
        assert_eq!(error.exit_code(), 3, "{name}");
        assert!(error.to_string().contains("stream is cut or damaged"), "{error}");
    }
}

#[test]
fn a_name_that_promises_compression_must_keep_it() {
    let error = read("a.csv.gz", b"x\n1\n").unwrap_err();
    assert!(error.to_string().contains("named as a gzip file"), "{error}");
}
