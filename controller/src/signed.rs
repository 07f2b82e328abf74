//! Requests that are made with a key of the ledger: who proposes a change, and who agrees to it. The judgement is pure.
//!
//! A token says that somebody may call; a key says who on the ledger it is. The signature is over the program, the method, the
//! path, the time and the body, so that it is worth nothing for another network, another change or another day. Within its time
//! one is taken once.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use causeway_interface::Key;
use causeway_wire::signing::{PublicKey, SignedRequest, request_message};

/// Header of the key, in base58.
pub const KEY: &str = "causeway-key";
/// Header of the time of signing, unix milliseconds.
pub const AT: &str = "causeway-signed-unix-ms";
/// Header of the signature, in hex.
pub const SIGNATURE: &str = "causeway-signature";
/// A signature counts for so long, either way: clocks of people's machines differ by minutes.
pub const GOOD_FOR_MS: u64 = 300_000;
/// Signatures that are remembered at most; they are people's, and each needed an operator's token as well.
const MAX_SEEN: usize = 10_000;

/// Who signed a request, and what shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The key.
    pub key: Key,
    /// When it was signed, unix milliseconds.
    pub at_unix_ms: u64,
    /// Its signature.
    pub signature: [u8; 64],
}

/// Why a signature is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignedError {
    /// One of the headers is missing, there twice, or not in its form.
    #[error("of {KEY}, {AT} and {SIGNATURE} all are there once and in their form, or none")]
    Form,
    /// Not of this key over this request.
    #[error("the signature is not of key {0} over this request to this network")]
    Mismatch(Key),
    /// Of another time.
    #[error("it was signed {0} s from the controller's time, and {max} s are the most", max = GOOD_FOR_MS / 1_000)]
    Time(u64),
    /// It was used.
    #[error("this signature was used before")]
    Used,
    /// Too many at a time.
    #[error("more signatures have been used in the last minutes than are remembered")]
    Full,
}

impl Proof {
    /// Of three headers as they came; none where there is none of them.
    ///
    /// # Errors
    /// [`SignedError::Form`].
    pub fn read(key: &[&str], at: &[&str], signature: &[&str]) -> Result<Option<Self>, SignedError> {
        match (key, at, signature) {
            ([], [], []) => Ok(None),
            ([key], [at], [signature]) => {
                let mut bytes = [0; 64];
                hex::decode_to_slice(signature, &mut bytes).map_err(|_| SignedError::Form)?;
                let key: Key = key.parse().map_err(|_| SignedError::Form)?;
                let at_unix_ms = at.parse().map_err(|_| SignedError::Form)?;
                Ok(Some(Self { key, at_unix_ms, signature: bytes }))
            }
            (_, _, _) => Err(SignedError::Form),
        }
    }

    /// Whether it is of this key over this request, now.
    ///
    /// # Errors
    /// [`SignedError::Mismatch`], [`SignedError::Time`].
    pub fn check(
        &self,
        program_id: &Key,
        method: &str,
        path: &str,
        body: &[u8],
        now_ms: u64,
    ) -> Result<(), SignedError> {
        let apart_ms = self.at_unix_ms.abs_diff(now_ms);
        if apart_ms > GOOD_FOR_MS {
            return Err(SignedError::Time(apart_ms / 1_000));
        }
        let message = request_message(&program_id.0, SignedRequest { method, path, at_unix_ms: self.at_unix_ms, body });
        let verified = PublicKey::parse(&self.key.0).and_then(|key| key.verify(&message, &self.signature));
        verified.map_err(|_| SignedError::Mismatch(self.key))
    }
}

/// Signatures that were used, for as long as they would count.
#[derive(Debug, Default)]
pub struct Seen(Mutex<BTreeMap<[u8; 64], u64>>);

