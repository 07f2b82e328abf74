//! What EOS shows of BGP sessions and of routes, as JSON, and which neighbours a text wants. Pure. A table that can't be read
//! is an error.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
};

use serde_json::Value;

use super::{
    rpc::CallError,
    show::{VRF, object, unreadable},
};
use crate::driver::{Reach, Session};

/// BGP neighbours of the family of IPv4 unicast.
pub const IPV4_SUMMARY: &str = "show ip bgp summary";
/// BGP neighbours of the family of VPNs.
pub const VPN_SUMMARY: &str = "show bgp vpn-ipv4 summary";
/// Routes that IS-IS brought; by those neighbours are reached.
pub const ROUTES: &str = "show ip route isis";
/// A session that carries routes.
const ESTABLISHED: &str = "Established";

/// Neighbours of BGP that a text wants a session with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Their addresses, in any family.
    pub peers: BTreeSet<Ipv4Addr>,
    /// One of them is wanted in the family of VPNs.
    pub vpn: bool,
}

impl Wanted {
    /// Of a text.
    pub fn read(text: &str) -> Self {
        let (mut peers, mut shut, mut vpn_peers) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let (mut inside, mut vpn) = (false, false);
        for raw in text.lines() {
            let words: Vec<&str> = raw.split_whitespace().collect();
            if !raw.starts_with(char::is_whitespace) {
                (inside, vpn) = (matches!(words.as_slice(), ["router", "bgp", _]), false);
                continue;
            }
            let address = |word: &str| word.parse::<Ipv4Addr>().ok();
            match words.as_slice() {
                _ if !inside => {}
                ["address-family", family, ..] => vpn = *family == "vpn-ipv4",
                ["neighbor", peer, "remote-as", ..] => peers.extend(address(peer)),
                ["neighbor", peer, "shutdown"] => shut.extend(address(peer)),
                ["no", "neighbor", peer, "shutdown"] => shut.retain(|known| Some(*known) != address(peer)),
                ["neighbor", peer, "activate"] if vpn => vpn_peers.extend(address(peer)),
                _ => {}
            }
        }
        peers.retain(|peer| !shut.contains(peer));
        Self { vpn: !vpn_peers.is_disjoint(&peers), peers }
    }

    /// Which of them have a session, and which are routed to.
    pub fn reach(&self, sessions: &[Session], routes: &BTreeSet<Ipv4Addr>) -> Reach {
        let has = |peer: &&Ipv4Addr| sessions.iter().any(|one| one.established && one.peer == IpAddr::V4(**peer));
        Reach {
            sessions: self.peers.iter().filter(has).copied().collect(),
            routes: self.peers.intersection(routes).copied().collect(),
        }
    }
}

/// Adds the neighbours that a summary lists; one of several families has a session when it has one in any, and as many
/// prefixes as in all: not known where one of them doesn't say.
///
/// # Errors
/// [`CallError::Answer`].
pub fn add_sessions(found: &mut BTreeMap<IpAddr, Session>, summary: &Value) -> Result<(), CallError> {
    let vrfs = object(summary.get("vrfs"), "what runs of BGP")?;
    // Without BGP there is no VRF in the list.
    let Some(vrf) = vrfs.get(VRF) else { return Ok(()) };
    for (name, shown) in object(vrf.get("peers"), "the list of BGP neighbours")? {
        // A neighbour that is an interface has no address; no text of Causeway's brings one.
        let Ok(peer) = name.parse::<IpAddr>() else { continue };
        let state = shown.get("peerState").and_then(Value::as_str);
        let established = state.ok_or_else(|| unreadable("the state of a BGP neighbour"))? == ESTABLISHED;
        let session = found.entry(peer).or_insert(Session { peer, established: false, prefixes_received: None });
        if established {
            let here = shown.get("prefixReceived").and_then(Value::as_u64).and_then(|count| u32::try_from(count).ok());
            let before = if session.established { session.prefixes_received } else { Some(0) };
            session.prefixes_received = before.zip(here).and_then(|(before, here)| before.checked_add(here));
            session.established = true;
        }
    }
    Ok(())
}

