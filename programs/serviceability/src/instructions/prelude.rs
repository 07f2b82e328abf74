//! What nearly every instruction uses.

pub(crate) use causeway_interface::{
    AccountType, Code, DesiredStatus, DeviceHealth, DeviceStatus, DeviceType, ErrorCode, Key, LinkHealth, LinkStatus,
    LinkType, Platform, PoolKind, RegistryStatus, RejectReason,
    accounts::*,
    instruction::*,
    lifecycle::{Outcome as Next, Role, Roles, device, link},
    seeds, values,
};
pub(crate) use pinocchio::{AccountView, Address};

pub(crate) use crate::{
    Outcome,
    accounts::{Payer, Read, Recipient, Record, Registry, Signer, SystemProgram, Vacant, Write},
    checks::{self, Asked, belongs, count, ensure, given, stored},
    events::{Act, touch},
    interfaces,
    pda::{self, Creator},
    pools, prefixes,
    syscalls::slot,
};

/// The accounts of an instruction, by name, or [`ErrorCode::AccountCount`].
macro_rules! bind {
    ($accounts:expr => [$($name:ident),+ $(,)?]) => {
        let [$($name),+] = $accounts else { return Err(ErrorCode::AccountCount) };
    };
}

pub(crate) use bind;
