//! Arista EOS text, as far as backbone configurations use it.
//!
//! A physical port is a switchport until told otherwise, and its addresses have no effect until then; two interfaces
//! can't hold overlapping subnets; a peer comes to be with its first statement.

use super::{
    Level, Neighbor, Refusal, RunningConfig,
    grammar::{self, Args, Draft, Grammar, Node, Rule, Sense, Sense::*},
    statements as on,
    statements::Outcome,
};

const GRAMMAR: Grammar = Grammar {
    rules: RULES,
    free: &["access-list", "route-map", "management", "snmp", "router-other"],
    interface: full_name,
};

/// Reads EOS text.
///
/// # Errors
/// The lines that EOS would refuse.
pub fn parse(text: &str) -> Result<RunningConfig, Refusal> {
    grammar::parse(&GRAMMAR, text)
}

/// `Ethernet1`, `Ethernet1/1`, `Ethernet1.100`, `Loopback255` and so on: a known stem and numbers. A stem may be cut short
/// in any case, as in `eth30`; the system knows the interface by its full name.
fn full_name(name: &str) -> Option<String> {
    let (stem, numbers) = name.split_at_checked(name.find(|c: char| c.is_ascii_digit())?)?;
    let (port, unit) = numbers.split_once('.').map_or((numbers, None), |(port, unit)| (port, Some(unit)));
    let digits = |text: &str| (1..=5).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let mut known = ["Ethernet", "Loopback", "Management", "Port-Channel", "Tunnel", "Vlan"].into_iter();
    let full = known.find(|full| full.get(..stem.len()).is_some_and(|start| start.eq_ignore_ascii_case(stem)))?;
    (stem.len() >= 2 && port.split('/').all(digits) && unit.is_none_or(digits)).then(|| format!("{full}{numbers}"))
}

const fn at(at: &'static str, sense: Sense, form: &'static str, act: grammar::Act) -> Rule {
    Rule { at, form, sense, act }
}

