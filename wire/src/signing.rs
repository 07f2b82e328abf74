//! The bytes that are signed. Each message begins with a domain of its own, names the program (so that a signature for
//! one network is worth nothing on another), and has every variable part hashed or of fixed length.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

const SESSION: &[u8; 24] = b"causeway/agent-session/1";
const BUNDLE: &[u8; 24] = b"causeway/config-bundle/1";
const ORDER: &[u8; 23] = b"causeway/config-order/1";
const WORD: &[u8; 21] = b"causeway/order-word/1";
const EXTENSION: &[u8; 23] = b"causeway/order-extend/1";
const REQUEST: &[u8; 27] = b"causeway/operator-request/1";
const TELEMETRY: &[u8; 20] = b"causeway/telemetry/1";

/// A signature that does not prove what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The key is not a point of the curve.
    #[error("the key is not an ed25519 key")]
    Key,
    /// The signature has the wrong length.
    #[error("the signature is not 64 bytes")]
    Length,
    /// The signature is not of this key over these bytes.
    #[error("the signature does not match")]
    Mismatch,
}

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// What an agent signs to open a session.
pub fn session_message(program_id: &[u8; 32], device: &str, nonce: &[u8]) -> Vec<u8> {
    [SESSION.as_slice(), program_id, &sha256(device.as_bytes()), &sha256(nonce)].concat()
}

/// What a controller signs of a configuration.
pub fn bundle_message(
    program_id: &[u8; 32],
    device: &str,
    generation: u64,
    family: &str,
    text_sha256: &[u8; 32],
) -> Vec<u8> {
    let parts: [&[u8]; 6] = [
        BUNDLE,
        program_id,
        &sha256(device.as_bytes()),
        &generation.to_le_bytes(),
        &sha256(family.as_bytes()),
        text_sha256,
    ];
    parts.concat()
}

/// How a configuration is to be applied, as it is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedOrder<'a> {
    /// Correlation id of the order.
    pub correlation: &'a str,
    /// Kept unconfirmed until the controller's word.
    pub waits: bool,
    /// The device goes back by itself after this, in ms.
    pub confirm_within_ms: u64,
}

/// What a controller signs of a configuration that is to be applied under an order.
pub fn order_message(
    program_id: &[u8; 32],
    device: &str,
    generation: u64,
    family: &str,
    text_sha256: &[u8; 32],
    order: SignedOrder<'_>,
) -> Vec<u8> {
    let parts: [&[u8]; 9] = [
        ORDER,
        program_id,
        &sha256(device.as_bytes()),
        &generation.to_le_bytes(),
        &sha256(family.as_bytes()),
        text_sha256,
        &sha256(order.correlation.as_bytes()),
        &[u8::from(order.waits)],
        &order.confirm_within_ms.to_le_bytes(),
    ];
    parts.concat()
}

/// What a controller signs of its word about an order. `answer` is the number of the wire's `OrderAnswer`.
pub fn word_message(
    program_id: &[u8; 32],
    device: &str,
    correlation: &str,
    text_sha256: &[u8; 32],
    answer: i32,
) -> Vec<u8> {
    let parts: [&[u8]; 6] = [
        WORD,
        program_id,
        &sha256(device.as_bytes()),
        &sha256(correlation.as_bytes()),
        text_sha256,
        &answer.to_le_bytes(),
    ];
    parts.concat()
}

/// What a controller signs of its word that an order's time counts anew. `extension` counts from 1 under the order.
pub fn extension_message(
    program_id: &[u8; 32],
    device: &str,
    correlation: &str,
    text_sha256: &[u8; 32],
    extension: u32,
) -> Vec<u8> {
    let parts: [&[u8]; 6] = [
        EXTENSION,
        program_id,
        &sha256(device.as_bytes()),
        &sha256(correlation.as_bytes()),
        text_sha256,
        &extension.to_le_bytes(),
    ];
    parts.concat()
}

