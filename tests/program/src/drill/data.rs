//! Faults of an instruction's data: what its record says of itself decides which byte is an enum's.

use causeway_interface::{
    DesiredStatus, DeviceType, InterfaceKind, InterfaceRole, LinkType, LoopbackType, Platform, RegistryStatus,
    RejectReason,
    instruction::Tag,
    layout::{DescribedEnum, FieldSpec},
};

/// Types of fields that are not enums: every byte of them has a meaning, or a check of its own.
const PLAIN: [&str; 17] = [
    "u8",
    "u16",
    "u32",
    "u64",
    "i32",
    "Key",
    "Code",
    "Label",
    "Country",
    "Prefix",
    "Ip4",
    "Digest",
    "InterfaceName",
    "VrfName",
    "[Prefix; MAX_DZ_PREFIXES]",
    "[Key; MAX_ORACLES]",
    "[u64; 16]",
];

fn defined<E: DescribedEnum>() -> Option<Vec<u8>> {
    Some(E::VALUES.iter().map(|value| value.byte).collect())
}

/// The bytes that a field of this type can have, where not all can.
///
/// # Panics
/// The type is neither known as an enum nor as plain: whoever adds one says which.
fn values(field: &FieldSpec) -> Option<Vec<u8>> {
    match field.ty {
        "bool" => Some(vec![0, 1]),
        "DesiredStatus" => defined::<DesiredStatus>(),
        "DeviceType" => defined::<DeviceType>(),
        "InterfaceKind" => defined::<InterfaceKind>(),
        "InterfaceRole" => defined::<InterfaceRole>(),
        "LinkType" => defined::<LinkType>(),
        "LoopbackType" => defined::<LoopbackType>(),
        "Platform" => defined::<Platform>(),
        "RegistryStatus" => defined::<RegistryStatus>(),
        // "None" is a value of the enum, and no reason to reject.
        "RejectReason" => {
            defined::<RejectReason>().map(|all| all.into_iter().filter(|b| *b != RejectReason::None.byte()).collect())
        }
        plain => {
            assert!(PLAIN.contains(&plain), "{}: {plain}: an enum or not?", field.name);
            None
        }
    }
}

/// A byte of an instruction's data, and what it can't be.
pub struct Undefined {
    /// Name of the field.
    pub field: &'static str,
    /// Where it is, with the tag byte counted.
    pub offset: usize,
    /// The values that mean nothing.
    pub bytes: Vec<u8>,
}

/// The enums among an instruction's data.
pub fn enums(tag: Tag) -> Vec<Undefined> {
    let all = |values: Vec<u8>| (0..=u8::MAX).filter(move |byte| !values.contains(byte)).collect();
    tag.record()
        .fields
        .iter()
        .filter_map(|field| {
            values(field).map(|values| Undefined { field: field.name, offset: 1 + field.offset, bytes: all(values) })
        })
        .collect()
}

/// Where the verdicts of an `Attest` are: one byte of each entry behind the count.
pub fn verdict_offsets(entries: usize) -> Vec<usize> {
    let record = Tag::Attest.record();
    let list = record.list.expect("verdicts");
    (0..entries).map(|n| 1 + record.len + size_of::<u32>() + n * list.entry_len).collect()
}

/// Tags that mean nothing.
pub fn undefined_tags() -> Vec<u8> {
    (0..=u8::MAX).filter(|byte| Tag::from_byte(*byte).is_none()).collect()
}

/// Whether an instruction's data begins with the expected sequence.
pub fn has_sequence(tag: Tag) -> bool {
    tag.record().fields.first().is_some_and(|field| field.name == "expected_sequence")
}
