//! Which values are accepted. Limits are the design's; every check names its error.

use crate::{error::ErrorCode, types::*};

/// Lowest delay or jitter: 10 000 ns.
pub const MIN_DELAY_NS: u64 = 10_000;
/// Highest delay or jitter: 1 s.
pub const MAX_DELAY_NS: u64 = 1_000_000_000;
/// Lowest link bandwidth: 10 Gbit/s.
pub const MIN_BANDWIDTH_BPS: u64 = 10_000_000_000;
/// Highest link bandwidth: 400 Gbit/s.
pub const MAX_BANDWIDTH_BPS: u64 = 400_000_000_000;
/// Lowest MTU.
pub const MIN_MTU: u16 = 1_500;
/// Highest MTU.
pub const MAX_MTU: u16 = 9_216;
/// MTU of the fabric.
pub const FABRIC_MTU: u16 = 9_000;
/// MTU of CYOA and DIA interfaces.
pub const EDGE_MTU: u16 = 1_500;
/// Longest dz prefix.
pub const MAX_DZ_PREFIX_LEN: u8 = 29;
/// Shortest dz prefix: larger than a /8 is a typing error.
pub const MIN_DZ_PREFIX_LEN: u8 = 8;
/// Latitude limit in millionths of a degree.
pub const MAX_LAT_E6: i32 = 90_000_000;
/// Longitude limit in millionths of a degree.
pub const MAX_LNG_E6: i32 = 180_000_000;
/// Highest VLAN id.
pub const MAX_VLAN: u16 = 4_094;
/// Longest burn-in or age: about two years of 400 ms slots.
pub const MAX_SLOTS: u64 = 160_000_000;

/// Prefixes that are not globally routable, from the IANA IPv4 special-purpose registry. The benchmarking range
/// 198.18.0.0/15 is left out on purpose: labs use it as public space.
pub const NOT_GLOBAL: [Prefix; 14] = [
    Prefix::new(0x0000_0000, 8),
    Prefix::new(0x0a00_0000, 8),
    Prefix::new(0x6440_0000, 10),
    Prefix::new(0x7f00_0000, 8),
    Prefix::new(0xa9fe_0000, 16),
    Prefix::new(0xac10_0000, 12),
    Prefix::new(0xc000_0000, 24),
    Prefix::new(0xc000_0200, 24),
    Prefix::new(0xc058_6300, 24),
    Prefix::new(0xc0a8_0000, 16),
    Prefix::new(0xc633_6400, 24),
    Prefix::new(0xcb00_7100, 24),
    Prefix::new(0xe000_0000, 4),
    Prefix::new(0xf000_0000, 4),
];

/// Whether an address is globally routable; the benchmarking range counts as such.
pub fn is_globally_routable(ip: Ip4) -> bool {
    /// First and last addresses, worked out when this is compiled: the program pays for every step.
    const RANGES: [(u32, u32); NOT_GLOBAL.len()] = {
        let mut ranges = [(0, 0); NOT_GLOBAL.len()];
        let mut index = 0;
        while index < NOT_GLOBAL.len() {
            ranges[index] = (NOT_GLOBAL[index].first(), NOT_GLOBAL[index].last());
            index += 1;
        }
        ranges
    };
    let address = ip.to_u32();
    !RANGES.iter().any(|(first, last)| *first <= address && address <= *last)
}

fn ensure(holds: bool, error: ErrorCode) -> Result<(), ErrorCode> {
    if holds { Ok(()) } else { Err(error) }
}

/// A delay or jitter.
///
/// # Errors
/// [`ErrorCode::DelayOutOfRange`].
pub fn delay(ns: u64) -> Result<(), ErrorCode> {
    ensure((MIN_DELAY_NS..=MAX_DELAY_NS).contains(&ns), ErrorCode::DelayOutOfRange)
}

/// A delay override: 0 for none, or a delay.
///
/// # Errors
/// [`ErrorCode::DelayOutOfRange`].
pub fn delay_override(ns: u64) -> Result<(), ErrorCode> {
    if ns == 0 { Ok(()) } else { delay(ns) }
}

/// A link's bandwidth.
///
/// # Errors
/// [`ErrorCode::BandwidthOutOfRange`].
pub fn bandwidth(bps: u64) -> Result<(), ErrorCode> {
    ensure((MIN_BANDWIDTH_BPS..=MAX_BANDWIDTH_BPS).contains(&bps), ErrorCode::BandwidthOutOfRange)
}

