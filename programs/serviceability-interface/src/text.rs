//! Text forms of the fixed-size values: what people type and read, and what JSON holds. Feature `offchain`, but for
//! [`UnknownName`].

/// A word that is not one of an enum's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownName {
    /// The names that exist.
    pub expected: &'static [&'static str],
}

impl core::fmt::Display for UnknownName {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("expected one of ")?;
        for (index, name) in self.expected.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            f.write_str(name)?;
        }
        Ok(())
    }
}

impl core::error::Error for UnknownName {}

#[cfg(feature = "offchain")]
pub use offchain::ParseError;

#[cfg(feature = "offchain")]
mod offchain {
    use alloc::{
        format,
        string::{String, ToString},
        vec::Vec,
    };
    use core::{fmt, str::FromStr};

    use borsh::{
        BorshDeserialize, BorshSerialize,
        io::{Error, ErrorKind, Read, Write},
    };
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    use crate::types::*;

    /// Text that is not the value it was taken for.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ParseError {
        text: String,
        expected: &'static str,
    }

    impl fmt::Display for ParseError {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{:?} is not {}", self.text, self.expected)
        }
    }

    impl core::error::Error for ParseError {}

    fn refuse<T>(text: &str, expected: &'static str) -> Result<T, ParseError> {
        Err(ParseError { text: text.into(), expected })
    }

    fn padded<const N: usize>(text: &str) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(bytes)
    }

    /// Zero-padded text values: valid on the way in from text, JSON and borsh alike.
    macro_rules! text_value {
        ($($name:ident $expected:literal;)+) => {$(
            impl $name {
                /// The text without padding.
                pub fn as_str(&self) -> &str {
                    let end = self.0.iter().position(|b| *b == 0).unwrap_or(self.0.len());
                    core::str::from_utf8(self.0.get(..end).unwrap_or_default()).unwrap_or("<invalid>")
                }
            }

            impl FromStr for $name {
                type Err = ParseError;

                fn from_str(text: &str) -> Result<Self, ParseError> {
                    match padded(text).map(Self) {
                        Some(value) if value.is_valid() => Ok(value),
                        _ => refuse(text, $expected),
                    }
                }
            }

            impl BorshDeserialize for $name {
                fn deserialize_reader<R: Read>(reader: &mut R) -> Result<Self, Error> {
                    let value = Self(BorshDeserialize::deserialize_reader(reader)?);
                    // Zero stands for "none" where a field is optional; the program decides where that is.
                    if value.is_zero() || value.is_valid() {
                        Ok(value)
                    } else {
                        Err(Error::new(ErrorKind::InvalidData, concat!("not ", $expected)))
                    }
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.pad(self.as_str())
                }
            }
        )+};
    }

    text_value! {
        Code "a code: 1 to 32 characters of a-z, 0-9, _ and -";
        InterfaceName "an interface name: 1 to 24 characters of letters, digits, / . _ -, beginning with a letter";
        VrfName "a VRF name: at most 16 characters of letters, digits, / . _ -, beginning with a letter";
        Label "a name: at most 64 bytes of text without control characters";
        Country "a country: two upper-case letters";
    }

    macro_rules! key_value {
        ($($name:ident $expected:literal $to:expr, $from:expr;)+) => {$(
            impl FromStr for $name {
                type Err = ParseError;

                fn from_str(text: &str) -> Result<Self, ParseError> {
                    let from: fn(&str) -> Option<Vec<u8>> = $from;
                    match from(text).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()) {
                        Some(bytes) => Ok(Self(bytes)),
                        None => refuse(text, $expected),
                    }
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    let to: fn(&[u8; 32]) -> String = $to;
                    f.pad(&to(&self.0))
                }
            }

            impl BorshDeserialize for $name {
                fn deserialize_reader<R: Read>(reader: &mut R) -> Result<Self, Error> {
                    BorshDeserialize::deserialize_reader(reader).map(Self)
                }
            }
        )+};
    }

    key_value! {
        Key "an address: 32 bytes in base58" |b| bs58::encode(b).into_string(), |t| bs58::decode(t).into_vec().ok();
        Digest "a SHA-256 digest: 64 hex digits" hex, unhex;
    }

    impl BorshDeserialize for Reserved {
        fn deserialize_reader<R: Read>(reader: &mut R) -> Result<Self, Error> {
            let value = Self(BorshDeserialize::deserialize_reader(reader)?);
            // What it holds has no meaning yet, so nobody can have written it.
            if value.is_zero() { Ok(value) } else { Err(Error::new(ErrorKind::InvalidData, "reserved bytes are set")) }
        }
    }

    impl Serialize for Reserved {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_none()
        }
    }

    impl<'de> Deserialize<'de> for Reserved {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            <Option<()> as Deserialize>::deserialize(deserializer).map(|_| Self::ZERO)
        }
    }

    impl fmt::Display for Reserved {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.pad("none")
        }
    }

    fn hex(bytes: &[u8; 32]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    fn unhex(text: &str) -> Option<Vec<u8>> {
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        (0..32).map(|i| u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()).collect()
    }

    impl FromStr for Ip4 {
        type Err = ParseError;

        fn from_str(text: &str) -> Result<Self, ParseError> {
            match text.parse::<core::net::Ipv4Addr>() {
                Ok(address) => Ok(Self(address.octets())),
                Err(_) => refuse(text, "an IPv4 address"),
            }
        }
    }

    impl fmt::Display for Ip4 {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.pad(&core::net::Ipv4Addr::from(self.0).to_string())
        }
    }

    impl BorshDeserialize for Ip4 {
        fn deserialize_reader<R: Read>(reader: &mut R) -> Result<Self, Error> {
            BorshDeserialize::deserialize_reader(reader).map(Self)
        }
    }

    impl FromStr for Prefix {
        type Err = ParseError;

        fn from_str(text: &str) -> Result<Self, ParseError> {
            const EXPECTED: &str = "an IPv4 prefix, such as 198.18.0.0/29";
            let Some((addr, len)) = text.split_once('/') else { return refuse(text, EXPECTED) };
            match (addr.parse::<Ip4>(), len.parse::<u8>()) {
                (Ok(addr), Ok(len)) if (1..=32).contains(&len) => Ok(Self { addr, len }),
                _ => refuse(text, EXPECTED),
            }
        }
    }

    impl fmt::Display for Prefix {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.pad(&if self.is_none() { "none".to_string() } else { format!("{}/{}", self.addr, self.len) })
        }
    }

    macro_rules! as_text {
        ($($name:ident)+) => {$(
            impl Serialize for $name {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    if *self == Self::default() { serializer.serialize_none() } else { serializer.collect_str(self) }
                }
            }

            impl<'de> Deserialize<'de> for $name {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    match <Option<String> as Deserialize>::deserialize(deserializer)? {
                        None => Ok(Self::default()),
                        Some(text) => text.parse().map_err(de::Error::custom),
                    }
                }
            }
        )+};
    }

    as_text! { Key Digest Code InterfaceName VrfName Label Country Ip4 Prefix }

    macro_rules! transparent {
        ($($name:ident)+) => {$(
            impl BorshSerialize for $name {
                fn serialize<W: Write>(&self, writer: &mut W) -> Result<(), Error> {
                    writer.write_all(&self.0)
                }
            }

            impl fmt::Debug for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    write!(f, "{}({self})", stringify!($name))
                }
            }
        )+};
    }

    transparent! { Reserved Key Digest Code InterfaceName VrfName Label Country Ip4 }
}
