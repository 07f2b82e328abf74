//! The reference of instructions: data and accounts.

use causeway_interface::instruction::{
    ADVANCE_DEVICE, ADVANCE_LINK, ANY_SEQUENCE, AccountSpec, MAX_ATTEST_BATCH, RawVerdict, Tag,
};
use causeway_interface::layout::Described;

use super::{
    accounts::record,
    markdown::{NOTICE, code, prose, table},
};

/// docs/reference/instructions.md.
pub fn page() -> String {
    let mut page = format!(
        "{NOTICE}\n\n# Instructions\n\n\
         An instruction's data is its tag byte and then the record that is shown, for a few followed by a list (a \
         `u32` count and entries); offsets are those after the tag. `expected_sequence` is the subject's sequence as \
         the sender read it, or {ANY_SEQUENCE} for any: on a mismatch the program refuses. Accounts are passed in \
         the order shown. Types are explained in [accounts](accounts.md), refusals in [errors](../errors/README.md).\n\n"
    );
    let overview = Tag::ALL.iter().map(|tag| {
        let signers: Vec<_> = tag.accounts().iter().filter(|a| a.signer).map(|a| a.name.replace('_', " ")).collect();
        vec![
            tag.byte().to_string(),
            format!("[{name}](#{name})", name = tag.name()),
            signers.join(", "),
            prose(tag.about()),
        ]
    });
    page.push_str(&table(&["Tag", "Instruction", "Signed by", "What it does"], overview));
    for tag in Tag::ALL {
        page.push_str(&instruction(*tag));
    }
    page
}

fn instruction(tag: Tag) -> String {
    let mut text = format!("\n## {}\n\n{}\n\nTag {}.\n", tag.name(), prose(tag.about()), tag.byte());
    text.push_str(&format!("\nAccounts:\n\n{}", accounts(tag.accounts(), 0)));
    if tag == Tag::Attest {
        text.push_str(&format!(
            "\nThen one writable attestations account per verdict, in the same order, at most {MAX_ATTEST_BATCH}.\n"
        ));
    }
    if tag == Tag::Advance {
        let first = tag.accounts().len();
        text.push_str(&format!("\nThen, for a device:\n\n{}", accounts(ADVANCE_DEVICE, first)));
        text.push_str(&format!("\nor, for a link:\n\n{}", accounts(ADVANCE_LINK, first)));
    }
    text.push_str(&record(&tag.record(), 3));
    if tag == Tag::Attest {
        text.push_str(&record(&RawVerdict::RECORD, 3));
    }
    text
}

fn accounts(specs: &[AccountSpec], first: usize) -> String {
    let yes = |holds: bool| if holds { "yes".to_owned() } else { String::new() };
    let row = |(index, spec): (usize, &AccountSpec)| {
        vec![(first + index).to_string(), code(spec.name), yes(spec.signer), yes(spec.writable)]
    };
    table(&["Place", "Account", "Signs", "Written"], specs.iter().enumerate().map(row))
}
