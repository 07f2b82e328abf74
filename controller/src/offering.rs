//! What an agent is given: what the ledger asks for, or what a job offers or has left.

use std::sync::Arc;

use causeway_interface::Code;
use causeway_wire::controller::{ConfigBundle, Order, OrderWord};
use ed25519_dalek::SigningKey;

use crate::{
    orders::{Served, Turn, Word},
    render::Family,
    shared::Shared,
    store::{Bundle, Entry, Store},
};

/// A configuration that an agent is given.
#[derive(Clone, Debug)]
pub enum Given {
    /// As the ledger asks for.
    Ledger(Arc<Bundle>),
    /// Of a job.
    Job(Arc<Served>),
}

impl Given {
    /// Its generation.
    #[must_use]
    pub fn generation(&self) -> u64 {
        match self {
            Self::Ledger(bundle) => bundle.generation,
            Self::Job(served) => served.generation,
        }
    }

    /// SHA-256 of its text.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        match self {
            Self::Ledger(bundle) => bundle.sha256,
            Self::Job(served) => served.sha256,
        }
    }

    /// Its family.
    #[must_use]
    pub fn family(&self) -> Family {
        match self {
            Self::Ledger(bundle) => bundle.family,
            Self::Job(served) => served.family,
        }
    }

    fn order(&self) -> Option<&crate::orders::Order> {
        match self {
            Self::Ledger(_) => None,
            Self::Job(served) => served.order.as_ref(),
        }
    }

    /// Whether an agent has it, and took it under the same order.
    #[must_use]
    pub fn is_had(&self, have_sha256: &[u8], have_order: &str) -> bool {
        have_sha256 == self.sha256() && self.order().is_none_or(|order| order.correlation == have_order)
    }

    /// As it is sent.
    #[must_use]
    pub fn body(&self, device: &Code, key: &SigningKey) -> ConfigBundle {
        let (text, signature) = match self {
            Self::Ledger(bundle) => (bundle.text.to_string(), bundle.signature),
            Self::Job(served) => (served.text.to_string(), served.signature),
        };
        ConfigBundle {
            device: device.to_string(),
            generation: self.generation(),
            family: self.family().name().into(),
            text,
            sha256: self.sha256().to_vec(),
            signature: signature.to_vec(),
            controller_key: key.verifying_key().to_bytes().to_vec(),
            order: self.order().map(|order| Order {
                correlation: order.correlation.clone(),
                waits: order.waits,
                confirm_within_ms: order.confirm_within_ms,
            }),
        }
    }

    /// Slot of the ledger up to which this is what it asks of the device: where it is not the ledger's text, no further than
    /// its own generation.
    #[must_use]
    pub fn evaluated_slot(&self, store: &Store, entry: &Entry) -> u64 {
        let is_asked_for = entry.current.as_ref().is_some_and(|current| current.sha256 == self.sha256());
        if is_asked_for { store.evaluated_slot(entry) } else { self.generation() }
    }
}

/// A word as it is sent.
#[must_use]
pub fn word(word: &Word, key: &SigningKey) -> OrderWord {
    OrderWord {
        correlation: word.correlation.clone(),
        sha256: word.sha256.to_vec(),
        answer: word.answer.into(),
        signature: word.signature.to_vec(),
        controller_key: key.verifying_key().to_bytes().to_vec(),
        extension: word.extension,
    }
}

/// What there is for a device.
#[derive(Clone, Debug)]
pub enum Offering {
    /// This.
    Given(Given),
    /// Nothing to be applied: it is provisioned by jobs, and none has brought anything.
    Nothing,
    /// No configuration could be made.
    Missing,
}

impl Shared {
    /// Whether a device is provisioned by jobs.
    #[must_use]
    pub fn is_by_jobs(&self, store: &Store, device: &Code) -> bool {
        let by_jobs = self.orders.by_jobs();
        if by_jobs.contributors.is_empty() {
            return by_jobs.has(device, None);
        }
        let contributors = store.effective().map(|snapshot| &snapshot.contributors);
        let contributor = store.device(device).and_then(|record| contributors?.get(&record.contributor));
        by_jobs.has(device, contributor.map(|contributor| &contributor.code))
    }

    /// What a device is given now.
    #[must_use]
    pub fn offering(&self, store: &Store, device: &Code, entry: &Entry) -> Offering {
        match self.orders.turn(device, self.is_by_jobs(store, device)) {
            Turn::Job(served) => Offering::Given(Given::Job(served)),
            Turn::Nothing => Offering::Nothing,
            Turn::Ledger => {
                entry.current.clone().map_or(Offering::Missing, |bundle| Offering::Given(Given::Ledger(bundle)))
            }
        }
    }
}
