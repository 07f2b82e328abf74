//! An oracle's word on many subjects at once. Writes only that oracle's entries.

use causeway_interface::quorum;

use super::prelude::*;
use crate::syscalls::slot_here;

/// Checks and applies.
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    let (data, verdicts) = checks::data_with_list::<RawAttest, RawVerdict>(bytes)?;
    let [oracle, network, subjects @ ..] = accounts else { return Err(ErrorCode::AccountCount) };
    let signer = Signer::new(oracle)?;
    let network: Read<RawNetwork> = Read::new_here(program, network)?;
    let batch = !verdicts.is_empty() && verdicts.len() == subjects.len();
    ensure(batch && verdicts.len() <= MAX_ATTEST_BATCH, ErrorCode::BatchMismatch)?;

    let epoch = network.oracle_epoch.get();
    ensure(data.epoch.get() == epoch, ErrorCode::OracleEpochStale)?;
    let now = slot_here()?;
    let max_age = network.attestation_max_age_slots.get();
    let (start, end) = (data.window_start_slot.get(), data.window_end_slot.get());
    ensure(start <= end && end <= now && now - end <= max_age, ErrorCode::WindowInvalid)?;
    let index =
        quorum::oracle_index(&network.oracles, network.oracle_count, signer.key()).ok_or(ErrorCode::NotOracle)?;

    for (subject, verdict) in subjects.iter_mut().zip(verdicts) {
        let mut attestations: Write<RawAttestations> = Write::new_here(program, subject)?;
        let (record, entries) = attestations.split();
        let kind = stored!(record.header.kind, AccountType);
        let rank = quorum::verdict_rank(kind, verdict.verdict).ok_or(ErrorCode::VerdictInvalid)?;
        let entry = entries.get_mut(index).ok_or(ErrorCode::AttestationsTooSmall)?;
        // A word on an older window than the last one's says nothing of now: it was overtaken on its way.
        let overtaken = entry.epoch.get() == epoch && entry.window_end_slot.get() > end;
        ensure(!overtaken, ErrorCode::WindowInvalid)?;
        // The streaks of the next word follow from the last one's; its rank plays no part.
        let next = quorum::word(entry, 0).next(now, epoch, rank, max_age);
        entry.verdict = verdict.verdict;
        entry.epoch.set(next.epoch);
        entry.slot.set(next.slot);
        entry.since[0].set(next.since[0]);
        entry.since[1].set(next.since[1]);
        entry.failed = verdict.failed;
        entry.window_start_slot = data.window_start_slot;
        entry.window_end_slot = data.window_end_slot;
        entry.evidence_root = data.evidence_root;
        touch(&mut record.header)?;
    }
    let act = Act::at(Tag::Attest, signer.key(), now, &network.header);
    act.noted(network.key(), &network.header, verdicts.len() as u32);
    Ok(())
}
