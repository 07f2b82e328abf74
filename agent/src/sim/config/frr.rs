//! FRR 8.4's integrated configuration, as far as backbone configurations use it.
//!
//! Checked against what a real `vtysh -C` and the daemons behind it take: peers need `remote-as` or a template first,
//! and a metric above 63 needs wide metrics, which a `router isis` before it brings.

use super::{
    Level, Neighbor, Refusal, RunningConfig,
    grammar::{self, Args, Draft, Grammar, Node, Rule, Sense, Sense::*},
    statements as on,
    statements::Outcome,
};

/// Largest metric that narrow metrics can carry.
const MAX_NARROW_METRIC: u32 = 63;

const GRAMMAR: Grammar = Grammar {
    rules: RULES,
    free: &["route-map", "line"],
    // Linux takes any name of up to 15 bytes without a slash.
    interface: |name| (name.len() <= 15 && !name.contains('/') && name.is_ascii()).then(|| name.to_owned()),
};

/// Reads FRR text.
///
/// # Errors
/// The lines that FRR would refuse.
pub fn parse(text: &str) -> Result<RunningConfig, Refusal> {
    grammar::parse(&GRAMMAR, text)
}

const fn at(at: &'static str, sense: Sense, form: &'static str, act: grammar::Act) -> Rule {
    Rule { at, form, sense, act }
}