/// A request to a controller that is made with a key of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedRequest<'a> {
    /// As in `POST`.
    pub method: &'a str,
    /// The path, from its first slash, without a query.
    pub path: &'a str,
    /// When it was signed, unix milliseconds.
    pub at_unix_ms: u64,
    /// The body as it is sent.
    pub body: &'a [u8],
}

/// What somebody signs of a request to a controller.
pub fn request_message(program_id: &[u8; 32], request: SignedRequest<'_>) -> Vec<u8> {
    let parts: [&[u8]; 6] = [
        REQUEST,
        program_id,
        &sha256(request.method.as_bytes()),
        &sha256(request.path.as_bytes()),
        &request.at_unix_ms.to_le_bytes(),
        &sha256(request.body),
    ];
    parts.concat()
}

/// What an agent signs of a telemetry batch.
pub fn telemetry_message(program_id: &[u8; 32], batch: &[u8]) -> Vec<u8> {
    [TELEMETRY.as_slice(), program_id, &sha256(batch)].concat()
}

/// Signs.
pub fn sign(key: &SigningKey, message: &[u8]) -> [u8; 64] {
    key.sign(message).to_bytes()
}

/// A key that signatures are verified by. Its point is computed once, which is a tenth of a verification's cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// From its 32 bytes.
    ///
    /// # Errors
    /// [`SignatureError::Key`]: no point of the curve, or a weak one that signs anything.
    pub fn parse(bytes: &[u8; 32]) -> Result<Self, SignatureError> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| SignatureError::Key)?;
        if key.is_weak() { Err(SignatureError::Key) } else { Ok(Self(key)) }
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    pub(crate) fn point(&self) -> curve25519_dalek::EdwardsPoint {
        self.0.to_edwards()
    }

    /// Verifies strictly: no malleable signatures.
    ///
    /// # Errors
    /// [`SignatureError::Length`] or [`SignatureError::Mismatch`].
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        let signature = Signature::from_slice(signature).map_err(|_| SignatureError::Length)?;
        self.0.verify_strict(message, &signature).map_err(|_| SignatureError::Mismatch)
    }
}

/// Verifies strictly: no weak keys, no malleable signatures.
///
/// # Errors
/// See [`SignatureError`].
pub fn verify(key: &[u8; 32], message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
    PublicKey::parse(key)?.verify(message, signature)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    #[test]
    fn a_signature_proves_key_and_message_only() {
        let message = session_message(&[7; 32], "nyc-1", &[1; 32]);
        let signature = sign(&key(1), &message);
        let public = key(1).verifying_key().to_bytes();
        assert_eq!(verify(&public, &message, &signature), Ok(()));
        assert_eq!(verify(&key(2).verifying_key().to_bytes(), &message, &signature), Err(SignatureError::Mismatch));
        for other in [
            session_message(&[8; 32], "nyc-1", &[1; 32]),
            session_message(&[7; 32], "nyc-2", &[1; 32]),
            session_message(&[7; 32], "nyc-1", &[2; 32]),
            telemetry_message(&[7; 32], b"nyc-1"),
            bundle_message(&[7; 32], "nyc-1", 1, "frr", &[0; 32]),
        ] {
            assert_eq!(verify(&public, &other, &signature), Err(SignatureError::Mismatch));
        }
    }

    #[test]
    fn a_malformed_signature_or_key_is_refused() {
        let message = telemetry_message(&[7; 32], b"batch");
        let public = key(1).verifying_key().to_bytes();
        assert_eq!(verify(&public, &message, &[0; 63]), Err(SignatureError::Length));
        assert_eq!(verify(&[0; 32], &message, &[0; 64]), Err(SignatureError::Key), "a point of small order");
        // y = 2 is on no point of the curve.
        let nowhere = std::array::from_fn(|index| if index == 0 { 2 } else { 0 });
        assert_eq!(PublicKey::parse(&nowhere), Err(SignatureError::Key));
    }

    #[test]
    fn parts_can_not_flow_into_each_other() {
        let a = bundle_message(&[0; 32], "ab", 1, "c", &[0; 32]);
        let b = bundle_message(&[0; 32], "a", 1, "bc", &[0; 32]);
        assert_ne!(a, b);
    }
}
