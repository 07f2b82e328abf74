//! The accounts that stand around a device or a link, named once so that no caller has to order them.

use causeway_interface::{
    Code,
    accounts::{Device, Link},
};
use solana_sdk::pubkey::Pubkey;

use crate::address::{Addresses, to_pubkey};

/// A device and what stands above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceRefs {
    /// The device.
    pub device: Pubkey,
    /// Its contributor.
    pub contributor: Pubkey,
    /// Its location.
    pub location: Pubkey,
    /// Its exchange.
    pub exchange: Pubkey,
}

impl DeviceRefs {
    /// Of a device as read.
    #[must_use]
    pub fn of(addresses: &Addresses, device: &Device) -> Self {
        Self {
            device: addresses.device(&device.code),
            contributor: to_pubkey(&device.contributor),
            location: to_pubkey(&device.location),
            exchange: to_pubkey(&device.exchange),
        }
    }

    /// Of a device that is known by codes only, as one that is being created.
    #[must_use]
    pub fn by_codes(
        addresses: &Addresses,
        device: &Code,
        contributor: &Code,
        location: &Code,
        exchange: &Code,
    ) -> Self {
        Self {
            device: addresses.device(device),
            contributor: addresses.contributor(contributor),
            location: addresses.location(location),
            exchange: addresses.exchange(exchange),
        }
    }
}

/// A link with the devices of its two sides, as read.
#[derive(Clone, Copy, Debug)]
pub struct LinkContext<'a> {
    /// The link.
    pub link: &'a Link,
    /// The device of side A.
    pub device_a: &'a Device,
    /// The device of side Z.
    pub device_z: &'a Device,
}

/// A link and what stands around its two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkRefs {
    /// The link.
    pub link: Pubkey,
    /// Side A.
    pub a: DeviceRefs,
    /// Side Z.
    pub z: DeviceRefs,
}

impl LinkRefs {
    /// Of a link as read. The devices' addresses are the link's own, so devices in the wrong order are refused by the
    /// program and never acted on.
    #[must_use]
    pub fn of(addresses: &Addresses, context: &LinkContext<'_>) -> Self {
        let side = |address, contributor, device: &Device| DeviceRefs {
            device: to_pubkey(address),
            contributor: to_pubkey(contributor),
            location: to_pubkey(&device.location),
            exchange: to_pubkey(&device.exchange),
        };
        let link = context.link;
        Self {
            link: addresses.link(&link.code),
            a: side(&link.device_a, &link.contributor_a, context.device_a),
            z: side(&link.device_z, &link.contributor_z, context.device_z),
        }
    }

    /// Of a link that is known by code only, as one that is being created between two devices.
    #[must_use]
    pub fn by_code(addresses: &Addresses, link: &Code, a: DeviceRefs, z: DeviceRefs) -> Self {
        Self { link: addresses.link(link), a, z }
    }
}
