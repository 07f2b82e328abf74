//! The kernel's side of interfaces, which FRR doesn't set: MTUs, and interfaces that a text asks for and that can be
//! made (VLANs of an interface that is there, loopbacks by name). Everything else is the operator's.

use std::{collections::BTreeSet, net::Ipv4Addr, process::Command, time::Duration};

use serde::{Deserialize, Serialize};

use super::{run, tree::Tree};
use crate::driver::{DriverError, InterfaceCounters};

/// MTU of the fabric: links between devices, and what stands ready for them.
const FABRIC_MTU: u32 = 9000;
/// MTU towards users and the internet.
const EDGE_MTU: u32 = 1500;
/// Longest interface name of Linux, in bytes.
const MAX_NAME_BYTES: usize = 15;
/// VLAN ids that can be used.
const VLANS: std::ops::RangeInclusive<u16> = 1..=4094;
/// Longest name of a network namespace, in bytes: a file's.
const MAX_NAMESPACE_BYTES: usize = 255;
/// For one call of `ip`.
const IP_LIMIT: Duration = Duration::from_secs(10);

/// A link as the kernel shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Link {
    #[serde(rename = "ifname")]
    name: String,
    mtu: u32,
    /// 0 where the driver sets no limit.
    #[serde(default)]
    max_mtu: u32,
    operstate: String,
    flags: Vec<String>,
    stats64: Option<Stats>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
struct Stats {
    rx: Counts,
    tx: Counts,
}

/// What is not known is not 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
struct Counts {
    bytes: Option<u64>,
    errors: Option<u64>,
    dropped: Option<u64>,
    /// Among what was sent only.
    carrier_changes: Option<u64>,
}

impl Link {
    /// Whether it carries packets.
    fn is_up(&self) -> bool {
        let flagged = |flag: &str| self.flags.iter().any(|f| f == flag);
        // Loopbacks and tunnels have no operational state beyond their flags.
        self.operstate == "UP" || (self.operstate == "UNKNOWN" && flagged("UP") && flagged("LOWER_UP"))
    }
}

/// One change of the kernel's links, and enough to take it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LinkChange {
    /// Makes a VLAN of an interface.
    Vlan {
        /// The new interface.
        name: String,
        /// The one below it.
        parent: String,
        /// VLAN id.
        id: u16,
    },
    /// Makes a loopback beside `lo`.
    Loopback {
        /// The new interface.
        name: String,
    },
    /// Sets an MTU.
    Mtu {
        /// Which interface.
        name: String,
        /// What it had.
        from: u32,
        /// What it gets.
        to: u32,
    },
}

impl LinkChange {
    /// Name of the interface that this makes.
    pub fn made(&self) -> Option<&str> {
        match self {
            Self::Vlan { name, .. } | Self::Loopback { name } => Some(name),
            Self::Mtu { .. } => None,
        }
    }

    /// For people.
    pub fn words(&self) -> String {
        match self {
            Self::Vlan { name, parent, id } => format!("+link {name}: VLAN {id} of {parent}"),
            Self::Loopback { name } => format!("+link {name}: loopback"),
            Self::Mtu { name, from, to } => format!("-link {name} mtu {from}\n+link {name} mtu {to}"),
        }
    }
}

/// What has to change for a text.
///
/// # Errors
/// [`DriverError::Refused`]: an interface can't have the MTU of its role.
pub fn plan(text: &Tree, links: &[Link]) -> Result<Vec<LinkChange>, DriverError> {
    let find = |name: &str| links.iter().find(|link| link.name == name);
    let (mut made, mut mtus) = (Vec::new(), Vec::new());
    for name in text.interfaces() {
        let wanted = mtu(text, name);
        let have = match find(name) {
            Some(link) => Some(link.mtu),
            None => makeable(name, links).map(|change| {
                let below = match &change {
                    LinkChange::Vlan { parent, .. } => find(parent).map_or(EDGE_MTU, |link| link.mtu),
                    LinkChange::Loopback { .. } | LinkChange::Mtu { .. } => EDGE_MTU,
                };
                made.push(change);
                below
            }),
        };
        let (Some(to), Some(from)) = (wanted, have) else { continue };
        let most = find(name).map_or(0, |link| link.max_mtu);
        if most != 0 && to > most {
            return Err(DriverError::Refused(format!(
                "interface {name} takes an MTU of {most} at most, and needs {to}"
            )));
        }
        if from != to {
            mtus.push(LinkChange::Mtu { name: name.to_owned(), from, to });
        }
    }
    // A VLAN can't be larger than what is below it, so what is below comes first; names sort that way.
    made.extend(mtus);
    Ok(made)
}

