//! Replaces the oracle set and the quorum; a new epoch begins, so that every attestation is void at once.

use super::prelude::*;
use crate::syscalls::{copy, zero};
use causeway_interface::quorum::is_allowed_quorum;

/// Checks and applies.
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [authority, network]);
    let (data, oracles) = checks::data_with_list::<RawSetOracleSet, Key>(bytes)?;
    let signer = Signer::new(authority)?;
    let mut network: Write<RawNetwork> = Write::new(program, network)?;
    checks::sequence(&network.header, data.expected_sequence)?;
    checks::authority(&network, signer.key())?;
    ensure(oracles.len() <= MAX_ORACLES, ErrorCode::OracleSetTooLarge)?;
    for (index, oracle) in oracles.iter().enumerate() {
        let repeated = oracles.iter().take(index).any(|earlier| earlier == oracle);
        ensure(!oracle.is_zero() && !repeated, ErrorCode::OracleDuplicate)?;
    }
    ensure(is_allowed_quorum(oracles.len(), data.quorum.into()), ErrorCode::QuorumNotAllowed)?;
    let epoch = network.oracle_epoch.get().checked_add(1).ok_or(ErrorCode::Overflow)?;

    let mut act = Act::of(Tag::SetOracleSet, signer.key());
    act.begin(&network.header)?;
    network.oracle_epoch.set(epoch);
    network.quorum = data.quorum;
    network.oracle_count = oracles.len() as u8;
    zero(bytemuck::bytes_of_mut(&mut network.oracles));
    copy(bytemuck::cast_slice(oracles), bytemuck::bytes_of_mut(&mut network.oracles));
    act.changed_with(&mut network, data.quorum.into())
}
