//! Signed configurations: one text of one device, and its difference from the one before.

use causeway_interface::{Code, Key};
use causeway_wire::signing;
use ed25519_dalek::SigningKey;
use similar::TextDiff;

use crate::render::{Extent, Family, Rendered, Text};

/// A signed configuration.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// The device.
    pub device: Code,
    /// Slot at which this text was first seen to be the device's.
    pub generation: u64,
    /// Its family.
    pub family: Family,
    /// The whole managed configuration.
    pub text: Text,
    /// SHA-256 of the text.
    pub sha256: [u8; 32],
    /// The controller's signature over `signing::bundle_message`.
    pub signature: [u8; 64],
    /// Generation and text of the configuration before it.
    pub(super) before: Option<(u64, Text)>,
    pub(super) extent: Extent,
}

impl Bundle {
    /// Unified diff from the configuration before it; of the first, from nothing. Made when it is asked for: agents don't wait
    /// for what people may look at.
    #[must_use]
    pub fn diff(&self) -> String {
        let (from, old) = match &self.before {
            Some((generation, text)) => (generation.to_string(), text.to_string()),
            None => ("none".to_string(), String::new()),
        };
        unified(&old, &self.text.to_string(), &from, &self.generation.to_string())
    }
}

/// Who signs, and for which program.
#[derive(Clone)]
pub struct Signer {
    /// The controller's key.
    pub key: SigningKey,
    /// The program whose ledger is read.
    pub program_id: Key,
}

pub(super) fn sign(rendered: Rendered, generation: u64, before: Option<&Bundle>, signer: &Signer) -> Bundle {
    let message = signing::bundle_message(
        &signer.program_id.0,
        rendered.device.as_str(),
        generation,
        rendered.family.name(),
        &rendered.sha256,
    );
    Bundle {
        device: rendered.device,
        generation,
        family: rendered.family,
        before: before.map(|b| (b.generation, b.text.clone())),
        text: rendered.text,
        sha256: rendered.sha256,
        signature: signing::sign(&signer.key, &message),
        extent: rendered.extent,
    }
}

/// A unified diff with three lines of context, under generations as names; empty where nothing differs.
#[must_use]
pub fn unified(old: &str, new: &str, from: &str, to: &str) -> String {
    let from = format!("generation {from}");
    let to = format!("generation {to}");
    TextDiff::from_lines(old, new).unified_diff().context_radius(3).header(&from, &to).to_string()
}
