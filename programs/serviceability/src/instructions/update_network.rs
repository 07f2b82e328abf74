//! Changes burn-ins, maximum age and core ASN.

use super::prelude::*;

/// Checks and applies.
#[inline(never)]
pub fn process(program: &Address, accounts: &mut [AccountView], bytes: &[u8]) -> Outcome {
    bind!(accounts => [authority, network]);
    let data: &RawUpdateNetwork = checks::data(bytes)?;
    let signer = Signer::new(authority)?;
    let mut network: Write<RawNetwork> = Write::new(program, network)?;
    checks::sequence(&network.header, data.expected_sequence)?;
    checks::authority(&network, signer.key())?;
    values::asn(data.core_asn.get())?;
    values::slots(
        data.burn_in_new_slots.get(),
        data.burn_in_maintenance_slots.get(),
        data.attestation_max_age_slots.get(),
    )?;

    let mut act = Act::of(Tag::UpdateNetwork, signer.key());
    act.begin(&network.header)?;
    network.core_asn = data.core_asn;
    network.burn_in_new_slots = data.burn_in_new_slots;
    network.burn_in_maintenance_slots = data.burn_in_maintenance_slots;
    network.attestation_max_age_slots = data.attestation_max_age_slots;
    act.changed(&mut network)
}
