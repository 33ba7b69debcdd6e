//! Eight bytes of text worked on as one 64-bit word, first byte lowest: marks found, digits read. Fields of numbers are a
//! few bytes long, and a step a word costs what a step a byte does.

const LOW_BITS: u64 = repeat(0x7f);
const HIGH_BITS: u64 = repeat(0x80);
pub(super) const ZEROS: u64 = repeat(b'0');

/// A word whose bytes are all `byte`.
pub(super) const fn repeat(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// The eight bytes of `bytes` from `at` on; nothing when there are fewer.
#[inline]
pub(super) fn word_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk::<8>().map(|word| u64::from_le_bytes(*word))
}

/// The highest bit of every byte that is zero. (Exact for every byte: Warren, Hacker's Delight, 6-1.)
#[inline]
pub(super) fn zero_bytes(word: u64) -> u64 {
    !(((word & LOW_BITS) + LOW_BITS) | word | LOW_BITS)
}

/// The highest bit of every byte that is no decimal digit.
#[inline]
fn other_than_digits(word: u64) -> u64 {
    let value = word ^ ZEROS;
    // Above 9 the addition carries into the highest bit; above 127 it is set already.
    (((value & LOW_BITS) + repeat(0x76)) | value) & HIGH_BITS
}

/// Whether all eight bytes are decimal digits.
#[inline]
pub(super) fn is_digits(word: u64) -> bool {
    other_than_digits(word) == 0
}

/// How many digits the word begins with.
#[inline]
pub(super) fn leading_digits(word: u64) -> u32 {
    other_than_digits(word).trailing_zeros() / 8
}

/// The number that the word's eight digits say, the first one highest.
#[inline]
pub(super) fn eight_digits(word: u64) -> u64 {
    // Pairs of digits, then of these, and of these.
    let pairs = (word ^ ZEROS).wrapping_mul(10).wrapping_add((word ^ ZEROS) >> 8);
    const PAIRS: u64 = 0x0000_00ff_0000_00ff;
    let high = (pairs & PAIRS).wrapping_mul(0x000f_4240_0000_0064);
    let low = ((pairs >> 16) & PAIRS).wrapping_mul(0x0000_2710_0000_0001);
    high.wrapping_add(low) >> 32
}

/// A mask of the word's first `count` bytes.
#[inline]
pub(super) fn first_bytes(count: u32) -> u64 {
    !u64::MAX.unbounded_shl(8 * count)
}

/// The bytes of `block` that are `one` or `other`, a bit each, the first byte lowest.
#[inline]
pub(super) fn marks(block: &[u8; 64], one: u8, other: u8) -> u64 {
    // Compared in whole vectors; then every eight answers are drawn together by a multiplication without a carry.
    let hits: [u8; 64] = std::array::from_fn(|at| u8::from(block[at] == one) | u8::from(block[at] == other));
    let (words, _) = hits.as_chunks::<8>();
    let draw = |word: &[u8; 8]| u64::from_le_bytes(*word).wrapping_mul(0x0102_0408_1020_4080) >> 56;
    words.iter().enumerate().fold(0, |mask, (at, word)| mask | (draw(word) << (8 * at)))
}

/// The first byte of the word that ends a plain run of a JSON string: a quote, a backslash or a control character; 8
/// when there is none.
#[inline]
pub(super) fn json_stop(word: u64) -> u32 {
    // Below 0x20: no bit of the upper three is set.
    let control = zero_bytes(word & repeat(0xe0));
    (zero_bytes(word ^ repeat(b'"')) | zero_bytes(word ^ repeat(b'\\')) | control).trailing_zeros() / 8
}

#[cfg(test)]
#[path = "tests/words.rs"]
mod tests;
