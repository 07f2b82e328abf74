//! What the program checks, in the words in which cases declare it.

use causeway_interface::{AccountType, ErrorCode, NetworkStatus, PoolKind, RegistryStatus};

/// An account's role in its instruction.
pub type Slot = &'static str;

/// A key that an account names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// A device's contributor.
    Contributor,
    /// A device's location.
    Location,
    /// A device's exchange.
    Exchange,
    /// A link's device of side A.
    DeviceA,
    /// A link's device of side Z.
    DeviceZ,
    /// A link's contributor of side A.
    ContributorA,
    /// A link's contributor of side Z.
    ContributorZ,
    /// Whom attestations are about.
    Subject,
    /// A contributor's owner.
    Owner,
}

/// Who may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The authority of the network in slot `network`.
    Authority,
    /// Whom that network's authority has named.
    PendingAuthority,
    /// An oracle of that network.
    Oracle,
    /// Who may replace the program.
    UpgradeAuthority,
    /// The owner of the contributor in this slot.
    Owner(Slot),
    /// Its operations key.
    Operations(Slot),
}

/// One check; cases list them in the program's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// It signs.
    Signs(Slot),
    /// It signs and is writable.
    Pays(Slot),
    /// Something is to be created in it: it is writable.
    Vacant(Slot),
    /// It gets lamports: it is writable.
    Takes(Slot),
    /// It is the system program.
    System(Slot),
    /// It is this program's, of this type, and read.
    Reads(Slot, AccountType),
    /// The same, unless it is the account of the other slot.
    ReadsUnless(Slot, Slot, AccountType),
    /// It is this program's, writable, of this type, and changed.
    Changes(Slot, AccountType),
    /// The same, and let go before the next.
    Visits(Slot, AccountType),
    /// It is the pool of this kind, and changed.
    Pool(Slot, PoolKind),
    /// It is a contributor, location or exchange, and changed.
    Registry(Slot),
    /// Two slots hold different accounts.
    Apart(Slot, Slot, ErrorCode),
    /// Two slots hold the same account.
    Same(Slot, Slot, ErrorCode),
    /// The first slot's account names the second's.
    Names(Slot, Named, Slot, ErrorCode),
    /// The contributor in the second slot is a side of the link in the first.
    Side(Slot, Slot),
    /// It is at the derived address.
    Placed(Slot),
    /// Its sequence is the expected one.
    Sequence(Slot),
    /// Its status is one of these; an undefined one is an error of its own.
    Status(Slot, &'static [u8], ErrorCode),
    /// Nothing depends on it.
    Idle(Slot, ErrorCode),
    /// The signer is one of these.
    May(Slot, &'static [Who], ErrorCode),
}

impl Check {
    /// The slot that it binds to an account of the program.
    pub fn binds(&self) -> Option<Slot> {
        match *self {
            Check::Reads(slot, _)
            | Check::ReadsUnless(slot, ..)
            | Check::Changes(slot, _)
            | Check::Visits(slot, _)
            | Check::Pool(slot, _)
            | Check::Registry(slot) => Some(slot),
            Check::Signs(_)
            | Check::Pays(_)
            | Check::Vacant(_)
            | Check::Takes(_)
            | Check::System(_)
            | Check::Apart(..)
            | Check::Same(..)
            | Check::Names(..)
            | Check::Side(..)
            | Check::Placed(_)
            | Check::Sequence(_)
            | Check::Status(..)
            | Check::Idle(..)
            | Check::May(..) => None,
        }
    }
}

/// The breaker is not tripped.
pub const RUNNING: Check = Check::Status("network", &[NetworkStatus::Running.byte()], ErrorCode::NetworkPaused);
/// Tripped or not, but one of both.
pub const RUNNING_OR_PAUSED: Check =
    Check::Status("network", &[NetworkStatus::Running.byte(), NetworkStatus::Paused.byte()], ErrorCode::CorruptAccount);

const ACTIVATED: &[u8] = &[RegistryStatus::Activated.byte()];
const ACTIVATED_OR_SUSPENDED: &[u8] = &[RegistryStatus::Activated.byte(), RegistryStatus::Suspended.byte()];

/// The contributor, location or exchange is in good standing.
pub const fn active(slot: Slot) -> Check {
    Check::Status(slot, ACTIVATED, ErrorCode::RegistrySuspended)
}

/// In good standing or not, but one of both.
pub const fn active_or_suspended(slot: Slot) -> Check {
    Check::Status(slot, ACTIVATED_OR_SUSPENDED, ErrorCode::CorruptAccount)
}
