//! Framed records: what every small persisted value looks like. Never decodes a byte that it has not checked.
//!
//! ```text
//! offset  0  magic      "2PSF"; fixes this layout for good
//!         4  kind       u8, see [`Kind`]
//!         5  flags      u8; bit 0: the payload is one zstd frame
//!         6  version    u16 of the kind's payload
//!         8  stored     u64, bytes of the payload as stored
//!        16  raw        u64, bytes of the payload decompressed
//!        24  checksum   u128, XXH3-128 of bytes 0..24 and the stored payload
//!        40  payload    bincode 2, serde, little-endian, fixed-size integers
//! ```
//!
//! All integers are little-endian. Because the magic fixes the layout, the checksum comes before kind and version:
//! a flipped bit is called damage, and only an intact record is called one of another version.
//!
//! Integers in the payload have a fixed size so that the bytes a decoder claims are the bytes it reads: the limit on
//! decoding then follows from the payload's length, and no length inside a payload can ask for more memory than that.
//! The zeros this costs are what zstd takes out again.

use std::fmt;
use std::io::Read;

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::Xxh3;

use crate::error::{Cause, Error, Result};

const MAGIC: [u8; 4] = *b"2PSF";
const COMPRESSED: u8 = 1;
const CHECKED: usize = 24;

/// Bytes before the payload.
pub const HEADER_BYTES: usize = 40;

/// The most bytes a payload may have, decompressed.
pub const MAX_PAYLOAD_BYTES: u64 = 1 << 30;

/// Below this, compression saves less than a disk block.
const COMPRESS_FROM: usize = 4096;
const COMPRESSION_LEVEL: i32 = 1;

/// What a record holds. The numbers are on disk: new ones may be added, none reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Which job a state belongs to.
    Identity = 1,
    /// An entry of the state's log.
    Event = 2,
    /// What a summary file begins with: the shard it is of.
    ShardHeader = 3,
    /// What pass one learned of a shard.
    Summary = 4,
    /// The frozen plan.
    Plan = 5,
}

impl Kind {
    /// Version of the payload; raised with every change of what is serialised.
    pub const fn version(self) -> u16 {
        match self {
            Self::Identity | Self::Event | Self::ShardHeader => 1,
            Self::Summary | Self::Plan => 3,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Identity => "identity",
            Self::Event => "log",
            Self::ShardHeader => "shard header",
            Self::Summary => "summary",
            Self::Plan => "plan",
        })
    }
}

/// The record of `value`. The same value gives the same bytes: values hold sorted vectors, never hash maps.
///
/// # Errors
/// [`Error::Failed`] when the value cannot be serialised or takes more than [`MAX_PAYLOAD_BYTES`].
pub fn encode<T: Serialize + ?Sized>(kind: Kind, value: &T) -> Result<Vec<u8>> {
    let failed = |e: Cause| Error::failed(format!("encode the {kind} record"), e);
    let raw = bincode::serde::encode_to_vec(value, config::<{ usize::MAX }>()).map_err(|e| failed(e.into()))?;
    if raw.len() as u64 > MAX_PAYLOAD_BYTES {
        return Err(failed(format!("it takes {} bytes, more than {MAX_PAYLOAD_BYTES}", raw.len()).into()));
    }
    let compressed = if raw.len() < COMPRESS_FROM {
        None
    } else {
        let packed = zstd::bulk::compress(&raw, COMPRESSION_LEVEL).map_err(|e| failed(e.into()))?;
        (packed.len() < raw.len()).then_some(packed)
    };
    let (flags, payload) = compressed.as_ref().map_or((0, &raw), |packed| (COMPRESSED, packed));

    let mut record = Vec::with_capacity(HEADER_BYTES + payload.len());
    record.extend_from_slice(&MAGIC);
    record.extend_from_slice(&[kind as u8, flags]);
    record.extend_from_slice(&kind.version().to_le_bytes());
    record.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    record.extend_from_slice(&(raw.len() as u64).to_le_bytes());
    let checksum = checksum(&record, payload);
    record.extend_from_slice(&checksum.to_le_bytes());
    record.extend_from_slice(payload);
    Ok(record)
}

/// The value of a record that fills `record` exactly.
///
/// # Errors
/// [`Error::Damaged`] that says what is wrong: cut, flipped, of another version, of another kind, undecodable.
pub fn decode<T: DeserializeOwned>(kind: Kind, record: &[u8]) -> Result<T> {
    let (value, rest) = decode_first(kind, record)?;
    nothing_after(kind, rest).map(|()| value)
}

/// The value of the record that `bytes` begins with, and the bytes after it.
///
/// # Errors
/// As [`decode`].
pub fn decode_first<T: DeserializeOwned>(kind: Kind, bytes: &[u8]) -> Result<(T, &[u8])> {
    let (header, payload, rest) = split(kind, bytes)?;
    let value = match header.flags {
        0 if header.raw == header.stored as u64 => decode_payload(kind, payload)?,
        COMPRESSED => decode_payload(kind, &decompress(kind, payload, header.raw)?)?,
        flags => return Err(damaged(kind, format!("has flags that do not fit it ({flags})"))),
    };
    Ok((value, rest))
}

