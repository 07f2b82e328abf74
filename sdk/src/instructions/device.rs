//! Instructions of devices and their interfaces.

use causeway_interface::{
    Code, DesiredStatus, InterfaceName, RejectReason,
    accounts::Device,
    instruction::{
        CreateDevice, Expect, Instruction as Data, Reject, RemoveInterface, SetDesired, SetInterface, UpdateDevice,
    },
};
use solana_sdk::{instruction::Instruction, pubkey::Pubkey};

use super::{DeviceRefs, Instructions};
use crate::address::{SYSTEM_PROGRAM, to_key};

impl Instructions {
    /// The accounts around a device as read.
    #[must_use]
    pub fn device_refs(&self, device: &Device) -> DeviceRefs {
        DeviceRefs::of(&self.addresses, device)
    }

    /// Registers a device with its attestations. `owner` pays.
    #[must_use]
    pub fn create_device(
        &self,
        owner: &Pubkey,
        contributor: &Code,
        location: &Code,
        exchange: &Code,
        data: CreateDevice,
    ) -> Instruction {
        let refs = DeviceRefs::by_codes(&self.addresses, &data.code, contributor, location, exchange);
        let keys = [
            *owner,
            self.network,
            refs.contributor,
            refs.location,
            refs.exchange,
            refs.device,
            self.addresses.attestations(&to_key(&refs.device)),
            self.prefix_table,
            SYSTEM_PROGRAM,
        ];
        self.build(Data::CreateDevice(data), keys)
    }

    /// Changes a device's own fields.
    #[must_use]
    pub fn update_device(&self, owner: &Pubkey, refs: &DeviceRefs, data: UpdateDevice) -> Instruction {
        self.build(Data::UpdateDevice(data), [*owner, self.network, refs.contributor, refs.device, self.prefix_table])
    }

    /// Assigns loopback addresses and segment id and begins provisioning.
    #[must_use]
    pub fn provision_device(&self, owner: &Pubkey, refs: &DeviceRefs, expected_sequence: u64) -> Instruction {
        let keys = [
            *owner,
            self.network,
            refs.contributor,
            refs.location,
            refs.exchange,
            refs.device,
            self.loopback_pool,
            self.node_segment_pool,
        ];
        self.build(Data::ProvisionDevice(Expect { expected_sequence }), keys)
    }

    /// Sets what a device is wanted to be. [`Self::advance_device`] in the same transaction makes it so.
    #[must_use]
    pub fn set_device_desired(
        &self,
        owner_or_operations: &Pubkey,
        refs: &DeviceRefs,
        desired: DesiredStatus,
        expected_sequence: u64,
    ) -> Instruction {
        let data = SetDesired { expected_sequence, desired };
        self.build(Data::SetDeviceDesired(data), [*owner_or_operations, refs.contributor, refs.device])
    }

    /// Stops a device.
    #[must_use]
    pub fn suspend_device(&self, authority: &Pubkey, device: &Pubkey, expected_sequence: u64) -> Instruction {
        self.build(Data::SuspendDevice(Expect { expected_sequence }), [*authority, self.network, *device])
    }

    /// Lets a suspended device go on.
    #[must_use]
    pub fn resume_device(&self, authority: &Pubkey, device: &Pubkey, expected_sequence: u64) -> Instruction {
        self.build(Data::ResumeDevice(Expect { expected_sequence }), [*authority, self.network, *device])
    }

    /// Refuses a device.
    #[must_use]
    pub fn reject_device(
        &self,
        authority: &Pubkey,
        device: &Pubkey,
        reason: RejectReason,
        expected_sequence: u64,
    ) -> Instruction {
        let data = Reject { expected_sequence, reason };
        self.build(Data::RejectDevice(data), [*authority, self.network, *device])
    }

    /// Marks a device for deletion.
    #[must_use]
    pub fn delete_device(&self, owner_or_authority: &Pubkey, refs: &DeviceRefs, expected_sequence: u64) -> Instruction {
        let keys = [*owner_or_authority, self.network, refs.contributor, refs.device];
        self.build(Data::DeleteDevice(Expect { expected_sequence }), keys)
    }

    /// Frees what a device holds and closes it; the rent goes to `contributor_owner`.
    #[must_use]
    pub fn close_device(
        &self,
        owner_or_authority: &Pubkey,
        refs: &DeviceRefs,
        contributor_owner: &Pubkey,
        expected_sequence: u64,
    ) -> Instruction {
        let keys = [
            *owner_or_authority,
            self.network,
            refs.contributor,
            refs.location,
            refs.exchange,
            refs.device,
            self.addresses.attestations(&to_key(&refs.device)),
            self.loopback_pool,
            self.node_segment_pool,
            self.prefix_table,
            *contributor_owner,
        ];
        self.build(Data::CloseDevice(Expect { expected_sequence }), keys)
    }

    /// Adds an interface at the end of the list. The signer pays.
    #[must_use]
    pub fn add_interface(&self, owner_or_operations: &Pubkey, refs: &DeviceRefs, data: SetInterface) -> Instruction {
        let keys = [*owner_or_operations, refs.contributor, refs.device, SYSTEM_PROGRAM];
        self.build(Data::AddInterface(data), keys)
    }

    /// Changes an interface that no link holds.
    #[must_use]
    pub fn update_interface(&self, owner_or_operations: &Pubkey, refs: &DeviceRefs, data: SetInterface) -> Instruction {
        self.build(Data::UpdateInterface(data), [*owner_or_operations, refs.contributor, refs.device])
    }

    /// Removes an interface that no link holds; the rent goes to `contributor_owner`.
    #[must_use]
    pub fn remove_interface(
        &self,
        owner_or_operations: &Pubkey,
        refs: &DeviceRefs,
        contributor_owner: &Pubkey,
        name: InterfaceName,
        expected_sequence: u64,
    ) -> Instruction {
        let data = RemoveInterface { expected_sequence, name };
        let keys = [*owner_or_operations, refs.contributor, refs.device, *contributor_owner];
        self.build(Data::RemoveInterface(data), keys)
    }
}
