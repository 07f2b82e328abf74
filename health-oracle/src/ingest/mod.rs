//! Telemetry in: from bytes off the wire to a batch that may be stored.
//!
//! [`verify`] is pure. It trusts nothing that the sender says of itself: the key is the ledger's, the signature covers
//! the program and every byte, and times must be near to the oracle's own. Whether a batch is a replay only the store
//! can say, which decides it in the transaction that keeps the batch.

pub mod http;

use std::collections::BTreeMap;

use causeway_interface::{Code, Key, accounts::Device};
use causeway_wire::{
    MAX_MESSAGE_BYTES, signing,
    telemetry::{Batch, SignedBatch},
};
use prost::{
    Message,
    bytes::Buf,
    encoding::{DecodeContext, WireType, decode_key, skip_field},
};

use crate::store::VerifiedBatch;

/// Most samples of one batch: twice what an agent sends. Empty samples take two bytes on the wire and a hundred in memory,
/// so that the size of the body is no bound.
pub const MAX_SAMPLES: usize = 10_000;

/// The sender's own claim, read before anything else of a batch: until the signature is verified, nothing is decoded
/// whose size the sender chooses.
#[derive(Clone, PartialEq, Message)]
struct Claim {
    #[prost(string, tag = "1")]
    device: String,
}

/// Counts the messages within a batch without decoding them.
fn samples(mut batch: &[u8]) -> Result<usize, Refusal> {
    let malformed = |_| Refusal::Malformed("not protobuf of a batch inside");
    let mut count = 0;
    while batch.has_remaining() {
        let (tag, wire_type) = decode_key(&mut batch).map_err(malformed)?;
        skip_field(wire_type, tag, &mut batch, DecodeContext::default()).map_err(malformed)?;
        if wire_type == WireType::LengthDelimited {
            count += 1;
        }
    }
    Ok(count)
}

/// The telemetry keys of all devices, as of the latest snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    keys: BTreeMap<Code, Key>,
}

impl Directory {
    /// Of these devices.
    pub fn new<'a>(devices: impl IntoIterator<Item = &'a Device>) -> Self {
        Self::from_keys(devices.into_iter().map(|device| (device.code, device.telemetry_key)))
    }

    /// Of these codes and keys.
    pub fn from_keys(keys: impl IntoIterator<Item = (Code, Key)>) -> Self {
        Self { keys: keys.into_iter().collect() }
    }
}

/// How far a batch may be off, in ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Ahead of the oracle's clock.
    pub ahead_ms: u64,
    /// Behind it: how long an agent may have buffered through an outage.
    pub behind_ms: u64,
}

/// Why a batch is refused. Each has a code, a cause and a remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Larger than any honest batch.
    #[error("the body has more than {MAX_MESSAGE_BYTES} bytes or {MAX_SAMPLES} samples")]
    TooLarge,
    /// Not the protocol.
    #[error("the body is not a signed batch: {0}")]
    Malformed(&'static str),
    /// No ledger snapshot yet.
    #[error("the ledger has not been read yet")]
    NotReady,
    /// The ledger holds no such device.
    #[error("the ledger holds no device of this code")]
    UnknownDevice,
    /// The device has no telemetry key.
    #[error("the device has no telemetry key")]
    NoKey,
    /// The signature is not the device's.
    #[error("the signature is not the device's: {0}")]
    BadSignature(signing::SignatureError),
    /// Times too far ahead.
    #[error("the batch is {ahead_ms} ms ahead of this oracle's clock")]
    Ahead {
        /// How far.
        ahead_ms: u64,
    },
    /// Times too far behind.
    #[error("the batch begins {behind_ms} ms behind this oracle's clock")]
    Behind {
        /// How far.
        behind_ms: u64,
    },
    /// Not younger than the last accepted one.
    #[error("sequence {last_sequence} of this device was accepted before")]
    Replay {
        /// Sequence of the last accepted batch.
        last_sequence: u64,
    },
    /// The queue is full.
    #[error("too many batches are waiting")]
    Busy,
    /// The store failed.
    #[error("the batch could not be stored")]
    StoreFailed,
}