/// By the role that the description names: of a link or the fabric, of users and the internet, or none of ours.
fn mtu(text: &Tree, name: &str) -> Option<u32> {
    let said = text.section(&format!("interface {name}")).find_map(|line| line.strip_prefix("description "))?;
    let code = said.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
    match said {
        "FABRIC" => Some(FABRIC_MTU),
        "CYOA" | "DIA" => Some(EDGE_MTU),
        _ if code => Some(FABRIC_MTU),
        _ => None,
    }
}

fn makeable(name: &str, links: &[Link]) -> Option<LinkChange> {
    if !is_name(name) {
        return None;
    }
    if let Some((parent, id)) = name.rsplit_once('.') {
        let id: u16 = id.parse().ok().filter(|id| VLANS.contains(id))?;
        let there = links.iter().any(|link| link.name == parent);
        return there.then(|| LinkChange::Vlan { name: name.to_owned(), parent: parent.to_owned(), id });
    }
    let loopback = ["Loopback", "loopback", "lo"].iter().any(|start| {
        name.strip_prefix(start).is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
    });
    loopback.then(|| LinkChange::Loopback { name: name.to_owned() })
}

fn is_name(name: &str) -> bool {
    let sound = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    first && name.len() <= MAX_NAME_BYTES && name.bytes().all(sound)
}

/// The kernel's links of one network namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kernel {
    netns: Option<String>,
}

impl Kernel {
    /// Of a namespace by the name that `ip netns` knows; of this process's own without.
    ///
    /// # Errors
    /// [`DriverError::State`]: not a name.
    pub fn new(netns: Option<&str>) -> Result<Self, DriverError> {
        match netns {
            Some(name) if !is_namespace(name) => {
                Err(DriverError::State(format!("{name:?} is not a network namespace")))
            }
            _ => Ok(Self { netns: netns.map(str::to_owned) }),
        }
    }

    /// Its name, where it is not this process's own.
    pub fn netns(&self) -> Option<&str> {
        self.netns.as_deref()
    }

    /// The links.
    ///
    /// # Errors
    /// [`DriverError::Unreachable`]: `ip` fails.
    pub fn read(&self) -> Result<Vec<Link>, DriverError> {
        let text = self.ip(&["-json", "-stats", "-stats", "-details", "link", "show"])?;
        serde_json::from_str(&text).map_err(unreadable)
    }

    /// Carries changes out, in order.
    ///
    /// # Errors
    /// [`DriverError::Refused`] at the first that the kernel refuses.
    pub fn apply(&self, changes: &[LinkChange]) -> Result<(), DriverError> {
        for change in changes {
            match change {
                LinkChange::Mtu { name, to, .. } => self.set_mtu(name, *to)?,
                LinkChange::Vlan { name, parent, id } => {
                    self.ip(&["link", "add", "link", parent, "name", name, "type", "vlan", "id", &id.to_string()])?;
                    self.ip(&["link", "set", "dev", name, "up"])?;
                }
                LinkChange::Loopback { name } => {
                    // A kernel without dummy interfaces: a bridge with nothing in it holds addresses as well.
                    self.ip(&["link", "add", "name", name, "type", "dummy"])
                        .or_else(|_| self.ip(&["link", "add", "name", name, "type", "bridge"]))?;
                    self.ip(&["link", "set", "dev", name, "up"])?;
                }
            }
        }
        Ok(())
    }

