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
    let (tag, data) = data.split_first().ok_or(ErrorCode::UnknownInstruction)?;
    let processor = match Tag::from_byte(*tag).ok_or(ErrorCode::UnknownInstruction)? {
        Tag::InitNetwork => init_network::process,
        Tag::UpdateNetwork => update_network::process,
        Tag::SetPaused => set_paused::process,
        Tag::SetOracleSet => set_oracle_set::process,
        Tag::ProposeAuthority => propose_authority::process,
        Tag::AcceptAuthority => accept_authority::process,
        Tag::ExtendPrefixTable => extend_prefix_table::process,
        Tag::CreateContributor => create_contributor::process,
        Tag::UpdateContributor => update_contributor::process,
        Tag::SetRegistryStatus => set_registry_status::process,
        Tag::CloseRegistry => close_registry::process,
        Tag::CreateLocation => create_location::process,
        Tag::UpdateLocation => update_location::process,
        Tag::CreateExchange => create_exchange::process,
        Tag::UpdateExchange => update_exchange::process,
        Tag::CreateDevice => create_device::process,
        Tag::UpdateDevice => update_device::process,
        Tag::ProvisionDevice => provision_device::process,
        Tag::SetDeviceDesired => set_device_desired::process,
        Tag::SuspendDevice => suspend_device::process,
        Tag::ResumeDevice => resume_device::process,
        Tag::RejectDevice => reject_device::process,
        Tag::DeleteDevice => delete_device::process,
        Tag::CloseDevice => close_device::process,
        Tag::AddInterface => add_interface::process,
        Tag::UpdateInterface => update_interface::process,
        Tag::RemoveInterface => remove_interface::process,
        Tag::CreateLink => create_link::process,
        Tag::AcceptLink => accept_link::process,
        Tag::RejectLink => reject_link::process,
        Tag::ProvisionLink => provision_link::process,
        Tag::UpdateLink => update_link::process,
        Tag::SetLinkDesired => set_link_desired::process,
        Tag::SuspendLink => suspend_link::process,
        Tag::ResumeLink => resume_link::process,
        Tag::DeleteLink => delete_link::process,
        Tag::CloseLink => close_link::process,
        Tag::Attest => attest::process,
        Tag::Advance => advance::process,
        Tag::ExtendAttestations => extend_attestations::process,
    };
    processor(program, accounts, data)
}
