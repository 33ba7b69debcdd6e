use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn words_of_digits_say_what_the_standard_library_reads(digits in "[0-9]{8}") {
        let word = word_at(digits.as_bytes(), 0).unwrap();
        prop_assert!(is_digits(word));
        prop_assert_eq!(eight_digits(word), digits.parse::<u64>().unwrap());
    }

    #[test]
    fn every_byte_of_a_word_is_judged_by_itself(bytes in prop::array::uniform8(prop_oneof![any::<u8>(), prop::sample::select(b"0159/:\"\\,\n\x1f \x80".to_vec())])) {
        let word = u64::from_le_bytes(bytes);
        let first = |is: fn(u8) -> bool| bytes.iter().position(|byte| is(*byte)).unwrap_or(8) as u32;
        prop_assert_eq!(leading_digits(word), first(|byte| !byte.is_ascii_digit()));
        prop_assert_eq!(is_digits(word), bytes.iter().all(u8::is_ascii_digit));
        prop_assert_eq!(json_stop(word), first(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)));
        let commas = bytes.iter().enumerate().map(|(at, byte)| u64::from(*byte == b',') << (8 * at + 7));
        prop_assert_eq!(zero_bytes(word ^ repeat(b',')), commas.sum::<u64>());
    }

    #[test]
    fn marks_are_the_bytes_that_match(bytes in prop::collection::vec(prop::sample::select(b",\nx\x00\xff".to_vec()), 64)) {
        let block: [u8; 64] = bytes.try_into().unwrap();
        let expected = block.iter().enumerate().map(|(at, byte)| u64::from(matches!(byte, b',' | b'\n')) << at);
        prop_assert_eq!(marks(&block, b',', b'\n'), expected.sum::<u64>());
    }
}
