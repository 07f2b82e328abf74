//! Instructions of links.

use causeway_interface::{
    DesiredStatus, InterfaceName, RejectReason,
    instruction::{AcceptLink, CreateLink, Expect, Instruction as Data, Reject, SetDesired, UpdateLink},
};
use solana_sdk::{instruction::Instruction, pubkey::Pubkey};

use super::{DeviceRefs, Instructions, LinkContext, LinkRefs};
use crate::address::{SYSTEM_PROGRAM, to_key};

impl Instructions {
    /// The accounts around a link as read.
    #[must_use]
    pub fn link_refs(&self, context: &LinkContext<'_>) -> LinkRefs {
        LinkRefs::of(&self.addresses, context)
    }

    /// Registers a link from device `a`, whose owner signs and pays, to device `z`.
    #[must_use]
    pub fn create_link(&self, owner_a: &Pubkey, a: &DeviceRefs, z: &DeviceRefs, data: CreateLink) -> Instruction {
        let link = self.addresses.link(&data.code);
        let keys = [
            *owner_a,
            self.network,
            a.contributor,
            z.contributor,
            a.device,
            z.device,
            a.location,
            a.exchange,
            z.location,
            z.exchange,
            link,
            self.addresses.attestations(&to_key(&link)),
            SYSTEM_PROGRAM,
        ];
        self.build(Data::CreateLink(data), keys)
    }

    /// Side Z agrees and names its interface.
    #[must_use]
    pub fn accept_link(
        &self,
        owner_z: &Pubkey,
        refs: &LinkRefs,
        interface_z: InterfaceName,
        expected_sequence: u64,
    ) -> Instruction {
        let LinkRefs { link, a, z } = refs;
        let keys = [
            *owner_z,
            self.network,
            a.contributor,
            z.contributor,
            a.device,
            z.device,
            a.location,
            a.exchange,
            z.location,
            z.exchange,
            *link,
        ];
        self.build(Data::AcceptLink(AcceptLink { expected_sequence, interface_z }), keys)
    }

    /// Side Z or the authority refuses a link.
    #[must_use]
    pub fn reject_link(
        &self,
        owner_z_or_authority: &Pubkey,
        refs: &LinkRefs,
        reason: RejectReason,
        expected_sequence: u64,
    ) -> Instruction {
        let data = Reject { expected_sequence, reason };
        self.build(Data::RejectLink(data), [*owner_z_or_authority, self.network, refs.z.contributor, refs.link])
    }

    /// Assigns tunnel id and net and begins provisioning. The owner of either side signs.
    #[must_use]
    pub fn provision_link(&self, owner: &Pubkey, refs: &LinkRefs, expected_sequence: u64) -> Instruction {
        let LinkRefs { link, a, z } = refs;
        let keys = [
            *owner,
            self.network,
            a.contributor,
            z.contributor,
            a.device,
            z.device,
            a.location,
            a.exchange,
            z.location,
            z.exchange,
            *link,
            self.link_net_pool,
            self.link_id_pool,
        ];
        self.build(Data::ProvisionLink(Expect { expected_sequence }), keys)
    }

    /// Changes a link's figures. `contributor` is the signer's: side A's or side Z's.
    #[must_use]
    pub fn update_link(
        &self,
        owner_or_operations: &Pubkey,
        contributor: &Pubkey,
        link: &Pubkey,
        data: UpdateLink,
    ) -> Instruction {
        self.build(Data::UpdateLink(data), [*owner_or_operations, *contributor, *link])
    }

    /// Sets what the signer's side wants a link to be. `contributor` is the signer's: side A's or side Z's.
    /// [`Self::advance_link`] in the same transaction makes it so.
    #[must_use]
    pub fn set_link_desired(
        &self,
        owner_or_operations: &Pubkey,
        contributor: &Pubkey,
        link: &Pubkey,
        desired: DesiredStatus,
        expected_sequence: u64,
    ) -> Instruction {
        let data = SetDesired { expected_sequence, desired };
        self.build(Data::SetLinkDesired(data), [*owner_or_operations, *contributor, *link])
    }

    /// Stops a link.
    #[must_use]
    pub fn suspend_link(&self, authority: &Pubkey, refs: &LinkRefs, expected_sequence: u64) -> Instruction {
        let keys = [*authority, self.network, refs.link, refs.a.device, refs.z.device];
        self.build(Data::SuspendLink(Expect { expected_sequence }), keys)
    }

    /// Lets a suspended link go on.
    #[must_use]
    pub fn resume_link(&self, authority: &Pubkey, link: &Pubkey, expected_sequence: u64) -> Instruction {
        self.build(Data::ResumeLink(Expect { expected_sequence }), [*authority, self.network, *link])
    }

    /// Marks a link for deletion. `contributor` is the signer's; for the authority, either side's.
    #[must_use]
    pub fn delete_link(
        &self,
        owner_or_authority: &Pubkey,
        contributor: &Pubkey,
        link: &Pubkey,
        expected_sequence: u64,
    ) -> Instruction {
        let keys = [*owner_or_authority, self.network, *contributor, *link];
        self.build(Data::DeleteLink(Expect { expected_sequence }), keys)
    }

    /// Frees what a link holds and closes it; the rent goes to side A's owner.
    #[must_use]
    pub fn close_link(
        &self,
        owner_or_authority: &Pubkey,
        refs: &LinkRefs,
        contributor_a_owner: &Pubkey,
        expected_sequence: u64,
    ) -> Instruction {
        let LinkRefs { link, a, z } = refs;
        let keys = [
            *owner_or_authority,
            self.network,
            a.contributor,
            z.contributor,
            a.device,
            z.device,
            *link,
            self.addresses.attestations(&to_key(link)),
            self.link_net_pool,
            self.link_id_pool,
            *contributor_a_owner,
        ];
        self.build(Data::CloseLink(Expect { expected_sequence }), keys)
    }
}
