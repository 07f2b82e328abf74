//! What FRR says of neighbours and sessions, read from its JSON. Pure.
//!
//! Where IS-IS or BGP does not run, or has nobody, there is nothing. An answer of a kind that is not known is an error, and
//! not nothing: who has lost no neighbour because none was read has not been looked at.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
};

use serde_json::{Map, Value};

use super::{run, tree::Tree};
use crate::driver::{Adjacency, DriverError, Reach, Session};

/// What a summary of BGP says beside its families.
const NO_FAMILIES: [&str; 3] = ["warning", "totalPeers", "dynamicPeers"];

/// Circuits with IS-IS enabled that form adjacencies, from `show isis interface detail json` and `show isis neighbor json`.
///
/// # Errors
/// [`DriverError::Unreachable`]: an answer is of another kind.
pub fn adjacencies(interfaces: &Value, neighbors: &Value) -> Result<Vec<Adjacency>, DriverError> {
    let senseless = |what: &str, value: &Value| senseless(&format!("IS-IS {what}"), value);
    let mut up: Vec<(&str, &str)> = Vec::new();
    for circuit in circuits(neighbors).ok_or_else(|| senseless("neighbours", neighbors))? {
        if let Some(found) = neighbor(circuit).ok_or_else(|| senseless("neighbour", circuit))? {
            up.push(found);
        }
    }
    let mut all: Vec<Adjacency> = Vec::new();
    for circuit in circuits(interfaces).ok_or_else(|| senseless("circuits", interfaces))? {
        let Some(name) = forming(circuit).ok_or_else(|| senseless("circuit", circuit))? else { continue };
        let neighbor = up.iter().find(|(interface, _)| *interface == name).map(|(_, neighbor)| *neighbor);
        all.push(Adjacency {
            interface: name.to_owned(),
            up: neighbor.is_some(),
            neighbor: neighbor.unwrap_or_default().to_owned(),
        });
    }
    all.sort_by(|a, b| a.interface.cmp(&b.interface));
    Ok(all)
}

/// Interface and name of a circuit's neighbour of level 2 that is up. The inner one is nothing where there is no such neighbour,
/// the outer one where the circuit makes no sense.
fn neighbor(circuit: &Value) -> Option<Option<(&str, &str)>> {
    let fields = circuit.as_object()?;
    if !["adj", "interface", "level", "state"].iter().any(|name| fields.contains_key(*name)) {
        return Some(None);
    }
    let found = (text(fields, "interface")?, text(fields, "adj")?);
    let level = fields.get("level")?.as_u64()?;
    Some((text(fields, "state")? == "Up" && level >= 2).then_some(found))
}

/// The interface of a circuit, where it forms adjacencies; in the same form.
fn forming(circuit: &Value) -> Option<Option<&str>> {
    let interface = circuit.get("interface")?.as_object()?;
    let forms = text(interface, "is-passive")? != "passive" && text(interface, "type")? != "loopback";
    let name = text(interface, "name")?;
    Some(forms.then_some(name))
}

/// Interfaces on which a text wants a level-2 adjacency: enabled, addressed, up and not passive.
pub fn wanted_adjacencies(text: &Tree) -> BTreeSet<String> {
    let level_one = text.section("router isis 1").any(|line| line == "is-type level-1");
    let wants = |name: &&str| {
        let header = format!("interface {name}");
        let says =
            |start: &str| text.section(&header).any(|line| line == start || line.starts_with(&format!("{start} ")));
        let loopback = name.to_ascii_lowercase().starts_with("lo");
        says("ip router isis")
            && says("ip address")
            && !says("isis passive")
            && !says("shutdown")
            && !says("isis circuit-type level-1")
            && !loopback
    };
    if level_one { BTreeSet::new() } else { text.interfaces().into_iter().filter(wants).map(str::to_owned).collect() }
}

/// Neighbours of BGP that a text wants a session with.
pub fn wanted_peers(text: &Tree) -> BTreeSet<Ipv4Addr> {
    let mut wanted = BTreeSet::new();
    for path in text.paths() {
        let [header, line] = path.as_slice() else { continue };
        if !header.starts_with("router bgp ") {
            continue;
        }
        let words: Vec<&str> = line.split(' ').collect();
        if let ["neighbor", address, "remote-as" | "peer-group", ..] = words.as_slice() {
            wanted.extend(address.parse::<Ipv4Addr>().ok());
        }
    }
    wanted.retain(|address| {
        let shut = format!("neighbor {address} shutdown");
        !text.paths().any(|path| path.len() == 2 && path.last() == Some(&shut))
    });
    wanted
}

