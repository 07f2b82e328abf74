//! What a request says of a device, and reading it. Everything comes as text or numbers, so that a slip is told in words.

use std::str::FromStr;

use causeway_interface::{
    Code, DesiredStatus, DeviceType, InterfaceKind, InterfaceName, InterfaceRole, Ip4, Key, LoopbackType, Platform,
    Prefix, VrfName,
    accounts::{Interface, MAX_DZ_PREFIXES, MAX_INTERFACES},
    values,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::refusal::{Refusal, Why};
use crate::codes;

/// What becomes of lines that are not the controller's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// They go, within the managed sections.
    #[default]
    Replace,
    /// They stay.
    Merge,
}

/// What is wanted of a device. For one that is on the ledger nothing has to be said; what is said has to be so, or is changed
/// by what the contributor signs. For a new one contributor, location, exchange, type and platform are needed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProvisionRequest {
    /// Contributor's code; its owner signs and pays.
    pub contributor: Option<String>,
    /// Location's code.
    pub location: Option<String>,
    /// Exchange's code.
    pub exchange: Option<String>,
    /// `hybrid`, `transit` or `edge`.
    pub device_type: Option<String>,
    /// `eos` or `frr`.
    pub platform: Option<String>,
    /// Public IPv4 address.
    pub public_ip: Option<String>,
    /// Prefixes of its users, at most four; an empty list gives all up.
    pub dz_prefixes: Option<Vec<String>>,
    /// Public key of its agent, base58.
    pub agent_key: Option<String>,
    /// Public key that signs its telemetry, base58.
    pub telemetry_key: Option<String>,
    /// VRF of the management interface.
    pub management_vrf: Option<String>,
    /// What a new device is wanted to be; `activated` without it.
    pub desired: Option<String>,
    /// Whether a new device gets its type's default interfaces; yes without it.
    pub default_interfaces: Option<bool>,
    /// Interfaces that are to be otherwise than by default or as they are, and further ones.
    pub interfaces: Vec<InterfaceOverride>,
    /// Compare only: show what would change.
    pub dry_run: bool,
    /// What becomes of other lines.
    pub mode: Mode,
    /// Which way the device is reached; the device's usual one without it.
    pub transport: Option<String>,
}

/// An interface as it is to be; what is not said stays, or is as for a fabric port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InterfaceOverride {
    /// Name.
    pub name: String,
    /// `physical`, `loopback`, `management`, `port-channel` or `sub-interface`.
    pub kind: Option<String>,
    /// `fabric`, `cyoa` or `dia`.
    pub role: Option<String>,
    /// `none`, `vpnv4` or `ipv4`.
    pub loopback: Option<String>,
    /// VLAN of a sub-interface.
    pub vlan: Option<u64>,
    /// MTU in bytes.
    pub mtu: Option<u64>,
    /// Bandwidth in bit/s.
    pub bandwidth_bps: Option<u64>,
    /// Address with its length, or `none`.
    pub address: Option<String>,
}

/// The same, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    pub contributor: Option<Code>,
    pub location: Option<Code>,
    pub exchange: Option<Code>,
    pub device_type: Option<DeviceType>,
    pub platform: Option<Platform>,
    pub public_ip: Option<Ip4>,
    pub dz_prefixes: Option<Vec<Prefix>>,
    pub agent_key: Option<Key>,
    pub telemetry_key: Option<Key>,
    pub management_vrf: Option<VrfName>,
    pub desired: Option<DesiredStatus>,
    pub default_interfaces: Option<bool>,
    pub interfaces: Vec<WantedInterface>,
}

/// An interface, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedInterface {
    pub name: InterfaceName,
    pub kind: Option<InterfaceKind>,
    pub role: Option<InterfaceRole>,
    pub loopback: Option<LoopbackType>,
    pub vlan_id: Option<u16>,
    pub mtu: Option<u16>,
    pub bandwidth_bps: Option<u64>,
    pub address: Option<Prefix>,
}

impl WantedInterface {
    /// What it is to be, over what is there.
    #[must_use]
    pub fn over(&self, now: Option<&Interface>) -> Interface {
        let role = self.role.or(now.map(|now| now.role)).unwrap_or(InterfaceRole::Fabric);
        let mtu = match role {
            InterfaceRole::Fabric => values::FABRIC_MTU,
            InterfaceRole::Cyoa | InterfaceRole::Dia => values::EDGE_MTU,
        };
        Interface {
            name: self.name,
            kind: self.kind.or(now.map(|now| now.kind)).unwrap_or(InterfaceKind::Physical),
            role,
            loopback: self.loopback.or(now.map(|now| now.loopback)).unwrap_or(LoopbackType::None),
            vlan_id: self.vlan_id.or(now.map(|now| now.vlan_id)).unwrap_or(0),
            mtu: self.mtu.or(now.map(|now| now.mtu)).unwrap_or(mtu),
            bandwidth_bps: self.bandwidth_bps.or(now.map(|now| now.bandwidth_bps)).unwrap_or(0),
            address: self.address.or(now.map(|now| now.address)).unwrap_or(Prefix::NONE),
            node_segment: now.map_or(0, |now| now.node_segment),
            link: now.map_or(Key::ZERO, |now| now.link),
        }
    }
}

