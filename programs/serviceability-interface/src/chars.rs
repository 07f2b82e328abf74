//! Which characters texts may hold: one table and one scan for all of them, because the program pays for every copy.

/// Of a code: a-z, 0-9, `_` and `-`.
pub(crate) const CODE: u8 = 1;
/// At the beginning of a router's token: letters.
pub(crate) const TOKEN_START: u8 = 2;
/// In a router's token: letters, digits and `/ . _ -`.
pub(crate) const TOKEN: u8 = 4;
/// Printable ASCII.
pub(crate) const PRINTABLE: u8 = 8;

/// The classes of every byte.
static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let c = byte as u8;
        let (lower, upper, digit) = (c.is_ascii_lowercase(), c.is_ascii_uppercase(), c.is_ascii_digit());
        let mut class = 0;
        if lower || digit || matches!(c, b'_' | b'-') {
            class |= CODE;
        }
        if lower || upper {
            class |= TOKEN_START;
        }
        if lower || upper || digit || matches!(c, b'/' | b'.' | b'_' | b'-') {
            class |= TOKEN;
        }
        if matches!(c, b' '..=b'~') {
            class |= PRINTABLE;
        }
        classes[byte] = class;
        byte += 1;
    }
    classes
};

/// Stands for "not padded text of these classes"; longer than any text.
const NOT: usize = usize::MAX;

/// Length of zero-padded text: of what is before the first zero.
#[inline(never)]
fn padded_len(bytes: &[u8]) -> usize {
    bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len())
}

/// Length of zero-padded text whose first byte is of class `first` and the others of class `rest`, and behind which
/// there are only zeros; else [`NOT`].
#[inline(never)]
fn classed_len(bytes: &[u8], first: u8, rest: u8) -> usize {
    let mut class = first;
    let mut len = 0;
    for byte in bytes {
        if CLASSES[*byte as usize] & class == 0 {
            break;
        }
        class = rest;
        len += 1;
    }
    if bytes.get(len..).is_some_and(all_zero) { len } else { NOT }
}

/// Whether the bytes are at least one character of these classes, then only zeros.
#[inline(always)]
pub(crate) fn is_text(bytes: &[u8], first: u8, rest: u8) -> bool {
    let len = classed_len(bytes, first, rest);
    len != 0 && len != NOT
}

/// Whether the bytes are UTF-8 without control characters, then only zeros. Empty counts.
pub(crate) fn is_label(bytes: &[u8]) -> bool {
    // Printable ASCII is the usual case, and the cheap one.
    classed_len(bytes, PRINTABLE, PRINTABLE) != NOT || is_utf8(bytes)
}

/// The bytes without padding.
#[inline(always)]
pub(crate) fn unpadded(bytes: &[u8]) -> &[u8] {
    bytes.get(..padded_len(bytes)).unwrap_or(bytes)
}

/// Whether every byte is zero, eight at a time.
#[inline(always)]
pub(crate) fn all_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    words.iter().all(|word| u64::from_le_bytes(*word) == 0) && rest.iter().all(|byte| *byte == 0)
}

/// Whether zero-padded bytes are UTF-8 (RFC 3629, section 4) without characters of category Cc.
///
/// `core`'s own check is twenty times as long as this one when it is compiled for the program.
#[inline(never)]
fn is_utf8(bytes: &[u8]) -> bool {
    let mut at = 0;
    while let Some(&lead) = bytes.get(at) {
        // How many bytes follow, the smallest character that needs as many, and what the first byte says of it.
        let (follow, least, mut character) = match lead {
            0 => return bytes.get(at..).is_some_and(all_zero),
            b' '..=b'~' => (0, 0, u32::from(lead)),
            0xc2..=0xdf => (1, 0xa0, u32::from(lead & 0x1f)),
            0xe0..=0xef => (2, 0x800, u32::from(lead & 0x0f)),
            0xf0..=0xf4 => (3, 0x1_0000, u32::from(lead & 0x07)),
            _ => return false,
        };
        at += 1;
        for _ in 0..follow {
            match bytes.get(at) {
                Some(next) if next & 0xc0 == 0x80 => character = character << 6 | u32::from(next & 0x3f),
                _ => return false,
            }
            at += 1;
        }
        if character < least || character > 0x10_ffff || character >> 11 == 0x1b {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the standard library says.
    fn expected(bytes: &[u8]) -> bool {
        let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
        let (text, padding) = bytes.split_at(end);
        padding.iter().all(|b| *b == 0)
            && core::str::from_utf8(text).is_ok_and(|text| !text.chars().any(char::is_control))
    }

    #[test]
    fn every_character_is_judged_as_the_standard_library_judges_it() {
        for character in '\0'..=char::MAX {
            let mut bytes = [0; 6];
            character.encode_utf8(&mut bytes[1..]);
            bytes[0] = b'x';
            assert_eq!(is_label(&bytes), expected(&bytes), "{character:?}");
        }
    }

    #[test]
    fn every_pair_and_every_lead_with_any_second_byte_too() {
        for first in 0..=u8::MAX {
            for second in 0..=u8::MAX {
                for rest in [[0, 0], [0x80, 0], [0x80, 0x80], [0xbf, 0xbf]] {
                    let bytes = [first, second, rest[0], rest[1], 0];
                    assert_eq!(is_label(&bytes), expected(&bytes), "{bytes:x?}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 64)) {
            prop_assert_eq!(is_label(&bytes), expected(&bytes));
        }

        #[test]
        fn any_text(text in "\\PC{0,16}") {
            let mut bytes = text.into_bytes();
            bytes.resize(64, 0);
            prop_assert_eq!(is_label(&bytes), expected(&bytes));
        }
    }
}
