//! One file per instruction, and the way to it.

mod accept_authority;
mod accept_link;
mod add_interface;
mod advance;
mod advance_device;
mod advance_link;
mod attest;
mod close_device;
mod close_link;
mod close_registry;
mod create_contributor;
mod create_device;
mod create_exchange;
mod create_link;
mod create_location;
mod delete_device;
mod delete_link;
mod ends;
mod extend_attestations;
mod extend_prefix_table;
mod founding;
mod init_network;
mod prelude;
mod propose_authority;
mod provision_device;
mod provision_link;
mod reject_device;
mod reject_link;
mod remove_interface;
mod resume_device;
mod resume_link;
mod set_device_desired;
mod set_link_desired;
mod set_oracle_set;
mod set_paused;
mod set_registry_status;
mod suspend_device;
mod suspend_link;
mod update_contributor;
mod update_device;
mod update_exchange;
mod update_interface;
mod update_link;
mod update_location;
mod update_network;

use causeway_interface::{ErrorCode, instruction::Tag};
use pinocchio::{AccountView, Address};

use crate::Outcome;

/// Runs one instruction: its tag byte and its data.
///
/// # Errors
/// [`ErrorCode::UnknownInstruction`], and what the instruction refuses.
#[inline(always)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Outcome {
    // What is sent most comes first: a tenth of the steps that it takes to find its way among forty others.
    match data.split_first() {
        Some((&ATTEST, data)) => attest::process(program, accounts, data),
        Some(_) | None => dispatch(program, accounts, data),
    }
}

const ATTEST: u8 = Tag::Attest.byte();

#[inline(never)]
fn dispatch(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> Outcome {
    let (tag, data) = data.split_first().ok_or(ErrorCode::UnknownInstruction)?;
    match Tag::from_byte(*tag).ok_or(ErrorCode::UnknownInstruction)? {
        Tag::InitNetwork => init_network::process(program, accounts, data),
        Tag::UpdateNetwork => update_network::process(program, accounts, data),
        Tag::SetPaused => set_paused::process(program, accounts, data),
        Tag::SetOracleSet => set_oracle_set::process(program, accounts, data),
        Tag::ProposeAuthority => propose_authority::process(program, accounts, data),
        Tag::AcceptAuthority => accept_authority::process(program, accounts, data),
        Tag::ExtendPrefixTable => extend_prefix_table::process(program, accounts, data),
        Tag::CreateContributor => create_contributor::process(program, accounts, data),
        Tag::UpdateContributor => update_contributor::process(program, accounts, data),
        Tag::SetRegistryStatus => set_registry_status::process(program, accounts, data),
        Tag::CloseRegistry => close_registry::process(program, accounts, data),
        Tag::CreateLocation => create_location::process(program, accounts, data),
        Tag::UpdateLocation => update_location::process(program, accounts, data),
        Tag::CreateExchange => create_exchange::process(program, accounts, data),
        Tag::UpdateExchange => update_exchange::process(program, accounts, data),
        Tag::CreateDevice => create_device::process(program, accounts, data),
        Tag::UpdateDevice => update_device::process(program, accounts, data),
        Tag::ProvisionDevice => provision_device::process(program, accounts, data),
        Tag::SetDeviceDesired => set_device_desired::process(program, accounts, data),
        Tag::SuspendDevice => suspend_device::process(program, accounts, data),
        Tag::ResumeDevice => resume_device::process(program, accounts, data),
        Tag::RejectDevice => reject_device::process(program, accounts, data),
        Tag::DeleteDevice => delete_device::process(program, accounts, data),
        Tag::CloseDevice => close_device::process(program, accounts, data),
        Tag::AddInterface => add_interface::process(program, accounts, data),
        Tag::UpdateInterface => update_interface::process(program, accounts, data),
        Tag::RemoveInterface => remove_interface::process(program, accounts, data),
        Tag::CreateLink => create_link::process(program, accounts, data),
        Tag::AcceptLink => accept_link::process(program, accounts, data),
        Tag::RejectLink => reject_link::process(program, accounts, data),
        Tag::ProvisionLink => provision_link::process(program, accounts, data),
        Tag::UpdateLink => update_link::process(program, accounts, data),
        Tag::SetLinkDesired => set_link_desired::process(program, accounts, data),
        Tag::SuspendLink => suspend_link::process(program, accounts, data),
        Tag::ResumeLink => resume_link::process(program, accounts, data),
        Tag::DeleteLink => delete_link::process(program, accounts, data),
        Tag::CloseLink => close_link::process(program, accounts, data),
        Tag::Attest => attest::process(program, accounts, data),
        Tag::Advance => advance::process(program, accounts, data),
        Tag::ExtendAttestations => extend_attestations::process(program, accounts, data),
    }
}
