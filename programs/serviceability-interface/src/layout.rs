//! The layouts, described: what the reference pages are generated from. Feature `offchain`.
//!
//! Names, types and texts come from the declarations themselves, offsets and lengths from the compiler, so that a
//! page can't say anything that the program does not do.

use crate::accounts::RawHeader;

/// One field of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldSpec {
    /// Name.
    pub name: &'static str,
    /// What it means.
    pub about: &'static str,
    /// Typed view's type, as in the source.
    pub ty: &'static str,
    /// Bytes from the beginning of the record.
    pub offset: usize,
    /// Bytes.
    pub len: usize,
}

/// The list at the end of a record: a `u32` count, then entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListSpec {
    /// Name.
    pub name: &'static str,
    /// What it means.
    pub about: &'static str,
    /// Typed view's type of one entry.
    pub entry: &'static str,
    /// Bytes of one entry.
    pub entry_len: usize,
}

/// A record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordSpec {
    /// Name.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Bytes of the fixed part.
    pub len: usize,
    /// Fields of the fixed part, in order.
    pub fields: &'static [FieldSpec],
    /// The list after them, where there is one.
    pub list: Option<&'static ListSpec>,
}

/// A raw record that can describe itself.
pub trait Described {
    /// The description.
    const RECORD: RecordSpec;
}

/// One value of a one-byte enum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueSpec {
    /// The byte.
    pub byte: u8,
    /// The name that people see.
    pub name: &'static str,
    /// What it means.
    pub about: &'static str,
}

/// A one-byte enum that can describe itself.
pub trait DescribedEnum {
    /// Its name.
    const NAME: &'static str;
    /// What it is.
    const ABOUT: &'static str;
    /// Its values, in order of declaration.
    const VALUES: &'static [ValueSpec];
}

macro_rules! header {
    ($($field:ident $ty:ident $name:literal $about:literal;)+) => {
        impl Described for RawHeader {
            const RECORD: RecordSpec = RecordSpec {
                name: "Header",
                about: "The first bytes of every account, so that one `memcmp` selects by type, status or health.",
                len: RawHeader::LEN,
                fields: &[$(FieldSpec {
                    name: stringify!($field),
                    about: $about,
                    ty: $name,
                    offset: core::mem::offset_of!(RawHeader, $field),
                    len: core::mem::size_of::<$ty>(),
                }),+],
                list: None,
            };
        }
    };
}

header! {
    account_type u8 "AccountType" "What the account is.";
    version u8 "u8" "Layout version.";
    bump u8 "u8" "PDA bump.";
    status u8 "S" "Status; the first parameter of the account's `Header` says which enum.";
    health u8 "H" "Health; the second parameter.";
    desired u8 "D" "Desired status; the third parameter.";
    kind u8 "K" "Kind; the fourth parameter.";
    flags u8 "u8" "Flags; of a link, bit 0: side Z's interface and counters hold it.";
    sequence u64 "u64" "Grows with every mutation; begins at the slot of creation.";
    status_since_slot u64 "u64" "Slot of the last change of status.";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::*;

    fn covers(record: RecordSpec) {
        let mut end = 0;
        for field in record.fields {
            assert_eq!(field.offset, end, "{}.{}", record.name, field.name);
            assert!(!field.about.is_empty(), "{}.{} says nothing", record.name, field.name);
            end += field.len;
        }
        assert_eq!(end, record.len, "{}", record.name);
    }

    #[test]
    fn descriptions_cover_every_byte() {
        covers(RawHeader::RECORD);
        covers(RawNetwork::RECORD);
        covers(RawContributor::RECORD);
        covers(RawLocation::RECORD);
        covers(RawExchange::RECORD);
        covers(RawDevice::RECORD);
        covers(RawInterface::RECORD);
        covers(RawLink::RECORD);
        covers(RawAttestations::RECORD);
        covers(RawAttestation::RECORD);
        covers(RawPool::RECORD);
        covers(RawPrefixTable::RECORD);
        covers(RawPrefixRange::RECORD);
        for tag in crate::instruction::Tag::ALL {
            covers(tag.record());
            assert!(!tag.about().is_empty());
        }
    }
}
