//! Changes a device's own fields.

use super::prelude::*;

/// Checks and applies.
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [owner, network, contributor, device, prefix_table]);
    let data: &RawUpdateDevice = checks::data(bytes)?;
    let signer = Signer::new(owner)?;
    let network: Read<RawNetwork> = Read::new(program, network)?;
    let contributor: Read<RawContributor> = Read::new(program, contributor)?;
    let mut device: Write<RawDevice> = Write::new(program, device)?;
    let mut prefix_table: Write<RawPrefixTable> = Write::new(program, prefix_table)?;
    belongs(&device.contributor, contributor.key())?;
    checks::sequence(&device.header, data.expected_sequence)?;
    let status = checks::device_is_live(&device)?;
    values::public_ip(data.public_ip)?;
    ensure(data.management_vrf.is_valid(), ErrorCode::VrfInvalid)?;
    let wanted = prefixes::checked(&network, &data.dz_prefixes, data.dz_prefix_count)?;
    // What provisioning asked for has to stay.
    let complete = !data.public_ip.is_zero() && !data.agent_key.is_zero() && !data.telemetry_key.is_zero();
    ensure(complete || matches!(status, DeviceStatus::Pending), ErrorCode::DeviceFieldsMissing)?;
    ensure(checks::is_owner(&contributor, signer.key()), ErrorCode::NotDeviceOwner)?;

    let mut act = Act::of(Tag::UpdateDevice, signer.key());
    act.begin(&device.header)?;
    let before = device.dz_prefixes;
    let before = before.get(..usize::from(device.dz_prefix_count)).ok_or(ErrorCode::CorruptAccount)?;
    for gone in before.iter().filter(|p| !wanted.contains(p)) {
        prefixes::remove(&mut prefix_table, gone)?;
    }
    for new in wanted.iter().filter(|p| !before.contains(p)) {
        prefixes::insert(&mut prefix_table, new)?;
    }
    if before != wanted {
        touch(&mut prefix_table.header)?;
    }
    device.public_ip = data.public_ip;
    device.dz_prefix_count = data.dz_prefix_count;
    device.dz_prefixes = data.dz_prefixes;
    device.agent_key = data.agent_key;
    device.telemetry_key = data.telemetry_key;
    device.management_vrf = data.management_vrf;
    act.changed(&mut device)
}