const RULES: &[Rule] = &[
    at("global", Set, "frr version {word}", on::keep),
    at("global", Set, "frr defaults traditional|datacenter", on::keep),
    at("global", Both, "hostname {word}", on::hostname),
    at("global", Both, "domainname {word}", on::keep),
    at("global", Both, "service integrated-vtysh-config", on::keep),
    at("global", Both, "service password-encryption", on::keep),
    at("global", Both, "log syslog", on::keep),
    at(
        "global",
        Both,
        "log syslog emergencies|alerts|critical|errors|warnings|notifications|informational|debugging",
        on::keep,
    ),
    at("global", Both, "log file {word}", on::keep),
    at(
        "global",
        Both,
        "log file {word} emergencies|alerts|critical|errors|warnings|notifications|informational|debugging",
        on::keep,
    ),
    at("global", Both, "log stdout", on::keep),
    at(
        "global",
        Set,
        "log stdout emergencies|alerts|critical|errors|warnings|notifications|informational|debugging",
        on::keep,
    ),
    at("global", Both, "log timestamp precision {0-6}", on::keep),
    at("global", Set, "banner motd line {text}", on::keep),
    at("global", Set, "password {word}", on::keep),
    at("global", Set, "enable password {word}", on::keep),
    at("global", Both, "ip forwarding", on::keep),
    at("global", Both, "ipv6 forwarding", on::keep),
    at("global", Both, "ip nht resolve-via-default", on::keep),
    at("global", Both, "ip router-id {address}", on::keep),
    at("global", Both, "router-id {address}", on::keep),
    at("global", Both, "ip route {prefix} {word}", on::keep),
    at("global", Both, "ip route {prefix} {word} {1-255}", on::keep),
    at("global", Both, "ip prefix-list {word} permit|deny any", on::keep),
    at("global", Both, "ip prefix-list {word} permit|deny {prefix}", on::keep),
    at("global", Both, "ip prefix-list {word} permit|deny {prefix} le {0-32}", on::keep),
    at("global", Both, "ip prefix-list {word} permit|deny {prefix} ge {0-32}", on::keep),
    at("global", Both, "ip prefix-list {word} permit|deny {prefix} ge {0-32} le {0-32}", on::keep),
    at("global", Both, "ip prefix-list {word} seq {1-4294967295} permit|deny any", on::keep),
    at("global", Both, "ip prefix-list {word} seq {1-4294967295} permit|deny {prefix}", on::keep),
    at("global", Both, "ip prefix-list {word} seq {1-4294967295} permit|deny {prefix} le {0-32}", on::keep),
    at("global", Both, "ip prefix-list {word} seq {1-4294967295} permit|deny {prefix} ge {0-32}", on::keep),
    at("global", Both, "ip prefix-list {word} seq {1-4294967295} permit|deny {prefix} ge {0-32} le {0-32}", on::keep),
    at("global", Both, "ip prefix-list {word} description {text}", on::keep),
    at("global", Both, "access-list {word} permit|deny any", on::keep),
    at("global", Both, "access-list {word} permit|deny {prefix}", on::keep),
    at("global", Both, "access-list {word} seq {1-4294967295} permit|deny {prefix}", on::keep),
    at("global", Both, "bgp as-path access-list {word} permit|deny {text}", on::keep),
    at("global", Both, "bgp community-list expanded {word} permit|deny {text}", on::keep),
    at("global", Both, "ip protocol bgp|isis route-map {word}", on::keep),
    at("global", Both, "route-map {word} permit|deny {1-65535}", route_map),
    at("global", Set, "line vty", |draft, _| {
        draft.enter(Node::Kept("line", "vty".to_owned()));
        Ok(())
    }),
    at("global", Both, "interface {interface}", interface),
    at("global", Both, "interface {interface} vrf {word}", |draft, args| {
        interface(draft, args)?;
        if !args.unset {
            draft.keep_as(&format!("vrf {}", args.word(1)));
        }
        Ok(())
    }),
    at("global", Both, "vrf {word}", |draft, args| {
        draft.keep(args.unset);
        if !args.unset {
            draft.enter(Node::Kept("vrf", args.word(0).to_owned()));
        }
        Ok(())
    }),
    at("vrf", Set, "exit-vrf", leave),
    at("global", Both, "bfd", |draft, args| {
        draft.keep(args.unset);
        if !args.unset {
            draft.enter(Node::Kept("bfd", "of all".to_owned()));
        }
        Ok(())
    }),
    at("bfd", Both, "profile {word}", |draft, args| {
        draft.keep(args.unset);
        if !args.unset {
            draft.enter(Node::Kept("bfd-profile", args.word(0).to_owned()));
        }
        Ok(())
    }),
    at("bfd-profile", Set, "detect-multiplier {2-255}", on::keep),
    at("bfd-profile", Set, "receive-interval {10-60000}", on::keep),
    at("bfd-profile", Set, "transmit-interval {10-60000}", on::keep),
    at("vrf", Both, "vni {1-16777215}", on::keep),
    at("vrf", Both, "ip route {prefix} {word}", on::keep),
    at("global", Both, "router isis {word}", |draft, args| on::router_isis(draft, args, Level::Both, true)),
    at("global", Both, "router bgp {1-4294967295}", on::router_bgp),
    // Interface.
    at("interface", Set, "description {text}", on::keep),
    at("interface", Unset, "description", no_description),
    at("interface", Both, "ip address {prefix}", on::address),
    at("interface", Both, "ip address {prefix} label {word}", on::address),
    at("interface", Both, "shutdown", on::shutdown),
    at("interface", Both, "bandwidth {1-100000}", on::keep),
    at("interface", Both, "link-detect", on::keep),
    at("interface", Both, "mpls enable", on::keep),
    at("interface", Both, "ip pim", on::keep),
    at("interface", Both, "ip router isis {word}", on::isis_enable),
    at("interface", Set, "isis circuit-type level-1|level-1-2|level-2-only", circuit_type),
    at("interface", Unset, "isis circuit-type", |draft, _| on::circuit_level(draft, None)),
    at("interface", Unset, "isis circuit-type level-1|level-1-2|level-2-only", |draft, _| {
        on::circuit_level(draft, None)
    }),
    at("interface", Both, "isis network point-to-point", on::isis_point_to_point),
    at("interface", Both, "isis metric {0-16777215}", metric),
    at("interface", Both, "isis metric level-2 {0-16777215}", metric_level_two),
    at("interface", Unset, "isis metric", on::isis_metric),
    at("interface", Both, "isis passive", on::isis_passive),
    at("interface", Both, "isis hello-interval {1-600}", on::isis_hello_interval),
    at("interface", Both, "isis hello-interval level-2 {1-600}", hello_level_two),
    at("interface", Unset, "isis hello-interval", on::isis_hello_interval),
    at("interface", Both, "isis hello-multiplier {2-100}", on::keep),
    at("interface", Both, "isis hello-multiplier level-1|level-2 {2-100}", on::keep),
    at("interface", Both, "isis hello padding", on::isis_hello_padding),
    at("interface", Both, "isis three-way-handshake", on::keep),
    at("interface", Both, "isis priority {0-127}", on::keep),
    at("interface", Both, "isis csnp-interval {1-600}", on::keep),
    at("interface", Both, "isis psnp-interval {1-120}", on::keep),
    at("interface", Both, "isis password md5|clear {word}", on::keep),
    at("interface", Both, "isis bfd", on::keep),
    at("interface", Both, "isis bfd profile {word}", on::keep),
    at("interface", Set, "link-params", |draft, _| {
        draft.enter(Node::Kept("link-params", "te".to_owned()));
        Ok(())
    }),
    at("link-params", Set, "exit-link-params", leave),
    at("link-params", Both, "enable", on::keep),
    at("link-params", Set, "metric {0-4294967295}", on::keep),
    at("link-params", Set, "max-bw {word}", on::keep),
    at("link-params", Set, "delay {0-16777215}", on::keep),
    // IS-IS.
    at("isis", Both, "net {word}", on::net),
    at("isis", Both, "is-type level-1|level-1-2|level-2-only", is_type),
    at("isis", Both, "metric-style wide|narrow|transition", metric_style),
    at("isis", Both, "set-overload-bit", on::overload),
    at("isis", Both, "log-adjacency-changes", on::keep),
    at("isis", Both, "hostname dynamic", on::keep),
    at("isis", Both, "purge-originator", on::keep),
    at("isis", Both, "lsp-gen-interval {1-120}", on::keep),
    at("isis", Both, "lsp-gen-interval level-1|level-2 {1-120}", on::keep),
    at("isis", Both, "lsp-refresh-interval {1-65235}", on::keep),
    at("isis", Both, "lsp-refresh-interval level-1|level-2 {1-65235}", on::keep),
    at("isis", Both, "max-lsp-lifetime {350-65535}", on::keep),
    at("isis", Both, "max-lsp-lifetime level-1|level-2 {350-65535}", on::keep),
    at("isis", Both, "lsp-mtu {128-4352}", on::keep),
    at("isis", Both, "spf-interval {1-120}", on::keep),
    at("isis", Both, "spf-interval level-1|level-2 {1-120}", on::keep),
    at(
        "isis",
        Both,
        "spf-delay-ietf init-delay {0-60000} short-delay {0-60000} long-delay {0-60000} holddown {0-60000} time-to-learn {0-60000}",
        on::keep,
    ),
    at("isis", Unset, "spf-delay-ietf", |draft, _| {
        draft.forget("spf-delay-ietf ");
        Ok(())
    }),
    at("isis", Set, "area-password clear|md5 {word}", on::keep),
    at("isis", Set, "domain-password clear|md5 {word}", on::keep),
    at("isis", Both, "redistribute ipv4 bgp|connected|kernel|static level-1|level-2", on::keep),
    at("isis", Both, "default-information originate ipv4 level-1|level-2", on::keep),
    at("isis", Both, "mpls-te on", on::keep),
    at("isis", Both, "mpls-te router-address {address}", on::keep),
    at("isis", Both, "segment-routing on", on::keep),
    at("isis", Set, "segment-routing global-block {16-1048575} {16-1048575}", on::keep),
    at("isis", Both, "segment-routing node-msd {1-16}", on::keep),
    at("isis", Both, "segment-routing prefix {prefix} index {0-65535}", on::keep),
    at("isis", Both, "segment-routing prefix {prefix} index {0-65535} no-php-flag|explicit-null", on::keep),
    // BGP.
    at("bgp", Both, "bgp router-id {address}", on::router_id),
    at("bgp", Unset, "bgp router-id", on::router_id),
    at("bgp", Both, "bgp default ipv4-unicast", on::keep),
    at("bgp", Both, "bgp log-neighbor-changes", on::keep),
    at("bgp", Both, "bgp ebgp-requires-policy", on::keep),
    at("bgp", Both, "bgp network import-check", on::keep),
    at("bgp", Both, "bgp suppress-duplicates", on::keep),
    at("bgp", Both, "bgp deterministic-med", on::keep),
    at("bgp", Both, "bgp always-compare-med", on::keep),
    at("bgp", Both, "bgp graceful-restart", on::keep),
    at("bgp", Both, "bgp graceful-shutdown", on::keep),
    at("bgp", Both, "bgp cluster-id {address}", on::keep),
    at("bgp", Both, "bgp bestpath as-path multipath-relax", on::keep),
    at("bgp", Both, "bgp update-delay {0-3600}", on::keep),
    at("bgp", Both, "timers bgp {0-65535} {0-65535}", on::keep),
    at("bgp", Both, "neighbor {address} remote-as {1-4294967295}", remote_as),
    at("bgp", Unset, "neighbor {address}", on::no_peer),
    at("bgp", Both, "neighbor {address} update-source {word}", update_source),
    at("bgp", Unset, "neighbor {address} update-source", update_source),
    at("bgp", Both, "neighbor {address} shutdown", peer_shutdown),
    at("bgp", Both, "neighbor {address} shutdown message {text}", peer_shutdown),
    at("bgp", Both, "neighbor {address} description {text}", on::keep_peer),
    at("bgp", Unset, "neighbor {address} description", on::keep_peer),
    at("bgp", Both, "neighbor {address} timers {0-65535} {0-65535}", on::keep_peer),
    at("bgp", Both, "neighbor {address} timers connect {1-65535}", on::keep_peer),
    at("bgp", Both, "neighbor {address} advertisement-interval {0-600}", on::keep_peer),
    at("bgp", Both, "neighbor {address} password {word}", on::keep_peer),
    at("bgp", Both, "neighbor {address} passive", on::keep_peer),
    at("bgp", Both, "neighbor {address} bfd", on::keep_peer),
    at("bgp", Both, "neighbor {address} ebgp-multihop", on::keep_peer),
    at("bgp", Both, "neighbor {address} ebgp-multihop {1-255}", on::keep_peer),
    at("bgp", Both, "neighbor {address} ttl-security hops {1-254}", on::keep_peer),
    at("bgp", Both, "neighbor {address} disable-connected-check", on::keep_peer),
    at("bgp", Both, "neighbor {address} peer-group {word}", peer_group),
    at("bgp", Both, "neighbor {word} peer-group", group),
    at("bgp", Both, "neighbor {word} remote-as {1-4294967295}", group_remote_as),
    at("bgp", Both, "neighbor {word} update-source {word}", group_update_source),
    at("bgp", Both, "neighbor {word} shutdown", group_shutdown),
    at("bgp", Both, "neighbor {word} description {text}", group_keep),
    at("bgp", Both, "neighbor {word} timers {0-65535} {0-65535}", group_keep),
    at("bgp", Set, "address-family ipv4 unicast|vpn", family),
    at("bgp", Set, "address-family l2vpn evpn", |draft, args| enter_family(draft, args, "l2vpn evpn")),
    at("bgp-family", Both, "neighbor {address} activate", on::peer_activate),
    at("bgp-family", Both, "neighbor {address} next-hop-self", on::keep_peer),
    at("bgp-family", Both, "neighbor {address} next-hop-self force", on::keep_peer),
    at("bgp-family", Both, "neighbor {address} send-community", on::keep_peer),
    at("bgp-family", Both, "neighbor {address} send-community standard|extended|both|large|all", on::keep_peer),
    at("bgp-family", Both, "neighbor {address} route-reflector-client", on::keep_peer),
    at("bgp-family", Both, "neighbor {address} soft-reconfiguration inbound", on::keep_peer),
    at("bgp-family", Both, "neighbor {address} route-map {word} in|out", on::keep_peer),
    at("bgp-family", Both, "neighbor {address} prefix-list {word} in|out", on::keep_peer),
    at("bgp-family", Both, "neighbor {address} maximum-prefix {1-4294967295}", on::keep_peer),
    at("bgp-family", Both, "neighbor {address} allowas-in", on::keep_peer),
    at("bgp-family", Both, "neighbor {address} allowas-in {1-10}", on::keep_peer),
    at("bgp-family", Both, "neighbor {word} activate", group_keep),
    at("bgp-family", Both, "neighbor {word} next-hop-self", group_keep),
    at("bgp-family", Both, "neighbor {word} send-community", group_keep),
    at("bgp-family", Both, "neighbor {word} route-map {word} in|out", group_keep),
    at("bgp-family", Both, "network {prefix}", on::keep),
    at("bgp-family", Both, "network {prefix} route-map {word}", on::keep),
    at("bgp-family", Both, "aggregate-address {prefix}", on::keep),
    at("bgp-family", Both, "redistribute connected|static|isis|kernel", on::keep),
    at("bgp-family", Both, "redistribute connected|static|isis|kernel route-map {word}", on::keep),
    at("bgp-family", Both, "maximum-paths {1-256}", on::keep),
    at("bgp-family", Both, "maximum-paths ibgp {1-256}", on::keep),
    at("bgp-family", Both, "distance bgp {1-255} {1-255} {1-255}", on::keep),
];

