//! The configuration model of a simulated router, and what turns text into it.
//!
//! The parsers are strict where a router is: an unknown or malformed line is refused with its number, and then the whole
//! text is. Statements that a router knows but the simulation gives no behaviour are kept as they stand, so that two
//! configurations that differ in them are different. Nothing here has a clock, performs IO, or can panic on any text.

pub mod eos;
pub mod frr;
mod grammar;
mod statements;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::Ipv4Addr,
    str::FromStr,
};

use ipnet::Ipv4Net;

/// Longest text that a simulated device takes, in bytes: twenty times the largest configuration known from production.
pub const MAX_TEXT_BYTES: usize = 4 * 1024 * 1024;
/// Longest line in bytes: routers refuse longer ones.
pub const MAX_LINE_BYTES: usize = 2_048;
/// Refused lines that are listed; more help nobody.
pub const MAX_LISTED: usize = 20;
/// IS-IS metric of an interface that sets none.
pub const DEFAULT_METRIC: u32 = 10;

/// A family of router operating systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// FRRouting.
    Frr,
    /// Arista EOS.
    Eos,
}

impl Family {
    /// As a bundle names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Frr => "frr",
            Self::Eos => "eos",
        }
    }

    /// Turns text into a configuration.
    ///
    /// # Errors
    /// The lines that this family refuses.
    pub fn parse(self, text: &str) -> Result<RunningConfig, Refusal> {
        match self {
            Self::Frr => frr::parse(text),
            Self::Eos => eos::parse(text),
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Not a family.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a router family; expected frr or eos")]
pub struct UnknownFamily(String);

impl FromStr for Family {
    type Err = UnknownFamily;

    fn from_str(text: &str) -> Result<Self, UnknownFamily> {
        [Self::Frr, Self::Eos].into_iter().find(|f| f.name() == text).ok_or_else(|| UnknownFamily(text.to_owned()))
    }
}

/// One line that a router would not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedLine {
    /// Counted from 1.
    pub line: usize,
    /// The line, cut to a readable length.
    pub text: String,
    /// Why.
    pub reason: String,
}

impl fmt::Display for RefusedLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}: {:?}", self.line, self.reason, self.text)
    }
}

/// A text that is refused as a whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", listed(.lines))]
pub struct Refusal {
    /// The first [`MAX_LISTED`] refused lines, in order.
    pub lines: Vec<RefusedLine>,
}

fn listed(lines: &[RefusedLine]) -> String {
    lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// What a simulated router runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunningConfig {
    /// Host name.
    pub hostname: Option<String>,
    /// Interfaces that the text names.
    pub interfaces: BTreeMap<String, InterfaceConfig>,
    /// IS-IS, one instance.
    pub isis: Option<IsisConfig>,
    /// BGP.
    pub bgp: Option<BgpConfig>,
    /// Statements without simulated behaviour, with the context they stand in.
    pub kept: BTreeSet<String>,
}

/// One interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InterfaceConfig {
    /// Addresses with prefix length, host bits kept.
    pub addresses: BTreeSet<Ipv4Net>,
    /// MTU in bytes, where set.
    pub mtu: Option<u32>,
    /// Administratively down.
    pub shutdown: bool,
    /// A layer-2 port, on which addresses have no effect.
    pub switchport: bool,
    /// IS-IS on this interface.
    pub isis: IsisInterface,
}

/// IS-IS on an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsisInterface {
    /// Instance that it belongs to; none where IS-IS is not enabled.
    pub enabled: Option<String>,
    /// Metric.
    pub metric: u32,
    /// Advertised, with no adjacency.
    pub passive: bool,
    /// Point-to-point rather than broadcast.
    pub point_to_point: bool,
    /// Seconds between hellos.
    pub hello_interval_s: u32,
    /// Level of the circuit, where set.
    pub level: Option<Level>,
    /// Hellos are padded to the MTU, so that unequal MTUs keep the adjacency down.
    pub hello_padding: bool,
}

