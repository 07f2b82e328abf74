//! How long an adjacency may be shown as up after a change that has broken it. Pure.
//!
//! Where the other end's hellos no longer arrive, or this end's no longer there, nobody says so: the adjacency ends when its hold
//! time is over (ISO 10589, 8.2). BFD doesn't see it either, where its packets are smaller than hellos, which are padded to the MTU.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{links::LinkChange, passage::OVERLOAD, tree::Tree, values::METRIC};

/// What FRR's IS-IS does unless it is told another: seconds between hellos, and how many of them make a hold time.
const HELLO_INTERVAL_S: u64 = 3;
const HELLO_MULTIPLIER: u64 = 10;
/// For the last word to be read, on a machine that is busy.
const MARGIN: Duration = Duration::from_secs(1);

/// By interface that is there before and after: how long an adjacency on it may outlive the change. Without those whose
/// adjacency this change can't break: of IS-IS it changes metrics or the overload bit at most, and nothing of the address and the MTU.
pub fn stale_for(running: &Tree, target: &Tree, links: &[LinkChange]) -> BTreeMap<String, Duration> {
    let stay = running.interfaces().into_iter().filter(|name| target.interfaces().contains(name));
    let router = OVERLOAD[0];
    let all = lines(running, router, is_of_a_router) != lines(target, router, is_of_a_router);
    let resized =
        |name: &str| links.iter().any(|change| matches!(change, LinkChange::Mtu { name: of, .. } if of == name));
    stay.filter_map(|name| {
        let header = format!("interface {name}");
        let changes = lines(running, &header, is_of_a_link) != lines(target, &header, is_of_a_link);
        let hold = hold(running, &header).max(hold(target, &header));
        (all || changes || resized(name)).then(|| (name.to_owned(), hold))
    })
    .collect()
}

fn lines<'a>(tree: &'a Tree, header: &str, of: impl Fn(&str) -> bool) -> BTreeSet<&'a str> {
    tree.section(header).filter(|line| of(line)).collect()
}

fn is_of_a_router(line: &str) -> bool {
    line != OVERLOAD[1]
}

fn is_of_a_link(line: &str) -> bool {
    let starts = ["ip address ", "ip router isis ", "isis "];
    starts.iter().any(|start| line.starts_with(start)) && !line.starts_with(METRIC)
}

/// Until the other end has heard nothing for its hold time, and said so in its next hello. Both ends have the same timers.
fn hold(tree: &Tree, header: &str) -> Duration {
    let number = |start: &str, usual: u64| {
        let said = tree.section(header).find_map(|line| line.strip_prefix(start)?.split(' ').next()?.parse().ok());
        said.unwrap_or(usual)
    };
    let interval_s = number("isis hello-interval ", HELLO_INTERVAL_S);
    let multiplier = number("isis hello-multiplier ", HELLO_MULTIPLIER);
    Duration::from_secs(interval_s.saturating_mul(multiplier.saturating_add(1))) + MARGIN
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "interface a\n description x-y\n ip address 10.0.0.0/31\n ip router isis 1\n isis hello-interval 1\n isis metric 400\n\
                       interface b\n ip router isis 1\nrouter isis 1\n net x\nrouter bgp 1\n timers bgp 1 3\n";

    fn of(target: &str, links: &[LinkChange]) -> Vec<(String, u64)> {
        let found = stale_for(&Tree::parse(NOW), &Tree::parse(target), links);
        found.into_iter().map(|(name, time)| (name, time.as_secs())).collect()
    }

    #[test]
    fn what_can_break_an_adjacency_without_a_sign_is_named_with_its_hold_time() {
        let (a, b) = (("a".to_owned(), 12), ("b".to_owned(), 34));
        for (from, to, expected) in [
            ("10.0.0.0/31", "10.0.0.2/31", vec![a.clone()]),
            (" isis metric 400\n", " isis metric 400\n isis bfd\n", vec![a.clone()]),
            (" isis metric 400\n", " isis network point-to-point\n", vec![a.clone()]),
            (" isis hello-interval 1\n", "", vec![("a".to_owned(), 34)]),
            (
                " isis hello-interval 1\n",
                " isis hello-interval 1\n isis hello-multiplier 20\n",
                vec![("a".to_owned(), 22)],
            ),
            (
                "interface b\n ip router isis 1\n",
                "interface b\n ip router isis 1\n isis password clear z\n",
                vec![b.clone()],
            ),
            (" net x\n", " net y\n", vec![a.clone(), b.clone()]),
            // What adjacencies survive.
            (" isis metric 400\n", " isis metric 1000000\n", vec![]),
            (" isis metric 400\n", "", vec![]),
            (" net x\n", " net x\n set-overload-bit\n", vec![]),
            ("x-y", "x-z", vec![]),
            ("timers bgp 1 3", "timers bgp 3 9", vec![]),
            // What comes and goes.
            ("router bgp", "interface c\n ip address 10.0.0.4/31\n ip router isis 1\nrouter bgp", vec![]),
            ("interface b\n ip router isis 1\n", "", vec![]),
        ] {
            assert!(NOW.contains(from), "{from}");
            assert_eq!(of(&NOW.replace(from, to), &[]), expected, "{from:?} {to:?}");
        }
    }

    #[test]
    fn an_mtu_is_of_the_interface_that_has_it() {
        let mtu = |name: &str| LinkChange::Mtu { name: name.into(), from: 9216, to: 9000 };
        assert_eq!(of(NOW, &[mtu("a"), mtu("c")]), [("a".to_owned(), 12)]);
        assert_eq!(of(NOW, &[LinkChange::Loopback { name: "a".into() }]), []);
    }
}