/// Which of the wanted neighbours have a session in any family, from `show bgp summary json`, and which are among the hosts
/// that the kernel has a route to.
///
/// # Errors
/// [`DriverError::Unreachable`]: the answer is of another kind.
pub fn reach(wanted: &BTreeSet<Ipv4Addr>, summary: &Value, routed: &BTreeSet<Ipv4Addr>) -> Result<Reach, DriverError> {
    let up: BTreeSet<IpAddr> =
        sessions(summary)?.into_iter().filter(|session| session.established).map(|session| session.peer).collect();
    Ok(Reach {
        sessions: wanted.iter().filter(|address| up.contains(&IpAddr::V4(**address))).copied().collect(),
        routes: wanted.intersection(routed).copied().collect(),
    })
}

/// BGP neighbours in the order of their addresses, from `show bgp summary json`. Those without an address are the operator's.
///
/// # Errors
/// [`DriverError::Unreachable`]: the answer is of another kind.
pub fn sessions(summary: &Value) -> Result<Vec<Session>, DriverError> {
    listed(summary).ok_or_else(|| senseless("BGP sessions", summary))
}

/// Nothing where the answer makes no sense. A family that nobody is in is not in it.
fn listed(summary: &Value) -> Option<Vec<Session>> {
    let mut found: BTreeMap<IpAddr, Session> = BTreeMap::new();
    for (_, family) in summary.as_object()?.iter().filter(|(name, _)| !NO_FAMILIES.contains(&name.as_str())) {
        for (address, told) in family.get("peers")?.as_object()? {
            let established = text(told.as_object()?, "state")? == "Established";
            let Ok(peer) = address.parse() else { continue };
            let session = found.entry(peer).or_insert(Session { peer, established: false, prefixes_received: None });
            if established {
                let here = told.get("pfxRcd").and_then(Value::as_u64).and_then(|count| u32::try_from(count).ok());
                let before = if session.established { session.prefixes_received } else { Some(0) };
                session.prefixes_received = before.zip(here).and_then(|(before, here)| before.checked_add(here));
                session.established = true;
            }
        }
    }
    Some(found.into_values().collect())
}

/// Circuits of every area; nothing where the answer makes no sense.
fn circuits(answer: &Value) -> Option<Vec<&Value>> {
    let mut all = Vec::new();
    for area in list(answer, "areas")? {
        all.extend(list(area, "circuits")?);
    }
    Some(all)
}

/// What a list holds: nobody where there is no list of that name, nothing where something else has it.
fn list<'a>(value: &'a Value, name: &str) -> Option<&'a [Value]> {
    match value.as_object()?.get(name) {
        None => Some(&[]),
        Some(list) => list.as_array().map(Vec::as_slice),
    }
}

fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    fields.get(name)?.as_str()
}

