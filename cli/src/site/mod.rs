//! The site file: what somebody wants on the ledger, as YAML.
//!
//! [`Site::from_yaml`] reads and checks one and lists everything that is wrong with it at once, each with its path and,
//! where the file is written in the usual block style, its line. It is pure; what a site would change on a ledger is
//! [`crate::plan`]'s.
//!
//! Defaults: a device's platform is `frr`, its desired status `activated`; a link's MTU is the fabric's, its jitter the
//! lowest. Keys may be left out; a device without them is registered but not provisioned.

mod decode;
mod degrees;
mod locate;
mod validate;

#[cfg(test)]
mod tests;

use causeway_interface::{
    Code, Country, DesiredStatus, DeviceType, InterfaceKind, InterfaceName, InterfaceRole, Ip4, Key, Label, LinkType,
    Platform, Prefix, VrfName, values,
};
use serde::Serialize;

use self::decode::record;
pub use self::degrees::Degrees;

/// Largest site file that is read: a thousand times Kdl's.
pub const MAX_BYTES: usize = 256 << 20;

/// One thing that is wrong with a site file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// Line in the file, from 1, where it could be found.
    pub line: Option<usize>,
    /// Where, such as `devices[3].public_ip`; empty for the whole file.
    pub path: String,
    /// What.
    pub message: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// Everything that is wrong with a site file; never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} {} in the site file", .0.len(), if .0.len() == 1 { "problem" } else { "problems" })]
pub struct SiteError(pub Vec<Problem>);

record! {
    /// A whole site.
    Site {
        /// Name for people.
        name: Label = Label::default(), "Label::is_zero";
        /// Parties that bring devices and links.
        contributors: Vec<ContributorSpec> = Vec::new(), "Vec::is_empty";
        /// Places.
        locations: Vec<LocationSpec> = Vec::new(), "Vec::is_empty";
        /// Metros.
        exchanges: Vec<ExchangeSpec> = Vec::new(), "Vec::is_empty";
        /// Routers.
        devices: Vec<DeviceSpec> = Vec::new(), "Vec::is_empty";
        /// Circuits.
        links: Vec<LinkSpec> = Vec::new(), "Vec::is_empty";
    }
}

record! {
    /// A contributor.
    ContributorSpec {
        /// Code.
        code: Code;
        /// Owner's key; without one, the key of the file that signs.
        owner: Key = Key::default(), "Key::is_zero";
        /// Operations key.
        operations_key: Key = Key::default(), "Key::is_zero";
    }
}

record! {
    /// A location.
    LocationSpec {
        /// Code.
        code: Code;
        /// Name for people.
        name: Label = Label::default(), "Label::is_zero";
        /// Country.
        country: Country = Country::default(), "Country::is_zero";
        /// Latitude in degrees, north positive.
        lat: Degrees;
        /// Longitude in degrees, east positive.
        lng: Degrees;
    }
}

record! {
    /// An exchange.
    ExchangeSpec {
        /// Code.
        code: Code;
        /// Name for people.
        name: Label = Label::default(), "Label::is_zero";
        /// Country.
        country: Country = Country::default(), "Country::is_zero";
        /// Latitude in degrees, north positive.
        lat: Degrees;
        /// Longitude in degrees, east positive.
        lng: Degrees;
        /// Low half of the metro's BGP community.
        bgp_community: u16;
    }
}

record! {
    /// A device.
    DeviceSpec {
        /// Code.
        code: Code;
        /// Its contributor's code.
        contributor: Code;
        /// Its location's code.
        location: Code;
        /// Its exchange's code.
        exchange: Code;
        /// Type.
        device_type: DeviceType;
        /// Operating system.
        platform: Platform = Platform::Frr, "never";
        /// Public address.
        public_ip: Ip4 = Ip4::default(), "Ip4::is_zero";
        /// Prefixes that its users get addresses from, at most four.
        dz_prefixes: Vec<Prefix> = Vec::new(), "Vec::is_empty";
        /// Agent's key.
        agent_key: Key = Key::default(), "Key::is_zero";
        /// Telemetry key.
        telemetry_key: Key = Key::default(), "Key::is_zero";
        /// Management VRF.
        management_vrf: VrfName = VrfName::default(), "VrfName::is_zero";
        /// What it is wanted to be.
        desired: DesiredStatus = DesiredStatus::Activated, "is_activated";
        /// Interfaces beyond the type's default ones.
        interfaces: Vec<InterfaceSpec> = Vec::new(), "Vec::is_empty";
    }
}

