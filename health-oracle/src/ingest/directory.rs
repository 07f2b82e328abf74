//! Whose telemetry is taken, and how fast the ledger's slots go: what ingest knows of the latest snapshot. Pure.

use std::collections::BTreeMap;

use causeway_interface::{Code, Key, accounts::Device};
use causeway_wire::signing::{PublicKey, SignatureError};

use super::Refusal;
use crate::time::SlotClock;

/// A key as the ledger holds it, and its point: computing that takes microseconds, for ten thousand devices a tenth of a
/// second, so that it is done once for each key and not once for each batch or snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    ledger: Key,
    /// None for the zero key; an error for one that could never verify anything, or would verify everything.
    point: Result<Option<PublicKey>, SignatureError>,
}

impl Entry {
    fn new(ledger: Key) -> Self {
        let point = if ledger.is_zero() { Ok(None) } else { PublicKey::parse(&ledger.0).map(Some) };
        Self { ledger, point }
    }
}

/// The telemetry keys of all devices and the ledger's clock, as of the latest snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    keys: BTreeMap<Code, Entry>,
    clock: SlotClock,
}

impl Directory {
    /// Of these devices. Keys that the one before knew too are taken over.
    pub fn new<'a>(devices: impl IntoIterator<Item = &'a Device>, clock: SlotClock, before: Option<&Self>) -> Self {
        Self::build(devices.into_iter().map(|device| (device.code, device.telemetry_key)), clock, before)
    }

    /// Of these codes and keys.
    pub fn from_keys(keys: impl IntoIterator<Item = (Code, Key)>, clock: SlotClock) -> Self {
        Self::build(keys, clock, None)
    }

    fn build(keys: impl IntoIterator<Item = (Code, Key)>, clock: SlotClock, before: Option<&Self>) -> Self {
        let entry = |code: &Code, key: Key| {
            let known = before.and_then(|directory| directory.keys.get(code)).filter(|entry| entry.ledger == key);
            known.copied().unwrap_or_else(|| Entry::new(key))
        };
        Self { keys: keys.into_iter().map(|(code, key)| (code, entry(&code, key))).collect(), clock }
    }

    /// The key that a device signs with.
    ///
    /// # Errors
    /// The ledger holds no such device, no key of it, or one that is none.
    pub fn key(&self, device: &Code) -> Result<&PublicKey, Refusal> {
        let entry = self.keys.get(device).ok_or(Refusal::UnknownDevice)?;
        entry.point.as_ref().map_err(|error| Refusal::BadSignature(*error))?.as_ref().ok_or(Refusal::NoKey)
    }

    /// Whether the ledger holds such a device.
    #[must_use]
    pub fn holds(&self, device: &Code) -> bool {
        self.keys.contains_key(device)
    }

    /// How many devices the ledger holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// None at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The ledger's pace.
    #[must_use]
    pub const fn clock(&self) -> &SlotClock {
        &self.clock
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Code {
        text.parse().unwrap()
    }

    #[test]
    fn keys_that_prove_nothing_are_told_apart_when_the_directory_is_made() {
        let sound = Key(ed25519_dalek::SigningKey::from_bytes(&[1; 32]).verifying_key().to_bytes());
        // The neutral element: its "signatures" verify for every message.
        let weak = Key(std::array::from_fn(|index| u8::from(index == 0)));
        let nowhere = Key(std::array::from_fn(|index| if index == 0 { 2 } else { 0 }));
        let keys = [("sound", sound), ("weak", weak), ("nowhere", nowhere), ("none", Key::ZERO)];
        let keys = keys.map(|(device, key)| (code(device), key));
        let clock = SlotClock::new(1, 1);
        let first = Directory::from_keys(keys, clock);
        for directory in [&first, &Directory::build(keys, clock, Some(&first))] {
            assert!(directory.key(&code("sound")).is_ok());
            let unusable = Refusal::BadSignature(SignatureError::Key);
            assert_eq!(directory.key(&code("weak")), Err(unusable));
            assert_eq!(directory.key(&code("nowhere")), Err(unusable));
            assert_eq!(directory.key(&code("none")), Err(Refusal::NoKey));
            assert_eq!(directory.key(&code("other")), Err(Refusal::UnknownDevice));
        }
    }

    #[test]
    fn a_replaced_key_takes_effect_and_a_removed_device_is_forgotten() {
        let key = |seed| Key(ed25519_dalek::SigningKey::from_bytes(&[seed; 32]).verifying_key().to_bytes());
        let clock = SlotClock::new(1, 1);
        let first = Directory::from_keys([(code("a"), key(1)), (code("b"), key(2))], clock);
        let second = Directory::build([(code("a"), key(3))], clock, Some(&first));
        assert_eq!(second, Directory::from_keys([(code("a"), key(3))], clock));
        assert!(!second.holds(&code("b")) && second.len() == 1);
    }
}
