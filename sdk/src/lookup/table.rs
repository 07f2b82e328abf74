//! A lookup table as the ledger holds it, read with suspicion.

use solana_address_lookup_table_interface::{
    program,
    state::{AddressLookupTable, LOOKUP_TABLE_MAX_ADDRESSES, LOOKUP_TABLE_META_SIZE},
};
use solana_sdk::{message::AddressLookupTableAccount, pubkey::Pubkey};

use super::plan::COOL_DOWN_SLOTS;

/// The program that owns lookup tables.
pub const PROGRAM: Pubkey = program::ID;
/// Addresses that one table holds at most: an index is one byte.
pub const MAX_ADDRESSES: usize = LOOKUP_TABLE_MAX_ADDRESSES;
/// Where a table's account says that it has an authority, and which: an option's byte and a key, after the kind of
/// account (4 bytes), the slots of deactivation and of the last extension (8 each) and an index (1).
pub const AUTHORITY_OFFSET: usize = 4 + 8 + 8 + 1;
/// The slot of deactivation of a table that has not been deactivated.
const NEVER: u64 = u64::MAX;
/// Where the ledger keeps the hashes of its last slots.
pub const SLOT_HASHES: Pubkey = Pubkey::from_str_const("SysvarS1otHashes111111111111111111111111111");
/// A slot and its hash, newest first, after their number.
const SLOT_HASH_BYTES: usize = 8 + 32;

/// The oldest slot of those hashes; 0 while there are fewer of them than the ledger keeps, and nothing if the bytes are not such
/// hashes.
#[must_use]
pub fn oldest_slot(hashes: &[u8]) -> Option<u64> {
    let (count, entries) = hashes.split_first_chunk()?;
    let count = u64::from_le_bytes(*count);
    let entries = entries.get(..usize::try_from(count).ok()?.checked_mul(SLOT_HASH_BYTES)?)?;
    if count < COOL_DOWN_SLOTS {
        return Some(0);
    }
    let last = entries.get(entries.len().checked_sub(SLOT_HASH_BYTES)?..)?;
    Some(u64::from_le_bytes(*last.first_chunk()?))
}

/// Why an account is not used as a lookup table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// Another program owns it.
    #[error("account {address} belongs to program {owner}, so it is no lookup table")]
    Foreign {
        /// The account.
        address: Pubkey,
        /// Its owner.
        owner: Pubkey,
    },
    /// The lookup table program owns it, and its bytes are not those of a table.
    #[error("account {address} can't be read as a lookup table")]
    Garbage {
        /// The account.
        address: Pubkey,
    },
    /// It is a table that this key may not change.
    #[error("lookup table {address} is not in this key's hands but in those of {}", .authority.map_or("nobody".to_owned(), |key| key.to_string()))]
    NotOurs {
        /// The table.
        address: Pubkey,
        /// Whose it is; none if it is frozen.
        authority: Option<Pubkey>,
    },
}

/// A lookup table of one's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Where it is.
    pub address: Pubkey,
    /// The slot in which it was deactivated.
    pub deactivated_at: Option<u64>,
    /// The slot in which it was last extended.
    pub extended_at: u64,
    /// How many addresses it held before that slot.
    pub settled: usize,
    /// What it holds, in the order of its indexes.
    pub addresses: Vec<Pubkey>,
}

impl Table {
    /// Reads the account at `address`, which `owner` owns, as a table of `authority`.
    ///
    /// # Errors
    /// See [`TableError`].
    pub fn read(address: Pubkey, owner: &Pubkey, data: &[u8], authority: &Pubkey) -> Result<Self, TableError> {
        if *owner != PROGRAM {
            return Err(TableError::Foreign { address, owner: *owner });
        }
        let garbage = TableError::Garbage { address };
        let Ok(table) = AddressLookupTable::deserialize(data) else { return Err(garbage) };
        if table.meta.authority != Some(*authority) {
            return Err(TableError::NotOurs { address, authority: table.meta.authority });
        }
        let settled = usize::from(table.meta.last_extended_slot_start_index);
        if table.addresses.len() > MAX_ADDRESSES || settled > table.addresses.len() {
            return Err(garbage);
        }
        Ok(Self {
            address,
            deactivated_at: Some(table.meta.deactivation_slot).filter(|slot| *slot != NEVER),
            extended_at: table.meta.last_extended_slot,
            settled,
            addresses: table.addresses.into_owned(),
        })
    }

    /// Whether it may be used and extended: nobody has deactivated it. A deactivated table works for some minutes more,
    /// which nothing here relies on.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        self.deactivated_at.is_none()
    }

    /// How many more addresses it can hold.
    #[must_use]
    pub fn room(&self) -> usize {
        MAX_ADDRESSES.saturating_sub(self.addresses.len())
    }

    /// What a transaction that is executed after slot `now` can look up in it; none where that is nothing. An address
    /// is found from the slot after the one in which it was added.
    #[must_use]
    pub fn usable(&self, now: u64) -> Option<AddressLookupTableAccount> {
        let count = if now > self.extended_at { self.addresses.len() } else { self.settled };
        let addresses = self.addresses.get(..count).unwrap_or_default();
        let usable = self.is_active() && !addresses.is_empty();
        usable.then(|| AddressLookupTableAccount { key: self.address, addresses: addresses.to_vec() })
    }
}

