//! Signatures that are verified together. Pure, but for the randomness that a batch needs.
//!
//! A signature `(R, s)` of a message `M` proves the key `A` where `[8]([s]B - R - [k]A) = 0` with `k = SHA-512(R, A, M)`: the
//! equation of RFC 8032, 5.1.7, with the cofactor that it names first. Of many signatures it is enough to show that a sum
//! of them with random factors of 128 bits is zero, which takes less than half the time; with the cofactor, and only with
//! it, that says what looking at each alone says, but for a chance of 2^-128 (rfcs/0017).
//!
//! As everywhere else `s` has to be canonical, and neither `A` nor `R` may be of small order. What
//! [`super::signing::PublicKey::verify`] accepts is accepted here; what is accepted here alone only the owner of the
//! key can make, by leaving the algorithm on purpose.

use curve25519_dalek::{
    Scalar,
    constants::ED25519_BASEPOINT_POINT,
    edwards::{CompressedEdwardsY, EdwardsPoint},
    traits::VartimeMultiscalarMul,
};
use sha2::{Digest, Sha512};

use crate::signing::{PublicKey, SignatureError};

/// Bytes of a signature: a point and a scalar.
const SIGNATURE_BYTES: usize = 64;

/// A signature with what it has to prove.
#[derive(Clone, Copy, Debug)]
pub struct Proof {
    key: EdwardsPoint,
    /// `k`.
    challenge: Scalar,
    /// `R`.
    commitment: CompressedEdwardsY,
    /// `s`.
    response: Scalar,
}

impl Proof {
    /// That `signature` is this key's over this message. Nothing is verified yet.
    ///
    /// # Errors
    /// [`SignatureError::Length`], or [`SignatureError::Mismatch`] for a scalar that is not canonical.
    pub fn new(key: &PublicKey, message: &[u8], signature: &[u8]) -> Result<Self, SignatureError> {
        let signature: &[u8; SIGNATURE_BYTES] = signature.try_into().map_err(|_| SignatureError::Length)?;
        let (commitment, response) = signature.split_first_chunk::<32>().ok_or(SignatureError::Length)?;
        let response: [u8; 32] = response.try_into().map_err(|_| SignatureError::Length)?;
        let response = Option::from(Scalar::from_canonical_bytes(response)).ok_or(SignatureError::Mismatch)?;
        let hash = Sha512::new().chain_update(commitment).chain_update(key.as_bytes()).chain_update(message);
        let challenge = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
        Ok(Self { key: key.point(), challenge, commitment: CompressedEdwardsY(*commitment), response })
    }

    /// `R`, where it is a point that proves something.
    fn commitment(&self) -> Option<EdwardsPoint> {
        self.commitment.decompress().filter(|point| !point.is_small_order())
    }

    /// Whether it proves that.
    #[must_use]
    pub fn holds(&self) -> bool {
        let Some(commitment) = self.commitment() else { return false };
        let Self { key, challenge, response, .. } = self;
        let sum = EdwardsPoint::vartime_double_scalar_mul_basepoint(challenge, &-key, response);
        (sum - commitment).is_small_order()
    }
}

