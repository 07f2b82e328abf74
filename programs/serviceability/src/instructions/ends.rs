//! The two ends of a link: which accounts they are, and what a link in service counts for.

use super::prelude::*;
use crate::syscalls::key;

/// Whether contributors, locations and exchanges of both ends are in good standing, once it is clear that they and
/// the devices are the link's own.
///
/// `around` are contributors A and Z, devices A and Z, location and exchange of A, location and exchange of Z.
///
/// # Errors
/// [`ErrorCode::LinkForeignDevice`], [`ErrorCode::AccountMismatch`], and what [`Read::new`] finds.
#[inline(never)]
pub fn registry_active(
    program: &Address,
    link: &RawLink,
    devices: &[&RawDevice; 2],
    around: &[AccountView; 8],
) -> Outcome<bool> {
    let [contributor_a, contributor_z, device_a, device_z, location_a, exchange_a, location_z, exchange_z] = around;
    // The bytes and not the keys: `Advance` pays for every call.
    let named = link.device_a.0 == key(device_a.address()).0 && link.device_z.0 == key(device_z.address()).0;
    ensure(named, ErrorCode::LinkForeignDevice)?;
    let a = end_active(program, &link.contributor_a, devices[0], &[contributor_a, location_a, exchange_a])?;
    let z = end_active(program, &link.contributor_z, devices[1], &[contributor_z, location_z, exchange_z])?;
    Ok(a & z)
}

#[inline(never)]
fn end_active(
    program: &Address,
    named: &Key,
    device: &RawDevice,
    [contributor, location, exchange]: &[&AccountView; 3],
) -> Outcome<bool> {
    let contributor: Read<RawContributor> = Read::new(program, contributor)?;
    ensure(named.0 == contributor.key().0, ErrorCode::AccountMismatch)?;
    // A device Z that never accepted may have been closed, and another party's registered under its code.
    ensure(device.contributor.0 == contributor.key().0, ErrorCode::LinkForeignDevice)?;
    Ok(checks::is_active(&contributor.header)? & place_active(program, device, location, exchange)?)
}

/// Whether location and exchange of a device are in good standing, once it is clear that they are its own.
///
/// # Errors
/// [`ErrorCode::AccountMismatch`], and what [`Read::new`] finds.
#[inline(never)]
pub fn place_active(
    program: &Address,
    device: &RawDevice,
    location: &AccountView,
    exchange: &AccountView,
) -> Outcome<bool> {
    let location: Read<RawLocation> = Read::new(program, location)?;
    let exchange: Read<RawExchange> = Read::new(program, exchange)?;
    let own = device.location.0 == location.key().0 && device.exchange.0 == exchange.key().0;
    ensure(own, ErrorCode::AccountMismatch)?;
    Ok(checks::is_active(&location.header)? & checks::is_active(&exchange.header)?)
}

/// Whether one more link is in service, or one less.
#[derive(Clone, Copy)]
pub enum Counted {
    /// It went into service.
    In,
    /// It left service.
    Out,
}

impl Counted {
    /// What a change of status means for the counts.
    #[inline(always)]
    pub fn of(from: LinkStatus, to: LinkStatus) -> Option<Self> {
        match (matches!(from, LinkStatus::Activated), matches!(to, LinkStatus::Activated)) {
            (false, true) => Some(Self::In),
            (true, false) => Some(Self::Out),
            (true, true) | (false, false) => None,
        }
    }
}

/// Counts a link in or out of service at one of its devices.
///
/// # Errors
/// [`ErrorCode::Overflow`].
#[inline(never)]
pub fn count_activated(device: &mut Write<RawDevice>, link_type: LinkType, counted: Counted) -> Outcome {
    let record = &mut **device;
    let counter = match link_type {
        LinkType::Wan => &mut record.activated_wan_links,
        LinkType::Dzx => &mut record.activated_dzx_links,
    };
    match counted {
        Counted::In => checks::count_in(counter, &mut record.header.sequence, 1),
        Counted::Out => checks::count_out(counter, &mut record.header.sequence, 1),
    }
}

/// The roles of a signer that is `owner_a` or `owner_z` of a link, or neither.
#[inline(always)]
pub fn roles(is_owner_a: bool, is_owner_z: bool) -> Roles {
    Roles::ANYONE.with(Role::Contributor, is_owner_a || is_owner_z).with(Role::SideZ, is_owner_z)
}

/// Which sides of a link a contributor holds: A's is held from the beginning, Z's once it is accepted.
#[inline(always)]
pub fn sides_of(link: &RawLink, contributor: &Key) -> Outcome<[bool; 2]> {
    match side_bits(link, contributor) {
        STRANGER => Err(ErrorCode::AccountMismatch),
        bits => Ok([bits & SIDE_A != 0, bits & SIDE_Z != 0]),
    }
}

/// Bits of [`side_bits`].
const SIDE_A: u8 = 1;
const SIDE_Z: u8 = 2;
/// Set for every contributor that the link names.
const NAMED: u8 = 4;
const STRANGER: u8 = 0;

#[inline(never)]
fn side_bits(link: &RawLink, contributor: &Key) -> u8 {
    let mut bits = STRANGER;
    if link.contributor_a == *contributor {
        bits |= NAMED | SIDE_A;
    }
    if link.contributor_z == *contributor {
        bits |= NAMED | if link.header.flags & LINK_FLAG_Z_ATTACHED != 0 { SIDE_Z } else { 0 };
    }
    bits
}
