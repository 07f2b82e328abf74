//! Registers a device with its type's default interfaces, and its attestations.

use super::prelude::*;
use crate::syscalls::copy;
use causeway_interface::recipe;

/// Entries that a subject's attestations begin with, so that the usual oracle set needs no extension.
pub const ATTESTATION_ENTRIES: usize = 3;

/// Checks and applies.
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [
        owner, network, contributor, location, exchange, device, attestations, prefix_table, system_program,
    ]);
    let data: &RawCreateDevice = checks::data(bytes)?;
    let owner = Payer::new(owner)?;
    let vacant = Vacant::new(device)?;
    let vacant_attestations = Vacant::new(attestations)?;
    SystemProgram::check(system_program)?;
    let mut network: Write<RawNetwork> = Write::new(program, network)?;
    let mut contributor: Write<RawContributor> = Write::new(program, contributor)?;
    let mut location: Write<RawLocation> = Write::new(program, location)?;
    let mut exchange: Write<RawExchange> = Write::new(program, exchange)?;
    let mut prefix_table: Write<RawPrefixTable> = Write::new(program, prefix_table)?;

    ensure(data.code.is_valid(), ErrorCode::CodeInvalid)?;
    let device_type = given!(data.device_type, DeviceType);
    let platform = given!(data.platform, Platform);
    let desired = given!(data.desired, DesiredStatus);
    let interface_count = if checks::flag(data.skip_recipe)? { 0 } else { recipe::len(device_type) };
    values::public_ip(data.public_ip)?;
    ensure(data.management_vrf.is_valid(), ErrorCode::VrfInvalid)?;
    let dz_prefixes = prefixes::checked(&network, &data.dz_prefixes, data.dz_prefix_count)?;
    let registry_active = checks::is_active(&contributor.header)?
        && checks::is_active(&location.header)?
        && checks::is_active(&exchange.header)?;
    let roles = checks::device_roles(&network, &contributor, owner.key());
    device::decide_create(checks::is_running(&network)?, registry_active, roles).map_err(|refusal| refusal.error())?;

    let creator = Creator::new(program, &owner)?;
    let mut created: Write<RawDevice> =
        creator.create(vacant, [seeds::DEVICE, data.code.as_bytes()], interface_count)?;
    let oracles = oracle_entries(&network)?;
    create_attestations(&creator, vacant_attestations, AccountType::Device, created.key(), oracles)?;
    for prefix in dz_prefixes {
        prefixes::insert(&mut prefix_table, prefix)?;
    }
    if !dz_prefixes.is_empty() {
        touch(&mut prefix_table.header)?;
    }
    count!(in network.device_count)?;
    count!(in contributor.device_count)?;
    count!(in location.device_count)?;
    count!(in exchange.device_count)?;

    let (record, list) = created.split();
    record.header.status = DeviceStatus::Pending.byte();
    record.header.health = DeviceHealth::Pending.byte();
    record.header.desired = desired.byte();
    record.header.kind = device_type.byte();
    record.code = data.code;
    record.contributor = *contributor.key();
    record.location = *location.key();
    record.exchange = *exchange.key();
    record.platform = platform.byte();
    record.suspended_from = DeviceStatus::Pending.byte();
    record.reject_reason = RejectReason::None.byte();
    record.public_ip = data.public_ip;
    record.dz_prefix_count = data.dz_prefix_count;
    record.dz_prefixes = data.dz_prefixes;
    record.agent_key = data.agent_key;
    record.telemetry_key = data.telemetry_key;
    record.management_vrf = data.management_vrf;
    record.health_since_slot.set(creator.slot());
    let defaults = recipe::template(platform).get(..list.len()).ok_or(ErrorCode::WrongLength)?;
    copy(bytemuck::cast_slice(defaults), bytemuck::cast_slice_mut(list));
    recipe::adjust(list, device_type);
    let act = Act::creating(Tag::CreateDevice, owner.key(), creator.slot());
    act.created(&mut created);
    Ok(())
}

/// Entries that every oracle of the set needs.
///
/// # Errors
/// [`ErrorCode::CorruptAccount`] where the set is larger than any can be.
pub fn oracle_entries(network: &RawNetwork) -> Outcome<usize> {
    let count = usize::from(network.oracle_count);
    if count > MAX_ORACLES { Err(ErrorCode::CorruptAccount) } else { Ok(count) }
}

/// Creates a subject's attestations: an entry for every oracle, none of which has spoken.
pub fn create_attestations(
    creator: &Creator,
    vacant: Vacant,
    subject_type: AccountType,
    subject: &Key,
    oracles: usize,
) -> Outcome {
    let entries = oracles.max(ATTESTATION_ENTRIES);
    let mut created: Write<RawAttestations> = creator.create(vacant, [seeds::ATTESTATIONS, &subject.0], entries)?;
    created.header.kind = subject_type.byte();
    created.subject = *subject;
    Ok(())
}
