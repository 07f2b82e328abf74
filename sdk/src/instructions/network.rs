//! Instructions of the network and its registry: contributors, locations, exchanges.

use causeway_interface::{
    Code, Key, RegistryStatus,
    instruction::{
        CreateContributor, CreateExchange, CreateLocation, Expect, Extend, InitNetwork, Instruction as Data,
        ProposeAuthority, SetOracleSet, SetPaused, SetRegistryStatus, UpdateContributor, UpdateExchange,
        UpdateLocation, UpdateNetwork,
    },
};
use solana_sdk::{instruction::Instruction, pubkey::Pubkey};

use super::Instructions;
use crate::address::SYSTEM_PROGRAM;

/// Which registry object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistryTarget<'a> {
    /// A contributor.
    Contributor(&'a Code),
    /// A location.
    Location(&'a Code),
    /// An exchange.
    Exchange(&'a Code),
}

impl Instructions {
    fn registry(&self, target: RegistryTarget<'_>) -> Pubkey {
        match target {
            RegistryTarget::Contributor(code) => self.addresses.contributor(code),
            RegistryTarget::Location(code) => self.addresses.location(code),
            RegistryTarget::Exchange(code) => self.addresses.exchange(code),
        }
    }

    /// Creates the network. `upgrade_authority` is the key that deployed the program.
    #[must_use]
    pub fn init_network(&self, payer: &Pubkey, upgrade_authority: &Pubkey, data: InitNetwork) -> Instruction {
        let keys = [
            *payer,
            *upgrade_authority,
            self.addresses.program_data(),
            self.network,
            self.link_net_pool,
            self.link_id_pool,
            self.node_segment_pool,
            self.loopback_pool,
            self.prefix_table,
            SYSTEM_PROGRAM,
        ];
        self.build(Data::InitNetwork(data), keys)
    }

    /// Changes burn-ins, maximum age and core ASN.
    #[must_use]
    pub fn update_network(&self, authority: &Pubkey, data: UpdateNetwork) -> Instruction {
        self.build(Data::UpdateNetwork(data), [*authority, self.network])
    }

    /// Trips or resets the breaker.
    #[must_use]
    pub fn set_paused(&self, authority: &Pubkey, paused: bool, expected_sequence: u64) -> Instruction {
        self.build(Data::SetPaused(SetPaused { expected_sequence, paused }), [*authority, self.network])
    }

    /// Replaces the oracle set; every attestation is void at once.
    #[must_use]
    pub fn set_oracle_set(
        &self,
        authority: &Pubkey,
        oracles: Vec<Key>,
        quorum: u8,
        expected_sequence: u64,
    ) -> Instruction {
        let data = SetOracleSet { expected_sequence, quorum, oracles };
        self.build(Data::SetOracleSet(data), [*authority, self.network])
    }

    /// Names the next authority; the zero key takes the proposal back.
    #[must_use]
    pub fn propose_authority(&self, authority: &Pubkey, next: Key, expected_sequence: u64) -> Instruction {
        let data = ProposeAuthority { expected_sequence, authority: next };
        self.build(Data::ProposeAuthority(data), [*authority, self.network])
    }

    /// The named key becomes the authority.
    #[must_use]
    pub fn accept_authority(&self, pending_authority: &Pubkey, expected_sequence: u64) -> Instruction {
        self.build(Data::AcceptAuthority(Expect { expected_sequence }), [*pending_authority, self.network])
    }

    /// Makes room for `entries` more dz prefixes; 0 for as many as fit.
    #[must_use]
    pub fn extend_prefix_table(&self, payer: &Pubkey, entries: u32) -> Instruction {
        self.build(Data::ExtendPrefixTable(Extend { entries }), [*payer, self.prefix_table, SYSTEM_PROGRAM])
    }

    /// Registers a contributor.
    #[must_use]
    pub fn create_contributor(&self, payer: &Pubkey, authority: &Pubkey, data: CreateContributor) -> Instruction {
        let contributor = self.addresses.contributor(&data.code);
        let keys = [*payer, *authority, self.network, contributor, SYSTEM_PROGRAM];
        self.build(Data::CreateContributor(data), keys)
    }

    /// Changes a contributor's keys.
    #[must_use]
    pub fn update_contributor(&self, owner_or_authority: &Pubkey, code: &Code, data: UpdateContributor) -> Instruction {
        let keys = [*owner_or_authority, self.network, self.addresses.contributor(code)];
        self.build(Data::UpdateContributor(data), keys)
    }

    /// Suspends or activates a contributor, location or exchange.
    #[must_use]
    pub fn set_registry_status(
        &self,
        authority: &Pubkey,
        target: RegistryTarget<'_>,
        status: RegistryStatus,
        expected_sequence: u64,
    ) -> Instruction {
        let data = SetRegistryStatus { expected_sequence, status };
        self.build(Data::SetRegistryStatus(data), [*authority, self.network, self.registry(target)])
    }

    /// Closes a contributor, location or exchange that nothing depends on; `recipient` gets the rent.
    #[must_use]
    pub fn close_registry(
        &self,
        authority: &Pubkey,
        target: RegistryTarget<'_>,
        recipient: &Pubkey,
        expected_sequence: u64,
    ) -> Instruction {
        let keys = [*authority, self.network, self.registry(target), *recipient];
        self.build(Data::CloseRegistry(Expect { expected_sequence }), keys)
    }

    /// Registers a location.
    #[must_use]
    pub fn create_location(&self, payer: &Pubkey, authority: &Pubkey, data: CreateLocation) -> Instruction {
        let keys = [*payer, *authority, self.network, self.addresses.location(&data.code), SYSTEM_PROGRAM];
        self.build(Data::CreateLocation(data), keys)
    }

    /// Changes a location's particulars.
    #[must_use]
    pub fn update_location(&self, authority: &Pubkey, code: &Code, data: UpdateLocation) -> Instruction {
        self.build(Data::UpdateLocation(data), [*authority, self.network, self.addresses.location(code)])
    }

    /// Registers an exchange.
    #[must_use]
    pub fn create_exchange(&self, payer: &Pubkey, authority: &Pubkey, data: CreateExchange) -> Instruction {
        let keys = [*payer, *authority, self.network, self.addresses.exchange(&data.code), SYSTEM_PROGRAM];
        self.build(Data::CreateExchange(data), keys)
    }

    /// Changes an exchange's particulars.
    #[must_use]
    pub fn update_exchange(&self, authority: &Pubkey, code: &Code, data: UpdateExchange) -> Instruction {
        self.build(Data::UpdateExchange(data), [*authority, self.network, self.addresses.exchange(code)])
    }
}