/// Reads texts, and collects what can't be.
#[derive(Default)]
struct Reader {
    why: Vec<Why>,
}

impl Reader {
    fn wrong(&mut self, field: &str, cause: impl std::fmt::Display) {
        self.why.push(Why::of(codes::OVERRIDE_INVALID, format!("{field}: {cause}")));
    }

    fn text<T: FromStr<Err: std::fmt::Display>>(&mut self, field: &str, text: Option<&String>) -> Option<T> {
        match text?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.wrong(field, error);
                None
            }
        }
    }

    /// A key that is one: all zeros mean none on the ledger.
    fn key(&mut self, field: &str, text: Option<&String>) -> Option<Key> {
        let key: Key = self.text(field, text)?;
        if key.is_zero() {
            self.wrong(field, "the zero key is nobody's");
        }
        Some(key)
    }

    fn number(&mut self, field: &str, number: Option<u64>) -> Option<u16> {
        let number = number?;
        match u16::try_from(number) {
            Ok(number) => Some(number),
            Err(_) => {
                self.wrong(field, format!("{number} is more than {}", u16::MAX));
                None
            }
        }
    }

    fn interface(&mut self, index: usize, given: &InterfaceOverride) -> Option<WantedInterface> {
        let field = |name: &str| format!("interfaces[{index}].{name}");
        let name = self.text(&field("name"), Some(&given.name));
        let address = match given.address.as_deref() {
            Some("none") => Some(Prefix::NONE),
            Some(_) | None => self.text(&field("address"), given.address.as_ref()),
        };
        let wanted = WantedInterface {
            name: InterfaceName::default(),
            kind: self.text(&field("kind"), given.kind.as_ref()),
            role: self.text(&field("role"), given.role.as_ref()),
            loopback: self.text(&field("loopback"), given.loopback.as_ref()),
            vlan_id: self.number(&field("vlan"), given.vlan),
            mtu: self.number(&field("mtu"), given.mtu),
            bandwidth_bps: given.bandwidth_bps,
            address,
        };
        Some(WantedInterface { name: name?, ..wanted })
    }
}

impl ProvisionRequest {
    /// Whether it says nothing of what the device would be.
    #[must_use]
    pub fn describes_nothing(&self) -> bool {
        let job = Self { dry_run: self.dry_run, mode: self.mode, transport: self.transport.clone(), ..Self::default() };
        *self == job
    }

    /// Reads every value.
    ///
    /// # Errors
    /// All that are none.
    pub(super) fn read(&self) -> Result<Wanted, Refusal> {
        let mut reader = Reader::default();
        let wanted = Wanted {
            contributor: reader.text("contributor", self.contributor.as_ref()),
            location: reader.text("location", self.location.as_ref()),
            exchange: reader.text("exchange", self.exchange.as_ref()),
            device_type: reader.text("device_type", self.device_type.as_ref()),
            platform: reader.text("platform", self.platform.as_ref()),
            public_ip: reader.text("public_ip", self.public_ip.as_ref()),
            dz_prefixes: self.dz_prefixes.as_ref().map(|list| {
                if list.len() > MAX_DZ_PREFIXES {
                    let why = Why::program(causeway_interface::ErrorCode::DzPrefixTooMany, Some("dz_prefixes".into()));
                    reader.why.push(why);
                }
                let read = |(index, text)| reader.text(&format!("dz_prefixes[{index}]"), Some(text));
                list.iter().take(MAX_DZ_PREFIXES).enumerate().filter_map(read).collect()
            }),
            agent_key: reader.key("agent_key", self.agent_key.as_ref()),
            telemetry_key: reader.key("telemetry_key", self.telemetry_key.as_ref()),
            management_vrf: reader.text("management_vrf", self.management_vrf.as_ref()),
            desired: reader.text("desired", self.desired.as_ref()),
            default_interfaces: self.default_interfaces,
            interfaces: self
                .interfaces
                .iter()
                .take(MAX_INTERFACES)
                .enumerate()
                .filter_map(|(index, given)| reader.interface(index, given))
                .collect(),
        };
        if self.interfaces.len() > MAX_INTERFACES {
            let error = causeway_interface::ErrorCode::InterfaceLimit;
            reader.why.push(Why::program(error, Some("interfaces".into())));
        }
        if reader.why.is_empty() { Ok(wanted) } else { Err(Refusal::Invalid(reader.why)) }
    }
}