impl Seen {
    /// Takes a signature, once.
    ///
    /// # Errors
    /// [`SignedError::Used`], [`SignedError::Full`].
    pub fn take(&self, proof: &Proof, now_ms: u64) -> Result<(), SignedError> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, until_ms| *until_ms >= now_ms);
        if seen.contains_key(&proof.signature) {
            return Err(SignedError::Used);
        }
        if seen.len() >= MAX_SEEN {
            return Err(SignedError::Full);
        }
        seen.insert(proof.signature, proof.at_unix_ms.saturating_add(GOOD_FOR_MS));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use causeway_wire::signing::sign;
    use ed25519_dalek::SigningKey;

    use super::*;

    const PROGRAM: Key = Key([7; 32]);
    const NOW_MS: u64 = 1_789_948_800_000;

    fn signed(at_unix_ms: u64) -> Proof {
        let key = SigningKey::from_bytes(&[3; 32]);
        let request = SignedRequest { method: "POST", path: "/api/v1/jobs/7/approve", at_unix_ms, body: b"{}" };
        let signature = sign(&key, &request_message(&PROGRAM.0, request));
        Proof { key: Key(key.verifying_key().to_bytes()), at_unix_ms, signature }
    }

    #[test]
    fn a_signature_counts_for_its_request_and_its_time_alone() {
        let proof = signed(NOW_MS);
        let check = |program: &Key, method, path, body: &[u8], now_ms| proof.check(program, method, path, body, now_ms);
        let path = "/api/v1/jobs/7/approve";
        assert_eq!(check(&PROGRAM, "POST", path, b"{}", NOW_MS + GOOD_FOR_MS), Ok(()));
        assert_eq!(check(&PROGRAM, "POST", path, b"{}", NOW_MS - GOOD_FOR_MS), Ok(()));
        assert_eq!(check(&PROGRAM, "POST", path, b"{}", NOW_MS + GOOD_FOR_MS + 1), Err(SignedError::Time(300)));
        let mismatch = Err(SignedError::Mismatch(proof.key));
        assert_eq!(check(&Key([8; 32]), "POST", path, b"{}", NOW_MS), mismatch);
        assert_eq!(check(&PROGRAM, "PUT", path, b"{}", NOW_MS), mismatch);
        assert_eq!(check(&PROGRAM, "POST", "/api/v1/jobs/8/approve", b"{}", NOW_MS), mismatch);
        assert_eq!(check(&PROGRAM, "POST", path, b"{ }", NOW_MS), mismatch);
        let other = Proof { at_unix_ms: NOW_MS + 1, ..proof };
        assert_eq!(other.check(&PROGRAM, "POST", path, b"{}", NOW_MS), mismatch);
        // A key that signs anything is none.
        let weak = Proof { key: Key([0; 32]), ..proof };
        assert!(weak.check(&PROGRAM, "POST", path, b"{}", NOW_MS).is_err());
    }

    #[test]
    fn a_signature_is_taken_once_within_its_time() {
        let (seen, proof) = (Seen::default(), signed(NOW_MS));
        assert_eq!(seen.take(&proof, NOW_MS), Ok(()));
        assert_eq!(seen.take(&proof, NOW_MS + GOOD_FOR_MS), Err(SignedError::Used));
        assert_eq!(seen.take(&signed(NOW_MS + 1), NOW_MS), Ok(()));
        // Whatever is forgotten does not count any more by its time.
        assert_eq!(seen.take(&proof, NOW_MS + GOOD_FOR_MS + 1), Ok(()));
    }

    #[test]
    fn headers_are_there_all_or_none_and_once() {
        let key = Key([9; 32]).to_string();
        let signature = "ab".repeat(64);
        assert_eq!(Proof::read(&[], &[], &[]), Ok(None));
        assert!(Proof::read(&[&key], &["5"], &[&signature]).unwrap().is_some());
        for (key, at, signature) in [
            (vec![key.as_str()], vec![], vec![]),
            (vec![], vec!["5"], vec![signature.as_str()]),
            (vec![&key, &key], vec!["5"], vec![&signature]),
            (vec![&key], vec!["-5"], vec![&signature]),
            (vec![&key], vec!["5"], vec!["ab"]),
            (vec!["l0"], vec!["5"], vec![&signature]),
        ] {
            assert_eq!(Proof::read(&key, &at, &signature), Err(SignedError::Form), "{key:?} {at:?}");
        }
    }
}