impl Refusal {
    /// The code that people look up and metrics carry.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge => "CW-TELEMETRY-TOO-LARGE",
            Self::Malformed(_) => "CW-TELEMETRY-MALFORMED",
            Self::NotReady => "CW-TELEMETRY-NOT-READY",
            Self::UnknownDevice => "CW-TELEMETRY-UNKNOWN-DEVICE",
            Self::NoKey => "CW-TELEMETRY-NO-KEY",
            Self::BadSignature(_) => "CW-TELEMETRY-BAD-SIGNATURE",
            Self::Ahead { .. } => "CW-TELEMETRY-AHEAD",
            Self::Behind { .. } => "CW-TELEMETRY-BEHIND",
            Self::Replay { .. } => "CW-TELEMETRY-REPLAY",
            Self::Busy => "CW-TELEMETRY-BUSY",
            Self::StoreFailed => "CW-TELEMETRY-STORE-FAILED",
        }
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::TooLarge => 413,
            Self::Malformed(_) => 400,
            Self::NotReady | Self::StoreFailed => 503,
            Self::UnknownDevice => 404,
            Self::NoKey => 403,
            Self::BadSignature(_) => 401,
            Self::Ahead { .. } | Self::Behind { .. } => 422,
            Self::Replay { .. } => 409,
            Self::Busy => 429,
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::TooLarge => "Send it in pieces.",
            Self::Malformed(_) => "Update the agent, or point it at a telemetry endpoint of the same protocol.",
            Self::NotReady | Self::StoreFailed => "Send it again later; the oracle's log says what is wrong.",
            Self::UnknownDevice => "Register the device, or point the agent at an oracle of its own network.",
            Self::NoKey => "Set the device's telemetry key with `causeway device update`.",
            Self::BadSignature(_) => {
                "Give the agent the key that the ledger names; `causeway device get` shows it. The program has to be the same too."
            }
            Self::Ahead { .. } => "Set the device's clock.",
            Self::Behind { .. } => "Drop the batch; it is too old to be judged. Set the device's clock if it is wrong.",
            Self::Replay { .. } => "Drop the batch; go on with a higher sequence.",
            Self::Busy => "Back off and send it again.",
        }
    }
}

/// Decodes and verifies the body of a request.
///
/// # Errors
/// See [`Refusal`]; never one that only the store can find.
pub fn verify(
    body: &[u8],
    directory: &Directory,
    program_id: &Key,
    now_ms: u64,
    limits: &Limits,
) -> Result<VerifiedBatch, Refusal> {
    if body.len() > MAX_MESSAGE_BYTES {
        return Err(Refusal::TooLarge);
    }
    let signed = SignedBatch::decode(body).map_err(|_| Refusal::Malformed("not protobuf of a signed batch"))?;
    let inside = |_| Refusal::Malformed("not protobuf of a batch inside");
    let claim = Claim::decode(signed.batch.as_slice()).map_err(inside)?;
    let device: Code = claim.device.parse().map_err(|_| Refusal::Malformed("the device is not a code"))?;
    let key = directory.keys.get(&device).ok_or(Refusal::UnknownDevice)?;
    if key.is_zero() {
        return Err(Refusal::NoKey);
    }
    let message = signing::telemetry_message(&program_id.0, &signed.batch);
    signing::verify(&key.0, &message, &signed.signature).map_err(Refusal::BadSignature)?;
    let signature = signed.signature.try_into().map_err(|_| Refusal::BadSignature(signing::SignatureError::Length))?;
    if samples(&signed.batch)? > MAX_SAMPLES {
        return Err(Refusal::TooLarge);
    }
    let batch = Batch::decode(signed.batch.as_slice()).map_err(inside)?;
    if batch.sequence == 0 || i64::try_from(batch.sequence).is_err() {
        return Err(Refusal::Malformed("the sequence is 0 or beyond 63 bits"));
    }
    check_times(&batch, now_ms, limits)?;
    Ok(VerifiedBatch { device, batch, bytes: signed.batch, signature, received_ms: now_ms })
}