    /// Addresses that packets are forwarded to by a route of their own, in the main table. It is the kernel's word and not
    /// zebra's, which takes a route for installed that the kernel removed with a next hop (FRRouting/frr issue 23295).
    ///
    /// # Errors
    /// [`DriverError::Unreachable`]: `ip` fails.
    pub fn host_routes(&self) -> Result<BTreeSet<Ipv4Addr>, DriverError> {
        host_routes(&self.ip(&["-json", "-4", "route", "show"])?).map_err(unreadable)
    }

    /// Interfaces whose packets for others the kernel throws away.
    ///
    /// # Errors
    /// [`DriverError::Unreachable`]: `ip` fails.
    pub fn not_forwarding(&self) -> Result<BTreeSet<String>, DriverError> {
        not_forwarding(&self.ip(&["-json", "-4", "netconf", "show"])?).map_err(unreadable)
    }

    /// Takes changes back, the last one first. What is no longer there needs nothing; goes on after a failure.
    ///
    /// # Errors
    /// The first failure.
    pub fn undo(&self, changes: &[LinkChange]) -> Result<(), DriverError> {
        let links = self.read()?;
        let mut result = Ok(());
        for change in changes.iter().rev() {
            let there = |name: &str| links.iter().find(|link| link.name == name);
            let done = match change {
                LinkChange::Mtu { name, from, .. } => match there(name) {
                    Some(link) if link.mtu != *from && !changes.iter().any(|c| c.made() == Some(name)) => {
                        self.set_mtu(name, *from)
                    }
                    _ => Ok(()),
                },
                LinkChange::Vlan { name, .. } | LinkChange::Loopback { name } => match there(name) {
                    Some(_) => self.remove(name),
                    None => Ok(()),
                },
            };
            result = result.and(done);
        }
        result
    }

    /// Removes links that an earlier text made and that are not in `named`; returns what stays, to be tried again.
    pub fn remove_stale(&self, made: BTreeSet<String>, named: &BTreeSet<String>) -> BTreeSet<String> {
        let links = self.read().unwrap_or_default();
        made.into_iter()
            .filter(|name| {
                named.contains(name) || (links.iter().any(|link| link.name == *name) && self.remove(name).is_err())
            })
            .collect()
    }

    fn remove(&self, name: &str) -> Result<(), DriverError> {
        self.ip(&["link", "delete", "dev", name]).map(drop)
    }

    fn set_mtu(&self, name: &str, mtu: u32) -> Result<(), DriverError> {
        self.ip(&["link", "set", "dev", name, "mtu", &mtu.to_string()]).map(drop)
    }

    fn ip(&self, arguments: &[&str]) -> Result<String, DriverError> {
        let mut command = Command::new("ip");
        if let Some(netns) = &self.netns {
            command.args(["-netns", netns]);
        }
        command.args(arguments);
        let ended = run::run(command, None, IP_LIMIT)?;
        if ended.status.success() {
            return Ok(ended.stdout);
        }
        Err(DriverError::Refused(format!("ip {}: {}", arguments.join(" "), run::quoted(&ended.stderr))))
    }
}

fn unreadable(error: serde_json::Error) -> DriverError {
    DriverError::Unreachable(format!("what ip shows can not be read: {error}"))
}

fn is_namespace(name: &str) -> bool {
    let sound = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    first && name.len() <= MAX_NAMESPACE_BYTES && name.bytes().all(sound)
}

/// A route as the kernel shows it.
#[derive(Debug, Deserialize)]
struct Route {
    dst: String,
    /// Absent where packets are forwarded; else what becomes of them, such as `blackhole`.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// The kernel knows that its interface is dead, and does not use it.
    #[serde(default)]
    flags: Vec<String>,
}

