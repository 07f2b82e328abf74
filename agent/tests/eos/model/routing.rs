//! What the switch shows of BGP and of routes. A session is there when both ends name each other's AS, in a family that it
//! is activated in, from an address that is there, over a route.

use std::{collections::BTreeMap, net::Ipv4Addr};

use serde_json::{Value, json};

use super::tree::Tree;

/// The far end of a session.
#[derive(Clone, Copy, Debug)]
pub struct Speaker {
    pub asn: u32,
    /// Prefixes that it sends in each family.
    pub prefixes: u32,
}

/// A family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Ipv4,
    Vpn,
}

impl Family {
    fn header(self) -> &'static str {
        match self {
            Self::Ipv4 => "address-family ipv4",
            Self::Vpn => "address-family vpn-ipv4",
        }
    }
}

/// As `show ... summary` has it; none where BGP does not run.
pub fn summary(
    running: &Tree,
    family: Family,
    speakers: &BTreeMap<Ipv4Addr, Speaker>,
    routed: &BTreeMap<Ipv4Addr, String>,
) -> Option<Value> {
    let (header, bgp) = running.sections.iter().find(|(header, _)| header.starts_with("router bgp "))?;
    let asn = header.rsplit(' ').next().unwrap_or_default();
    let mut peers = serde_json::Map::new();
    for line in bgp.lines.values() {
        let words: Vec<&str> = line.split(' ').collect();
        let ["neighbor", peer, "remote-as", remote] = words.as_slice() else { continue };
        let said = bgp.sections.get(family.header());
        let activated = said.is_some_and(|said| said.has(&format!("neighbor {peer} activate")));
        if !activated {
            continue;
        }
        let address: Ipv4Addr = peer.parse().unwrap();
        let source = bgp.lines.get(&format!("neighbor {peer} update-source"));
        let source = source.and_then(|line| running.sections.get(&format!("interface {}", line.rsplit(' ').next()?)));
        let speaker = speakers.get(&address).filter(|speaker| remote.parse() == Ok(speaker.asn));
        let up = speaker.filter(|_| {
            source.is_some_and(|section| section.has("ip address "))
                && routed.contains_key(&address)
                && !bgp.has(&format!("neighbor {peer} shutdown"))
        });
        let state = if up.is_some() { "Established" } else { "Active" };
        let prefixes = up.map_or(0, |speaker| speaker.prefixes);
        peers.insert(
            (*peer).to_owned(),
            json!({"peerState": state, "prefixReceived": prefixes, "prefixAccepted": prefixes, "asn": remote,
                "version": 4, "upDownTime": 1.5, "msgSent": 7, "msgReceived": 7, "underMaintenance": false}),
        );
    }
    Some(json!({"vrfs": {"default": {"routerId": "0.0.0.0", "asn": asn, "vrf": "default", "peers": peers}}}))
}

/// As `show ip route isis` has it.
pub fn routes(routed: &BTreeMap<Ipv4Addr, String>) -> Value {
    let route = |(host, via): (&Ipv4Addr, &String)| {
        let vias = json!([{"interface": via, "nexthopAddr": "198.18.128.1"}]);
        let shown = json!({"routeType": "isisLevel2", "routeAction": "forward", "directlyConnected": false,
            "hardwareProgrammed": true, "kernelProgrammed": true, "preference": 115, "metric": 20, "vias": vias});
        (format!("{host}/32"), shown)
    };
    let routes: serde_json::Map<String, Value> = routed.iter().map(route).collect();
    json!({"vrfs": {"default": {"routes": routes, "allRoutesProgrammedHardware": true}}})
}
