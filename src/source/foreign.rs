//! Files of formats that are not read, told by name and by first bytes, so that they are refused for what they are and
//! not for what a reader of another format makes of them.

/// A format that is not read, and what a user does about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Foreign {
    name: &'static str,
    advice: &'static str,
}

impl Foreign {
    /// The message of the error.
    pub fn refusal(self) -> String {
        format!("{} is not read; {}", self.name, self.advice)
    }
}

const fn compressed(name: &'static str) -> Foreign {
    Foreign { name, advice: "compress the file with gzip or zstd instead, or not at all" }
}

const fn archive(name: &'static str) -> Foreign {
    Foreign { name, advice: "unpack the archive" }
}

const fn format(name: &'static str) -> Foreign {
    Foreign { name, advice: "convert the file to Parquet or CSV" }
}

const BZIP2: Foreign = compressed("bzip2");
const XZ: Foreign = compressed("xz");
const LZ4: Foreign = compressed("lz4");
const SNAPPY: Foreign = compressed("a file compressed with snappy as a whole");
const ZIP: Foreign = archive("zip");
const TAR: Foreign = archive("tar");
const SEVEN_ZIP: Foreign = archive("7z");
const RAR: Foreign = archive("rar");
const EXCEL: Foreign = format("Excel");
const ORC: Foreign = format("ORC");
const AVRO: Foreign = format("Avro");
const ARROW: Foreign = format("Arrow IPC (Feather)");
const HDF5: Foreign = format("HDF5");
const SQLITE: Foreign = format("a database of SQLite");

/// What the last extension of a lower-case name says.
pub fn by_extension(extension: &str) -> Option<Foreign> {
    Some(match extension {
        "bz2" | "bzip2" | "tbz2" => BZIP2,
        "xz" | "txz" | "lzma" => XZ,
        "lz4" => LZ4,
        "snappy" | "sz" => SNAPPY,
        "zip" => ZIP,
        "tar" | "tgz" => TAR,
        "7z" => SEVEN_ZIP,
        "rar" => RAR,
        "xlsx" | "xls" | "xlsm" | "xlsb" | "ods" => EXCEL,
        "orc" => ORC,
        "avro" => AVRO,
        "arrow" | "feather" | "ipc" | "arrows" => ARROW,
        "h5" | "hdf5" | "hdf" => HDF5,
        "sqlite" | "sqlite3" | "db" => SQLITE,
        _ => return None,
    })
}

/// Where a tar archive has its mark.
const TAR_MARK: std::ops::Range<usize> = 257..262;

/// What the first bytes say.
pub fn by_content(first: &[u8]) -> Option<Foreign> {
    const MARKS: &[(&[u8], Foreign)] = &[
        (&[0xfd, b'7', b'z', b'X', b'Z', 0], XZ),
        (&[0x04, 0x22, 0x4d, 0x18], LZ4),
        (&[0xff, 0x06, 0, 0, b's', b'N', b'a', b'P', b'p', b'Y'], SNAPPY),
        (b"PK\x03\x04", ZIP),
        (&[b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c], SEVEN_ZIP),
        (b"Rar!\x1a\x07", RAR),
        (&[0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1], EXCEL),
        (b"Obj\x01", AVRO),
        (b"ARROW1\0\0", ARROW),
        (&[0x89, b'H', b'D', b'F', b'\r', b'\n', 0x1a, b'\n'], HDF5),
        (b"SQLite format 3\0", SQLITE),
    ];
    // Three letters may begin a text; the block's mark behind them may not.
    let bzip2 = first.starts_with(b"BZh") && first.get(4..10) == Some(&[0x31, 0x41, 0x59, 0x26, 0x53, 0x59]);
    // ORC's first bytes are letters too; what follows is binary.
    let orc = first.starts_with(b"ORC") && first.get(3).is_some_and(|byte| *byte < 0x20 && !byte.is_ascii_whitespace());
    match () {
        () if bzip2 => Some(BZIP2),
        () if orc => Some(ORC),
        () if first.get(TAR_MARK) == Some(b"ustar") => Some(TAR),
        () => MARKS.iter().find(|(mark, _)| first.starts_with(mark)).map(|(_, foreign)| *foreign),
    }
}
