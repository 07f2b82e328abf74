//! Instruction data: decoding never panics, what decodes is written back byte for byte, and the program's own reading
//! of the same bytes, a record of fixed length and a counted list, agrees.

use causeway_interface::instruction::{Instruction, Tag};

/// The target.
///
/// # Panics
/// The promise is broken.
pub fn target(bytes: &[u8]) {
    let Ok(instruction) = Instruction::decode(bytes) else { return };
    assert_eq!(instruction.encode().expect("writing to memory"), bytes, "it writes what it read");
    assert_eq!(bytes.first(), Some(&instruction.tag().byte()));
    assert!(program_reads(instruction.tag(), &bytes[1..]), "the program refuses the length of {instruction:?}");
    // Prefixes that the program refuses have no text of their own, so that the text may name another instruction or
    // none; but what it names says the same again.
    let json = serde_json::to_string(&instruction).expect("JSON");
    if let Ok(again) = serde_json::from_str::<Instruction>(&json) {
        assert_eq!(serde_json::to_string(&again).expect("JSON"), json);
    }
}

/// Whether the program takes data of this length: as `data` and `data_with_list` of its `checks`.
pub fn program_reads(tag: Tag, data: &[u8]) -> bool {
    let record = tag.record();
    let Some(list) = record.list else { return data.len() == record.len };
    let count = data.get(record.len..).and_then(|tail| tail.first_chunk::<4>());
    count.is_some_and(|count| data.len() == record.len + 4 + u32::from_le_bytes(*count) as usize * list.entry_len)
}