fn senseless(what: &str, value: &Value) -> DriverError {
    let shown = run::quoted(&value.to_string());
    DriverError::Unreachable(format!("what FRR says of {what} is of a kind that this agent does not know: {shown}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The shape of FRR 8.4.4's answers.
    fn answers() -> (Value, Value) {
        let circuit = |name: &str, passive: &str, kind: &str| json!({"circuit":0,"interface":{"name":name,"state":"Up","is-passive":passive,"type":kind,"level":"L2"}});
        let interfaces = json!({"areas":[{"area":"1","circuits":[
            circuit("lo","passive","loopback"), circuit("v1","active","p2p"), circuit("v0","active","p2p"), circuit("v2","passive","p2p")]}]});
        let neighbors = json!({"areas":[{"area":"1","circuits":[{"circuit":0},
            {"circuit":0,"adj":"r2","interface":"v0","level":2,"state":"Up","expires-in":"10s"},
            {"circuit":0,"adj":"r3","interface":"v1","level":2,"state":"Initializing"}]}]});
        (interfaces, neighbors)
    }

    #[test]
    fn only_circuits_that_form_adjacencies_count_and_only_up_is_up() {
        let (interfaces, neighbors) = answers();
        let is = |interface: &str, up, neighbor: &str| Adjacency {
            interface: interface.into(),
            up,
            neighbor: neighbor.into(),
        };
        let found = adjacencies(&interfaces, &neighbors).unwrap();
        assert_eq!(found, [is("v0", true, "r2"), is("v1", false, "")]);
    }

    #[test]
    fn without_is_is_there_is_nothing_and_an_answer_of_another_kind_is_an_error() {
        let (interfaces, neighbors) = answers();
        for nobody in [json!({}), json!({"areas":[]}), json!({"areas":[{"area":"1"}]})] {
            assert_eq!(adjacencies(&nobody, &nobody).unwrap(), []);
        }
        let circuit = |circuit: Value| json!({"areas":[{"area":"1","circuits":[circuit]}]});
        for senseless in [
            json!(null),
            json!([]),
            json!({"areas":1}),
            json!({"areas":[1]}),
            json!({"areas":[{"circuits":{}}]}),
            circuit(json!(1)),
            circuit(json!({"circuit":0,"interface":"v0"})),
            circuit(json!({"circuit":0,"interface":{"name":"v0","type":"p2p"}})),
            circuit(json!({"circuit":0,"interface":{"name":"v0","is-passive":"active"}})),
            circuit(json!({"circuit":0,"interface":{"is-passive":"active","type":"p2p"}})),
        ] {
            assert!(adjacencies(&senseless, &neighbors).is_err(), "{senseless}");
        }
        for senseless in [
            json!(null),
            json!({"areas":[{"circuits":1}]}),
            circuit(json!("v0")),
            circuit(json!({"interface":"v0","level":2,"state":"Up"})),
            circuit(json!({"adj":"r2","level":2,"state":"Up"})),
            circuit(json!({"adj":"r2","interface":"v0","state":"Up"})),
            circuit(json!({"adj":"r2","interface":"v0","level":2})),
            circuit(json!({"adj":"r2","interface":"v0","level":"L2","state":"Up"})),
        ] {
            assert!(adjacencies(&interfaces, &senseless).is_err(), "{senseless}");
        }
    }

    #[test]
    fn without_bgp_there_is_no_session_and_an_answer_of_another_kind_is_an_error() {
        let wanted = BTreeSet::from([Ipv4Addr::new(1, 1, 1, 1)]);
        let of = |summary: Value| reach(&wanted, &summary, &wanted);
        for nobody in [json!({}), json!({"warning":"BGP instance not found"}), json!({"ipv4Unicast":{"peers":{}}})] {
            let found = of(nobody).unwrap();
            assert_eq!((found.sessions.len(), found.routes.len()), (0, 1));
        }
        for senseless in [
            json!(null),
            json!([]),
            json!({"ipv4Unicast":1}),
            json!({"ipv4Unicast":{"routerId":"1.1.1.1"}}),
            json!({"ipv4Unicast":{"peers":[]}}),
            json!({"ipv4Unicast":{"peers":{"1.1.1.1":"Established"}}}),
            json!({"ipv4Unicast":{"peers":{"1.1.1.1":{"bgpState":"Established"}}}}),
        ] {
            assert!(of(senseless.clone()).is_err(), "{senseless}");
        }
    }

    #[test]
    fn wanted_are_circuits_with_an_address_that_are_not_passive() {
        let isis = " ip address 10.0.0.0/31\n ip router isis 1\n";
        let text = format!(
            "router isis 1\n net x\ninterface lo\n{isis}interface a\n{isis}interface b\n{isis} isis passive\ninterface c\n ip router isis 1\n\
             interface d\n{isis} shutdown\ninterface e\n ip address 1.1.1.1/31\n"
        );
        assert_eq!(wanted_adjacencies(&Tree::parse(&text)), BTreeSet::from(["a".to_owned()]));
    }

    #[test]
    fn every_neighbour_with_an_address_is_told_once_and_what_is_not_said_is_not_known() {
        let summary = json!({
            "ipv4Unicast": {"peers": {
                "1.1.1.1": {"state": "Established", "pfxRcd": 4}, "2.2.2.2": {"state": "Active", "pfxRcd": 0},
                "3.3.3.3": {"state": "Established"}, "eth1": {"state": "Established"}}},
            "ipv4Vpn": {"peers": {"1.1.1.1": {"state": "Established", "pfxRcd": 2}}},
            "totalPeers": 5});
        let is = |last: u8, established, prefixes_received| Session {
            peer: IpAddr::V4(Ipv4Addr::new(last, last, last, last)),
            established,
            prefixes_received,
        };
        assert_eq!(sessions(&summary).unwrap(), [is(1, true, Some(6)), is(2, false, None), is(3, true, None)]);
    }

    #[test]
    fn sessions_and_routes_of_wanted_neighbours_only() {
        let text = Tree::parse(
            "router bgp 1\n neighbor 1.1.1.1 remote-as 1\n neighbor 2.2.2.2 remote-as 1\n neighbor 3.3.3.3 remote-as 1\n \
             neighbor 3.3.3.3 shutdown\n neighbor RR peer-group\n neighbor 1.1.1.1 timers 3 9\n",
        );
        let wanted = wanted_peers(&text);
        assert_eq!(wanted.len(), 2);
        let summary = json!({"ipv4Unicast":{"peers":{"1.1.1.1":{"state":"Active"},"9.9.9.9":{"state":"Established"}}},
            "ipv4Vpn":{"peers":{"1.1.1.1":{"state":"Established"}}}});
        let routes = BTreeSet::from([Ipv4Addr::new(2, 2, 2, 2), Ipv4Addr::new(7, 7, 7, 7)]);
        let found = reach(&wanted, &summary, &routes).unwrap();
        assert_eq!(found.sessions, BTreeSet::from([Ipv4Addr::new(1, 1, 1, 1)]));
        assert_eq!(found.routes, BTreeSet::from([Ipv4Addr::new(2, 2, 2, 2)]));
    }
}
