//! Which tables to make, extend, deactivate and close. Pure.
//!
//! A plan is one step: it is carried out, the tables are read anew, and the next one is made, until one is empty. So it
//! needs no memory, and a step that failed or that somebody else has done is simply planned again or not.
//!
//! A table only grows: what is no longer wanted stays in it until nothing of the table is wanted, and then the whole
//! table goes.

use std::collections::BTreeSet;

use solana_address_lookup_table_interface::instruction::{create_lookup_table, extend_lookup_table};
use solana_sdk::pubkey::Pubkey;

use super::table::{MAX_ADDRESSES, Table};
use crate::pack::{self, MAX_TRANSACTION_BYTES};

/// Tables that one key keeps at most: 2 048 addresses. A batch whose subjects lie in all of them still fits a
/// transaction (34 bytes for each table), and the rent bounds what a defect could cost.
pub const MAX_TABLES: usize = 8;
/// The ledger keeps the hashes of so many slots, and closes a deactivated table once its slot of deactivation is no longer among
/// them. Slots without a block have no hash: it takes so many slots and as many more as were skipped.
pub const COOL_DOWN_SLOTS: u64 = 512;

/// How much one step may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Tables in all.
    pub tables: usize,
    /// Addresses that fit the transaction that makes a table.
    pub per_create: usize,
    /// Addresses that fit one extending transaction.
    pub per_extend: usize,
}

impl Bounds {
    /// What the transactions of this key hold, measured, and [`MAX_TABLES`].
    #[must_use]
    pub fn of(authority: &Pubkey) -> Self {
        let table = Pubkey::new_from_array([1; 32]);
        let extend = |n: usize| extend_lookup_table(table, *authority, Some(*authority), vec![Pubkey::default(); n]);
        let fits = |instructions: &[_]| {
            pack::size(authority, instructions, &[]).is_some_and(|size| size.bytes <= MAX_TRANSACTION_BYTES)
        };
        let most = |fits: &dyn Fn(usize) -> bool| (1..=MAX_ADDRESSES).take_while(|n| fits(*n)).last().unwrap_or(0);
        let (create, made) = create_lookup_table(*authority, *authority, 0);
        let first = |n: usize| extend_lookup_table(made, *authority, Some(*authority), vec![Pubkey::default(); n]);
        Self {
            tables: MAX_TABLES,
            per_create: most(&|n| fits(&[create.clone(), first(n)])),
            per_extend: most(&|n| fits(&[extend(n)])),
        }
    }
}

/// One transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make a table that holds these.
    Create {
        /// The addresses, in the order of their indexes.
        addresses: Vec<Pubkey>,
    },
    /// Add these to a table.
    Extend {
        /// The table.
        table: Pubkey,
        /// The addresses, in the order of their indexes.
        addresses: Vec<Pubkey>,
    },
    /// Stop using a table for good.
    Deactivate {
        /// The table.
        table: Pubkey,
    },
    /// Close a table that has been deactivated long enough and take its rent back.
    Close {
        /// The table.
        table: Pubkey,
    },
}

/// A step, and what no table has place for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What to do now; each is a transaction, and their order does not matter.
    pub actions: Vec<Action>,
    /// Addresses that have to do without, because the tables are as many as allowed and full.
    pub left_out: Vec<Pubkey>,
}