/// Reads [`ROUTES`]: hosts that have a route of their own which leads somewhere.
///
/// # Errors
/// [`CallError::Answer`].
pub fn host_routes(answer: &Value) -> Result<BTreeSet<Ipv4Addr>, CallError> {
    let vrfs = object(answer.get("vrfs"), "the routing table")?;
    let Some(vrf) = vrfs.get(VRF) else { return Ok(BTreeSet::new()) };
    let mut hosts = BTreeSet::new();
    for (prefix, shown) in object(vrf.get("routes"), "the list of routes")? {
        let prefix: ipnet::Ipv4Net = prefix.parse().map_err(|_| unreadable("the prefix of a route"))?;
        let vias = shown.get("vias").and_then(Value::as_array).ok_or_else(|| unreadable("the next hops of a route"))?;
        if prefix.prefix_len() == 32 && !vias.is_empty() {
            hosts.insert(prefix.addr());
        }
    }
    Ok(hosts)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TEXT: &str = "no router bgp\nrouter bgp 65342\n   neighbor 198.18.0.2 remote-as 65342\n   neighbor 198.18.0.1 \
                        remote-as 65342\n   neighbor 198.18.0.9 remote-as 65342\n   neighbor 198.18.0.9 shutdown\n   !\n   \
                        address-family ipv4\n      neighbor 198.18.0.2 activate\n      no neighbor 198.18.0.1 activate\n   \
                        !\n   address-family vpn-ipv4\n      neighbor 198.18.0.1 activate\ninterface Ethernet1\n   \
                        description neighbor 9.9.9.9 remote-as 1\n";

    fn address(last: u8) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, 0, last)
    }

    #[test]
    fn a_text_wants_the_neighbours_of_its_bgp_that_are_not_shut() {
        let wanted = Wanted::read(TEXT);
        assert_eq!(wanted, Wanted { peers: BTreeSet::from([address(1), address(2)]), vpn: true });
        assert!(!Wanted::read(&TEXT.replace("      neighbor 198.18.0.1 activate\ninterface", "interface")).vpn);
        assert_eq!(Wanted::read(&TEXT.replace("\nrouter bgp", "\nrouter isis")), Wanted::default());
    }

    fn summary(peers: Value) -> Value {
        json!({"vrfs": {"default": {"routerId": "198.18.0.13", "asn": "65342", "peers": peers}}})
    }

    #[test]
    fn a_session_of_any_family_is_one_and_prefixes_are_those_of_all() {
        let ipv4 = summary(json!({
            "198.18.0.1": {"peerState": "Idle", "prefixReceived": 0},
            "198.18.0.2": {"peerState": "Established", "prefixReceived": 7},
            "198.18.0.3": {"peerState": "Established"},
            "198.18.0.4": {"peerState": "Established"},
            "fe80::1%Et1": {"peerState": "Established", "prefixReceived": 1}}));
        let vpn = summary(json!({
            "198.18.0.1": {"peerState": "Established", "prefixReceived": 2},
            "198.18.0.2": {"peerState": "Established", "prefixReceived": 1},
            "198.18.0.4": {"peerState": "Established", "prefixReceived": 1}}));
        let mut found = BTreeMap::new();
        add_sessions(&mut found, &ipv4).unwrap();
        add_sessions(&mut found, &vpn).unwrap();
        add_sessions(&mut found, &json!({"vrfs": {}, "warnings": ["BGP inactive"]})).unwrap();
        let found: Vec<Session> = found.into_values().collect();
        let is = |last, established, prefixes_received| Session {
            peer: IpAddr::V4(address(last)),
            established,
            prefixes_received,
        };
        assert_eq!(found, [is(1, true, Some(2)), is(2, true, Some(8)), is(3, true, None), is(4, true, None)]);
        let wanted = Wanted { peers: BTreeSet::from([address(2), address(5)]), vpn: false };
        let reach = wanted.reach(&found, &BTreeSet::from([address(3), address(5)]));
        assert_eq!((reach.sessions, reach.routes), (BTreeSet::from([address(2)]), BTreeSet::from([address(5)])));
    }

    #[test]
    fn a_route_of_the_host_itself_counts_that_leads_somewhere() {
        let via = json!([{"interface": "Ethernet1", "nexthopAddr": "198.18.128.1"}]);
        let answer = json!({"vrfs": {"default": {"routes": {
            "198.18.0.1/32": {"vias": via}, "198.18.0.2/32": {"vias": []}, "198.18.0.0/24": {"vias": via}}}}});
        assert_eq!(host_routes(&answer), Ok(BTreeSet::from([address(1)])));
        assert_eq!(host_routes(&json!({"vrfs": {"default": {"routes": {}}}})), Ok(BTreeSet::new()));
        assert_eq!(host_routes(&json!({"vrfs": {}})), Ok(BTreeSet::new()));
    }

    #[test]
    fn a_foreign_answer_is_an_error_and_never_none() {
        let mut found = BTreeMap::new();
        for broken in [json!({}), json!({"vrfs": {"default": {}}}), summary(json!({"198.18.0.1": {}})), json!(null)] {
            assert!(add_sessions(&mut found, &broken).is_err(), "{broken}");
        }
        assert!(found.is_empty());
        for routes in [json!({"198.18.0.1": {"vias": []}}), json!({"198.18.0.1/32": {}}), json!([])] {
            assert!(host_routes(&json!({"vrfs": {"default": {"routes": routes}}})).is_err(), "{routes}");
        }
    }
}
