//! Creates the network, its pools and its prefix table, by the hand that may replace the program.

use super::prelude::*;
use causeway_interface::pool;

/// The loader of programs that can be upgraded.
const UPGRADEABLE_LOADER: Address = Address::new_from_array([
    2, 168, 246, 145, 78, 136, 161, 176, 226, 16, 21, 62, 247, 99, 174, 43, 0, 194, 185, 61, 22, 193, 36, 210, 192, 83,
    122, 16, 4, 128, 0, 0,
]);

/// The loader's account state of a program's data: a `u32` tag, the slot of deployment, and the upgrade authority as
/// an option byte and a key.
const PROGRAM_DATA_STATE: [u8; 4] = [3, 0, 0, 0];
const AUTHORITY_OPTION: usize = 12;
const AUTHORITY: core::ops::Range<usize> = 13..45;

/// Checks and applies.
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [
        payer, upgrade_authority, program_data, network, link_net_pool, link_id_pool, node_segment_pool,
        loopback_pool, prefix_table, system_program,
    ]);
    let data: &RawInitNetwork = checks::data(bytes)?;
    let payer = Payer::new(payer)?;
    let signer = Signer::new(upgrade_authority)?;
    let network = Vacant::new(network)?;
    let prefix_table = Vacant::new(prefix_table)?;
    SystemProgram::check(system_program)?;
    check_upgrade_authority(program, program_data, signer.key())?;

    ensure(!data.authority.is_zero(), ErrorCode::KeyMissing)?;
    values::asn(data.core_asn.get())?;
    values::slots(
        data.burn_in_new_slots.get(),
        data.burn_in_maintenance_slots.get(),
        data.attestation_max_age_slots.get(),
    )?;
    values::blocks([&data.link_block, &data.loopback_block, &data.user_block])?;

    let creator = Creator::new(program, &payer)?;
    let (links, loopbacks) = (pool::link_nets(&data.link_block), pool::loopbacks(&data.loopback_block));
    create_pool(&creator, link_net_pool, PoolKind::LinkNet, &links)?;
    create_pool(&creator, link_id_pool, PoolKind::LinkId, &pool::LINK_IDS)?;
    create_pool(&creator, node_segment_pool, PoolKind::NodeSegment, &pool::NODE_SEGMENTS)?;
    create_pool(&creator, loopback_pool, PoolKind::Loopback, &loopbacks)?;
    creator.create::<RawPrefixTable>(prefix_table, [seeds::PREFIX_TABLE, &[]], PREFIX_TABLE_CAPACITY)?;
    let mut network: Write<RawNetwork> = creator.create(network, [seeds::NETWORK, &[]], 0)?;
    network.authority = data.authority;
    network.core_asn = data.core_asn;
    network.burn_in_new_slots = data.burn_in_new_slots;
    network.burn_in_maintenance_slots = data.burn_in_maintenance_slots;
    network.attestation_max_age_slots = data.attestation_max_age_slots;
    network.link_block = data.link_block;
    network.loopback_block = data.loopback_block;
    network.user_block = data.user_block;
    let act = Act::creating(Tag::InitNetwork, signer.key(), creator.slot());
    act.created(&mut network);
    Ok(())
}

/// The loader's own record of this program names the signer.
fn check_upgrade_authority(program: &Address, program_data: &AccountView, signer: &Key) -> Outcome {
    pda::check(crate::syscalls::key(program_data.address()), [program.as_array(), &[]], &UPGRADEABLE_LOADER)?;
    ensure(program_data.owned_by(&UPGRADEABLE_LOADER), ErrorCode::WrongOwner)?;
    let state = program_data.try_borrow().map_err(|_| ErrorCode::DuplicateAccount)?;
    let named = state.starts_with(&PROGRAM_DATA_STATE)
        && state.get(AUTHORITY_OPTION) == Some(&1)
        && state.get(AUTHORITY) == Some(&signer.0);
    ensure(named, ErrorCode::NotUpgradeAuthority)
}

fn create_pool(
    creator: &Creator,
    account: &mut AccountView,
    kind: PoolKind,
    (base, stride, capacity): &(u32, u32, u32),
) -> Outcome {
    let words = pool::words_for(*capacity);
    let mut created: Write<RawPool> = creator.create(Vacant::new(account)?, [seeds::POOL, &[kind.byte()]], words)?;
    created.header.kind = kind.byte();
    let (record, bitmap) = created.split();
    pool::init(record, bitmap, *base, *stride, *capacity);
    Ok(())
}
