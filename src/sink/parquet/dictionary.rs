//! The dictionary of an open column chunk: its distinct values in the order they first came.

use arrow::datatypes::ToByteSlice;
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

/// Distinct values of one kind.
pub enum Entries {
    /// Slots of 4 bytes.
    Four(Vec<u32>),
    /// Slots of 8 bytes.
    Eight(Vec<u64>),
    /// Byte strings: where each ends, and their bytes.
    Bytes(Vec<usize>, Vec<u8>),
}

/// Values with their codes.
pub struct Dictionary {
    entries: Entries,
    table: HashTable<u32>,
}

impl Dictionary {
    /// An empty dictionary that keeps its values in `entries`.
    pub fn new(entries: Entries) -> Self {
        Self { entries, table: HashTable::new() }
    }

    /// The values by code.
    pub fn entries(&self) -> &Entries {
        &self.entries
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        match &self.entries {
            Entries::Four(slots) => slots.len(),
            Entries::Eight(slots) => slots.len(),
            Entries::Bytes(ends, _) => ends.len(),
        }
    }

    /// Bytes of the byte string with this code.
    pub fn byte_length(&self, code: u32) -> usize {
        match &self.entries {
            Entries::Bytes(ends, bytes) => string_at(ends, bytes, code as usize).len(),
            Entries::Four(_) | Entries::Eight(_) => 0,
        }
    }

    /// The code of a slot, by its bits.
    pub fn code_of_slot(&mut self, bits: u64) -> u32 {
        let next = self.len() as u32;
        let entry = match &self.entries {
            Entries::Four(slots) => self.table.entry(
                mix(bits),
                |code| slots[*code as usize] == bits as u32,
                |code| mix(u64::from(slots[*code as usize])),
            ),
            Entries::Eight(slots) => {
                self.table.entry(mix(bits), |code| slots[*code as usize] == bits, |code| mix(slots[*code as usize]))
            }
            Entries::Bytes(..) => return next,
        };
        let entry = entry.or_insert(next);
        let code = *entry.get();
        if code == next {
            match &mut self.entries {
                Entries::Four(slots) => slots.push(bits as u32),
                Entries::Eight(slots) => slots.push(bits),
                Entries::Bytes(..) => {}
            }
        }
        code
    }

    /// The code of a byte string.
    pub fn code_of_bytes(&mut self, value: &[u8]) -> u32 {
        let next = self.len() as u32;
        let Entries::Bytes(ends, bytes) = &mut self.entries else { return next };
        let entry = self.table.entry(
            xxh3_64(value),
            |code| string_at(ends, bytes, *code as usize) == value,
            |code| xxh3_64(string_at(ends, bytes, *code as usize)),
        );
        let code = *entry.or_insert(next).get();
        if code == next {
            bytes.extend_from_slice(value);
            ends.push(bytes.len());
        }
        code
    }

    /// Appends the values as a dictionary page has them, and forgets them.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        match &mut self.entries {
            Entries::Four(slots) => {
                out.extend_from_slice(slots.to_byte_slice());
                slots.clear();
            }
            Entries::Eight(slots) => {
                out.extend_from_slice(slots.to_byte_slice());
                slots.clear();
            }
            Entries::Bytes(ends, bytes) => {
                for at in 0..ends.len() {
                    put_bytes(string_at(ends, bytes, at), out);
                }
                ends.clear();
                bytes.clear();
            }
        }
        self.table.clear();
    }
}

/// The byte string with code `at`.
pub fn string_at<'a>(ends: &[usize], bytes: &'a [u8], at: usize) -> &'a [u8] {
    let start = at.checked_sub(1).map_or(0, |before| ends[before]);
    &bytes[start..ends[at]]
}

/// Appends a byte string with its length before it, as plain pages have it.
pub fn put_bytes(value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(value.len() as u32).to_le_bytes());
    out.extend_from_slice(value);
}

/// Spreads the bits of a slot over a hash: a multiplication, its high half folded onto the low one.
fn mix(bits: u64) -> u64 {
    let product = u128::from(bits ^ 0x9E37_79B9_7F4A_7C15) * 0xA076_1D64_78BD_642F_u128;
    (product as u64) ^ (product >> 64) as u64
}
