//! One builder per instruction of the program.
//!
//! The order of accounts and which of them sign or are written come from the interface's own table
//! ([`Tag::accounts`]), so that they can't drift from what the program expects. Builders do no IO and check nothing
//! that the program checks: a wrong key is refused there, with its own error.

mod device;
mod link;
mod network;
mod oracle;
mod refs;
#[cfg(test)]
mod tests;

use causeway_interface::{
    PoolKind,
    instruction::{AccountSpec, Instruction as Data, Tag},
};
use solana_sdk::{
    instruction::{AccountMeta, Instruction},
    pubkey::Pubkey,
};

pub use self::{
    network::RegistryTarget,
    oracle::Window,
    refs::{DeviceRefs, LinkContext, LinkRefs},
};
use crate::address::Addresses;

/// Builds the instructions of one deployment. The addresses that there is one of are derived once.
#[derive(Clone, Debug)]
pub struct Instructions {
    addresses: Addresses,
    network: Pubkey,
    prefix_table: Pubkey,
    link_net_pool: Pubkey,
    link_id_pool: Pubkey,
    node_segment_pool: Pubkey,
    loopback_pool: Pubkey,
}

impl Instructions {
    /// For the program with this id.
    #[must_use]
    pub fn new(program_id: Pubkey) -> Self {
        let addresses = Addresses::new(program_id);
        Self {
            addresses,
            network: addresses.network(),
            prefix_table: addresses.prefix_table(),
            link_net_pool: addresses.pool(PoolKind::LinkNet),
            link_id_pool: addresses.pool(PoolKind::LinkId),
            node_segment_pool: addresses.pool(PoolKind::NodeSegment),
            loopback_pool: addresses.pool(PoolKind::Loopback),
        }
    }

    /// The deployment's addresses.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// An instruction with `keys` in the order of the tag's accounts.
    fn build<const N: usize>(&self, data: Data, keys: [Pubkey; N]) -> Instruction {
        self.build_with(data, keys, Vec::new())
    }

    fn build_with<const N: usize>(&self, data: Data, keys: [Pubkey; N], rest: Vec<AccountMeta>) -> Instruction {
        let mut accounts = metas(data.tag().accounts(), &keys);
        accounts.extend(rest);
        Instruction {
            program_id: self.addresses.program_id,
            accounts,
            // Encoding writes to memory and can't fail; were it to, the program refuses the empty data.
            data: data.encode().unwrap_or_default(),
        }
    }
}

/// Metas for `keys` in the order and with the flags of `specs`. A test holds the numbers equal for every builder.
fn metas(specs: &[AccountSpec], keys: &[Pubkey]) -> Vec<AccountMeta> {
    debug_assert_eq!(specs.len(), keys.len(), "keys for {specs:?}");
    let meta = |(spec, key): (&AccountSpec, &Pubkey)| AccountMeta {
        pubkey: *key,
        is_signer: spec.signer,
        is_writable: spec.writable,
    };
    specs.iter().zip(keys).map(meta).collect()
}

/// The tag of an instruction of the program, for reading transactions.
#[must_use]
pub fn tag_of(instruction: &Instruction) -> Option<Tag> {
    instruction.data.first().copied().and_then(Tag::from_byte)
}