/// The next step towards tables that hold everything that is wanted. It makes one table at most: the next plan fills
/// it.
#[must_use]
pub fn plan(tables: &[Table], wanted: &BTreeSet<Pubkey>, bounds: &Bounds) -> Plan {
    let mut active: Vec<&Table> = tables.iter().filter(|table| table.is_active()).collect();
    // Full ones first, so that what belongs together stays together; the address decides between equals.
    active.sort_by_key(|table| (table.room(), table.address));
    let held: BTreeSet<&Pubkey> = active.iter().flat_map(|table| &table.addresses).collect();
    let mut missing = wanted.iter().filter(|address| !held.contains(address)).copied().peekable();
    let mut actions = Vec::new();
    for table in &active {
        let mut room = table.room();
        while room > 0 && missing.peek().is_some() {
            let addresses: Vec<Pubkey> = missing.by_ref().take(room.min(bounds.per_extend.max(1))).collect();
            room -= addresses.len();
            actions.push(Action::Extend { table: table.address, addresses });
        }
    }
    // Deactivated tables hold rent until they are closed, so they count.
    if missing.peek().is_some() && tables.len() < bounds.tables {
        let addresses = missing.by_ref().take(bounds.per_create.max(1)).collect();
        actions.push(Action::Create { addresses });
        // What is still missing finds its place in this table or the next.
        let places = MAX_ADDRESSES.saturating_sub(bounds.per_create)
            + bounds.tables.saturating_sub(tables.len() + 1).saturating_mul(MAX_ADDRESSES);
        missing.by_ref().take(places).for_each(drop);
    }
    Plan { actions, left_out: missing.collect() }
}