/// An MTU.
///
/// # Errors
/// [`ErrorCode::MtuOutOfRange`].
pub fn mtu(mtu: u16) -> Result<(), ErrorCode> {
    ensure((MIN_MTU..=MAX_MTU).contains(&mtu), ErrorCode::MtuOutOfRange)
}

/// A public address, or zero where there is none yet.
///
/// # Errors
/// [`ErrorCode::PublicIpNotRoutable`].
#[inline(never)]
pub fn public_ip(ip: Ip4) -> Result<(), ErrorCode> {
    ensure(ip.is_zero() || is_globally_routable(ip), ErrorCode::PublicIpNotRoutable)
}

/// A dz prefix: a network of unicast addresses. Private ones are allowed: users of a private exchange have them.
///
/// # Errors
/// [`ErrorCode::DzPrefixInvalid`].
pub fn dz_prefix(prefix: &Prefix) -> Result<(), ErrorCode> {
    let length = (MIN_DZ_PREFIX_LEN..=MAX_DZ_PREFIX_LEN).contains(&prefix.len);
    ensure(length && prefix.is_network() && !is_no_host(prefix.addr), ErrorCode::DzPrefixInvalid)
}

/// First octets under which no host has an address: this network, loopback, and multicast and beyond.
#[inline(always)]
pub const fn is_no_host(address: Ip4) -> bool {
    matches!(address.0[0], 0 | 127 | 224..)
}

/// The address blocks of a network: /8 to /30, no host bits, none overlapping another.
///
/// # Errors
/// [`ErrorCode::AddressBlockInvalid`], [`ErrorCode::AddressBlocksOverlap`].
#[inline(never)]
pub fn blocks(blocks: [&Prefix; 3]) -> Result<(), ErrorCode> {
    for (index, block) in blocks.iter().enumerate() {
        ensure((8..=30).contains(&block.len) && block.is_network(), ErrorCode::AddressBlockInvalid)?;
        let earlier = blocks.iter().take(index);
        ensure(!earlier.into_iter().any(|other| other.overlaps(block)), ErrorCode::AddressBlocksOverlap)?;
    }
    Ok(())
}

/// Coordinates in millionths of a degree.
///
/// # Errors
/// [`ErrorCode::CoordinatesOutOfRange`].
pub fn coordinates(lat_e6: i32, lng_e6: i32) -> Result<(), ErrorCode> {
    let lat = (-MAX_LAT_E6..=MAX_LAT_E6).contains(&lat_e6);
    let lng = (-MAX_LNG_E6..=MAX_LNG_E6).contains(&lng_e6);
    ensure(lat && lng, ErrorCode::CoordinatesOutOfRange)
}

/// A VLAN of a sub-interface, or 0 of any other interface.
///
/// # Errors
/// [`ErrorCode::VlanOutOfRange`].
pub fn vlan(id: u16, sub_interface: bool) -> Result<(), ErrorCode> {
    ensure(if sub_interface { (1..=MAX_VLAN).contains(&id) } else { id == 0 }, ErrorCode::VlanOutOfRange)
}

/// Burn-ins and maximum age, in slots: at least 1 and at most [`MAX_SLOTS`]; maximum age not longer than maintenance,
/// maintenance not longer than new.
///
/// # Errors
/// [`ErrorCode::SlotsOutOfRange`].
pub fn slots(new: u64, maintenance: u64, max_age: u64) -> Result<(), ErrorCode> {
    let range = 1..=MAX_SLOTS;
    let each = range.contains(&new) && range.contains(&maintenance) && range.contains(&max_age);
    // A gap of the maximum age does not break a streak: were it longer than a burn-in, two words would be one.
    ensure(each && max_age <= maintenance && maintenance <= new, ErrorCode::SlotsOutOfRange)
}

/// An autonomous system number that may be used: not 0, not AS_TRANS, not the last of either range (RFC 7607, RFC
/// 6793, RFC 7300).
///
/// # Errors
/// [`ErrorCode::AsnInvalid`].
pub fn asn(asn: u32) -> Result<(), ErrorCode> {
    ensure(!matches!(asn, 0 | 23_456 | 65_535 | u32::MAX), ErrorCode::AsnInvalid)
}
