//! Checked views: the only way from an account to its bytes.
//!
//! A view exists only where owner, type, version, length, and the signer or writable flag have been checked, and where
//! no other view of the instruction reaches the same bytes: a second one of an account that is being changed is
//! refused as [`ErrorCode::DuplicateAccount`](causeway_interface::ErrorCode::DuplicateAccount).
//!
//! What a view does not check is the address: accounts of this program are created at canonical addresses only
//! ([`crate::pda`]), and where one account has to belong to another, the keys they hold are compared.

mod closing;
mod parties;
mod registry;
mod resizing;
mod view;

pub use closing::Recipient;
pub use parties::{Payer, Signer, SystemProgram, Vacant};
pub use registry::Registry;
pub(crate) use view::{Layout, begin};
pub use view::{Read, Record, Write};
