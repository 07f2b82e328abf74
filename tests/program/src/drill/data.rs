//! Faults of an instruction's data: what its record says of itself decides which byte is an enum's.

use causeway_interface::{
    DesiredStatus, DeviceType, ErrorCode, InterfaceKind, InterfaceRole, LinkType, LoopbackType, Platform,
    RegistryStatus, RejectReason,
    instruction::Tag,
    layout::{DescribedEnum, FieldSpec},
};
use solana_sdk::instruction::Instruction;

use super::{
    checks::Check,
    faults::{Fault, Faults},
    health::undefined_verdicts,
};

/// Code of the error for a stale oracle epoch, where the program has it.
const EPOCH_STALE: u32 = 4_006;

/// Types of fields that are not enums: every byte of them has a meaning, or a check of its own.
const PLAIN: [&str; 15] = [
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
];

impl Faults<'_> {
    /// All faults of the data.
    pub fn of_data(&self) -> Vec<Fault> {
        [self.values(), self.sequence(), self.epochs()].into_iter().flatten().collect()
    }

    /// Data cut at every length and too long; enum bytes at every value that they don't have.
    fn values(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        for len in 0..self.valid.data.len() {
            let error = if len == 0 { ErrorCode::UnknownInstruction } else { ErrorCode::InstructionData };
            faults.push(self.refused(format!("data cut to {len} bytes"), error, |i| i.data.truncate(len)));
        }
        for more in [1, 8, 32] {
            let what = format!("data longer by {more}");
            faults.push(self.refused(what, ErrorCode::InstructionData, |i| i.data.extend(vec![0; more])));
        }
        for undefined in enums(self.case.tag) {
            for byte in undefined.bytes {
                let what = format!("{} of {byte}", undefined.field);
                let offset = undefined.offset;
                faults.push(self.refused(what, ErrorCode::InstructionData, |i| i.data[offset] = byte));
            }
        }
        if self.case.tag == Tag::Attest {
            for (n, offset) in verdict_offsets(self.case.more.len()).into_iter().enumerate() {
                for byte in undefined_verdicts(n) {
                    let what = format!("verdict {n} of {byte}");
                    faults.push(self.refused(what, ErrorCode::VerdictInvalid, |i| i.data[offset] = byte));
                }
            }
        }
        faults
    }

    /// Sequences of the past and of the future.
    fn sequence(&self) -> Vec<Fault> {
        let Some(now) = self.sequence_now() else { return Vec::new() };
        [1, now - 1, now + 1, u64::MAX]
            .map(|expected| {
                let what = format!("sequence {expected} where it is {now}");
                self.refused(what, ErrorCode::StaleSequence, |i| with_sequence(i, expected))
            })
            .into()
    }

    /// Epochs of oracle sets of the past and of the future, where the instruction says which one it believes in.
    fn epochs(&self) -> Vec<Fault> {
        let Some((offset, error)) = epoch_offset(self.case.tag).zip(ErrorCode::from_code(EPOCH_STALE)) else {
            return Vec::new();
        };
        let now = self.town.world.network().oracle_epoch;
        [0, now - 1, now + 1, u32::MAX]
            .map(|epoch| {
                self.refused(format!("epoch {epoch} where it is {now}"), error, |i| {
                    i.data[offset..offset + 4].copy_from_slice(&epoch.to_le_bytes());
                })
            })
            .into()
    }

    /// The sequence of the account whose sequence the instruction expects, if it does.
    pub fn sequence_now(&self) -> Option<u64> {
        let slot = self.case.checks.iter().find_map(|check| match check {
            Check::Sequence(slot) => Some(*slot),
            _ => None,
        })?;
        let place = self.case.slots().iter().position(|s| s.name == slot).expect("the case names its subject");
        let account = self.town.world.account(&self.valid.accounts[place].pubkey).expect("the subject exists");
        Some(u64::from_le_bytes(account.data[8..16].try_into().expect("eight bytes")))
    }
}

/// Asks for this sequence.
pub fn with_sequence(instruction: &mut Instruction, expected: u64) {
    instruction.data[1..9].copy_from_slice(&expected.to_le_bytes());
}

fn defined<E: DescribedEnum>() -> Option<Vec<u8>> {
    Some(E::VALUES.iter().map(|value| value.byte).collect())
}

/// The bytes that a field of this type can have, where not all can.
///
/// # Panics
/// The type is neither known as an enum nor as plain: whoever adds one says which.
fn allowed(field: &FieldSpec) -> Option<Vec<u8>> {
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
struct Undefined {
    /// Name of the field.
    field: &'static str,
    /// Where it is, with the tag byte counted.
    offset: usize,
    /// The values that mean nothing.
    bytes: Vec<u8>,
}

/// The enums among an instruction's data.
fn enums(tag: Tag) -> Vec<Undefined> {
    let all = |values: Vec<u8>| (0..=u8::MAX).filter(move |byte| !values.contains(byte)).collect();
    tag.record()
        .fields
        .iter()
        .filter_map(|field| {
            allowed(field).map(|values| Undefined { field: field.name, offset: 1 + field.offset, bytes: all(values) })
        })
        .collect()
}

/// Where the verdicts of an `Attest` are: one byte of each entry behind the count.
fn verdict_offsets(entries: usize) -> Vec<usize> {
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

/// Where an instruction says which oracle epoch it believes in, if it does.
fn epoch_offset(tag: Tag) -> Option<usize> {
    tag.record().fields.iter().find(|field| field.name == "epoch").map(|field| 1 + field.offset)
}
