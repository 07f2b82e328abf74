//! What of a router's configuration is Causeway's: whole sections, and beside them the lines that a text of Causeway
//! brought. The rest is the operator's and is neither compared nor changed.

use std::collections::BTreeSet;

use super::tree::{Path, Tree};

/// Whether a top-level header begins a section that is Causeway's as a whole. The same as what the controller
/// compares, without the BGP instances of VRFs, which no text has.
pub fn is_managed(header: &str) -> bool {
    header.starts_with("interface ")
        || header == "router isis 1"
        || (header.starts_with("router bgp ") && !header.contains(" vrf ") && !header.contains(" view "))
}

/// The managed part of what runs, seen from what shall run and what earlier texts brought.
pub fn managed(running: &Tree, target: &Tree, owned: &BTreeSet<Path>) -> Tree {
    running.filtered(|path| {
        path.first().is_some_and(|header| is_managed(header)) || target.contains(path) || owned.contains(path)
    })
}

/// What is Causeway's beside its sections once `target` runs: of its lines those that were not there before, or that
/// were Causeway's already.
pub fn owned_with(target: &Tree, running: &Tree, owned: &BTreeSet<Path>) -> BTreeSet<Path> {
    target
        .paths()
        .filter(|path| path.first().is_some_and(|header| !is_managed(header)))
        .filter(|path| owned.contains(*path) || !running.contains(path))
        .cloned()
        .collect()
}

/// Daemons without which a configuration can't run. `vtysh` drops lines of a daemon that is away where it reads files,
/// and what such a daemon runs is missing from what it shows.
pub fn needed_daemons(tree: &Tree) -> BTreeSet<&'static str> {
    let mut needed = BTreeSet::from(["zebra"]);
    for path in tree.paths() {
        let header = path.first().map_or("", String::as_str);
        let line = path.last().map_or("", String::as_str);
        if header.starts_with("router isis") || line.starts_with("ip router isis") || line.starts_with("isis ") {
            needed.insert("isisd");
        }
        if header.starts_with("router bgp") {
            needed.insert("bgpd");
        }
        if header == "bfd" || line.starts_with("isis bfd") || line.split(' ').nth(2) == Some("bfd") {
            needed.insert("bfdd");
        }
        if line.starts_with("ip route ") || line.starts_with("ipv6 route ") {
            needed.insert("staticd");
        }
    }
    needed
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNNING: &str = "log syslog\nip route 1.0.0.0/8 2.2.2.2\nvrf mgmt\n ip route 0.0.0.0/0 9.9.9.9\n ip route 7.0.0.0/8 9.9.9.9\n\
                           interface a\n mtu 9\nrouter isis 1\n net x\nrouter bgp 1\n timers\nrouter bgp 1 vrf blue\n timers\n";

    #[test]
    fn the_operators_lines_are_left_alone() {
        let running = Tree::parse(RUNNING);
        let target = Tree::parse("vrf mgmt\n ip route 7.0.0.0/8 9.9.9.9\ninterface a\n mtu 9\n");
        let part = managed(&running, &target, &BTreeSet::new());
        let expected = "interface a\n mtu 9\nrouter bgp 1\n timers\nrouter isis 1\n net x\nvrf mgmt\n ip route 7.0.0.0/8 9.9.9.9\n";
        assert_eq!(part.text(), expected);
    }

    #[test]
    fn a_line_that_was_there_before_never_becomes_ours_and_ours_stays_ours() {
        let running = Tree::parse(RUNNING);
        let target = Tree::parse("log syslog\nip route 5.0.0.0/8 2.2.2.2\ninterface a\n mtu 9\n");
        let owned = owned_with(&target, &running, &BTreeSet::new());
        assert_eq!(owned, BTreeSet::from([vec!["ip route 5.0.0.0/8 2.2.2.2".to_owned()]]));
        // It runs now, and still is ours; a text without it takes it away.
        let running = Tree::parse(&format!("{RUNNING}ip route 5.0.0.0/8 2.2.2.2\n"));
        assert_eq!(owned_with(&target, &running, &owned), owned);
        let without = Tree::parse("interface a\n mtu 9\n");
        assert!(managed(&running, &without, &owned).text().contains("5.0.0.0/8"));
        assert!(!managed(&running, &without, &owned).text().contains("syslog"));
    }

    #[test]
    fn daemons_follow_from_the_lines() {
        let of = |text| needed_daemons(&Tree::parse(text)).into_iter().collect::<Vec<_>>();
        assert_eq!(of("interface a\n ip address 1.1.1.1/31\n"), ["zebra"]);
        assert_eq!(of("interface a\n isis metric 3\n isis bfd\n"), ["bfdd", "isisd", "zebra"]);
        assert_eq!(
            of("router bgp 1\n neighbor 1.1.1.1 bfd\nip route 1.0.0.0/8 blackhole\n"),
            ["bfdd", "bgpd", "staticd", "zebra"]
        );
    }
}