/// Whether every one of these holds; of none at all, yes. Where not, it is not known which does not.
#[must_use]
pub fn all_hold(proofs: &[Proof]) -> bool {
    if let [one] = proofs {
        return one.holds();
    }
    let terms = 2 * proofs.len() + 1;
    let (mut scalars, mut points) = (Vec::with_capacity(terms), Vec::with_capacity(terms));
    let mut base = Scalar::ZERO;
    for proof in proofs {
        let Some(commitment) = proof.commitment() else { return false };
        // Not known to anybody before the signatures are there, so that none can be made to cancel each other.
        let factor = Scalar::from(rand::random::<u128>());
        base -= factor * proof.response;
        scalars.extend([factor, factor * proof.challenge]);
        points.extend([commitment, proof.key]);
    }
    scalars.push(base);
    points.push(ED25519_BASEPOINT_POINT);
    EdwardsPoint::vartime_multiscalar_mul(&scalars, &points).is_small_order()
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::constants::EIGHT_TORSION;
    use ed25519_dalek::SigningKey;

    use super::*;
    use crate::signing::{sign, telemetry_message};

    fn key(seed: u8) -> (SigningKey, PublicKey) {
        let key = SigningKey::from_bytes(&[seed; 32]);
        let public = PublicKey::parse(&key.verifying_key().to_bytes()).unwrap();
        (key, public)
    }

    fn proof(seed: u8, text: &[u8]) -> Proof {
        let (key, public) = key(seed);
        let message = telemetry_message(&[7; 32], text);
        Proof::new(&public, &message, &sign(&key, &message)).unwrap()
    }

    /// A signature by the key of seed 1 that leaves the algorithm: a point of small order is added to `R`, and `s` fits the
    /// challenge that follows.
    fn twisted(torsion: EdwardsPoint) -> (PublicKey, Vec<u8>, Vec<u8>) {
        let (signing, public) = key(1);
        let (nonce, message) = (Scalar::from(77_u64), b"twisted".to_vec());
        let commitment = (EdwardsPoint::mul_base(&nonce) + torsion).compress();
        let hash = Sha512::new().chain_update(commitment.0).chain_update(public.as_bytes()).chain_update(&message);
        let challenge = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
        let response = nonce + challenge * signing.to_scalar();
        (public, message, [commitment.0, response.to_bytes()].concat())
    }

    #[test]
    fn many_hold_together_and_one_that_does_not_spoils_them() {
        for count in [0, 1, 2, 3, 60, 130, 700] {
            let mut proofs: Vec<Proof> = (0..count).map(|n| proof((n % 50) as u8 + 1, &[n as u8])).collect();
            assert!(all_hold(&proofs), "{count}");
            for place in [0, count / 2, count.max(1) - 1].into_iter().filter(|_| count > 0) {
                let sound = proofs[place];
                let other = proof(200, b"another");
                let broken = [
                    Proof { key: other.key, ..sound },
                    Proof { challenge: other.challenge, ..sound },
                    Proof { response: other.response, ..sound },
                    Proof { commitment: other.commitment, ..sound },
                    Proof { commitment: CompressedEdwardsY([2; 32]), ..sound },
                ];
                for broken in broken {
                    proofs[place] = broken;
                    assert!(!broken.holds() && !all_hold(&proofs), "{count} {place}");
                }
                proofs[place] = sound;
            }
        }
    }

    #[test]
    fn two_that_cancel_each_other_in_a_plain_sum_do_not_hold() {
        let (a, b) = (proof(1, b"a"), proof(2, b"b"));
        let one = Scalar::ONE;
        let shifted = [Proof { response: a.response + one, ..a }, Proof { response: b.response - one, ..b }];
        assert!(!all_hold(&shifted));
    }

    #[test]
    fn what_is_verified_strictly_holds_and_nothing_else_but_a_twist_by_the_owner() {
        for (n, torsion) in EIGHT_TORSION.into_iter().enumerate() {
            let (public, message, signature) = twisted(torsion);
            assert_eq!(public.verify(&message, &signature).is_ok(), n == 0);
            let twisted = Proof::new(&public, &message, &signature).unwrap();
            // The same alone and in company, however often: the cofactor leaves nothing to chance.
            for _ in 0..20 {
                assert!(
                    twisted.holds() && all_hold(&[twisted, proof(2, b"x")]) && all_hold(&[twisted, twisted]),
                    "{n}"
                );
            }
        }
    }

    #[test]
    fn what_proves_nothing_is_refused() {
        let (signing, public) = key(1);
        let message = telemetry_message(&[7; 32], b"batch");
        let signature = sign(&signing, &message);
        let at = |signature: &[u8]| Proof::new(&public, &message, signature);
        assert_eq!(at(&signature[..63]).unwrap_err(), SignatureError::Length);
        // s + L: the same scalar, not canonical.
        let order = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let (mut carry, mut malleable) = (0, signature);
        for (byte, more) in malleable[32..].iter_mut().zip(order) {
            let sum = u16::from(*byte) + more + carry;
            (*byte, carry) = (sum as u8, sum >> 8);
        }
        assert_eq!(at(&malleable).unwrap_err(), SignatureError::Mismatch);
        // R of small order, in every encoding that decodes: s = k * a fits the equation.
        let mut encodings: Vec<[u8; 32]> = EIGHT_TORSION.iter().map(|point| point.compress().0).collect();
        let beyond =
            |low: u8, high: u8| std::array::from_fn(|n| [low, 0xff, high][usize::from(n > 0) + usize::from(n == 31)]);
        encodings.extend([(0xed, 0x7f), (0xed, 0xff), (0xee, 0x7f), (0xee, 0xff)].map(|(low, high)| beyond(low, high)));
        for commitment in encodings {
            let hash = Sha512::new().chain_update(commitment).chain_update(public.as_bytes()).chain_update(&message);
            let challenge = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
            let response = challenge * signing.to_scalar();
            let small = at(&[commitment, response.to_bytes()].concat()).unwrap();
            assert!(!small.holds() && !all_hold(&[small, proof(2, b"x")]), "{commitment:?}");
        }
    }
}
