//! Batches of honest and hostile senders against [`verify`].

use causeway_interface::{Code, Key};
use causeway_wire::{
    MAX_MESSAGE_BYTES, signing,
    telemetry::{Batch, ConfigSample, InterfaceSample, SignedBatch},
};
use ed25519_dalek::SigningKey;
use proptest::prelude::*;
use prost::{Message, bytes::Bytes};

use super::{verify::MAX_SAMPLES, *};
use crate::{store::VerifiedBatch, time::SlotClock};

pub(crate) const PROGRAM: Key = Key([7; 32]);
pub(crate) const NOW: u64 = 1_700_000_000_000;
/// Of 400 ms each: 4 s and 10 minutes.
pub(crate) const LIMITS: Limits = Limits { ahead_slots: 10, behind_slots: 1_500 };

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub(crate) fn directory() -> Directory {
    directory_at(SlotClock::new(1_000_000, NOW))
}

fn directory_at(clock: SlotClock) -> Directory {
    let keys = [
        ("nyc-1", Key(key(1).verifying_key().to_bytes())),
        ("lon-1", Key(key(2).verifying_key().to_bytes())),
        ("new-1", Key::ZERO),
        // The neutral element, by which any message can be "signed".
        ("weak-1", Key(std::array::from_fn(|index| u8::from(index == 0)))),
    ];
    Directory::from_keys(keys.map(|(device, key)| (device.parse::<Code>().unwrap(), key)), clock)
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

fn outcome(body: &[u8]) -> Result<VerifiedBatch, Refusal> {
    verify(Bytes::copy_from_slice(body), &directory(), &PROGRAM, NOW, &LIMITS)
}

fn refusal(body: &[u8]) -> Refusal {
    outcome(body).unwrap_err()
}

#[test]
fn a_batch_of_the_device_is_accepted() {
    let verified = outcome(&signed(&batch("nyc-1", 5), 1)).unwrap();
    assert_eq!((verified.device.as_str(), verified.batch.sequence), ("nyc-1", 5));
}

#[test]
fn foreign_and_malformed_batches_are_refused() {
    let mismatch = Refusal::BadSignature(signing::SignatureError::Mismatch);
    assert_eq!(refusal(&signed(&batch("nyc-1", 5), 2)), mismatch, "another device's key");
    assert_eq!(refusal(&signed_for(&Key([8; 32]), &batch("nyc-1", 5), 1)), mismatch, "another network");
    assert_eq!(refusal(&signed(&batch("xyz-1", 5), 1)), Refusal::UnknownDevice);
    assert_eq!(refusal(&signed(&batch("new-1", 5), 1)), Refusal::NoKey);
    let unusable = Refusal::BadSignature(signing::SignatureError::Key);
    assert_eq!(refusal(&signed(&batch("weak-1", 5), 1)), unusable);
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
fn times_off_the_clock_are_refused_in_slots_of_the_ledger() {
    // A pace of 400 ms, of 200 ms and of 1 s: the same slots are another time.
    let fast = SlotClock::new(1_000, NOW - 20_000).observe(1_100, NOW);
    let slow = SlotClock::new(1_000, NOW - 100_000).observe(1_100, NOW);
    for (clock, slot_ms) in [(SlotClock::new(1_100, NOW), 400), (fast, 200), (slow, 1_000)] {
        let (ahead, behind) = (10 * slot_ms, 1_500 * slot_ms);
        let of = |b: &Batch| verify(signed(b, 1).into(), &directory_at(clock), &PROGRAM, NOW, &LIMITS).err();
        let sample = |at| {
            let mut b = batch("nyc-1", 5);
            b.interfaces[0].at_unix_ms = at;
            of(&b)
        };
        assert_eq!(sample(NOW + ahead), None, "{slot_ms}");
        assert_eq!(sample(NOW + ahead + 1), Some(Refusal::Ahead { ahead_ms: ahead + 1, limit_slots: 10 }));
        assert_eq!(sample(NOW - behind), None, "{slot_ms}");
        assert_eq!(sample(NOW - behind - 1), Some(Refusal::Behind { behind_ms: behind + 1, limit_slots: 1_500 }));
        assert!(matches!(sample(u64::MAX), Some(Refusal::Ahead { .. })));
        let mut b = batch("nyc-1", 5);
        b.configs = vec![ConfigSample { at_unix_ms: NOW, polled_unix_ms: u64::MAX, ..Default::default() }];
        assert!(matches!(of(&b), Some(Refusal::Ahead { .. })), "a poll from the future");
    }
}

#[test]
fn a_field_given_twice_is_read_alike_by_all() {
    // Protobuf lets the last one count: whose key is asked for is who is stored.
    let twice = |first: &Batch, last: &Batch, seed: u8| {
        let bytes = [first.encode_to_vec(), last.encode_to_vec()].concat();
        let signature = signing::sign(&key(seed), &signing::telemetry_message(&PROGRAM.0, &bytes)).to_vec();
        outcome(&SignedBatch { batch: bytes, signature }.encode_to_vec())
    };
    let (nyc, lon) = (batch("nyc-1", 5), batch("lon-1", 6));
    let verified = twice(&nyc, &lon, 2).unwrap();
    assert_eq!(
        (verified.device.as_str(), verified.batch.device.as_str(), verified.batch.sequence),
        ("lon-1", "lon-1", 6)
    );
    assert!(matches!(twice(&nyc, &lon, 1), Err(Refusal::BadSignature(_))));
}

#[test]
fn every_changed_byte_is_noticed() {
    let body = signed(&batch("nyc-1", 5), 1);
    for index in 0..body.len() {
        let mut changed = body.clone();
        changed[index] ^= 0x01;
        assert!(outcome(&changed).is_err(), "byte {index}");
    }
}

proptest! {
    /// What the device itself has signed is an answer too, and who is charged for it is who it is stored for.
    #[test]
    fn any_signed_bytes_are_an_answer(
        before in prop::collection::vec(any::<u8>(), 0..64),
        after in prop::collection::vec(any::<u8>(), 0..64),
        cut in any::<prop::sample::Index>(),
    ) {
        let honest = batch("nyc-1", 5).encode_to_vec();
        let (head, tail) = honest.split_at(cut.index(honest.len()));
        for bytes in [[&before, head, tail, &after].concat(), [head, &before, tail, &after].concat()] {
            let signature = signing::sign(&key(1), &signing::telemetry_message(&PROGRAM.0, &bytes)).to_vec();
            let body: Bytes = SignedBatch { batch: bytes, signature }.encode_to_vec().into();
            let Ok(authentic) = verify::authenticate(body, &directory(), &PROGRAM) else { continue };
            let (device, sequence, samples) = (authentic.device, authentic.sequence, authentic.samples);
            let Ok(verified) = authentic.decode(&directory(), NOW, &LIMITS) else { continue };
            prop_assert_eq!((device, sequence), (verified.device, verified.batch.sequence));
            let batch = &verified.batch;
            let decoded = batch.interfaces.len() + batch.adjacencies.len() + batch.probes.len() + batch.configs.len();
            prop_assert!(decoded <= samples, "{} decoded, {} counted", decoded, samples);
        }
    }

    #[test]
    fn any_bytes_are_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        prop_assert!(outcome(&bytes).is_err());
        let wrapped = SignedBatch { batch: bytes, signature: vec![1; 64] }.encode_to_vec();
        prop_assert!(outcome(&wrapped).is_err());
    }
}
