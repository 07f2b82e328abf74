//! What the `causeway` command is made of, as a library: importing, site files, plans and their execution.
//!
//! - [`import`], [`site`], [`plan`]: pure.
//! - [`keyring`], [`apply`]: keys from files, and a plan's execution on a ledger.
//! - [`oracles`]: asking health oracles, and checking what they signed.
//! - [`simulate`]: the ledger that a site would become; a fake, for rendering and tests without a ledger.
//!
//! The demo and the end-to-end tests register their networks through exactly this code.

pub mod apply;
pub mod args;
pub mod commands;
pub mod failure;
pub mod import;
pub mod keyring;
pub mod oracles;
pub mod output;
pub mod plan;
pub mod simulate;
pub mod site;
