//! A sensible command made wrong in one way: another signer, another account, a stale sequence.

use super::{Generator, sequence_of};
use crate::model::{
    atlas::{ACTORS, CONTRIBUTORS, DEVICES, LINKS, PLACES, STRANGER},
    command::{Around, Command, End, Registry, Subject, What},
    rng::Rng,
    state::Model,
};

impl Generator {
    pub(super) fn spoil(&mut self, model: &Model, command: &mut Command) {
        let rng = &mut self.rng;
        match rng.below(10) {
            0..=2 => command.by = rng.within(0..ACTORS),
            3 => command.by = STRANGER,
            4..=6 => {
                let now = sequence_of(model, &command.what).unwrap_or(model.slot);
                // Zero would mean "whatever it is".
                command.expect = Some(rng.one_of(&[now.saturating_sub(1), now + 1, 1, u64::MAX]).max(1));
            }
            _ => misdirect(rng, &mut command.what),
        }
    }
}

fn misdirect_around(rng: &mut Rng, around: &mut Around) {
    match rng.below(3) {
        0 => around.contributor = rng.within(0..CONTRIBUTORS),
        1 => around.location = rng.within(0..PLACES),
        _ => around.exchange = rng.within(0..PLACES),
    }
}

fn misdirect_ends(rng: &mut Rng, ends: &mut [End; 2]) {
    let side = usize::from(rng.within(0..2));
    match rng.below(4) {
        0 => ends[side].device = rng.within(0..DEVICES),
        1 => ends.swap(0, 1),
        _ => misdirect_around(rng, &mut ends[side].around),
    }
}

/// Names another account somewhere.
fn misdirect(rng: &mut Rng, what: &mut What) {
    let subject = rng.chance(30);
    match what {
        What::Warp(_)
        | What::InitNetwork { .. }
        | What::UpdateNetwork(_)
        | What::SetPaused(_)
        | What::SetOracleSet { .. }
        | What::ProposeAuthority(_)
        | What::AcceptAuthority
        | What::ExtendPrefixTable { .. } => {}
        What::CreateContributor { id, .. } | What::UpdateContributor { id, .. } => *id = rng.within(0..CONTRIBUTORS),
        What::SetRegistryStatus { target, .. } | What::CloseRegistry { target, .. } => {
            *target = Registry::Contributor(rng.within(0..CONTRIBUTORS));
        }
        What::CreateLocation { id, .. }
        | What::UpdateLocation { id, .. }
        | What::CreateExchange { id, .. }
        | What::UpdateExchange { id, .. } => *id = rng.within(0..PLACES),
        What::SuspendDevice { id } | What::ResumeDevice { id } | What::RejectDevice { id, .. } => {
            *id = rng.within(0..DEVICES);
        }
        What::UpdateDevice { id, contributor, .. }
        | What::SetDeviceDesired { id, contributor, .. }
        | What::DeleteDevice { id, contributor }
        | What::AddInterface { id, contributor, .. }
        | What::UpdateInterface { id, contributor, .. }
        | What::RemoveInterface { id, contributor, .. } => {
            if subject {
                *id = rng.within(0..DEVICES);
            } else {
                *contributor = rng.within(0..CONTRIBUTORS);
            }
        }
        What::CreateDevice { id, around, .. }
        | What::ProvisionDevice { id, around }
        | What::CloseDevice { id, around, .. }
        | What::AdvanceDevice { id, around } => {
            if subject {
                *id = rng.within(0..DEVICES);
            } else {
                misdirect_around(rng, around);
            }
        }
        What::CreateLink { id, ends, .. }
        | What::AcceptLink { id, ends, .. }
        | What::ProvisionLink { id, ends }
        | What::SuspendLink { id, ends }
        | What::CloseLink { id, ends, .. }
        | What::AdvanceLink { id, ends } => {
            if subject {
                *id = rng.within(0..LINKS);
            } else {
                misdirect_ends(rng, ends);
            }
        }
        What::RejectLink { id, contributor, .. }
        | What::UpdateLink { id, contributor, .. }
        | What::SetLinkDesired { id, contributor, .. }
        | What::DeleteLink { id, contributor } => {
            if subject {
                *id = rng.within(0..LINKS);
            } else {
                *contributor = rng.within(0..CONTRIBUTORS);
            }
        }
        What::ResumeLink { id } => *id = rng.within(0..LINKS),
        What::Attest { verdicts, .. } => {
            if subject {
                verdicts.clear();
            } else {
                verdicts.push((Subject::Link(rng.within(0..LINKS)), 2));
            }
            // One word on each; the same subject twice is a matter of its own.
            dedup(verdicts);
        }
        What::ExtendAttestations { subject, .. } => *subject = Subject::Device(rng.within(0..DEVICES)),
    }
}

fn dedup(verdicts: &mut Vec<(Subject, u8)>) {
    if !crate::model::changes::DUPLICATE_SUBJECTS_REFUSED {
        let mut seen = std::collections::BTreeSet::new();
        verdicts.retain(|(subject, _)| seen.insert(*subject));
    }
}
