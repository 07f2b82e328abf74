//! Why a device can't be provisioned as it is asked for.

use causeway_interface::{Code, ErrorCode};
use causeway_sdk::Explain;

use crate::codes::Entry;

/// One reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// The code of its page: the controller's own, or the program's.
    pub code: String,
    /// What is wrong.
    pub cause: String,
    /// What to do.
    pub remedy: String,
}

impl Why {
    /// One of the controller's.
    #[must_use]
    pub fn of(entry: Entry, cause: impl Into<String>) -> Self {
        Self { code: entry.code.into(), cause: cause.into(), remedy: entry.remedy.into() }
    }

    /// What the program would say, and of what.
    #[must_use]
    pub fn program(error: ErrorCode, of: Option<String>) -> Self {
        let cause = Explain::cause(&error);
        let cause = match of {
            Some(of) => format!("{of}: {cause}"),
            None => cause,
        };
        Self { code: Explain::code(&error), cause, remedy: Explain::remedy(&error) }
    }
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The ledger does not have it, and nothing is said of what it would be.
    Unknown(Code),
    /// All that is wrong, at least one.
    Invalid(Vec<Why>),
}
