//! Address lookup tables: so that one transaction can name more accounts than its bytes could spell out.
//!
//! - [`table`]: a table account, read with suspicion; pure.
//! - [`plan`]: which tables to make, extend, deactivate and close; pure.
//! - [`memory`]: which tables are one's own, over a restart.
//! - [`keeper`]: carries a plan out; every wait is bounded.
//!
//! A table is used only if the lookup table program owns it, this key is its authority, nobody has deactivated it and
//! its bytes make sense; and of such a table only what is old enough for the ledger to look up. Whoever packs a
//! transaction with it must be able to do without: a table can be gone a slot later.
//!
//! A transaction names an address of a table by its index, so a node that lies about a table's content can make a
//! signature mean other accounts. A node is trusted here as far as it is in everything that is read from it.

pub mod keeper;
pub mod memory;
pub mod plan;
pub mod table;

pub use keeper::{LookupError, LookupTables, still_usable};
pub use memory::Memory;
pub use plan::{Action, Bounds, Plan};
pub use table::{Table, TableError};
