//! What FRR says of neighbours and sessions, read from its JSON. Pure.
//!
//! Answers of a kind that is not known are read as nothing: not observed is not up.

use std::{collections::BTreeSet, net::Ipv4Addr};

use serde_json::Value;

use super::tree::Tree;
use crate::driver::{Adjacency, Reach};

/// Circuits with IS-IS enabled that form adjacencies, from `show isis interface detail json` and `show isis neighbor json`.
pub fn adjacencies(interfaces: &Value, neighbors: &Value) -> Vec<Adjacency> {
    let up: Vec<(&str, &str)> = circuits(neighbors)
        .filter(|circuit| circuit.get("state").and_then(Value::as_str) == Some("Up"))
        .filter(|circuit| circuit.get("level").and_then(Value::as_u64).is_none_or(|level| level >= 2))
        .filter_map(|circuit| Some((text(circuit, "interface")?, text(circuit, "adj").unwrap_or_default())))
        .collect();
    let mut all: Vec<Adjacency> = circuits(interfaces)
        .filter_map(|circuit| circuit.get("interface"))
        .filter(|interface| {
            text(interface, "is-passive") != Some("passive") && text(interface, "type") != Some("loopback")
        })
        .filter_map(|interface| text(interface, "name"))
        .map(|name| {
            let neighbor = up.iter().find(|(interface, _)| *interface == name).map(|(_, neighbor)| *neighbor);
            Adjacency {
                interface: name.to_owned(),
                up: neighbor.is_some(),
                neighbor: neighbor.unwrap_or_default().to_owned(),
            }
        })
        .collect();
    all.sort_by(|a, b| a.interface.cmp(&b.interface));
    all
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
pub fn reach(wanted: &BTreeSet<Ipv4Addr>, summary: &Value, routed: &BTreeSet<Ipv4Addr>) -> Reach {
    let established = |address: &&Ipv4Addr| {
        let name = address.to_string();
        let state =
            |family: &Value| family.get("peers")?.get(&name)?.get("state")?.as_str().map(|s| s == "Established");
        summary.as_object().is_some_and(|families| families.values().any(|family| state(family) == Some(true)))
    };
    Reach {
        sessions: wanted.iter().filter(established).copied().collect(),
        routes: wanted.intersection(routed).copied().collect(),
    }
}

fn circuits(answer: &Value) -> impl Iterator<Item = &Value> {
    list(answer, "areas").flat_map(|area| list(area, "circuits"))
}

fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
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
        assert_eq!(adjacencies(&interfaces, &neighbors), [is("v0", true, "r2"), is("v1", false, "")]);
        for senseless in [json!(null), json!([]), json!({"areas":1}), json!({"areas":[{"circuits":[1,"x"]}]})] {
            assert!(adjacencies(&senseless, &senseless).is_empty());
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
        let found = reach(&wanted, &summary, &routes);
        assert_eq!(found.sessions, BTreeSet::from([Ipv4Addr::new(1, 1, 1, 1)]));
        assert_eq!(found.routes, BTreeSet::from([Ipv4Addr::new(2, 2, 2, 2)]));
    }
}