const RULES: &[Rule] = &[
    at("global", Both, "hostname {word}", on::hostname),
    at("global", Both, "ip routing", on::keep),
    at("global", Both, "ip routing vrf {word}", on::keep),
    at("global", Both, "ip multicast-routing", on::keep),
    at("global", Both, "mpls ip", on::keep),
    at("global", Both, "service routing protocols model multi-agent|ribd", on::keep),
    at("global", Both, "spanning-tree mode none|mstp|rstp|rapid-pvst", on::keep),
    at("global", Both, "ntp server {text}", on::keep),
    at("global", Both, "ntp local-interface {interface}", on::keep),
    at("global", Both, "ip name-server {text}", on::keep),
    at("global", Both, "ip domain-name {word}", on::keep),
    at("global", Both, "dns domain {word}", on::keep),
    at("global", Both, "logging {text}", on::keep),
    at("global", Both, "snmp-server {text}", on::keep),
    at("global", Both, "username {text}", on::keep),
    at("global", Both, "aaa {text}", on::keep),
    at("global", Both, "clock timezone {word}", on::keep),
    at("global", Both, "vlan {1-4094}", on::keep),
    at("global", Both, "vrf instance {word}", |draft, args| section(draft, args, "management", "vrf")),
    at("global", Both, "ip route {prefix} {word}", on::keep),
    at("global", Both, "ip route {prefix} {word} {1-255}", on::keep),
    at("global", Both, "ip route vrf {word} {prefix} {word}", on::keep),
    at("global", Both, "ip prefix-list {word} seq {0-65535} permit|deny {text}", on::keep),
    at("global", Both, "ip prefix-list {word} permit|deny {text}", on::keep),
    at("global", Both, "ip community-list {text}", on::keep),
    at("global", Both, "ip access-list {word}", |draft, args| section(draft, args, "access-list", "ip")),
    at("global", Both, "ip access-list standard {word}", |draft, args| section(draft, args, "access-list", "standard")),
    at("global", Both, "route-map {word} permit|deny {1-16777215}", route_map),
    at("global", Both, "management api http-commands|gnmi|netconf", |draft, args| {
        section(draft, args, "management", "api")
    }),
    at("global", Both, "system control-plane", |draft, args| section(draft, args, "management", "control-plane")),
    at("global", Both, "management ssh|console", |draft, args| section(draft, args, "management", "service")),
    at("global", Set, "router pim sparse-mode", |draft, args| section(draft, args, "router-other", "pim")),
    at("global", Set, "router msdp", |draft, args| section(draft, args, "router-other", "msdp")),
    at("global", Set, "router multicast", |draft, args| section(draft, args, "router-other", "multicast")),
    at("global", Both, "interface {interface}", interface),
    at("global", Set, "default interface {interface}", default_interface),
    at("global", Both, "router isis {word}", |draft, args| on::router_isis(draft, args, Level::Both, true)),
    at("global", Both, "router bgp {1-4294967295}", on::router_bgp),
    at("global", Unset, "router bgp", on::no_router_bgp),
    // Interface.
    at("interface", Both, "description {text}", on::keep),
    at("interface", Unset, "description", |draft, _| {
        draft.forget("description ");
        Ok(())
    }),
    at("interface", Both, "mtu {68-65535}", |draft, args| {
        let mtu = (!args.unset).then(|| args.number(0));
        on::with_interface(draft, |interface| interface.mtu = mtu)
    }),
    at("interface", Unset, "mtu", |draft, _| on::with_interface(draft, |interface| interface.mtu = None)),
    at("interface", Both, "switchport", |draft, args| {
        on::with_interface(draft, |interface| interface.switchport = !args.unset)
    }),
    at("interface", Both, "ip address {prefix}", address),
    at("interface", Both, "ip address {prefix} secondary", address),
    at("interface", Unset, "ip address", on::no_addresses),
    at("interface", Both, "shutdown", on::shutdown),
    at("interface", Both, "speed {word}", on::keep),
    at("interface", Both, "load-interval {0-600}", on::keep),
    at("interface", Both, "vrf {word}", on::keep),
    at("interface", Both, "encapsulation dot1q vlan {1-4094}", on::keep),
    at("interface", Both, "pim ipv4 sparse-mode", on::keep),
    at("interface", Both, "ip access-group {word} in|out", on::keep),
    at("interface", Both, "mpls ip", on::keep),
    at("interface", Both, "bfd interval {50-60000} min-rx {50-60000} multiplier {3-50}", on::keep),
    at("interface", Both, "node-segment ipv4 index {0-65535}", on::keep),
    at("interface", Both, "tunnel {text}", on::keep),
    at("interface", Both, "ip igmp {text}", on::keep),
    at("interface", Both, "isis enable {word}", on::isis_enable),
    at("interface", Unset, "isis enable", on::isis_enable),
    at("interface", Set, "isis circuit-type level-1|level-2|level-1-2", circuit_type),
    at("interface", Unset, "isis circuit-type", |draft, _| on::circuit_level(draft, None)),
    at("interface", Unset, "isis circuit-type level-1|level-2|level-1-2", |draft, _| on::circuit_level(draft, None)),
    at("interface", Both, "isis network point-to-point", on::isis_point_to_point),
    at("interface", Set, "isis network broadcast", on::isis_broadcast),
    at("interface", Unset, "isis network", on::isis_broadcast),
    at("interface", Both, "isis metric {1-16777214}", on::isis_metric),
    at("interface", Unset, "isis metric", on::isis_metric),
    at("interface", Both, "isis passive", on::isis_passive),
    at("interface", Both, "isis passive-interface", on::isis_passive),
    at("interface", Both, "isis hello-interval {1-300}", on::isis_hello_interval),
    at("interface", Unset, "isis hello-interval", on::isis_hello_interval),
    at("interface", Both, "isis hello-multiplier {3-100}", on::keep),
    at("interface", Both, "isis hello padding", on::isis_hello_padding),
    at("interface", Both, "isis bfd", on::keep),
    at("interface", Both, "isis priority {0-127}", on::keep),
    at("interface", Both, "isis authentication {text}", on::keep),
    // IS-IS.
    at("isis", Both, "net {word}", on::net),
    at("isis", Both, "router-id ipv4 {address}", on::keep),
    at("isis", Both, "is-type level-1|level-2|level-1-2", is_type),
    at("isis", Both, "is-hostname {word}", on::keep),
    at("isis", Both, "log-adjacency-changes", on::keep),
    at("isis", Both, "spf-interval {1-300}", on::keep),
    at("isis", Both, "spf-interval {1-300} {1-300000} {1-300000}", on::keep),
    at("isis", Both, "timers lsp generation {1-300} {1-300000} {1-300000}", on::keep),
    at("isis", Both, "timers local-convergence-delay {1-10000} protected-prefixes", on::keep),
    at("isis", Both, "advertise passive-only", on::keep),
    at("isis", Both, "set-overload-bit", on::overload),
    at("isis", Both, "set-overload-bit on-startup {1-3600}", on::keep),
    at("isis", Unset, "shutdown", on::ignore),
    at("isis", Both, "address-family ipv4 unicast", |draft, args| {
        if args.unset {
            draft.forget("isis-family ipv4 unicast / ");
        } else {
            draft.keep(false);
            draft.enter(Node::IsisFamily("ipv4 unicast".to_owned()));
        }
        Ok(())
    }),
    at("isis", Both, "segment-routing mpls", |draft, args| {
        draft.keep(args.unset);
        if !args.unset {
            draft.enter(Node::SegmentRouting);
        }
        Ok(())
    }),
    at("isis-family", Both, "maximum-paths {1-128}", on::keep),
    at("isis-family", Both, "bfd all-interfaces", on::keep),
    at("isis-family", Both, "fast-reroute ti-lfa mode link-protection|node-protection", on::keep),
    at("isis-family", Both, "redistribute connected|static", on::keep),
    at("segment-routing", Both, "shutdown", on::keep),
    at("segment-routing", Both, "router-id {address}", on::keep),
    at("segment-routing", Both, "prefix-segment {prefix} index {0-65535}", on::keep),
    // BGP.
    at("bgp", Both, "router-id {address}", on::router_id),
    at("bgp", Unset, "router-id", on::router_id),
    at("bgp", Both, "timers bgp {0-3600} {0-7200}", on::keep),
    at("bgp", Both, "distance bgp {1-255} {1-255} {1-255}", on::keep),
    at("bgp", Both, "maximum-paths {1-600}", on::keep),
    at("bgp", Both, "maximum-paths {1-600} ecmp {1-600}", on::keep),
    at("bgp", Both, "bgp default ipv4-unicast", on::keep),
    at("bgp", Both, "bgp route-reflector preserve-attributes", on::keep),
    at("bgp", Both, "bgp route-reflector preserve-attributes always", on::keep),
    at("bgp", Both, "bgp log-neighbor-changes", on::keep),
    at("bgp", Both, "graceful-restart", on::keep),
    at("bgp", Both, "update wait-install", on::keep),
    at("bgp", Both, "neighbor {address} remote-as {1-4294967295}", |draft, args| {
        let asn = (!args.unset).then(|| args.number(1));
        peer(draft, args, |neighbor| neighbor.remote_as = asn)
    }),
    at("bgp", Unset, "neighbor {address}", on::no_peer),
    at("bgp", Both, "neighbor {address} update-source {interface}", |draft, args| {
        let source = (!args.unset).then(|| args.word(1).to_owned());
        peer(draft, args, |neighbor| neighbor.update_source = source)
    }),
    at("bgp", Both, "neighbor {address} shutdown", |draft, args| {
        let shutdown = !args.unset;
        peer(draft, args, |neighbor| neighbor.shutdown = shutdown)
    }),
    at("bgp", Both, "neighbor {address} shutdown reason {text}", |draft, args| {
        let shutdown = !args.unset;
        peer(draft, args, |neighbor| neighbor.shutdown = shutdown)
    }),
    at("bgp", Both, "neighbor {address} description {text}", keep_peer),
    at("bgp", Both, "neighbor {address} next-hop-self", keep_peer),
    at("bgp", Both, "neighbor {address} timers {0-3600} {0-7200}", keep_peer),
    at("bgp", Both, "neighbor {address} send-community", keep_peer),
    at("bgp", Both, "neighbor {address} send-community standard|extended|large", keep_peer),
    at("bgp", Both, "neighbor {address} send-community standard extended", keep_peer),
    at("bgp", Both, "neighbor {address} route-reflector-client", keep_peer),
    at("bgp", Both, "neighbor {address} maximum-routes {0-4294967294}", keep_peer),
    at("bgp", Both, "neighbor {address} maximum-routes {0-4294967294} warning-only", keep_peer),
    at("bgp", Both, "neighbor {address} route-map {word} in|out", keep_peer),
    at("bgp", Both, "neighbor {address} password {text}", keep_peer),
    at("bgp", Both, "neighbor {address} ebgp-multihop", keep_peer),
    at("bgp", Both, "neighbor {address} ebgp-multihop {1-255}", keep_peer),
    at("bgp", Both, "neighbor {address} bfd", keep_peer),
    at("bgp", Both, "neighbor {address} peer group {word}", |draft, args| {
        let (address, name) = (args.address(0), args.word(1).to_owned());
        let unset = args.unset;
        on::with_bgp(draft, |bgp| {
            bgp.groups.entry(name.clone()).or_default();
            bgp.neighbors.entry(address).or_default().group = (!unset).then_some(name);
            Ok(())
        })
    }),
    at("bgp", Both, "neighbor {word} peer group", |draft, args| group(draft, args, |_| {})),
    at("bgp", Both, "neighbor {word} remote-as {1-4294967295}", |draft, args| {
        let asn = (!args.unset).then(|| args.number(1));
        group(draft, args, |template| template.remote_as = asn)
    }),
    at("bgp", Both, "neighbor {word} update-source {interface}", |draft, args| {
        let source = (!args.unset).then(|| args.word(1).to_owned());
        group(draft, args, |template| template.update_source = source)
    }),
    at("bgp", Both, "network {prefix}", on::keep),
    at("bgp", Both, "redistribute connected|static|isis", on::keep),
    at("bgp", Both, "address-family ipv4|vpn-ipv4|evpn", |draft, args| {
        let name = args.word(0).to_owned();
        if args.unset {
            draft.forget(&format!("bgp-family {name} / "));
            return on::with_bgp(draft, |bgp| {
                bgp.neighbors.values_mut().for_each(|neighbor| {
                    neighbor.families.remove(&name);
                });
                Ok(())
            });
        }
        draft.enter(Node::BgpFamily(name));
        Ok(())
    }),
    at("bgp", Both, "vrf {word}", |draft, args| section(draft, args, "router-other", "bgp vrf")),
    at("bgp-family", Both, "neighbor {address} activate", |draft, args| {
        peer(draft, args, |_| {})?;
        let exists = on::with_bgp(draft, |bgp| Ok(bgp.neighbors.contains_key(&args.address(0))))?;
        if exists { on::peer_activate(draft, args) } else { Ok(()) }
    }),
    at("bgp-family", Both, "neighbor {address} next-hop-self", keep_peer),
    at(
        "bgp-family",
        Both,
        "neighbor {address} encapsulation mpls next-hop-self source-interface {interface}",
        keep_peer,
    ),
    at("bgp-family", Both, "neighbor default encapsulation mpls next-hop-self source-interface {interface}", on::keep),
    at("bgp-family", Both, "neighbor {address} route-map {word} in|out", keep_peer),
    at("bgp-family", Both, "neighbor {address} route-reflector-client", keep_peer),
    at("bgp-family", Both, "neighbor {address} default-route", keep_peer),
    at("bgp-family", Both, "bgp next-hop address-family ipv6", on::keep),
    at("bgp-family", Both, "network {prefix}", on::keep),
    at("bgp-family", Both, "redistribute connected|static|isis", on::keep),
];