/// Bytes of the account of a table with so many addresses, which its rent follows from.
#[must_use]
pub const fn account_bytes(addresses: usize) -> usize {
    LOOKUP_TABLE_META_SIZE + addresses * size_of::<Pubkey>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use solana_address_lookup_table_interface::state::LookupTableMeta;

    fn key(n: u8) -> Pubkey {
        Pubkey::new_from_array([n; 32])
    }

    fn bytes(meta: LookupTableMeta, addresses: &[Pubkey]) -> Vec<u8> {
        let mut data = vec![0; LOOKUP_TABLE_META_SIZE];
        AddressLookupTable::overwrite_meta_data(&mut data, meta).unwrap();
        data.extend(addresses.iter().flat_map(Pubkey::to_bytes));
        data
    }

    fn meta() -> LookupTableMeta {
        let (last_extended_slot, last_extended_slot_start_index) = (50, 2);
        LookupTableMeta { last_extended_slot, last_extended_slot_start_index, ..LookupTableMeta::new(key(1)) }
    }

    const ADDRESS: Pubkey = Pubkey::new_from_array([9; 32]);

    fn read(owner: Pubkey, data: &[u8]) -> Result<Table, TableError> {
        Table::read(ADDRESS, &owner, data, &key(1))
    }

    #[test]
    fn the_authority_is_where_a_search_looks_for_it() {
        let data = bytes(meta(), &[]);
        assert_eq!(data[AUTHORITY_OFFSET], 1);
        assert_eq!(data[AUTHORITY_OFFSET + 1..AUTHORITY_OFFSET + 33], [1; 32]);
        assert_eq!(account_bytes(3), bytes(meta(), &[key(2); 3]).len());
    }

    #[test]
    fn fresh_addresses_are_usable_from_the_next_slot_on() {
        let table = read(PROGRAM, &bytes(meta(), &[key(2), key(3), key(4)])).unwrap();
        assert_eq!((table.extended_at, table.settled, table.room()), (50, 2, 253));
        let usable = |now| table.usable(now).map(|t| t.addresses.len());
        assert_eq!((usable(49), usable(50), usable(51)), (Some(2), Some(2), Some(3)));
        let new = LookupTableMeta { last_extended_slot_start_index: 0, ..meta() };
        let table = read(PROGRAM, &bytes(new, &[key(2)])).unwrap();
        assert_eq!(table.usable(50), None, "a table with nothing to look up is none");
    }

    #[test]
    fn the_oldest_slot_is_the_last_of_all_that_are_kept() {
        let hashes = |count: u64, entries: u64| {
            let entry = |n: u64| [(9_000 - 2 * n).to_le_bytes().to_vec(), vec![7; 32]].concat();
            [count.to_le_bytes().to_vec(), (0..entries).flat_map(entry).collect()].concat()
        };
        assert_eq!(oldest_slot(&hashes(512, 512)), Some(9_000 - 2 * 511));
        assert_eq!(oldest_slot(&hashes(511, 511)), Some(0));
        assert_eq!(oldest_slot(&hashes(0, 512)), Some(0));
        for bad in [vec![], vec![0; 7], hashes(512, 511), hashes(u64::MAX, 3)] {
            assert_eq!(oldest_slot(&bad), None);
        }
    }

    #[test]
    fn a_deactivated_table_is_seen_and_not_used() {
        let table = read(PROGRAM, &bytes(LookupTableMeta { deactivation_slot: 60, ..meta() }, &[key(2); 3])).unwrap();
        assert_eq!((table.deactivated_at, table.usable(61)), (Some(60), None));
    }

    #[test]
    fn whatever_is_not_a_table_of_this_key_is_an_error() {
        let good = bytes(meta(), &[key(2); 3]);
        let garbage = Err(TableError::Garbage { address: ADDRESS });
        let whose = |authority| Err(TableError::NotOurs { address: ADDRESS, authority });
        let of = |authority| bytes(LookupTableMeta { authority, ..meta() }, &[key(2); 3]);
        let mut unknown_kind = good.clone();
        unknown_kind[0] = 7;
        let mut bad_option = good.clone();
        bad_option[AUTHORITY_OFFSET] = 2;
        let cases = [
            (
                "another program's account",
                key(5),
                good.clone(),
                Err(TableError::Foreign { address: ADDRESS, owner: key(5) }),
            ),
            ("another authority's table", PROGRAM, of(Some(key(7))), whose(Some(key(7)))),
            ("a frozen table", PROGRAM, of(None), whose(None)),
            ("no bytes", PROGRAM, vec![], garbage.clone()),
            ("zeros", PROGRAM, vec![0; LOOKUP_TABLE_META_SIZE], garbage.clone()),
            ("ones", PROGRAM, vec![0xff; 500], garbage.clone()),
            ("half an address", PROGRAM, good[..good.len() - 16].to_vec(), garbage.clone()),
            ("a header cut off", PROGRAM, good[..40].to_vec(), garbage.clone()),
            ("another kind of account", PROGRAM, unknown_kind, garbage.clone()),
            ("neither with nor without an authority", PROGRAM, bad_option, garbage.clone()),
            ("more than 256 addresses", PROGRAM, bytes(meta(), &[key(2); 257]), garbage.clone()),
            ("settled addresses that are not there", PROGRAM, bytes(meta(), &[key(2)]), garbage),
        ];
        for (name, owner, data, expected) in cases {
            assert_eq!(read(owner, &data), expected, "{name}");
        }
    }
}
