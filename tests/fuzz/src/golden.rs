//! The interface crate's golden bytes: one valid sample of every account and instruction, where all seeds come from.

use std::path::Path;

/// The golden samples whose name begins with `kind`, by the rest of their name.
///
/// # Panics
/// They can't be read, or there are none.
pub fn samples(kind: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../programs/serviceability-interface/tests/golden");
    let samples: Vec<_> = crate::corpus::read(&folder)
        .into_iter()
        .filter_map(|(file, text)| {
            let name = file.strip_prefix(kind)?.strip_prefix('-')?.strip_suffix(".hex")?.to_owned();
            Some((name, unhex(&text)))
        })
        .collect();
    assert!(!samples.is_empty(), "no golden {kind} in {}", folder.display());
    samples
}

fn unhex(text: &[u8]) -> Vec<u8> {
    let digits: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("a hex digit") as u8;
    digits.chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}
