//! Orders of provisioning jobs: a configuration that is applied for a step of one, and the controller's word about it.
//! Pure.
//!
//! An order is part of what its configuration's signature covers; a word has a signature of its own. So nobody on the way
//! can take the waiting away, and no word for one order counts for another.

use std::{collections::BTreeSet, time::Duration};

use causeway_wire::{
    controller::{ConfigBundle, Order as Sent, OrderAnswer, OrderWord},
    signing::{SignedOrder, extension_message, verify, word_message},
};

use crate::bundle::{BundleError, TextHash};

/// Longest correlation id, in bytes: that of a job's step has about twenty.
pub const MAX_CORRELATION_BYTES: usize = 128;
/// Longest time that a device may be kept waiting: the largest change of a network is confirmed within half of it.
pub const MAX_CONFIRM_WITHIN: Duration = Duration::from_secs(3_600);

/// Words that let one order's time begin anew, at most: a change of the network has one such step, and a controller that takes
/// its job over says it once more.
pub const MAX_EXTENSIONS: u32 = 8;

/// How a configuration is to be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Under which the step is found in logs and reports.
    pub correlation: String,
    /// Keep it unconfirmed until the controller's word.
    pub waits: bool,
    /// From the commit on, the device goes back by itself after this.
    pub confirm_within: Duration,
}

/// What an order's signature covers of it.
#[must_use]
pub fn signed(order: &Sent) -> SignedOrder<'_> {
    SignedOrder { correlation: &order.correlation, waits: order.waits, confirm_within_ms: order.confirm_within_ms }
}

impl Order {
    /// The order of a configuration, where it has one.
    ///
    /// # Errors
    /// [`BundleError::BadOrder`].
    pub fn of(bundle: &ConfigBundle) -> Result<Option<Self>, BundleError> {
        let Some(sent) = &bundle.order else { return Ok(None) };
        let correlation = &sent.correlation;
        let printable = !correlation.is_empty() && correlation.bytes().all(|byte| byte.is_ascii_graphic());
        if !printable || correlation.len() > MAX_CORRELATION_BYTES {
            return Err(BundleError::BadOrder("its correlation id is not short and printable"));
        }
        let confirm_within = Duration::from_millis(sent.confirm_within_ms);
        if confirm_within > MAX_CONFIRM_WITHIN {
            return Err(BundleError::BadOrder("the device would be kept waiting for longer than an hour"));
        }
        Ok(Some(Self { correlation: correlation.clone(), waits: sent.waits, confirm_within }))
    }
}

/// What a word comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// What waits may stay.
    Confirm,
    /// It has to go.
    Withdraw,
    /// It goes on waiting, and its time counts anew; the word's number.
    Extend(u32),
}

/// What a word says, of which only one that is the controller's and about this very order counts.
#[must_use]
pub fn answer(
    word: &OrderWord,
    program_id: &[u8; 32],
    device: &str,
    pinned: &BTreeSet<[u8; 32]>,
    correlation: &str,
    hash: TextHash,
) -> Option<Heard> {
    if word.correlation != correlation || word.sha256 != hash.0 {
        return None;
    }
    let key: [u8; 32] = word.controller_key.as_slice().try_into().ok()?;
    let (heard, message) = match OrderAnswer::try_from(word.answer) {
        Ok(OrderAnswer::Confirm) => {
            (Heard::Confirm, word_message(program_id, device, correlation, &hash.0, word.answer))
        }
        Ok(OrderAnswer::Withdraw) => {
            (Heard::Withdraw, word_message(program_id, device, correlation, &hash.0, word.answer))
        }
        Ok(OrderAnswer::Extend) if (1..=MAX_EXTENSIONS).contains(&word.extension) => {
            let message = extension_message(program_id, device, correlation, &hash.0, word.extension);
            (Heard::Extend(word.extension), message)
        }
        Ok(OrderAnswer::Extend | OrderAnswer::Unspecified) | Err(_) => return None,
    };
    (pinned.contains(&key) && verify(&key, &message, &word.signature).is_ok()).then_some(heard)
}

