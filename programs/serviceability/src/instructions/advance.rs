//! What `Advance` does whatever its subject: it looks at the attestations.

use causeway_interface::quorum::{self, Tally, Terms};

use super::prelude::*;

/// Finds out what the subject is.
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    let data: &RawAdvance = checks::data(bytes)?;
    // A glance at the type byte; the processors check the account.
    let subject_type = {
        let subject = accounts.get(2).ok_or(ErrorCode::AccountCount)?;
        ensure(subject.owned_by(program), ErrorCode::WrongOwner)?;
        let bytes = subject.try_borrow().map_err(|_| ErrorCode::DuplicateAccount)?;
        AccountType::from_byte(*bytes.first().ok_or(ErrorCode::WrongLength)?).ok_or(ErrorCode::WrongType)?
    };
    match subject_type {
        AccountType::Device => super::advance_device::process(program, accounts, data),
        AccountType::Link => super::advance_link::process(program, accounts, data),
        AccountType::Network
        | AccountType::Contributor
        | AccountType::Location
        | AccountType::Exchange
        | AccountType::Attestations
        | AccountType::Pool
        | AccountType::PrefixTable => Err(ErrorCode::WrongType),
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
#[inline(always)]
pub fn tally(
    network: &RawNetwork,
    subject: AccountType,
    entries: &[RawAttestation],
    terms: &Terms,
) -> Outcome<Tally> {
    let mut tally = Tally::default();
    for entry in entries.iter().take(network.oracle_count.into()) {
        if entry.slot.get() != 0 {
            let rank = quorum::verdict_rank(subject, entry.verdict).ok_or(ErrorCode::CorruptAccount)?;
            tally.count(&quorum::word(entry, rank), terms);
        }
    }
    Ok(tally)
}