fn host_routes(told: &str) -> serde_json::Result<BTreeSet<Ipv4Addr>> {
    let routes: Vec<Route> = serde_json::from_str(told)?;
    let forwards = |route: &&Route| {
        route.kind.as_deref().is_none_or(|kind| kind == "unicast") && !route.flags.iter().any(|flag| flag == "dead")
    };
    // A host's is shown without its length.
    Ok(routes.iter().filter(forwards).filter_map(|route| route.dst.parse().ok()).collect())
}

/// An interface's settings as the kernel shows them; `all` and `default` have no name.
#[derive(Debug, Deserialize)]
struct Settings {
    interface: Option<String>,
    forwarding: bool,
}

fn not_forwarding(told: &str) -> serde_json::Result<BTreeSet<String>> {
    let all: Vec<Settings> = serde_json::from_str(told)?;
    Ok(all.into_iter().filter(|settings| !settings.forwarding).filter_map(|settings| settings.interface).collect())
}

/// Interfaces that carry packets.
pub fn carried(links: &[Link]) -> BTreeSet<&str> {
    links.iter().filter(|link| link.is_up()).map(|link| link.name.as_str()).collect()
}

/// Counters of every interface that has them all, by name.
pub fn counters(links: Vec<Link>) -> Vec<InterfaceCounters> {
    let mut all: Vec<InterfaceCounters> = links.into_iter().filter_map(counted).collect();
    all.sort_by(|a, b| a.interface.cmp(&b.interface));
    all
}

