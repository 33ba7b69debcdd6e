//! Dictionary codes as the run-length and bit-packing hybrid of Parquet
//! (<https://parquet.apache.org/docs/file-format/data-pages/encodings/#RLE>).

use parquet::util::bit_util::BitWriter;

/// Values that are packed together.
const GROUP: usize = 8;

/// Bits that hold every code below `count`.
pub fn width(count: usize) -> usize {
    (usize::BITS - count.saturating_sub(1).leading_zeros()) as usize
}

/// Appends `codes`, each of `width` bits. Codes that repeat over groups enough to save the bytes of two headers become a
/// run, all others are packed.
pub fn encode(codes: &[u32], width: usize, out: &mut Vec<u8>) {
    let run_groups = (GROUP / width.max(1)).max(1);
    let mut packed_from = 0;
    let mut at = 0;
    while at + GROUP <= codes.len() {
        let first = codes[at];
        if codes[at..at + GROUP].iter().any(|code| *code != first) {
            at += GROUP;
            continue;
        }
        let alike = codes[at + GROUP..].iter().take_while(|code| **code == first).count();
        let to_end = at + GROUP + alike == codes.len();
        let run = if to_end { GROUP + alike } else { (GROUP + alike) / GROUP * GROUP };
        if run >= run_groups * GROUP {
            pack(&codes[packed_from..at], width, out);
            put_varint((run as u64) << 1, out);
            out.extend_from_slice(&first.to_le_bytes()[..width.div_ceil(8)]);
            packed_from = at + run;
        }
        at += run;
    }
    pack(&codes[packed_from..], width, out);
}

fn pack(codes: &[u32], width: usize, out: &mut Vec<u8>) {
    if codes.is_empty() {
        return;
    }
    let groups = codes.len().div_ceil(GROUP);
    put_varint((groups as u64) << 1 | 1, out);
    let end = out.len() + groups * width;
    let mut writer = BitWriter::new_from_buf(std::mem::take(out));
    writer.put_batch(codes, width);
    *out = writer.consume();
    // The last group is filled up with zeros.
    out.resize(end, 0);
}

/// Appends an unsigned number, seven bits a byte, lowest first.
pub fn put_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
