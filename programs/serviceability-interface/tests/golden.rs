//! The committed bytes of every account and every instruction. `CAUSEWAY_REWRITE_GOLDEN=1` writes them anew.
#![allow(clippy::unwrap_used, reason = "tests")]

mod samples;

use std::{fmt::Write as _, path::PathBuf};

use causeway_interface::{
    accounts::Record,
    instruction::{Instruction, Tag},
};

const REWRITE: &str = "CAUSEWAY_REWRITE_GOLDEN";

/// Hex in lines of 32 bytes, so that a difference shows where it is.
fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for line in bytes.chunks(32) {
        for byte in line {
            write!(text, "{byte:02x}").unwrap();
        }
        text.push('\n');
    }
    text
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    (0..digits.len() / 2).map(|i| u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).unwrap()).collect()
}

fn golden(name: &str, bytes: &[u8]) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.hex"));
    if std::env::var_os(REWRITE).is_some() {
        std::fs::write(&path, hex(bytes)).unwrap();
    }
    let text =
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}; {REWRITE}=1 writes it", path.display()));
    let expected = unhex(&text);
    assert_eq!(hex(bytes), hex(&expected), "{name} changed: bump the layout version or take the change back");
    expected
}

fn account<T: Record + PartialEq + std::fmt::Debug>(name: &str, sample: &T) {
    let bytes = golden(&format!("account-{name}"), &borsh::to_vec(sample).unwrap());
    assert_eq!(&T::decode(&bytes).unwrap(), sample);
    // Every length but the right one is refused.
    assert!(T::decode(&bytes[..bytes.len() - 1]).is_err(), "{name} cut");
    assert!(T::decode(&[bytes.as_slice(), &[0]].concat()).is_err(), "{name} with a byte too many");
}

#[test]
fn accounts_have_their_committed_bytes() {
    account("network", &samples::network());
    account("contributor", &samples::contributor());
    account("location", &samples::location());
    account("exchange", &samples::exchange());
    account("device", &samples::device());
    account("link", &samples::link());
    account("attestations", &samples::attestations());
    account("pool", &samples::pool());
    account("prefix-table", &samples::prefix_table());
}

#[test]
fn instructions_have_their_committed_bytes() {
    for tag in Tag::ALL {
        let sample = samples::instruction(*tag);
        assert_eq!(sample.tag(), *tag);
        let bytes = golden(&format!("instruction-{tag}"), &sample.encode().unwrap());
        assert_eq!(Instruction::decode(&bytes).unwrap(), sample);
        assert!(Instruction::decode(&bytes[..bytes.len() - 1]).is_err(), "{tag} cut");
        assert!(Instruction::decode(&[bytes.as_slice(), &[0]].concat()).is_err(), "{tag} with a byte too many");
    }
}