fn leave(draft: &mut Draft, _: &Args) -> Outcome {
    // The rule matched in the section itself, so that an `exit` takes it off.
    draft.leave();
    Ok(())
}

fn interface(draft: &mut Draft, args: &Args) -> Outcome {
    let name = args.word(0).to_owned();
    if args.unset {
        draft.config.interfaces.remove(&name);
        draft.forget(&format!("interface {name} / "));
        return Ok(());
    }
    draft.config.interfaces.entry(name.clone()).or_default();
    draft.enter(Node::Interface(name));
    Ok(())
}

fn no_description(draft: &mut Draft, _: &Args) -> Outcome {
    draft.forget("description ");
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
        "level-2-only" => Level::Two,
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

fn metric_style(draft: &mut Draft, args: &Args) -> Outcome {
    let wide = args.unset || args.word(0) != "narrow";
    on::with_isis(draft, |isis| isis.wide = wide)
}

fn metric(draft: &mut Draft, args: &Args) -> Outcome {
    let wide = draft.config.isis.as_ref().is_some_and(|isis| isis.wide);
    if !args.unset && args.number(0) > MAX_NARROW_METRIC && !wide {
        return Err(format!("a metric above {MAX_NARROW_METRIC} needs a `router isis` with wide metrics before it"));
    }
    on::isis_metric(draft, args)
}

fn metric_level_two(draft: &mut Draft, args: &Args) -> Outcome {
    metric(draft, args)
}

fn hello_level_two(draft: &mut Draft, args: &Args) -> Outcome {
    on::isis_hello_interval(draft, args)
}

fn remote_as(draft: &mut Draft, args: &Args) -> Outcome {
    if args.unset {
        return on::no_peer(draft, args);
    }
    let (peer, asn) = (args.address(0), args.number(1));
    on::with_bgp(draft, |bgp| {
        bgp.neighbors.entry(peer).or_default().remote_as = Some(asn);
        Ok(())
    })
}

fn update_source(draft: &mut Draft, args: &Args) -> Outcome {
    let source = (!args.unset).then(|| args.word(1).to_owned());
    on::with_peer(draft, args.address(0), |neighbor| neighbor.update_source = source)
}

fn peer_shutdown(draft: &mut Draft, args: &Args) -> Outcome {
    on::with_peer(draft, args.address(0), |neighbor| neighbor.shutdown = !args.unset)
}

fn peer_group(draft: &mut Draft, args: &Args) -> Outcome {
    let (peer, name) = (args.address(0), args.word(1).to_owned());
    on::with_bgp(draft, |bgp| {
        if !bgp.groups.contains_key(&name) {
            return Err(format!("there is no peer group {name}"));
        }
        bgp.neighbors.entry(peer).or_default().group = (!args.unset).then_some(name);
        Ok(())
    })
}

fn group(draft: &mut Draft, args: &Args) -> Outcome {
    let name = args.word(0).to_owned();
    on::with_bgp(draft, |bgp| {
        if args.unset {
            bgp.groups.remove(&name);
        } else {
            bgp.groups.entry(name).or_default();
        }
        Ok(())
    })
}

fn with_group(draft: &mut Draft, name: &str, change: impl FnOnce(&mut Neighbor)) -> Outcome {
    on::with_bgp(draft, |bgp| match bgp.groups.get_mut(name) {
        Some(template) => {
            change(template);
            Ok(())
        }
        None => Err(format!("there is no peer group {name}")),
    })
}

fn group_remote_as(draft: &mut Draft, args: &Args) -> Outcome {
    let asn = (!args.unset).then(|| args.number(1));
    with_group(draft, args.word(0), |template| template.remote_as = asn)
}

fn group_update_source(draft: &mut Draft, args: &Args) -> Outcome {
    let source = (!args.unset).then(|| args.word(1).to_owned());
    with_group(draft, args.word(0), |template| template.update_source = source)
}

fn group_shutdown(draft: &mut Draft, args: &Args) -> Outcome {
    with_group(draft, args.word(0), |template| template.shutdown = !args.unset)
}

fn group_keep(draft: &mut Draft, args: &Args) -> Outcome {
    with_group(draft, args.word(0), |_| {})?;
    draft.keep(args.unset);
    Ok(())
}

fn family(draft: &mut Draft, args: &Args) -> Outcome {
    let name = format!("ipv4 {}", args.word(0));
    enter_family(draft, args, &name)
}

fn enter_family(draft: &mut Draft, _: &Args, name: &str) -> Outcome {
    draft.enter(Node::BgpFamily(name.to_owned()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use super::*;

    /// One line, or some, of each rule, with extreme values.
    fn samples(rule: &Rule) -> Vec<String> {
        let mut lines = vec![String::new()];
        for part in rule.form.split_whitespace() {
            let words: Vec<String> = match part {
                "{address}" => vec!["10.0.0.9".to_owned()],
                "{prefix}" => vec!["10.0.0.9/32".to_owned()],
                "{interface}" => vec!["eth1".to_owned()],
                "{word}" if rule.form.starts_with("neighbor {word}") && lines[0].trim() == "neighbor" => {
                    vec!["PG".to_owned()]
                }
                "{word}" | "{text}" => vec!["word".to_owned()],
                range if range.starts_with('{') => {
                    range.trim_matches(['{', '}']).split('-').map(str::to_owned).collect()
                }
                literal => literal.split('|').map(str::to_owned).collect(),
            };
            // A prefix length limit has to be above the prefix's own.
            let words =
                if lines[0].ends_with(" le") || lines[0].ends_with(" ge") { vec!["32".to_owned()] } else { words };
            lines = lines.iter().flat_map(|line| words.iter().map(move |word| format!("{line} {word}"))).collect();
        }
        lines
    }

    /// The simulation accepts nothing that FRR does not know.
    #[test]
    fn every_rule_is_frrs_own() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("frr.conf");
        let mut refused = Vec::new();
        for rule in RULES {
            let before = match rule.at {
                "interface" => "router isis 1\ninterface eth1\n",
                "link-params" => "interface eth1\nlink-params\n",
                "isis" => "router isis 1\n",
                "bgp" => "router bgp 65000\nneighbor 10.0.0.9 remote-as 65000\nneighbor PG peer-group\n",
                "bgp-family" => {
                    "router bgp 65000\nneighbor 10.0.0.9 remote-as 65000\nneighbor PG peer-group\naddress-family ipv4 unicast\n"
                }
                "vrf" => "vrf x\n",
                "bfd" => "bfd\n",
                "bfd-profile" => "bfd\nprofile x\n",
                _ => "",
            };
            let forms: &[&str] = match rule.sense {
                Set => &[""],
                Unset => &["no"],
                Both => &["", "no"],
            };
            for line in samples(rule).iter().flat_map(|line| forms.iter().map(move |no| format!("{no}{line}"))) {
                fs::write(&file, format!("{before}{line}\n")).unwrap();
                let checked = Command::new("vtysh")
                    .arg("-C")
                    .arg("-f")
                    .arg(&file)
                    .output()
                    .expect("vtysh runs: cargo xtask setup installs FRR");
                if !checked.status.success() {
                    refused.push(format!("{}: {line}: {}", rule.at, String::from_utf8_lossy(&checked.stdout)));
                }
            }
        }
        assert!(refused.is_empty(), "{}", refused.concat());
    }
}
