//! Rules that came after the model was first held against the program, one constant each: with one set to `false` the
//! model is that of a program without the rule, which the random sequences have to tell from the one that has it.

/// `Attest` names the oracle epoch that its sender believes in; another than the one in force is refused by
/// `OracleEpochStale`, 4006. With this, [`super::instruct`] hands the epoch of the command to the builder.
pub const ATTEST_NAMES_EPOCH: bool = true;
/// The same subject twice in one `Attest` is refused.
pub const DUPLICATE_SUBJECTS_REFUSED: bool = true;
/// The maximum age is at most the maintenance burn-in.
pub const MAX_AGE_WITHIN_MAINTENANCE: bool = true;
/// Dz prefixes keep clear of the link and loopback blocks and of space that can't be routed.
pub const PREFIXES_KEEP_CLEAR: bool = true;
/// Side Z that has not accepted may neither update the link nor set its desired status.
pub const CONSENT_BEFORE_RIGHTS: bool = true;
/// Interfaces of a device in service keep the type's shape as far as CYOA goes.
pub const CYOA_KEPT_IN_SERVICE: bool = true;
/// A port is locked while a link holds one of its sub-interfaces.
pub const CHILDREN_LOCK_PORTS: bool = true;
/// A device with activated links can't be rejected.
pub const REJECT_WITHOUT_LINKS: bool = true;
