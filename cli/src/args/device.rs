//! `causeway device` and `causeway device interface`.

use std::path::PathBuf;

use causeway_interface::{
    Code, DesiredStatus, DeviceHealth, DeviceStatus, DeviceType, InterfaceKind, InterfaceName, InterfaceRole, Ip4, Key,
    LoopbackType, Platform, Prefix, RejectReason, VrfName,
    accounts::{Device as Record, Interface as InterfaceRecord, MAX_DZ_PREFIXES},
    instruction::{CreateDevice, SetInterface, UpdateDevice},
    values,
};
use causeway_sdk::Filter;
use clap::{Args, Subcommand};

use super::{Expect, MaybeKey, Target, Wait, one_of, parse_bandwidth};

/// Verbs of devices.
#[derive(Debug, Subcommand)]
pub enum Device {
    /// Register a device with its type's default interfaces; the contributor's owner signs.
    Create(DeviceCreate),
    /// Make a device's own keys, on the device, and print what registers them; needs no ledger.
    Enroll(DeviceEnroll),
    /// Assign addresses and begin provisioning.
    Provision {
        /// Which.
        #[command(flatten)]
        target: Target,
        /// Waiting.
        #[command(flatten)]
        wait: Wait,
    },
    /// Change a device's own fields.
    Update(DeviceUpdate),
    /// Show all.
    List(DeviceList),
    /// Show one.
    Get {
        /// Its code.
        code: Code,
    },
    /// Set what a device is wanted to be; takes effect in the same transaction where it can.
    SetDesired {
        /// Which.
        #[command(flatten)]
        target: Target,
        /// What it is wanted to be.
        #[arg(long, value_parser = one_of::<DesiredStatus>())]
        status: DesiredStatus,
        /// Waiting.
        #[command(flatten)]
        wait: Wait,
    },
    /// Stop a device; the authority signs.
    Suspend(Target),
    /// Let a suspended device go on; the authority signs.
    Resume(Target),
    /// Refuse a device; the authority signs.
    Reject(DeviceReject),
    /// Delete a device that has no links, free what it holds and return its rent to the owner.
    Delete(Target),
    /// Interfaces of a device.
    #[command(subcommand)]
    Interface(Interface),
}

/// At most four prefixes, in the form that instructions hold them.
fn prefixes(list: &[Prefix]) -> (u8, [Prefix; MAX_DZ_PREFIXES]) {
    let mut array = [Prefix::NONE; MAX_DZ_PREFIXES];
    for (place, prefix) in array.iter_mut().zip(list) {
        *place = *prefix;
    }
    (list.len().min(MAX_DZ_PREFIXES) as u8, array)
}

/// Where the keys of a device are made.
#[derive(Clone, Debug, Args)]
pub struct DeviceEnroll {
    /// Its code.
    pub code: Code,
    /// Folder for the files agent-key and telemetry-key, which nobody else can read; made if missing. What is there is
    /// never overwritten.
    #[arg(long, value_name = "FOLDER", default_value = "/etc/causeway")]
    pub dir: PathBuf,
}

/// A new device.
#[derive(Clone, Debug, Args)]
pub struct DeviceCreate {
    /// Its code.
    pub code: Code,
    /// Code of its contributor, whose owner signs.
    #[arg(long, value_name = "CODE")]
    pub contributor: Code,
    /// Code of its location.
    #[arg(long, value_name = "CODE")]
    pub location: Code,
    /// Code of its exchange.
    #[arg(long, value_name = "CODE")]
    pub exchange: Code,
    /// What it is for.
    #[arg(long = "type", value_parser = one_of::<DeviceType>())]
    pub device_type: DeviceType,
    /// Operating system.
    #[arg(long, value_parser = one_of::<Platform>())]
    pub platform: Platform,
    /// Public address; needed for provisioning.
    #[arg(long, value_name = "ADDRESS")]
    pub public_ip: Option<Ip4>,
    /// Prefix that its users get addresses from; up to four times.
    #[arg(long = "dz-prefix", value_name = "PREFIX")]
    pub dz_prefixes: Vec<Prefix>,
    /// Public key of its agent; needed for provisioning.
    #[arg(long, value_name = "KEY")]
    pub agent_key: Option<Key>,
    /// Public key that signs its telemetry; needed for provisioning.
    #[arg(long, value_name = "KEY")]
    pub telemetry_key: Option<Key>,
    /// VRF of the management interface.
    #[arg(long, value_name = "VRF")]
    pub management_vrf: Option<VrfName>,
    /// What it is wanted to be.
    #[arg(long, value_parser = one_of::<DesiredStatus>(), default_value = "activated")]
    pub desired: DesiredStatus,
    /// Leave out the default interfaces.
    #[arg(long)]
    pub no_default_interfaces: bool,
}

