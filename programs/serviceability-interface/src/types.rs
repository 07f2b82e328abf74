//! Fixed-size values that appear in accounts and instructions.

use bytemuck::{Pod, Zeroable};

use crate::chars;

/// A value with an in-place form of the same bytes.
pub trait Field {
    /// Alignment-1 plain data.
    type Raw: Pod;
}

macro_rules! little_endian {
    ($($name:ident $int:ty, $len:literal, $doc:literal;)+) => {$(
        #[doc = $doc]
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Pod, Zeroable)]
        #[repr(transparent)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// The value.
            #[inline(always)]
            pub const fn get(self) -> $int {
                <$int>::from_le_bytes(self.0)
            }

            /// Replaces the value.
            #[inline(always)]
            pub fn set(&mut self, value: $int) {
                self.0 = value.to_le_bytes();
            }
        }

        impl From<$int> for $name {
            #[inline(always)]
            fn from(value: $int) -> Self {
                Self(value.to_le_bytes())
            }
        }

        impl Field for $int {
            type Raw = $name;
        }
    )+};
}

little_endian! {
    Le16 u16, 2, "A `u16` of alignment 1, little endian.";
    Le32 u32, 4, "A `u32` of alignment 1, little endian.";
    Le64 u64, 8, "A `u64` of alignment 1, little endian.";
    LeI32 i32, 4, "An `i32` of alignment 1, little endian.";
}

impl Field for u8 {
    type Raw = u8;
}

impl Field for bool {
    type Raw = u8;
}

impl<T: Field, const N: usize> Field for [T; N] {
    type Raw = [T::Raw; N];
}

macro_rules! byte_array {
    ($($(#[$meta:meta])* $name:ident $len:literal;)+) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Eq, PartialOrd, Ord, Pod, Zeroable)]
        #[cfg_attr(not(feature = "offchain"), derive(Debug))]
        #[repr(transparent)]
        pub struct $name(pub [u8; $len]);

        impl PartialEq for $name {
            // One copy for the whole program, which compares keys in a hundred places.
            #[inline(never)]
            fn eq(&self, other: &Self) -> bool {
                self.0 == other.0
            }
        }

        impl core::hash::Hash for $name {
            fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
                self.0.hash(state);
            }
        }

        impl $name {
            /// All zeros: "none" wherever a value is optional.
            pub const ZERO: Self = Self([0; $len]);

            /// Whether this is [`Self::ZERO`].
            #[inline(never)]
            pub fn is_zero(&self) -> bool {
                chars::all_zero(&self.0)
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::ZERO
            }
        }

        impl Field for $name {
            type Raw = Self;
        }
    )+};
}

byte_array! {
    /// A Solana address. Text form: base58.
    Key 32;
    /// A SHA-256 digest. Text form: lower-case hex.
    Digest 32;
    /// The identity of an object: 1 to 32 bytes of `[a-z0-9_-]`, zero padded. It is the PDA seed, so it is unique.
    Code 32;
    /// An interface name: 1 to 24 bytes of `[A-Za-z0-9/._-]` beginning with a letter, zero padded.
    InterfaceName 24;
    /// A VRF name: like an interface name, at most 16 bytes; zero means the default VRF.
    VrfName 16;
    /// A name for people: at most 64 bytes of UTF-8 without control characters, zero padded.
    Label 64;
    /// Room for what a later layout version needs.
    Reserved 32;
    /// An ISO 3166-1 alpha-2 country code in upper case; zero means unknown.
    Country 2;
    /// An IPv4 address in network order.
    Ip4 4;
}

/// An IPv4 prefix. Length 0 means "none": no field of Causeway holds a default route.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Pod, Zeroable)]
#[cfg_attr(feature = "offchain", derive(borsh::BorshSerialize, borsh::BorshDeserialize))]
#[repr(C)]
pub struct Prefix {
    /// The address; for an interface the interface's own, else the first of the prefix.
    pub addr: Ip4,
    /// Bits of network part, 1 to 32; 0 for "none".
    pub len: u8,
}

