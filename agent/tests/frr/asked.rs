//! What runs, asked of the daemons themselves: the same as `vtysh` shows.

use std::path::Path;

use causeway_agent::frr::{
    tree::Tree,
    vtysh::{Instance, Vtysh},
};

use crate::lab::{ALL, Router, text};

/// What an operator may have, beside what Causeway renders: of every daemon something, and of sections each form.
const OPERATORS: &str = "log syslog warnings\nip forwarding\nip prefix-list P seq 5 permit 10.0.0.0/8 le 24\n\
    route-map M permit 10\n match ip address prefix-list P\n set local-preference 200\nexit\n\
    route-map M deny 20\nexit\nip route 10.9.0.0/16 blackhole 250\nbgp community-list standard C permit 65000:1\n\
    bfd\n profile fast\n  detect-multiplier 4\n  receive-interval 200\n exit\n peer 10.0.0.1 interface eth1\n  transmit-interval 100\n exit\nexit\n\
    interface eth1\n description one-two\n bandwidth 100\n shutdown\n isis bfd\n isis bfd profile fast\nexit\n\
    interface not-there\n description is away\n ip address 10.7.0.1/24\nexit\n\
    router bgp 65000\n neighbor RR peer-group\n neighbor RR remote-as 65000\n neighbor RR bfd\n neighbor 10.7.0.2 peer-group RR\n \
    address-family ipv4 unicast\n  network 10.7.0.0/24\n  redistribute connected route-map M\n  neighbor RR activate\n  \
    neighbor RR route-map M in\n exit-address-family\n address-family ipv4 vpn\n  neighbor RR activate\n exit-address-family\nexit\n\
    router bgp 65001 view V\n neighbor 10.8.0.1 remote-as 65001\nexit\nrouter isis other\n net 49.0001.0000.0000.0001.00\nexit\n\
    access-list A seq 5 permit 10.0.0.0/8\nline vty\n";

/// What `vtysh` adds of its own.
fn is_its_own(path: &[String]) -> bool {
    path.last().is_some_and(|line| line.ends_with("service integrated-vtysh-config"))
}

#[test]
fn what_the_daemons_say_is_what_vtysh_shows() {
    let mut router = Router::new("q", &ALL);
    let vtysh = Vtysh::new(Path::new("/usr/bin/vtysh"), Instance::pathspace(&router.name).unwrap());
    let same = |what: &str| {
        let (asked, shown) = (vtysh.running().unwrap(), vtysh.shown().unwrap());
        let shown_tree = shown.tree.filtered(|path| !is_its_own(path));
        assert_eq!(asked.tree.text(), shown_tree.text(), "{what}");
        assert_eq!(asked.daemons, shown.daemons, "{what}");
        asked.tree
    };
    same("nothing yet");
    let mut most = Tree::default();
    for lines in [text(1, 4000), OPERATORS.to_owned(), text(1, 5000)] {
        let mut commands = vec!["configure terminal"];
        commands.extend(lines.lines().map(str::trim).filter(|line| !matches!(*line, "!" | "end" | "")));
        router.vtysh(&commands);
        most = same(&lines);
    }
    for line in [
        "  redistribute connected route-map M\n",
        "  detect-multiplier 4\n",
        " isis metric 5000\n",
        "ip route 10.9.0.0/16 blackhole 250\n",
    ] {
        assert!(most.text().contains(line), "{line}");
    }
    router.crash("bfdd");
    assert!(!same("a daemon that was killed").text().contains("detect-multiplier"));
    router.start("bfdd");
    same("a daemon that is back");
}