fn counted(link: Link) -> Option<InterfaceCounters> {
    let Stats { rx, tx } = link.stats64?;
    Some(InterfaceCounters {
        oper_up: link.is_up(),
        interface: link.name,
        in_octets: rx.bytes?,
        out_octets: tx.bytes?,
        in_errors: rx.errors?,
        out_errors: tx.errors?,
        in_discards: rx.dropped?,
        out_discards: tx.dropped?,
        carrier_transitions: tx.carrier_changes?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(name: &str, mtu: u32, max_mtu: u32) -> Link {
        Link { name: name.to_owned(), mtu, max_mtu, ..Link::default() }
    }

    #[test]
    fn a_host_is_reached_by_a_route_of_its_own_that_forwards() {
        // The shape of iproute2 6.1's answer.
        let told = r#"[{"dst":"default","gateway":"10.0.0.1","dev":"eth0","flags":[]},
            {"dst":"1.1.1.1","nhid":42,"gateway":"10.0.0.1","dev":"eth0","protocol":"isis","metric":20,"flags":[]},
            {"dst":"2.2.2.2","nhid":43,"protocol":"isis","metric":20,"flags":[],
             "nexthops":[{"gateway":"10.0.0.1","dev":"eth0","weight":1,"flags":[]}]},
            {"dst":"3.3.3.0/31","dev":"eth0","protocol":"kernel","scope":"link","flags":[]},
            {"type":"blackhole","dst":"4.4.4.4","flags":[]},
            {"dst":"5.5.5.5","gateway":"10.0.1.1","dev":"eth1","flags":["dead","linkdown"]}]"#;
        let hosts = host_routes(told).unwrap();
        assert_eq!(hosts, BTreeSet::from([Ipv4Addr::new(1, 1, 1, 1), Ipv4Addr::new(2, 2, 2, 2)]));
        assert!(host_routes("").is_err() && host_routes("{}").is_err() && host_routes("[{}]").is_err());
    }

    #[test]
    fn who_does_not_forward_is_named() {
        // The shape of iproute2 6.1's answer.
        let told = r#"[{"family":"inet","forwarding":true},{"family":"inet","interface":"lo","forwarding":true,"rp_filter":"off"},
            {"family":"inet","interface":"eth1","forwarding":false,"rp_filter":"off"}]"#;
        assert_eq!(not_forwarding(told).unwrap(), BTreeSet::from(["eth1".to_owned()]));
        assert!(not_forwarding("").is_err() && not_forwarding("[{}]").is_err());
    }

    fn of(text: &str, links: &[Link]) -> Vec<LinkChange> {
        plan(&Tree::parse(text), links).unwrap()
    }

    #[test]
    fn mtus_follow_from_roles_and_the_operators_interfaces_are_left_alone() {
        let links = [
            link("eth0", 1500, 0),
            link("eth1", 1500, 9500),
            link("eth2", 9000, 0),
            link("eth3", 9000, 0),
            link("lo", 65536, 0),
        ];
        let text = "interface eth0\n description MANAGEMENT\ninterface eth1\n description ams-fra\ninterface eth2\n description DIA\n\
                    interface eth3\n description FABRIC\ninterface lo\n description LOOPBACK\ninterface eth9\n description FABRIC\n";
        assert_eq!(
            of(text, &links),
            [
                LinkChange::Mtu { name: "eth1".into(), from: 1500, to: 9000 },
                LinkChange::Mtu { name: "eth2".into(), from: 9000, to: 1500 }
            ]
        );
    }

    #[test]
    fn an_mtu_that_the_hardware_does_not_have_is_refused_before_anything_runs() {
        let text = Tree::parse("interface eth1\n description a-b\n");
        assert!(matches!(plan(&text, &[link("eth1", 1500, 1500)]), Err(DriverError::Refused(_))));
    }

    #[test]
    fn only_what_can_be_made_is_made() {
        let links = [link("eth1", 1500, 0)];
        let text = "interface eth1\n description FABRIC\ninterface eth1.100\n description FABRIC\ninterface Loopback255\n description X\n\
                    interface eth7\n description FABRIC\ninterface eth7.3\n description FABRIC\ninterface eth1.9999\n description FABRIC\n\
                    interface -x.3\n description FABRIC\ninterface Loopback12345678\n description FABRIC\n";
        let made: Vec<LinkChange> = of(text, &links);
        assert_eq!(
            made,
            [
                LinkChange::Loopback { name: "Loopback255".into() },
                LinkChange::Vlan { name: "eth1.100".into(), parent: "eth1".into(), id: 100 },
                LinkChange::Mtu { name: "eth1".into(), from: 1500, to: 9000 },
                LinkChange::Mtu { name: "eth1.100".into(), from: 1500, to: 9000 },
            ]
        );
    }

    #[test]
    fn what_ip_shows_becomes_counters_and_what_has_none_is_left_out() {
        let tx = r#"{"bytes":9,"errors":4,"dropped":5,"carrier_changes":6}"#;
        let shown = format!(
            r#"[{{"ifindex":8,"ifname":"v0","flags":["UP","LOWER_UP"],"mtu":1500,"operstate":"UP","max_mtu":65535,
            "stats64":{{"rx":{{"bytes":7,"packets":2,"errors":1,"dropped":3}},"tx":{tx}}}}},
            {{"ifname":"lo","flags":["UP","LOWER_UP"],"mtu":65536,"operstate":"UNKNOWN","stats64":{{"rx":{tx},"tx":{tx}}}}},
            {{"ifname":"a","flags":["UP"],"mtu":1500,"operstate":"DOWN","stats64":{{"rx":{tx},"tx":{tx}}}}},
            {{"ifname":"b","flags":["UP"],"mtu":1500,"operstate":"UP"}},
            {{"ifname":"c","flags":["UP"],"mtu":1500,"operstate":"UP","stats64":{{"rx":{{"bytes":7}},"tx":{tx}}}}}]"#
        );
        let links: Vec<Link> = serde_json::from_str(&shown).unwrap();
        assert_eq!(carried(&links), BTreeSet::from(["b", "c", "lo", "v0"]));
        let all = counters(links);
        let v0 = InterfaceCounters {
            interface: "v0".into(),
            oper_up: true,
            in_octets: 7,
            out_octets: 9,
            in_errors: 1,
            out_errors: 4,
            in_discards: 3,
            out_discards: 5,
            carrier_transitions: 6,
        };
        assert_eq!(all.last(), Some(&v0));
        assert_eq!(
            all.iter().map(|c| (c.interface.as_str(), c.oper_up)).collect::<Vec<_>>(),
            [("a", false), ("lo", true), ("v0", true)]
        );
    }
}