impl Field for Prefix {
    type Raw = Self;
}

impl Ip4 {
    /// The address as a number.
    #[inline(always)]
    pub const fn to_u32(self) -> u32 {
        u32::from_be_bytes(self.0)
    }

    /// The address of this number.
    #[inline(always)]
    pub const fn from_u32(value: u32) -> Self {
        Self(value.to_be_bytes())
    }
}

impl Prefix {
    /// No prefix.
    pub const NONE: Self = Self { addr: Ip4::ZERO, len: 0 };

    /// A prefix from a number and a length.
    #[inline(always)]
    pub const fn new(addr: u32, len: u8) -> Self {
        Self { addr: Ip4::from_u32(addr), len }
    }

    /// Whether there is none.
    #[inline(always)]
    pub const fn is_none(&self) -> bool {
        self.len == 0
    }

    /// The network mask, for lengths 1 to 32.
    #[inline(always)]
    pub const fn mask(&self) -> u32 {
        if self.len == 0 || self.len > 32 { 0 } else { u32::MAX << (32 - self.len) }
    }

    /// First address of the prefix.
    #[inline(always)]
    pub const fn first(&self) -> u32 {
        self.addr.to_u32() & self.mask()
    }

    /// Last address of the prefix.
    #[inline(always)]
    pub const fn last(&self) -> u32 {
        self.first() | !self.mask()
    }

    /// Whether the length is 1 to 32 and no host bit is set.
    #[inline(always)]
    pub const fn is_network(&self) -> bool {
        self.len >= 1 && self.len <= 32 && self.addr.to_u32() == self.first()
    }

    /// Whether the two share an address. "None" overlaps nothing.
    #[inline(never)]
    pub const fn overlaps(&self, other: &Prefix) -> bool {
        !self.is_none() && !other.is_none() && self.first() <= other.last() && other.first() <= self.last()
    }
}

impl Code {
    /// Whether the bytes are a code: 1 to 32 of `[a-z0-9_-]`, then only zeros.
    pub fn is_valid(&self) -> bool {
        chars::is_text(&self.0, chars::CODE, chars::CODE)
    }

    /// The bytes without padding: what the PDA seed is.
    pub fn as_bytes(&self) -> &[u8] {
        chars::unpadded(&self.0)
    }
}

impl InterfaceName {
    /// Whether the bytes are an interface name.
    pub fn is_valid(&self) -> bool {
        chars::is_text(&self.0, chars::TOKEN_START, chars::TOKEN)
    }

    /// The bytes without padding.
    pub fn as_bytes(&self) -> &[u8] {
        chars::unpadded(&self.0)
    }
}

impl VrfName {
    /// Whether the bytes are a VRF name or none.
    pub fn is_valid(&self) -> bool {
        self.is_zero() || chars::is_text(&self.0, chars::TOKEN_START, chars::TOKEN)
    }

    /// The bytes without padding.
    pub fn as_bytes(&self) -> &[u8] {
        chars::unpadded(&self.0)
    }
}

impl Label {
    /// Whether the bytes are UTF-8 without control characters, then only zeros. Empty is valid.
    pub fn is_valid(&self) -> bool {
        chars::is_label(&self.0)
    }

    /// The bytes without padding.
    pub fn as_bytes(&self) -> &[u8] {
        chars::unpadded(&self.0)
    }
}

impl Country {
    /// Whether the bytes are two upper-case letters, or none.
    pub fn is_valid(&self) -> bool {
        self.is_zero() || self.0.iter().all(u8::is_ascii_uppercase)
    }
}

impl core::fmt::Debug for Prefix {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let [a, b, c, d] = self.addr.0;
        write!(f, "{a}.{b}.{c}.{d}/{}", self.len)
    }
}