impl Default for IsisInterface {
    fn default() -> Self {
        Self {
            enabled: None,
            metric: DEFAULT_METRIC,
            passive: false,
            point_to_point: false,
            hello_interval_s: 3,
            level: None,
            hello_padding: true,
        }
    }
}

/// IS-IS levels of a circuit or a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Within an area.
    One,
    /// Between areas.
    Two,
    /// Both.
    Both,
}

impl Level {
    /// Whether level 2 is among them.
    pub const fn has_two(self) -> bool {
        match self {
            Self::One => false,
            Self::Two | Self::Both => true,
        }
    }
}

/// The IS-IS instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsisConfig {
    /// Instance tag.
    pub tag: String,
    /// Network entity title.
    pub net: Option<String>,
    /// Others keep transit traffic away.
    pub overload: bool,
    /// Levels of the router.
    pub level: Level,
    /// Metrics above 63 are possible.
    pub wide: bool,
}

impl IsisConfig {
    /// System id, the six bytes before the selector, as text: what a neighbour shows.
    pub fn system_id(&self) -> Option<&str> {
        let net = self.net.as_deref()?;
        let end = net.len().checked_sub(3)?;
        net.get(end.checked_sub(14)?..end)
    }
}

/// The BGP instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BgpConfig {
    /// Autonomous system number.
    pub asn: u32,
    /// Router id.
    pub router_id: Option<Ipv4Addr>,
    /// Peers by address.
    pub neighbors: BTreeMap<Ipv4Addr, Neighbor>,
    /// Templates for peers, by name.
    pub groups: BTreeMap<String, Neighbor>,
}

/// A BGP peer, or a template for some.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Neighbor {
    /// The peer's autonomous system number.
    pub remote_as: Option<u32>,
    /// Interface name or address that sessions come from.
    pub update_source: Option<String>,
    /// Administratively down.
    pub shutdown: bool,
    /// Template.
    pub group: Option<String>,
    /// Address families in which it is activated.
    pub families: BTreeSet<String>,
}

impl RunningConfig {
    /// Whether nothing is configured.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// IS-IS level of an interface; none where IS-IS does not run on it.
    pub fn isis_level(&self, interface: &str) -> Option<Level> {
        let isis = self.isis.as_ref()?;
        isis.system_id()?;
        let circuit = &self.interfaces.get(interface)?.isis;
        if circuit.enabled.as_ref() != Some(&isis.tag) {
            return None;
        }
        match (isis.level, circuit.level.unwrap_or(Level::Both)) {
            (Level::Both, level) | (level, Level::Both) => Some(level),
            (Level::One, Level::One) => Some(Level::One),
            (Level::Two, Level::Two) => Some(Level::Two),
            (Level::One, Level::Two) | (Level::Two, Level::One) => None,
        }
    }

    /// Interfaces on which this configuration wants a level-2 adjacency, if the far end does too.
    pub fn wants_adjacency(&self) -> BTreeSet<String> {
        let mut wanted = BTreeSet::new();
        for (name, interface) in &self.interfaces {
            let level_two = self.isis_level(name).is_some_and(Level::has_two) && !is_loopback(name);
            if level_two
                && !interface.isis.passive
                && !interface.shutdown
                && interface.routed_addresses().next().is_some()
            {
                wanted.insert(name.clone());
            }
        }
        wanted
    }
}

impl InterfaceConfig {
    /// Addresses that have an effect.
    pub fn routed_addresses(&self) -> impl Iterator<Item = &Ipv4Net> {
        self.addresses.iter().filter(|_| !self.switchport)
    }
}

/// Whether a name is a loopback's in either family.
pub fn is_loopback(interface: &str) -> bool {
    interface == "lo" || interface.get(..8).is_some_and(|stem| stem.eq_ignore_ascii_case("loopback"))
}