/// What to do about tables of which nothing is wanted: deactivated first, and closed once that was before `oldest`, the oldest
/// slot whose hash the ledger keeps.
#[must_use]
pub fn retire(tables: &[Table], wanted: &BTreeSet<Pubkey>, oldest: u64) -> Vec<Action> {
    let action = |table: &Table| match table.deactivated_at {
        Some(slot) if slot < oldest => Some(Action::Close { table: table.address }),
        Some(_) => None,
        None if table.addresses.iter().any(|address| wanted.contains(address)) => None,
        None => Some(Action::Deactivate { table: table.address }),
    };
    tables.iter().filter_map(action).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { tables: 2, per_create: 3, per_extend: 4 };

    fn key(n: usize) -> Pubkey {
        let mut bytes = [0; 32];
        // Big endian, so that the order of keys is that of numbers.
        bytes[..8].copy_from_slice(&(n as u64).to_be_bytes());
        Pubkey::new_from_array(bytes)
    }

    fn keys(range: std::ops::Range<usize>) -> Vec<Pubkey> {
        range.map(key).collect()
    }

    fn table(n: usize, addresses: Vec<Pubkey>) -> Table {
        let settled = addresses.len();
        Table { address: key(1_000 + n), deactivated_at: None, extended_at: 10, settled, addresses }
    }

    fn gone(n: usize, slot: u64) -> Table {
        Table { deactivated_at: Some(slot), ..table(n, keys(0..5)) }
    }

    fn create(range: std::ops::Range<usize>) -> Action {
        Action::Create { addresses: keys(range) }
    }

    fn extend(n: usize, range: std::ops::Range<usize>) -> Action {
        Action::Extend { table: key(1_000 + n), addresses: keys(range) }
    }

    #[test]
    fn steps_lead_to_tables_that_hold_what_is_wanted() {
        let cases = [
            ("nothing wanted", vec![], keys(0..0), vec![], keys(0..0)),
            ("nothing there", vec![], keys(0..2), vec![create(0..2)], keys(0..0)),
            ("more than one transaction makes", vec![], keys(0..9), vec![create(0..3)], keys(0..0)),
            ("all there", vec![table(0, keys(0..9))], keys(2..6), vec![], keys(0..0)),
            ("some missing", vec![table(0, keys(0..9))], keys(5..12), vec![extend(0, 9..12)], keys(0..0)),
            (
                "many missing",
                vec![table(0, keys(0..1))],
                keys(0..8),
                vec![extend(0, 1..5), extend(0, 5..8)],
                keys(0..0),
            ),
            (
                "little room: filled, and another begun",
                vec![table(0, keys(0..254))],
                keys(250..258),
                vec![extend(0, 254..256), create(256..258)],
                keys(0..0),
            ),
            (
                "the fuller one first",
                vec![table(0, keys(0..3)), table(1, keys(10..265))],
                keys(265..267),
                vec![extend(1, 265..266), extend(0, 266..267)],
                keys(0..0),
            ),
            (
                "full, and no more allowed",
                vec![table(0, keys(0..256)), table(1, keys(256..512))],
                keys(511..514),
                vec![],
                keys(512..514),
            ),
            ("a deactivated one is not extended", vec![gone(0, 20)], keys(0..2), vec![create(0..2)], keys(0..0)),
            ("but holds its place", vec![gone(0, 20), gone(1, 20)], keys(0..2), vec![], keys(0..2)),
            (
                "more than all tables hold",
                vec![table(0, keys(0..256))],
                keys(0..600),
                vec![create(256..259)],
                keys(512..600),
            ),
        ];
        for (name, tables, wanted, actions, left_out) in cases {
            let wanted = wanted.into_iter().collect();
            assert_eq!(plan(&tables, &wanted, &BOUNDS), Plan { actions, left_out }, "{name}");
        }
    }

    /// What the ledger makes of an action.
    fn carry_out(tables: &mut Vec<Table>, action: Action) {
        match action {
            Action::Create { addresses } => tables.push(table(tables.len(), addresses)),
            Action::Extend { table, addresses } => {
                let table = tables.iter_mut().find(|t| t.address == table).unwrap();
                table.addresses.extend(addresses);
                assert!(table.addresses.len() <= MAX_ADDRESSES);
            }
            Action::Deactivate { .. } | Action::Close { .. } => panic!("{action:?}"),
        }
    }

    #[test]
    fn few_steps_suffice_and_every_address_has_one_place() {
        let bounds = Bounds { tables: MAX_TABLES, ..Bounds::of(&key(7)) };
        for count in [1, 25, 40, 256, 257, 600, 2_048, 2_100] {
            let wanted: BTreeSet<Pubkey> = keys(0..count).into_iter().collect();
            let mut tables = Vec::new();
            let mut steps = 0;
            let last = loop {
                let step = plan(&tables, &wanted, &bounds);
                if step.actions.is_empty() {
                    break step;
                }
                steps += 1;
                step.actions.into_iter().for_each(|action| carry_out(&mut tables, action));
                assert!(steps <= 2 * MAX_TABLES, "{count}");
            };
            let held: Vec<Pubkey> = tables.iter().flat_map(|t| t.addresses.clone()).collect();
            assert_eq!(held.iter().collect::<BTreeSet<_>>().len(), held.len(), "{count}: none twice");
            assert_eq!(held.len() + last.left_out.len(), count);
            assert_eq!(last.left_out.len(), count.saturating_sub(MAX_TABLES * MAX_ADDRESSES));
            assert_eq!(tables.len(), count.min(2_048).div_ceil(MAX_ADDRESSES));
        }
    }

    #[test]
    fn a_table_goes_when_nothing_of_it_is_wanted_and_closes_after_its_cool_down() {
        let deactivate = |n: usize| vec![Action::Deactivate { table: key(1_000 + n) }];
        let close = |n: usize| vec![Action::Close { table: key(1_000 + n) }];
        let cases = [
            ("in use", table(0, keys(0..9)), 100, vec![]),
            ("nothing wanted", table(0, keys(5..9)), 100, deactivate(0)),
            ("an empty one", table(0, vec![]), 100, deactivate(0)),
            ("cooling", gone(0, 100), 100, vec![]),
            ("cooled", gone(0, 100), 101, close(0)),
            ("on a young ledger", gone(0, 0), 0, vec![]),
        ];
        let wanted = keys(0..3).into_iter().collect();
        for (name, table, oldest, expected) in cases {
            assert_eq!(retire(&[table], &wanted, oldest), expected, "{name}");
        }
    }

    #[test]
    fn one_more_address_would_not_fit_a_transaction() {
        let authority = key(7);
        let bounds = Bounds::of(&authority);
        let bytes = |n| {
            let extend = extend_lookup_table(key(1), authority, Some(authority), vec![key(2); n]);
            pack::transaction_bytes(&authority, &[extend])
        };
        assert!(bytes(bounds.per_extend) <= MAX_TRANSACTION_BYTES);
        assert!(bytes(bounds.per_extend + 1) > MAX_TRANSACTION_BYTES);
        assert!((20..bounds.per_extend).contains(&bounds.per_create), "{bounds:?}");
    }
}