#[cfg(test)]
mod tests {
    use causeway_wire::signing::sign;
    use ed25519_dalek::SigningKey;

    use super::*;

    const PROGRAM: [u8; 32] = [7; 32];

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn word(by: u8, device: &str, correlation: &str, text: &str, answer: i32) -> OrderWord {
        let hash = TextHash::of(text);
        let message = word_message(&PROGRAM, device, correlation, &hash.0, answer);
        OrderWord {
            correlation: correlation.into(),
            sha256: hash.0.to_vec(),
            answer,
            signature: sign(&key(by), &message).to_vec(),
            controller_key: key(by).verifying_key().to_bytes().to_vec(),
            extension: 0,
        }
    }

    fn extension(number: u32) -> OrderWord {
        let hash = TextHash::of("text");
        let message = extension_message(&PROGRAM, "r1", "job1-r1-s5-t1", &hash.0, number);
        let signature = sign(&key(1), &message).to_vec();
        OrderWord { answer: 3, extension: number, signature, ..word(1, "r1", "job1-r1-s5-t1", "text", 3) }
    }

    #[test]
    fn only_a_pinned_controllers_word_about_this_order_counts() {
        let pinned = BTreeSet::from([key(1).verifying_key().to_bytes()]);
        let heard = |word: &OrderWord| answer(word, &PROGRAM, "r1", &pinned, "job1-r1-s5-t1", TextHash::of("text"));
        let good = word(1, "r1", "job1-r1-s5-t1", "text", 1);
        assert_eq!(heard(&good), Some(Heard::Confirm));
        assert_eq!(heard(&word(1, "r1", "job1-r1-s5-t1", "text", 2)), Some(Heard::Withdraw));
        assert_eq!(heard(&extension(1)), Some(Heard::Extend(1)));
        assert_eq!(heard(&extension(MAX_EXTENSIONS)), Some(Heard::Extend(MAX_EXTENSIONS)));
        for bad in [
            word(2, "r1", "job1-r1-s5-t1", "text", 1),
            word(1, "r2", "job1-r1-s5-t1", "text", 1),
            word(1, "r1", "job1-r1-s5-t2", "text", 1),
            word(1, "r1", "job1-r1-s5-t1", "other", 1),
            word(1, "r1", "job1-r1-s5-t1", "text", 0),
            word(1, "r1", "job1-r1-s5-t1", "text", 9),
            // What was signed as the one answer is not the other.
            OrderWord { answer: 2, ..good.clone() },
            OrderWord { signature: Vec::new(), ..good.clone() },
            OrderWord { controller_key: vec![1], ..good.clone() },
            // More time than was said, for ever, by another kind of word, or under another number.
            extension(0),
            extension(MAX_EXTENSIONS + 1),
            OrderWord { extension: 2, ..extension(1) },
            OrderWord { answer: 1, ..extension(1) },
            OrderWord { answer: 3, extension: 1, ..good.clone() },
            word(1, "r1", "job1-r1-s5-t1", "text", 3),
        ] {
            assert_eq!(heard(&bad), None, "{bad:?}");
        }
    }

    #[test]
    fn an_order_is_short_printable_and_bounded() {
        let of = |correlation: &str, confirm_within_ms| {
            let order = Sent { correlation: correlation.into(), waits: true, confirm_within_ms };
            Order::of(&ConfigBundle { order: Some(order), ..ConfigBundle::default() })
        };
        assert!(of("job1-r1-s5-t1", 600_000).is_ok_and(|order| order.is_some()));
        for (correlation, within_ms) in
            [("", 1), ("a b", 1), ("a\n", 1), (&"a".repeat(129), 1), ("a", 3_600_001), ("a", u64::MAX)]
        {
            assert!(matches!(of(correlation, within_ms), Err(BundleError::BadOrder(_))), "{correlation:?} {within_ms}");
        }
        assert_eq!(Order::of(&ConfigBundle::default()), Ok(None));
    }
}
