//! Records of the buffer's segment files. Pure.
//!
//! ```text
//!  0  "CWT1"                                  4
//!  4  length of the payload                   4   little endian, like all of them
//!  8  number of the record                    8   one more than the last
//! 16  samples before it                       8   of all records ever, so that a gap tells what was lost
//! 24  samples in it                           4
//! 28  unix milliseconds                       8
//! 36  checksum                                8   first bytes of SHA-256 over 4 to 36 and the payload
//! 44  payload                                     zstd of protobuf
//! ```
//!
//! A record that was written in part, or has changed since, does not have its checksum; reading goes on at the next one
//! that has.

use prost::bytes::{Buf, BufMut};
use sha2::{Digest, Sha256};

use super::Samples;

const MAGIC: [u8; 4] = *b"CWT1";
/// Octets before the payload.
pub const HEAD_BYTES: usize = 44;
/// Octets before the checksum.
const CHECKED_BYTES: usize = 36;
/// Longest payload, compressed or not: far more than a moment that is split.
const MAX_PAYLOAD_BYTES: usize = 4 << 20;
/// Level of zstd: a moment shrinks to a quarter in tens of microseconds.
const ZSTD_LEVEL: i32 = 1;

/// What a record says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// One more than that of the record before.
    pub number: u64,
    /// Samples of all records before.
    pub before: u64,
    /// Samples in it.
    pub samples: u32,
    /// When they were taken, in unix milliseconds.
    pub at_unix_ms: u64,
}

impl Head {
    /// Samples of all records up to this one.
    #[must_use]
    pub fn until(&self) -> u64 {
        self.before.saturating_add(self.samples.into())
    }
}

/// Where a record is in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it says.
    pub head: Head,
    /// Its first octet.
    pub at: usize,
    /// Its octets.
    pub length: usize,
}

fn checksum(head: &[u8], payload: &[u8]) -> [u8; 8] {
    let digest = Sha256::new().chain_update(head).chain_update(payload).finalize();
    digest.first_chunk().copied().unwrap_or_default()
}

/// A record as it is written. None for samples that no record holds.
#[must_use]
pub fn encode(head: &Head, samples: &Samples) -> Option<Vec<u8>> {
    let plain = samples.encode();
    let payload = zstd::bulk::compress(&plain, ZSTD_LEVEL).ok()?;
    if plain.len().max(payload.len()) > MAX_PAYLOAD_BYTES {
        return None;
    }
    let mut record = Vec::with_capacity(HEAD_BYTES + payload.len());
    record.put_slice(&MAGIC);
    record.put_u32_le(u32::try_from(payload.len()).ok()?);
    record.put_u64_le(head.number);
    record.put_u64_le(head.before);
    record.put_u32_le(head.samples);
    record.put_u64_le(head.at_unix_ms);
    let checksum = checksum(record.get(MAGIC.len()..)?, &payload);
    record.put_slice(&checksum);
    record.extend_from_slice(&payload);
    Some(record)
}

/// The record at the beginning of these octets, its length and its payload; none where there is no whole one.
fn parse(bytes: &[u8]) -> Option<(Head, usize, &[u8])> {
    let mut head = bytes.get(..HEAD_BYTES)?.strip_prefix(&MAGIC)?;
    let checked = head.get(..CHECKED_BYTES - MAGIC.len())?;
    let length = usize::try_from(head.get_u32_le()).ok().filter(|length| *length <= MAX_PAYLOAD_BYTES)?;
    let found = Head {
        number: head.get_u64_le(),
        before: head.get_u64_le(),
        samples: head.get_u32_le(),
        at_unix_ms: head.get_u64_le(),
    };
    let payload = bytes.get(HEAD_BYTES..HEAD_BYTES + length)?;
    (checksum(checked, payload) == head).then_some((found, HEAD_BYTES + length, payload))
}

/// The samples of a record; none where it is not the one that is asked for, or has changed.
#[must_use]
pub fn decode(bytes: &[u8], head: &Head) -> Option<Samples> {
    let (found, _, payload) = parse(bytes).filter(|(found, ..)| found == head)?;
    let plain = zstd::bulk::decompress(payload, MAX_PAYLOAD_BYTES).ok()?;
    let samples = Samples::decode(&plain).ok()?;
    (u32::try_from(samples.len()).ok()? == found.samples).then_some(samples)
}

/// Every whole record of a file in order, and how many stretches between them are none: what follows the last is the
/// end of a write that was cut off, and does not count.
#[must_use]
pub fn scan(bytes: &[u8]) -> (Vec<Found>, usize) {
    let (mut records, mut broken, mut at, mut within) = (Vec::new(), 0, 0, false);
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        if let Some((head, length, _)) = parse(rest) {
            broken += usize::from(within);
            within = false;
            records.push(Found { head, at, length });
            at += length;
        } else {
            within = true;
            let next = rest.get(1..).and_then(|rest| rest.windows(MAGIC.len()).position(|window| window == MAGIC));
            at += next.map_or(rest.len(), |next| next + 1);
        }
    }
    (records, broken)
}

#[cfg(test)]
mod tests {
    use causeway_wire::telemetry::ConfigSample;
    use proptest::prelude::*;

    use super::*;

    fn samples(count: usize) -> Samples {
        let config = |n| ConfigSample { at_unix_ms: n as u64, ..Default::default() };
        Samples { at_unix_ms: 5, configs: (0..count).map(config).collect(), ..Samples::default() }
    }

    fn file(counts: &[usize]) -> (Vec<u8>, Vec<Head>) {
        let (mut bytes, mut heads, mut before) = (Vec::new(), Vec::new(), 0);
        for (number, count) in counts.iter().enumerate() {
            let head = Head { number: number as u64, before, samples: u32::try_from(*count).unwrap(), at_unix_ms: 5 };
            bytes.extend(encode(&head, &samples(*count)).unwrap());
            heads.push(head);
            before = head.until();
        }
        (bytes, heads)
    }

    #[test]
    fn what_is_written_is_read_and_what_is_cut_off_is_not() {
        let (bytes, heads) = file(&[3, 0, 7]);
        let (records, broken) = scan(&bytes);
        assert_eq!((records.iter().map(|r| r.head).collect::<Vec<_>>(), broken), (heads.clone(), 0));
        let read = |n: usize| decode(&bytes[records[n].at..][..records[n].length], &heads[n]);
        assert_eq!((read(0), read(2)), (Some(samples(3)), Some(samples(7))));
        assert_eq!(decode(&bytes[records[1].at..], &heads[0]), None, "another record");
        for cut in records[2].at..bytes.len() {
            assert_eq!(scan(&bytes[..cut]), (records[..2].to_vec(), 0), "cut at {cut}");
        }
    }

    proptest! {
        /// One octet that changes anywhere costs the record that it is in and no other.
        #[test]
        fn damage_stays_where_it_is(counts in prop::collection::vec(0_usize..9, 1..9), at: prop::sample::Index, by in 1_u8..) {
            let (mut bytes, _) = file(&counts);
            let (whole, _) = scan(&bytes);
            let at = at.index(bytes.len());
            bytes[at] ^= by;
            let (left, broken) = scan(&bytes);
            let hit = whole.iter().position(|r| (r.at..r.at + r.length).contains(&at)).unwrap();
            let expected: Vec<_> = whole.iter().enumerate().filter(|(n, _)| *n != hit).map(|(_, r)| *r).collect();
            prop_assert_eq!(left, expected);
            prop_assert_eq!(broken, usize::from(hit + 1 < whole.len()));
        }

        #[test]
        fn any_bytes_are_scanned(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(scan(&bytes).0.len(), 0);
        }
    }
}