/// Checks a record that fills `record` exactly, without decoding it.
///
/// # Errors
/// As [`decode`].
pub fn check(kind: Kind, record: &[u8]) -> Result<()> {
    split(kind, record).and_then(|(_, _, rest)| nothing_after(kind, rest))
}

fn nothing_after(kind: Kind, rest: &[u8]) -> Result<()> {
    if rest.is_empty() {
        return Ok(());
    }
    Err(damaged(kind, format!("is followed by {} bytes that are not its own", rest.len())))
}

/// Header, payload and what follows; everything but the payload's inside is checked.
fn split(kind: Kind, bytes: &[u8]) -> Result<(Header, &[u8], &[u8])> {
    let header = Header::read(kind, bytes)?;
    let (payload, rest) = bytes[HEADER_BYTES..].split_at(header.stored);
    if checksum(&bytes[..CHECKED], payload) != header.checksum {
        return Err(damaged(kind, "is damaged: its checksum does not match".to_string()));
    }
    if header.kind != kind as u8 {
        return Err(damaged(kind, format!("is a record of another kind ({})", header.kind)));
    }
    if header.version != kind.version() {
        let expected = kind.version();
        return Err(damaged(kind, format!("has version {}; this twopass reads version {expected}", header.version)));
    }
    if header.raw > MAX_PAYLOAD_BYTES {
        return Err(damaged(kind, format!("claims {} bytes, more than {MAX_PAYLOAD_BYTES}", header.raw)));
    }
    Ok((header, payload, rest))
}

/// Whether `bytes` begin as a record does; says nothing of what follows.
pub fn is_framed(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// The header's fields, with only magic and lengths checked.
struct Header {
    kind: u8,
    flags: u8,
    version: u16,
    stored: usize,
    raw: u64,
    checksum: u128,
}

impl Header {
    fn read(kind: Kind, bytes: &[u8]) -> Result<Self> {
        let cut = |needed: u64| damaged(kind, format!("is cut: {} of {needed} bytes are there", bytes.len()));
        let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else { return Err(cut(HEADER_BYTES as u64)) };
        if field::<4>(header, 0) != MAGIC {
            return Err(damaged(kind, "does not begin as a twopass record".to_string()));
        }
        let stored = u64::from_le_bytes(field(header, 8));
        let available = (bytes.len() - HEADER_BYTES) as u64;
        if stored > available {
            return Err(cut(stored.saturating_add(HEADER_BYTES as u64)));
        }
        Ok(Self {
            kind: header[4],
            flags: header[5],
            version: u16::from_le_bytes(field(header, 6)),
            // No longer than what is in memory, so it fits.
            stored: stored as usize,
            raw: u64::from_le_bytes(field(header, 16)),
            checksum: u128::from_le_bytes(field(header, 24)),
        })
    }
}

/// The `N` bytes of a header from `at` on.
fn field<const N: usize>(header: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&header[at..at + N]);
    bytes
}

fn checksum(header: &[u8], payload: &[u8]) -> u128 {
    let mut digest = Xxh3::new();
    digest.update(header);
    digest.update(payload);
    digest.digest128()
}

/// Decompresses exactly `raw` bytes; the buffer grows with what really comes out, never with what is claimed.
fn decompress(kind: Kind, payload: &[u8], raw: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = zstd::stream::read::Decoder::with_buffer(payload)
        .and_then(|decoder| decoder.take(raw.saturating_add(1)).read_to_end(&mut bytes));
    match read {
        Ok(length) if length as u64 == raw => Ok(bytes),
        Ok(_) => Err(damaged(kind, format!("does not decompress to the {raw} bytes it claims"))),
        Err(e) => Err(undecodable(kind, e)),
    }
}

/// bincode's limit is part of its type, so the limit that follows from the payload is rounded up to one of three.
fn decode_payload<T: DeserializeOwned>(kind: Kind, payload: &[u8]) -> Result<T> {
    const SMALL: usize = 1 << 16;
    const MIDDLE: usize = 1 << 24;
    // Twice the largest payload, for the types (`char`) that claim more than they read.
    const LARGE: usize = (1 << 31) + 64;
    match payload.len() * 2 + 64 {
        needed if needed <= SMALL => decode_limited::<T, SMALL>(kind, payload),
        needed if needed <= MIDDLE => decode_limited::<T, MIDDLE>(kind, payload),
        _ => decode_limited::<T, LARGE>(kind, payload),
    }
}

fn decode_limited<T: DeserializeOwned, const LIMIT: usize>(kind: Kind, payload: &[u8]) -> Result<T> {
    let (value, read) =
        bincode::serde::decode_from_slice(payload, config::<LIMIT>()).map_err(|e| undecodable(kind, e))?;
    if read == payload.len() {
        return Ok(value);
    }
    Err(damaged(kind, format!("holds {} bytes after its value", payload.len() - read)))
}

const fn config<const LIMIT: usize>() -> Configuration<LittleEndian, Fixint, Limit<LIMIT>> {
    bincode::config::standard().with_little_endian().with_fixed_int_encoding().with_limit::<LIMIT>()
}

fn damaged(kind: Kind, what: String) -> Error {
    Error::Damaged { what: format!("the {kind} record {what}"), source: None }
}

fn undecodable(kind: Kind, cause: impl Into<Cause>) -> Error {
    Error::Damaged { what: format!("the {kind} record cannot be decoded"), source: Some(cause.into()) }
}