record! {
    /// An interface beyond the default ones, or a default one with other values.
    InterfaceSpec {
        /// Name.
        name: InterfaceName;
        /// Kind.
        kind: InterfaceKind = InterfaceKind::Physical, "never";
        /// Role.
        role: InterfaceRole = InterfaceRole::Fabric, "never";
        /// VLAN of a sub-interface.
        vlan_id: u16 = 0, "is_zero_vlan";
        /// MTU in bytes.
        mtu: u16 = values::FABRIC_MTU, "never";
        /// Bandwidth in bit/s; 0 where it has no meaning.
        bandwidth_bps: u64 = 0, "never";
        /// Address.
        address: Prefix = Prefix::NONE, "Prefix::is_none";
    }
}

record! {
    /// One end of a link.
    EndSpec {
        /// Device's code.
        device: Code;
        /// Interface's name.
        interface: InterfaceName;
    }
}

record! {
    /// A link.
    LinkSpec {
        /// Code.
        code: Code;
        /// Type.
        link_type: LinkType;
        /// Side A, whose contributor registers it.
        a: EndSpec;
        /// Side Z.
        z: EndSpec;
        /// Bandwidth in bit/s.
        bandwidth_bps: u64;
        /// MTU in bytes.
        mtu: u16 = values::FABRIC_MTU, "never";
        /// One-way delay in nanoseconds.
        delay_ns: u64;
        /// Jitter in nanoseconds.
        jitter_ns: u64 = values::MIN_DELAY_NS, "never";
        /// Delay to use for the metric instead; 0 for none.
        delay_override_ns: u64 = 0, "is_zero_delay";
        /// What both sides want it to be.
        desired: DesiredStatus = DesiredStatus::Activated, "is_activated";
    }
}

fn never<T>(_: &T) -> bool {
    false
}

fn is_activated(desired: &DesiredStatus) -> bool {
    matches!(desired, DesiredStatus::Activated)
}

// Serde passes fields by reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero_vlan(vlan: &u16) -> bool {
    *vlan == 0
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero_delay(delay: &u64) -> bool {
    *delay == 0
}

impl Site {
    /// Reads a site file and checks it.
    ///
    /// # Errors
    /// Everything that is wrong with it: syntax alone where that is broken, else every unknown, missing or unreadable
    /// field, every value outside its limits, every code that is there twice or refers to nothing.
    pub fn from_yaml(text: &str) -> Result<Self, SiteError> {
        let lone = |line, message| SiteError(vec![Problem { line, path: String::new(), message }]);
        if text.len() > MAX_BYTES {
            return Err(lone(None, format!("{} bytes, more than the {MAX_BYTES} that are read", text.len())));
        }
        let value: serde_yaml_ng::Value = serde_yaml_ng::from_str(text).map_err(|error| {
            // The library puts the place into its words as well.
            let words = error.to_string();
            let words = words.split(" at line ").next().unwrap_or_default().to_owned();
            lone(error.location().map(|l| l.line()), format!("not YAML: {words}"))
        })?;
        let mut problems = Vec::new();
        let site = decode::whole(&value, &mut problems);
        if let Some(site) = &site {
            validate::check(site, &mut problems);
        }
        match site {
            Some(site) if problems.is_empty() => Ok(site),
            Some(_) | None => {
                let lines = locate::lines(text);
                for problem in &mut problems {
                    problem.line = locate::find(&lines, &problem.path);
                }
                problems.sort();
                problems.dedup();
                Err(SiteError(problems))
            }
        }
    }

    /// Checks a site that was made otherwise.
    ///
    /// # Errors
    /// As [`Site::from_yaml`], without lines.
    pub fn check(&self) -> Result<(), SiteError> {
        let mut problems = Vec::new();
        validate::check(self, &mut problems);
        if problems.is_empty() { Ok(()) } else { Err(SiteError(problems)) }
    }

    /// Writes a site file: the same site gives the same bytes.
    ///
    /// # Errors
    /// Never in practice: writing to memory.
    pub fn to_yaml(&self) -> Result<String, serde_yaml_ng::Error> {
        serde_yaml_ng::to_string(self)
    }
}