fn interface(draft: &mut Draft, args: &Args) -> Outcome {
    let name = args.word(0).to_owned();
    if args.unset {
        if !name.starts_with("Ethernet") || name.contains('.') {
            return reset(draft, &name);
        }
        return Err(format!("{name} is a physical port and can't be removed"));
    }
    let physical = name.starts_with("Ethernet") && !name.contains('.') || name.starts_with("Port-Channel");
    let entry = draft.config.interfaces.entry(name.clone());
    entry.or_insert_with(|| super::InterfaceConfig { switchport: physical, ..Default::default() });
    draft.enter(Node::Interface(name));
    Ok(())
}

fn default_interface(draft: &mut Draft, args: &Args) -> Outcome {
    let name = args.word(0).to_owned();
    reset(draft, &name)
}

fn reset(draft: &mut Draft, name: &str) -> Outcome {
    draft.config.interfaces.remove(name);
    draft.forget(&format!("interface {name} / "));
    Ok(())
}

fn address(draft: &mut Draft, args: &Args) -> Outcome {
    let (Node::Interface(name), prefix) = (draft.node().clone(), args.prefix(0)) else {
        return Err("not in an interface".to_owned());
    };
    let overlap = draft.config.interfaces.iter().find(|(other, interface)| {
        let in_vrf = |name: &str| draft.keeps(&format!("interface {name} / vrf "));
        **other != name
            && in_vrf(other) == in_vrf(&name)
            && interface.addresses.iter().any(|a| a.contains(&prefix) || prefix.contains(a))
    });
    if let (false, Some((other, _))) = (args.unset, overlap) {
        return Err(format!("{prefix} overlaps with {other}"));
    }
    on::address(draft, args)
}