fn check_times(batch: &Batch, now_ms: u64, limits: &Limits) -> Result<(), Refusal> {
    let interfaces = batch.interfaces.iter().map(|s| s.at_unix_ms);
    let adjacencies = batch.adjacencies.iter().map(|s| s.at_unix_ms);
    let probes = batch.probes.iter().map(|s| s.at_unix_ms);
    // A poll may lie before the batch but not ahead of the clock.
    let configs = batch.configs.iter().map(|s| s.at_unix_ms);
    let polled = batch.configs.iter().map(|s| s.polled_unix_ms).max();
    let samples = interfaces.chain(adjacencies).chain(probes).chain(configs);
    let (from, to) = samples.fold((batch.from_unix_ms, batch.to_unix_ms), |(from, to), at| (from.min(at), to.max(at)));
    let to = to.max(polled.unwrap_or(0));
    let ahead_ms = to.saturating_sub(now_ms);
    if ahead_ms > limits.ahead_ms {
        return Err(Refusal::Ahead { ahead_ms });
    }
    let behind_ms = now_ms.saturating_sub(from);
    if behind_ms > limits.behind_ms {
        return Err(Refusal::Behind { behind_ms });
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use causeway_wire::telemetry::{ConfigSample, InterfaceSample};
    use ed25519_dalek::SigningKey;
    use proptest::prelude::*;

    pub(crate) const PROGRAM: Key = Key([7; 32]);
    pub(crate) const NOW: u64 = 1_700_000_000_000;
    pub(crate) const LIMITS: Limits = Limits { ahead_ms: 5_000, behind_ms: 600_000 };

    pub(crate) fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    pub(crate) fn directory() -> Directory {
        Directory::from_keys([
            ("nyc-1".parse().unwrap(), Key(key(1).verifying_key().to_bytes())),
            ("lon-1".parse().unwrap(), Key(key(2).verifying_key().to_bytes())),
            ("new-1".parse().unwrap(), Key::ZERO),
        ])
    }

    pub(crate) fn batch(device: &str, sequence: u64) -> Batch {
        Batch {
            device: device.into(),
            sequence,
            from_unix_ms: NOW - 1_000,
            to_unix_ms: NOW,
            interfaces: vec![InterfaceSample { at_unix_ms: NOW, interface: "eth1".into(), ..Default::default() }],
            ..Default::default()
        }
    }

    pub(crate) fn signed_for(program: &Key, batch: &Batch, seed: u8) -> Vec<u8> {
        let bytes = batch.encode_to_vec();
        let signature = signing::sign(&key(seed), &signing::telemetry_message(&program.0, &bytes)).to_vec();
        SignedBatch { batch: bytes, signature }.encode_to_vec()
    }

    pub(crate) fn signed(batch: &Batch, seed: u8) -> Vec<u8> {
        signed_for(&PROGRAM, batch, seed)
    }

    fn refusal(body: &[u8]) -> Refusal {
        verify(body, &directory(), &PROGRAM, NOW, &LIMITS).unwrap_err()
    }

    #[test]
    fn a_batch_of_the_device_is_accepted() {
        let verified = verify(&signed(&batch("nyc-1", 5), 1), &directory(), &PROGRAM, NOW, &LIMITS).unwrap();
        assert_eq!((verified.device.as_str(), verified.batch.sequence), ("nyc-1", 5));
    }

    #[test]
    fn foreign_and_malformed_batches_are_refused() {
        let mismatch = Refusal::BadSignature(signing::SignatureError::Mismatch);
        assert_eq!(refusal(&signed(&batch("nyc-1", 5), 2)), mismatch, "another device's key");
        assert_eq!(refusal(&signed_for(&Key([8; 32]), &batch("nyc-1", 5), 1)), mismatch, "another network");
        assert_eq!(refusal(&signed(&batch("xyz-1", 5), 1)), Refusal::UnknownDevice);
        assert_eq!(refusal(&signed(&batch("new-1", 5), 1)), Refusal::NoKey);
        assert!(matches!(refusal(&signed(&batch("NOT A CODE", 5), 1)), Refusal::Malformed(_)));
        assert!(matches!(refusal(&signed(&batch("nyc-1", 0), 1)), Refusal::Malformed(_)));
        assert!(matches!(refusal(&signed(&batch("nyc-1", u64::MAX), 1)), Refusal::Malformed(_)));
        assert!(matches!(refusal(b"\xff\xff\xff"), Refusal::Malformed(_)));
        assert!(matches!(refusal(b""), Refusal::Malformed(_)));
        assert_eq!(refusal(&vec![0; MAX_MESSAGE_BYTES + 1]), Refusal::TooLarge);
        let unsigned = SignedBatch { batch: batch("nyc-1", 5).encode_to_vec(), signature: vec![] }.encode_to_vec();
        assert_eq!(refusal(&unsigned), Refusal::BadSignature(signing::SignatureError::Length));
    }

    #[test]
    fn a_small_body_can_not_claim_much_memory() {
        // Field 5, length 0: an empty sample.
        let many = |samples: usize| [batch("nyc-1", 5).encode_to_vec(), [0x2a, 0].repeat(samples)].concat();
        let signed = |bytes: Vec<u8>| {
            let signature = signing::sign(&key(1), &signing::telemetry_message(&PROGRAM.0, &bytes)).to_vec();
            SignedBatch { batch: bytes, signature }.encode_to_vec()
        };
        assert_eq!(refusal(&signed(many(MAX_SAMPLES))), Refusal::TooLarge);
        // Without a signature it does not even come to counting.
        let unsigned = SignedBatch { batch: many(1_000_000), signature: vec![1; 64] }.encode_to_vec();
        assert!(matches!(refusal(&unsigned), Refusal::BadSignature(_)));
    }

    #[test]
    fn times_off_the_clock_are_refused() {
        let sample = |at| {
            let mut b = batch("nyc-1", 5);
            b.interfaces[0].at_unix_ms = at;
            verify(&signed(&b, 1), &directory(), &PROGRAM, NOW, &LIMITS).err()
        };
        assert_eq!(sample(NOW + 5_000), None);
        assert_eq!(sample(NOW + 5_001), Some(Refusal::Ahead { ahead_ms: 5_001 }));
        assert_eq!(sample(NOW - 600_000), None);
        assert_eq!(sample(NOW - 600_001), Some(Refusal::Behind { behind_ms: 600_001 }));
        assert!(matches!(sample(u64::MAX), Some(Refusal::Ahead { .. })));
        let mut b = batch("nyc-1", 5);
        b.configs = vec![ConfigSample { at_unix_ms: NOW, polled_unix_ms: u64::MAX, ..Default::default() }];
        assert!(matches!(refusal(&signed(&b, 1)), Refusal::Ahead { .. }), "a poll from the future");
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let body = signed(&batch("nyc-1", 5), 1);
        for index in 0..body.len() {
            let mut changed = body.clone();
            changed[index] ^= 0x01;
            assert!(verify(&changed, &directory(), &PROGRAM, NOW, &LIMITS).is_err(), "byte {index}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            prop_assert!(verify(&bytes, &directory(), &PROGRAM, NOW, &LIMITS).is_err());
            let wrapped = SignedBatch { batch: bytes, signature: vec![1; 64] }.encode_to_vec();
            prop_assert!(verify(&wrapped, &directory(), &PROGRAM, NOW, &LIMITS).is_err());
        }
    }
}
