//! What `Advance` does whatever its subject: it looks at the attestations.

use causeway_interface::quorum::{self, Tally, Terms};

use super::prelude::*;

/// Accounts of an `Advance` of a device.
const DEVICE_ACCOUNTS: usize = Tag::Advance.accounts().len() + ADVANCE_DEVICE.len();
/// Accounts of an `Advance` of a link.
const LINK_ACCOUNTS: usize = Tag::Advance.accounts().len() + ADVANCE_LINK.len();

/// The number of accounts says what the sender takes the subject for; whether it is that, the processors check.
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    let data: &RawAdvance = checks::data(bytes)?;
    match accounts.len() {
        DEVICE_ACCOUNTS => super::advance_device::process(program, accounts, data),
        LINK_ACCOUNTS => super::advance_link::process(program, accounts, data),
        _ => Err(ErrorCode::AccountCount),
    }
}

/// How long a level has to be attested for this subject at this moment.
#[inline(always)]
pub fn terms(network: &RawNetwork, now: u64, in_service: bool, status_since: u64) -> Terms {
    let maintenance = network.burn_in_maintenance_slots.get();
    Terms {
        now,
        epoch: network.oracle_epoch.get(),
        quorum: network.quorum,
        max_age: network.attestation_max_age_slots.get(),
        burn_in: if in_service { maintenance } else { network.burn_in_new_slots.get() },
        maintenance_burn_in: maintenance,
        status_since,
    }
}

/// Counts what the oracles of the current set say.
///
/// # Errors
/// [`ErrorCode::CorruptAccount`] where an entry holds a verdict that no oracle can give.
#[inline(never)]
pub fn tally(
    network: &RawNetwork,
    subject: AccountType,
    attestations: &Read<RawAttestations>,
    terms: &Terms,
    tally: &mut Tally,
) -> Outcome {
    for entry in attestations.entries().iter().take(network.oracle_count.into()) {
        if entry.slot.get() != 0 {
            let rank = quorum::verdict_rank(subject, entry.verdict).ok_or(ErrorCode::CorruptAccount)?;
            tally.count(&quorum::word(entry, rank), terms);
        }
    }
    Ok(())
}