fn section(draft: &mut Draft, args: &Args, kind: &'static str, label: &str) -> Outcome {
    draft.keep(args.unset);
    if !args.unset {
        draft.enter(Node::Kept(kind, format!("{label} {}", args.word(0)).trim_end().to_owned()));
    }
    Ok(())
}

fn route_map(draft: &mut Draft, args: &Args) -> Outcome {
    draft.keep(args.unset);
    if !args.unset {
        let name = format!("{} {} {}", args.word(0), args.word(1), args.number(2));
        draft.enter(Node::Kept("route-map", name));
    }
    Ok(())
}

fn level(word: &str) -> Level {
    match word {
        "level-1" => Level::One,
        "level-2" => Level::Two,
        _ => Level::Both,
    }
}

fn circuit_type(draft: &mut Draft, args: &Args) -> Outcome {
    on::circuit_level(draft, Some(level(args.word(0))))
}

fn is_type(draft: &mut Draft, args: &Args) -> Outcome {
    let level = if args.unset { Level::Both } else { level(args.word(0)) };
    on::with_isis(draft, |isis| isis.level = level)
}

/// Changes a peer, which comes to be with its first statement; a removal makes none.
fn peer(draft: &mut Draft, args: &Args, change: impl FnOnce(&mut Neighbor)) -> Outcome {
    let (address, unset) = (args.address(0), args.unset);
    on::with_bgp(draft, |bgp| {
        if unset {
            if let Some(neighbor) = bgp.neighbors.get_mut(&address) {
                change(neighbor);
            }
        } else {
            change(bgp.neighbors.entry(address).or_default());
        }
        Ok(())
    })
}

fn keep_peer(draft: &mut Draft, args: &Args) -> Outcome {
    let exists = on::with_bgp(draft, |bgp| Ok(bgp.neighbors.contains_key(&args.address(0))))?;
    if !args.unset || exists {
        peer(draft, args, |_| {})?;
        draft.keep(args.unset);
    }
    Ok(())
}

fn group(draft: &mut Draft, args: &Args, change: impl FnOnce(&mut Neighbor)) -> Outcome {
    let name = args.word(0).to_owned();
    on::with_bgp(draft, |bgp| {
        change(bgp.groups.entry(name).or_default());
        Ok(())
    })
}