impl DeviceCreate {
    /// The instruction's data.
    ///
    /// # Errors
    /// More prefixes than a device can have.
    pub fn data(&self) -> Result<CreateDevice, String> {
        at_most(&self.dz_prefixes)?;
        let (dz_prefix_count, dz_prefixes) = prefixes(&self.dz_prefixes);
        Ok(CreateDevice {
            code: self.code,
            device_type: self.device_type,
            platform: self.platform,
            public_ip: self.public_ip.unwrap_or_default(),
            dz_prefix_count,
            dz_prefixes,
            agent_key: self.agent_key.unwrap_or_default(),
            telemetry_key: self.telemetry_key.unwrap_or_default(),
            management_vrf: self.management_vrf.unwrap_or_default(),
            desired: self.desired,
            skip_recipe: self.no_default_interfaces,
        })
    }
}

fn at_most(list: &[Prefix]) -> Result<(), String> {
    match list.len() {
        0..=MAX_DZ_PREFIXES => Ok(()),
        more => Err(format!("{more} dz prefixes; a device has at most {MAX_DZ_PREFIXES}.")),
    }
}

/// What changes of a device.
#[derive(Clone, Debug, Default, Args)]
#[group(id = "change", required = true, multiple = true)]
pub struct DeviceChange {
    /// Public address.
    #[arg(long, value_name = "ADDRESS")]
    pub public_ip: Option<Ip4>,
    /// Prefix that its users get addresses from; all of them, up to four times.
    #[arg(long = "dz-prefix", value_name = "PREFIX")]
    pub dz_prefixes: Vec<Prefix>,
    /// Give up all dz prefixes.
    #[arg(long, conflicts_with = "dz_prefixes")]
    pub no_dz_prefixes: bool,
    /// Public key of its agent, or `none`.
    #[arg(long, value_name = "KEY")]
    pub agent_key: Option<MaybeKey>,
    /// Public key that signs its telemetry, or `none`.
    #[arg(long, value_name = "KEY")]
    pub telemetry_key: Option<MaybeKey>,
    /// VRF of the management interface.
    #[arg(long, value_name = "VRF")]
    pub management_vrf: Option<VrfName>,
    /// Have the management interface in the default VRF.
    #[arg(long, conflicts_with = "management_vrf")]
    pub no_management_vrf: bool,
}

/// A change of a device.
#[derive(Clone, Debug, Args)]
pub struct DeviceUpdate {
    /// Its code.
    pub code: Code,
    /// What changes.
    #[command(flatten)]
    pub change: DeviceChange,
    /// Sequence.
    #[command(flatten)]
    pub expect: Expect,
}

impl DeviceUpdate {
    /// The instruction's data: what is not changed is as it was read.
    ///
    /// # Errors
    /// More prefixes than a device can have.
    pub fn data(&self, now: &Record) -> Result<UpdateDevice, String> {
        let change = &self.change;
        at_most(&change.dz_prefixes)?;
        let keep = change.dz_prefixes.is_empty() && !change.no_dz_prefixes;
        let (dz_prefix_count, dz_prefixes) =
            if keep { (now.dz_prefix_count, now.dz_prefixes) } else { prefixes(&change.dz_prefixes) };
        let vrf = if change.no_management_vrf { VrfName::ZERO } else { now.management_vrf };
        Ok(UpdateDevice {
            expected_sequence: self.expect.or(now.header.sequence),
            public_ip: change.public_ip.unwrap_or(now.public_ip),
            dz_prefix_count,
            dz_prefixes,
            agent_key: change.agent_key.map_or(now.agent_key, |k| k.0),
            telemetry_key: change.telemetry_key.map_or(now.telemetry_key, |k| k.0),
            management_vrf: change.management_vrf.unwrap_or(vrf),
        })
    }
}

/// Which devices to list.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct DeviceList {
    /// Only those of this status.
    #[arg(long, value_parser = one_of::<DeviceStatus>())]
    pub status: Option<DeviceStatus>,
    /// Only those of this health.
    #[arg(long, value_parser = one_of::<DeviceHealth>())]
    pub health: Option<DeviceHealth>,
    /// Only those that are wanted to be this.
    #[arg(long, value_parser = one_of::<DesiredStatus>())]
    pub desired: Option<DesiredStatus>,
    /// Only those of this type.
    #[arg(long = "type", value_parser = one_of::<DeviceType>())]
    pub device_type: Option<DeviceType>,
}

