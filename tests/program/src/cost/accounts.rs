//! How large the accounts are that the program creates, and what rent exemption takes of whoever pays.

use std::collections::BTreeMap;

use causeway_interface::{
    Key, PoolKind,
    accounts::{
        Account, RawAttestations, RawContributor, RawDevice, RawExchange, RawLink, RawLocation, RawNetwork, RawPool,
        RawPrefixTable,
    },
};
use solana_sdk::pubkey::Pubkey;

use crate::{World, plant::PLACE, plant::hybrid, world::code};

/// The size of one account of a typical network.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Its length.
    pub bytes: u64,
    /// Its length without list entries.
    pub empty_bytes: u64,
    /// What one more list entry adds; 0 where there is no list.
    pub entry_bytes: u64,
    /// Lamports that it holds.
    pub lamports: u64,
}

impl Size {
    /// The account at an address, as the program left it when it created it.
    ///
    /// # Panics
    /// There is none, or it holds anything but the minimum for its length.
    fn of<T: Account>(world: &World, address: Pubkey) -> Self {
        let account = world.account(&address).unwrap_or_else(|| panic!("no account at {address}"));
        let minimum = world.svm.minimum_balance_for_rent_exemption(account.data.len());
        assert_eq!(account.lamports, minimum, "{address} holds what it needs and no more");
        Self {
            bytes: account.data.len() as u64,
            empty_bytes: T::len_with(0) as u64,
            entry_bytes: T::ENTRY_LEN as u64,
            lamports: account.lamports,
        }
    }
}

/// Every type of account: a hybrid device as its recipe makes it, attestations of three oracles, pools of /16 blocks.
///
/// # Panics
/// The program refuses something.
pub fn sizes() -> BTreeMap<String, Size> {
    let mut world = World::new();
    let party = world.party("acme");
    let (a, z) = (world.add_device(&party, hybrid("a")), world.add_device(&party, hybrid("z")));
    let link = world.add_wan(&party, "a-z", (&a, "eth3"), (&z, "eth3"));
    let subject: Key = world.device_key(&a);
    let at = *world.ix.addresses();
    let mut sizes = BTreeMap::from([
        ("network", Size::of::<RawNetwork>(&world, at.network())),
        ("contributor", Size::of::<RawContributor>(&world, at.contributor(&party.code))),
        ("location", Size::of::<RawLocation>(&world, at.location(&code(PLACE)))),
        ("exchange", Size::of::<RawExchange>(&world, at.exchange(&code(PLACE)))),
        ("device", Size::of::<RawDevice>(&world, at.device(&a))),
        ("link", Size::of::<RawLink>(&world, at.link(&link))),
        ("attestations", Size::of::<RawAttestations>(&world, at.attestations(&subject))),
        ("prefix-table", Size::of::<RawPrefixTable>(&world, at.prefix_table())),
    ])
    .into_iter()
    .map(|(name, size)| (name.to_owned(), size))
    .collect::<BTreeMap<_, _>>();
    for kind in PoolKind::ALL {
        sizes.insert(format!("pool-{}", kind.name()), Size::of::<RawPool>(&world, at.pool(*kind)));
    }
    sizes
}
