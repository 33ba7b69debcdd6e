//! The loop that all targets share, and the damage it does.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use crate::common::Numbers;

/// How much more address space than at its beginning a target may ever use, in KiB. What a decoder may ask for is a small
/// multiple of the few KiB it gets; threads and their arenas take some hundred MiB. The lengths in [`LENGTHS`] are beyond.
const ROOM_KIB: u64 = 1 << 20;

/// Numbers that are lengths, limits or signs somewhere.
const LENGTHS: [u64; 12] =
    [0, 1, 0x7f, 0xff, 0xffff, (1 << 31) - 1, 1 << 31, u32::MAX as u64, 1 << 40, 1 << 53, i64::MAX as u64, u64::MAX];

/// Runs `target` on one iteration after another until its time is over, and at least once.
///
/// # Panics
/// As `target` does, after saying which iteration it was; when the process took more memory than it may.
pub fn fuzz(name: &str, mut target: impl FnMut(&mut Numbers)) {
    let number = |variable| std::env::var(variable).ok().and_then(|text: String| text.parse::<u64>().ok());
    let seconds = Duration::from_secs(number("TWOPASS_FUZZ_SECONDS").unwrap_or(1));
    let first = number("TWOPASS_FUZZ_FIRST").unwrap_or(0);
    let (started, before) = (Instant::now(), peak_kib());
    let mut iteration = first;
    while iteration == first || started.elapsed() < seconds {
        // Seeds in a row are no more alike than any others: the generator mixes them.
        let mut numbers = Numbers(iteration.wrapping_mul(0x0001_0000_0001));
        let outcome: Result<(), Box<dyn Any + Send>> = catch_unwind(AssertUnwindSafe(|| target(&mut numbers)));
        if let Err(panic) = outcome {
            eprintln!("{name}: iteration {iteration}; repeat it with TWOPASS_FUZZ_FIRST={iteration}");
            resume_unwind(panic);
        }
        let grown = peak_kib().saturating_sub(before);
        assert!(grown < ROOM_KIB, "{name}: iteration {iteration}: {grown} KiB more than at the beginning");
        iteration += 1;
    }
    eprintln!("{name}: {} iterations in {:.1?}", iteration - first, started.elapsed());
}

/// The most address space that the process ever used, in KiB, touched or not; 0 where the system does not say.
pub fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// `bytes` with one to four changes; `other` is what pieces are taken from.
pub fn damaged(numbers: &mut Numbers, bytes: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=numbers.below(4) {
        change(numbers, &mut bytes, other);
    }
    bytes
}

fn change(numbers: &mut Numbers, bytes: &mut Vec<u8>, other: &[u8]) {
    let at = place(numbers, bytes.len());
    let length = LENGTHS[numbers.below(LENGTHS.len() as u64) as usize];
    match numbers.below(10) {
        0 | 1 if at < bytes.len() => bytes[at] ^= 1 << numbers.below(8),
        2 if at < bytes.len() => bytes[at] = numbers.next() as u8,
        3 => bytes.truncate(at),
        4 => {
            let end = at + place(numbers, (bytes.len() - at).min(64));
            bytes.drain(at..end);
        }
        5 => {
            let end = at + place(numbers, (bytes.len() - at).min(64));
            let again = bytes[at..end].to_vec();
            bytes.splice(at..at, again);
        }
        6 => overwrite(bytes, at, &length.to_le_bytes()),
        7 => overwrite(bytes, at, &(length as u32).to_le_bytes()),
        // A length as bincode writes it when integers have no fixed size: a mark, then eight bytes.
        8 => {
            let end = (at + 1).min(bytes.len());
            let varint = [&[253][..], &length.to_le_bytes()].concat();
            bytes.splice(at..end, varint);
        }
        9 => {
            let from = place(numbers, other.len());
            let to = from + place(numbers, (other.len() - from).min(256));
            let end = at + place(numbers, (bytes.len() - at).min(256));
            bytes.splice(at..end, other[from..to].iter().copied());
        }
        _ => bytes.push(numbers.next() as u8),
    }
}

/// A place in so many bytes or right after them; near the beginning half of the time, where lengths and tags are.
pub fn place(numbers: &mut Numbers, length: usize) -> usize {
    let end = if numbers.below(2) == 0 { length.min(64) } else { length };
    numbers.below(end as u64 + 1) as usize
}

fn overwrite(bytes: &mut [u8], at: usize, with: &[u8]) {
    let room = bytes.len().saturating_sub(at).min(with.len());
    bytes[at..at + room].copy_from_slice(&with[..room]);
}

/// One of these.
pub fn pick<'a, T>(numbers: &mut Numbers, from: &'a [T]) -> &'a T {
    &from[numbers.below(from.len() as u64) as usize]
}