impl DeviceList {
    /// As the ledger is asked.
    #[must_use]
    pub fn filter(&self) -> Filter {
        Filter {
            status: self.status.map(DeviceStatus::byte),
            health: self.health.map(DeviceHealth::byte),
            desired: self.desired,
            kind: self.device_type.map(DeviceType::byte),
        }
    }
}

/// A refusal.
#[derive(Clone, Debug, Args)]
pub struct DeviceReject {
    /// Which.
    #[command(flatten)]
    pub target: Target,
    /// Why.
    #[arg(long, value_parser = one_of::<RejectReason>())]
    pub reason: RejectReason,
}

/// Verbs of a device's interfaces.
#[derive(Debug, Subcommand)]
pub enum Interface {
    /// Add an interface at the end of the list.
    Add(InterfaceSet),
    /// Change an interface that no link holds; what is not named stays.
    Update(InterfaceSet),
    /// Remove an interface that no link holds.
    Remove(InterfaceRemove),
    /// Show a device's interfaces in order of creation.
    List {
        /// The device's code.
        code: Code,
    },
}

/// An interface to add or change.
#[derive(Clone, Debug, Args)]
pub struct InterfaceSet {
    /// The device's code.
    pub code: Code,
    /// Name of the interface.
    #[arg(long)]
    pub name: InterfaceName,
    /// Its figures.
    #[command(flatten)]
    pub figures: InterfaceFigures,
    /// Sequence of the device.
    #[command(flatten)]
    pub expect: Expect,
}

/// Everything of an interface but its name.
#[derive(Clone, Debug, Default, Args)]
pub struct InterfaceFigures {
    /// What it is; physical for a new one.
    #[arg(long, value_parser = one_of::<InterfaceKind>())]
    pub kind: Option<InterfaceKind>,
    /// What it is for; fabric for a new one.
    #[arg(long, value_parser = one_of::<InterfaceRole>())]
    pub role: Option<InterfaceRole>,
    /// Which routing it is for, when a loopback.
    #[arg(long, value_parser = one_of::<LoopbackType>())]
    pub loopback: Option<LoopbackType>,
    /// VLAN of a sub-interface.
    #[arg(long, value_name = "ID")]
    pub vlan: Option<u16>,
    /// MTU in bytes; for a new one that of its role.
    #[arg(long, value_name = "BYTES")]
    pub mtu: Option<u16>,
    /// Bandwidth, such as 100G.
    #[arg(long, value_name = "BPS", value_parser = parse_bandwidth)]
    pub bandwidth: Option<u64>,
    /// Address with its length.
    #[arg(long, value_name = "PREFIX")]
    pub address: Option<Prefix>,
}

impl InterfaceSet {
    /// The data for a new interface.
    #[must_use]
    pub fn add(&self, device: &Record) -> SetInterface {
        let f = &self.figures;
        let role = f.role.unwrap_or(InterfaceRole::Fabric);
        let mtu = match role {
            InterfaceRole::Fabric => values::FABRIC_MTU,
            InterfaceRole::Cyoa | InterfaceRole::Dia => values::EDGE_MTU,
        };
        SetInterface {
            expected_sequence: self.expect.or(device.header.sequence),
            name: self.name,
            kind: f.kind.unwrap_or(InterfaceKind::Physical),
            role,
            loopback: f.loopback.unwrap_or(LoopbackType::None),
            vlan_id: f.vlan.unwrap_or(0),
            mtu: f.mtu.unwrap_or(mtu),
            bandwidth_bps: f.bandwidth.unwrap_or(0),
            address: f.address.unwrap_or(Prefix::NONE),
        }
    }

    /// The data for a change: what is not named is as it was read.
    #[must_use]
    pub fn update(&self, device: &Record, now: &InterfaceRecord) -> SetInterface {
        let f = &self.figures;
        SetInterface {
            expected_sequence: self.expect.or(device.header.sequence),
            name: self.name,
            kind: f.kind.unwrap_or(now.kind),
            role: f.role.unwrap_or(now.role),
            loopback: f.loopback.unwrap_or(now.loopback),
            vlan_id: f.vlan.unwrap_or(now.vlan_id),
            mtu: f.mtu.unwrap_or(now.mtu),
            bandwidth_bps: f.bandwidth.unwrap_or(now.bandwidth_bps),
            address: f.address.unwrap_or(now.address),
        }
    }
}

/// An interface to remove.
#[derive(Clone, Debug, Args)]
pub struct InterfaceRemove {
    /// The device's code.
    pub code: Code,
    /// Name of the interface.
    #[arg(long)]
    pub name: InterfaceName,
    /// Sequence of the device.
    #[command(flatten)]
    pub expect: Expect,
}
