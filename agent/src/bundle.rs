//! Whether a bundle may be applied at all. Pure.

use std::collections::BTreeSet;

use causeway_wire::{
    MAX_MESSAGE_BYTES,
    controller::ConfigBundle,
    signing::{bundle_message, order_message, sha256, verify},
};

use crate::order;

/// A slot that stamps a configuration: that of its youngest input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Generation(pub u64);

/// SHA-256 of a configuration's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TextHash(pub [u8; 32]);

impl TextHash {
    /// Hash of a text.
    pub fn of(text: &str) -> Self {
        Self(sha256(text.as_bytes()))
    }
}

impl serde::Serialize for TextHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(self.0))
    }
}

impl<'de> serde::Deserialize<'de> for TextHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <String as serde::Deserialize>::deserialize(deserializer)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(&text, &mut bytes).map_err(serde::de::Error::custom)?;
        Ok(Self(bytes))
    }
}

/// What a bundle is held against.
#[derive(Clone, Debug)]
pub struct Expected<'a> {
    /// Program whose ledger counts.
    pub program_id: &'a [u8; 32],
    /// This device's code.
    pub device: &'a str,
    /// Family that the device takes.
    pub family: &'a str,
    /// Keys of controllers that may configure it.
    pub pinned: &'a BTreeSet<[u8; 32]>,
    /// No older generation than this one is taken.
    pub floor: Generation,
}

/// A bundle that passed every check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// Its generation.
    pub generation: Generation,
    /// Hash of the text.
    pub hash: TextHash,
    /// The configuration.
    pub text: String,
}

/// Why a bundle is not even tried. [`BundleError::code`] names it to operators.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// For another device.
    #[error("the configuration is for device {found:?}, this is {expected:?}")]
    WrongDevice {
        /// This device.
        expected: String,
        /// The bundle's.
        found: String,
    },
    /// For another kind of router.
    #[error("the configuration is for family {found:?}, the device takes {expected:?}")]
    WrongFamily {
        /// The device's.
        expected: String,
        /// The bundle's.
        found: String,
    },
    /// Older than what runs or ran.
    #[error("generation {found} is older than {floor}, which this device has had")]
    OlderGeneration {
        /// The youngest one that was taken.
        floor: u64,
        /// The bundle's.
        found: u64,
    },
    /// The text is not what the hash says.
    #[error("the text does not have the hash that the bundle names")]
    BadHash,
    /// Nothing in it, or more than fits a message.
    #[error("the text has {0} bytes, or nothing but comments: a device is never emptied blindly")]
    BadLength(usize),
    /// From a controller that this agent was not told to trust.
    #[error("the controller key {0} is not among the pinned ones")]
    UnpinnedKey(String),
    /// Under an order that can't be meant.
    #[error("the order under which it is to be applied makes no sense: {0}")]
    BadOrder(&'static str),
    /// Not signed by the key that it names.
    #[error("the signature is not the controller's")]
    BadSignature,
}

impl BundleError {
    /// Stable name.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::WrongDevice { .. } => "WRONG_DEVICE",
            Self::WrongFamily { .. } => "WRONG_FAMILY",
            Self::OlderGeneration { .. } => "OLDER_GENERATION",
            Self::BadHash => "BAD_HASH",
            Self::BadLength(_) => "EMPTY_CONFIG",
            Self::BadOrder(_) => "BAD_ORDER",
            Self::UnpinnedKey(_) => "UNPINNED_CONTROLLER",
            Self::BadSignature => "BAD_SIGNATURE",
        }
    }
}

/// Checks a bundle. Authenticity comes before everything that depends on the content.
///
/// # Errors
/// See [`BundleError`].
pub fn check(bundle: &ConfigBundle, expected: &Expected<'_>) -> Result<Bundle, BundleError> {
    let unpinned = || BundleError::UnpinnedKey(hex::encode(bundle.controller_key.get(..32).unwrap_or_default()));
    let key: [u8; 32] = bundle.controller_key.as_slice().try_into().map_err(|_| unpinned())?;
    if !expected.pinned.contains(&key) {
        return Err(unpinned());
    }
    let hash = TextHash::of(&bundle.text);
    if bundle.sha256 != hash.0 {
        return Err(BundleError::BadHash);
    }
    let (device, generation, family) = (&bundle.device, bundle.generation, &bundle.family);
    let message = match &bundle.order {
        None => bundle_message(expected.program_id, device, generation, family, &hash.0),
        Some(order) => order_message(expected.program_id, device, generation, family, &hash.0, order::signed(order)),
    };
    verify(&key, &message, &bundle.signature).map_err(|_| BundleError::BadSignature)?;
    if bundle.device != expected.device {
        return Err(BundleError::WrongDevice { expected: expected.device.to_owned(), found: bundle.device.clone() });
    }
    if bundle.family != expected.family {
        return Err(BundleError::WrongFamily { expected: expected.family.to_owned(), found: bundle.family.clone() });
    }
    if bundle.generation < expected.floor.0 {
        return Err(BundleError::OlderGeneration { floor: expected.floor.0, found: bundle.generation });
    }
    let says_something = bundle.text.lines().map(str::trim).any(|line| !line.is_empty() && !line.starts_with('!'));
    if !says_something || bundle.text.len() > MAX_MESSAGE_BYTES {
        return Err(BundleError::BadLength(bundle.text.len()));
    }
    order::Order::of(bundle)?;
    Ok(Bundle { generation: Generation(bundle.generation), hash, text: bundle.text.clone() })
}
