//! The two ends of a link: which accounts they are, and what a link in service counts for.

use super::prelude::*;

/// Whether contributors, locations and exchanges of both ends are in good standing, once it is clear that they and
/// the devices are the link's own.
///
/// # Errors
/// [`ErrorCode::LinkForeignDevice`], [`ErrorCode::AccountMismatch`], and what [`Read::new`] finds.
#[inline(always)]
pub fn registry_active(
    program: &Address,
    link: &RawLink,
    devices: [&RawDevice; 2],
    device_keys: [&Key; 2],
    contributors: [&AccountView; 2],
    locations: [&AccountView; 2],
    exchanges: [&AccountView; 2],
) -> Outcome<bool> {
    let named = link.device_a == *device_keys[0] && link.device_z == *device_keys[1];
    ensure(named, ErrorCode::LinkForeignDevice)?;
    let of_contributors = [&link.contributor_a, &link.contributor_z];
    let mut active = true;
    for side in 0..2 {
        let contributor: Read<RawContributor> = Read::new(program, contributors[side])?;
        belongs(of_contributors[side], contributor.key())?;
        // A device Z that never accepted may have been closed, and another party's registered under its code.
        ensure(devices[side].contributor == *contributor.key(), ErrorCode::LinkForeignDevice)?;
        active &= checks::is_active(&contributor.header)?;
        active &= place_active(program, devices[side], locations[side], exchanges[side])?;
    }
    Ok(active)
}

/// Whether location and exchange of a device are in good standing, once it is clear that they are its own.
///
/// # Errors
/// [`ErrorCode::AccountMismatch`], and what [`Read::new`] finds.
#[inline(always)]
pub fn place_active(
    program: &Address,
    device: &RawDevice,
    location: &AccountView,
    exchange: &AccountView,
) -> Outcome<bool> {
    let location: Read<RawLocation> = Read::new(program, location)?;
    let exchange: Read<RawExchange> = Read::new(program, exchange)?;
    belongs(&device.location, location.key())?;
    belongs(&device.exchange, exchange.key())?;
    Ok(checks::is_active(&location.header)? && checks::is_active(&exchange.header)?)
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
#[inline(always)]
pub fn count_activated(device: &mut Write<RawDevice>, link_type: LinkType, counted: Counted) -> Outcome {
    let counter = match link_type {
        LinkType::Wan => &mut device.activated_wan_links,
        LinkType::Dzx => &mut device.activated_dzx_links,
    };
    match counted {
        Counted::In => increment(counter)?,
        Counted::Out => decrement(counter)?,
    }
    touch(&mut device.header)
}

/// The roles of a signer that is `owner_a` or `owner_z` of a link, or neither.
#[inline(always)]
pub fn roles(is_owner_a: bool, is_owner_z: bool) -> Roles {
    Roles::ANYONE.with(Role::Contributor, is_owner_a || is_owner_z).with(Role::SideZ, is_owner_z)
}
