//! The way from what runs to a text on which no packet goes round and none is sent to a router that can't forward it yet.
//!
//! Two changes have a way of their own: one link's metric goes by stops ([`crate::stops`]), and a router's overload bit goes last,
//! once it has all routes. Everything else is one step. What is decided here is pure; [`super::device`] does it.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use ipnet::Ipv4Net;

use super::{
    database::Database,
    links::Kernel,
    observe,
    tree::{Path, Tree},
    vtysh::Vtysh,
};
use crate::{
    driver::DriverError,
    stops::{self, NoStops},
};

/// Between two stops: a generation of link-state packets (1 s) and two computations of routes (200 ms each) of a router that was
/// changed just before, and as much again for packets and processors that are slow.
const STOP: Duration = Duration::from_secs(2);
/// For all stops of a change together; a third of a verb's time.
const STOPS: Duration = Duration::from_secs(20);
/// A network in which more than a few others have said something for so long is one in which more changes than one link: as where a
/// backbone comes into service. Stops would mean nothing there, and each is work for every router.
const SETTLED_S: u32 = 5;
/// The other end of the link, and who happens to say the same again, which a router does about every 800 s.
const FEW: usize = 4;
const ONE_IN: usize = 50;
/// Longest wait for a router's routes before its overload bit goes all the same: a link that stays away must not keep it out.
const ROUTES_WITHIN: Duration = Duration::from_secs(20);
/// Longest wait for both ends of a link that comes: its adjacency takes a second or two, if the other end has it as well.
const LINK_WITHIN: Duration = Duration::from_secs(10);
/// The metric of a link that nobody uses who has another way; the controller's of one that is drained.
const AS_DRAINED: u32 = 1_000_000;
/// Between two looks at a router's routes. What isn't complete yet is told by the network's own pace.
const LOOK: Duration = Duration::from_millis(500);
/// Looks in a row that have to find the same, complete.
const LOOKS: u32 = 2;
/// The overload bit.
const OVERLOAD: [&str; 2] = ["router isis 1", "set-overload-bit"];
/// What an interface's metric is said by, and what it is unless it is said.
const METRIC: &str = "isis metric ";
const DEFAULT_METRIC: u32 = 10;

/// A link whose metric changes, as this router has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricChange {
    header: String,
    address: Ipv4Net,
    from: u32,
    to: u32,
}

/// The one link whose metric changes between two configurations. Where several do, or the link itself comes or goes, there is none:
/// stops are known for one change at a time.
pub fn metric_change(now: &Tree, target: &Tree) -> Option<MetricChange> {
    let headers: BTreeSet<&str> = now.interfaces().intersection(&target.interfaces()).copied().collect();
    let mut changes = headers.into_iter().filter_map(|name| {
        let header = format!("interface {name}");
        let (from, to) = (metric(now, &header)?, metric(target, &header)?);
        let address = target.section(&header).find_map(|line| line.strip_prefix("ip address ")?.parse().ok())?;
        (from != to).then_some(MetricChange { header, address, from, to })
    });
    let only = changes.next()?;
    changes.next().is_none().then_some(only)
}

/// The metric of an interface on which IS-IS forms adjacencies.
fn metric(tree: &Tree, header: &str) -> Option<u32> {
    let says = |wanted: &str| tree.section(header).any(|line| line == wanted);
    let forms = tree.section(header).any(|line| line.starts_with("ip router isis "));
    if !forms || says("isis passive") || says("shutdown") {
        return None;
    }
    let said = tree.section(header).find_map(|line| line.strip_prefix(METRIC));
    said.map_or(Some(DEFAULT_METRIC), |digits| digits.parse().ok())
}

/// Why a metric changes in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InOneStep {
    /// There are no stops.
    #[error(transparent)]
    NoStops(#[from] NoStops),
    /// More is changing than this.
    #[error("{0} other routers have changed something just now, and stops are known for one change at a time")]
    Unsettled(usize),
}

/// Where a change of a metric stops, in a network as IS-IS knows it. None where the link isn't known to it, because nothing uses it
/// then.
///
/// # Errors
/// See [`InOneStep`].
pub fn stops_of(change: &MetricChange, database: &Database) -> Result<Vec<u32>, InOneStep> {
    let (routers, spoke) = database.spoke_within(SETTLED_S);
    if spoke > FEW + routers / ONE_IN {
        return Err(InOneStep::Unsettled(spoke));
    }
    let (network, names) = database.network();
    match database.link_at(&network, &names, change.address, change.from) {
        Some(link) => Ok(stops::stops(&network, stops::Change { link, metric: change.to })?),
        None => Ok(Vec::new()),
    }
}

/// How long each of so many stops takes.
pub fn pause(stops: usize) -> Duration {
    STOP.min(STOPS / u32::try_from(stops.max(1)).unwrap_or(u32::MAX))
}

/// The one link that comes, on a router that has others already: it comes with the metric of a drained one, and goes to its own by stops from
/// there. None where several do, or where it is a drained one's that it is to have.
pub fn link_that_comes(now: &Tree, target: &Tree) -> Option<MetricChange> {
    let forms = |tree: &Tree, name: &str| metric(tree, &format!("interface {name}")).is_some();
    let mut coming = target.interfaces().into_iter().filter(|name| forms(target, name) && !forms(now, name));
    let (only, others) = (coming.next()?, coming.next());
    let has_others = target.interfaces().into_iter().any(|name| forms(target, name) && forms(now, name));
    let header = format!("interface {only}");
    let to = metric(target, &header).filter(|to| *to < AS_DRAINED)?;
    let address = target.section(&header).find_map(|line| line.strip_prefix("ip address ")?.parse().ok())?;
    (others.is_none() && has_others).then_some(MetricChange { header, address, from: AS_DRAINED, to })
}

/// Waits until both ends tell everybody of a link. Says whether it came to that within the time; the other end may not have it yet.
pub fn await_link(vtysh: &Vtysh, change: &MetricChange) -> bool {
    let deadline = Instant::now() + LINK_WITHIN;
    loop {
        let known = vtysh.database().is_ok_and(|database| {
            let (network, names) = database.network();
            database.link_at(&network, &names, change.address, change.from).is_some()
        });
        if known || Instant::now() + LOOK >= deadline {
            return known;
        }
        std::thread::sleep(LOOK);
    }
}

/// Where a change begins: a configuration with the change's first metric.
pub fn at_first(target: &Tree, change: &MetricChange) -> Tree {
    at_stop(target, change, change.from)
}

/// What runs, with one metric changed.
pub fn at_stop(now: &Tree, change: &MetricChange, metric: u32) -> Tree {
    let line = |metric: u32| vec![change.header.clone(), format!("{METRIC}{metric}")];
    let old = metric_line(now, &change.header);
    in_order(now).filter(|path| old.as_ref() != Some(path)).chain([line(metric)]).collect()
}

fn metric_line(tree: &Tree, header: &str) -> Option<Path> {
    let line = tree.section(header).find(|line| line.starts_with(METRIC))?;
    Some(vec![header.to_owned(), line.to_owned()])
}

/// Where a router that is overloaded goes before it goes to a text that isn't: there, and still overloaded. None where that isn't so.
pub fn still_overloaded(now: &Tree, target: &Tree) -> Option<Tree> {
    let bit = OVERLOAD.map(str::to_owned);
    (now.contains(&bit) && !target.contains(&bit) && target.contains(&bit[..1]))
        .then(|| in_order(target).chain([bit.to_vec()]).collect())
}

fn in_order(tree: &Tree) -> impl Iterator<Item = Path> {
    let mut lines: Vec<(usize, Path)> = tree.placed().map(|(path, place)| (place, path.clone())).collect();
    lines.sort_unstable_by_key(|(place, _)| *place);
    lines.into_iter().map(|(_, path)| path)
}

/// What FRR saved, so that a router that has lost its power comes back by it: IS-IS before the interfaces, and with the overload
/// bit. The same where it is so already, or no IS-IS is in it.
///
/// FRR 8.4 writes interfaces first, and at its start refuses each whose metric is above 63, because nothing has said by then that metrics are
/// wide. The bit comes after the section's timers: before them isisd puts off for half a minute what it says of itself, as its own
/// default for the timers is.
pub fn for_startup(saved: &str) -> String {
    let mut sections: Vec<Vec<&str>> = Vec::new();
    for line in saved.lines() {
        match sections.last_mut().filter(|_| line.starts_with(' ') || line.starts_with("exit")) {
            Some(section) => section.push(line),
            None => sections.push(vec![line]),
        }
    }
    let begins = |section: &Vec<&str>, with: &str| section.first().is_some_and(|line| line.starts_with(with));
    let Some(place) = sections.iter().position(|section| section.first().is_some_and(|l| l.trim_end() == OVERLOAD[0]))
    else {
        return saved.to_owned();
    };
    let bit = format!(" {}", OVERLOAD[1]);
    let mut isis = sections.remove(place);
    isis.retain(|line| line.trim_end() != bit);
    let end = isis.iter().rposition(|line| line.starts_with(' ')).unwrap_or(0) + 1;
    isis.insert(end, &bit);
    let first = sections.iter().position(|section| begins(section, "interface ")).unwrap_or(place);
    sections.insert(first.min(place), isis);
    let lines: Vec<&str> = sections.into_iter().flatten().collect();
    lines.join("\n") + "\n"
}

/// Waits until this router can forward to everybody: each wanted adjacency whose link has a carrier is up, and the kernel has a route to every
/// host that IS-IS knows of, the same at two looks. Says whether it came to that within the time.
pub fn await_routes(vtysh: &Vtysh, kernel: &Kernel, target: &Tree) -> bool {
    let wanted = observe::wanted_adjacencies(target);
    let deadline = Instant::now() + ROUTES_WITHIN;
    let (mut last, mut looks) = (0, 0);
    loop {
        let looked = complete(vtysh, kernel, &wanted);
        match looked {
            Ok(Some(hosts)) if hosts == last || looks == 0 => (last, looks) = (hosts, looks + 1),
            Ok(Some(hosts)) => (last, looks) = (hosts, 1),
            Ok(None) => looks = 0,
            Err(error) => {
                tracing::debug!(%error, "whether the routes are there is not known");
                looks = 0;
            }
        }
        if looks >= LOOKS {
            return true;
        }
        if Instant::now() + LOOK >= deadline {
            return false;
        }
        std::thread::sleep(LOOK);
    }
}

/// How many hosts there are, once all are routed to.
fn complete(vtysh: &Vtysh, kernel: &Kernel, wanted: &BTreeSet<String>) -> Result<Option<usize>, DriverError> {
    let neighbors = vtysh.json("isisd", "show isis neighbor json")?;
    let interfaces = vtysh.json("isisd", "show isis interface detail json")?;
    let up: BTreeSet<String> = observe::adjacencies(&interfaces, &neighbors)
        .into_iter()
        .filter(|adjacency| adjacency.up)
        .map(|adjacency| adjacency.interface)
        .collect();
    let carried = super::links::counters(kernel.read()?).into_iter().filter(|link| link.oper_up);
    if carried.map(|link| link.interface).any(|name| wanted.contains(&name) && !up.contains(&name)) {
        return Ok(None);
    }
    let hosts = vtysh.database()?.hosts();
    let routed = kernel.host_routes()?;
    Ok(hosts.is_subset(&routed).then_some(hosts.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "interface a\n ip address 10.0.3.0/31\n ip router isis 1\n isis metric 400\ninterface b\n ip address 10.0.5.0/31\n \
                       ip router isis 1\n isis metric 70\ninterface lo\n ip address 1.1.1.1/32\n ip router isis 1\n isis passive\n\
                       router isis 1\n is-type level-2-only\n net x\n";

    fn change(now: &str, target: &str) -> Option<(String, u32, u32)> {
        let found = metric_change(&Tree::parse(now), &Tree::parse(target))?;
        Some((found.header, found.from, found.to))
    }

    #[test]
    fn one_metric_that_changes_goes_by_stops_and_several_do_not() {
        let drained = NOW.replace("400", "1000000");
        assert_eq!(change(NOW, &drained), Some(("interface a".into(), 400, 1_000_000)));
        assert_eq!(change(&drained, NOW), Some(("interface a".into(), 1_000_000, 400)));
        assert_eq!(change(NOW, NOW), None);
        assert_eq!(change(NOW, &drained.replace(" 70", " 71")), None);
        assert_eq!(change(NOW, &NOW.replace(" isis metric 400\n", "")), Some(("interface a".into(), 400, 10)));
        for other in ["isis metric 5\n isis passive", "isis metric 5\n shutdown", "isis metric level"] {
            assert_eq!(change(NOW, &NOW.replace("isis metric 400", other)), None, "{other}");
        }
        assert_eq!(change(NOW, &drained.replace(" ip router isis 1\n isis metric 1000000\n", "")), None);
    }

    #[test]
    fn a_link_that_comes_to_a_router_with_others_comes_as_a_drained_one() {
        let without = NOW.replace(" ip router isis 1\n isis metric 400\n", "");
        let come = |now: &str, target: &str| {
            let (now, target) = (Tree::parse(now), Tree::parse(target));
            link_that_comes(&now, &target).map(|change| at_first(&target, &change).text())
        };
        let first = Tree::parse(&NOW.replace("400", "1000000")).text();
        assert_eq!(come(&without, NOW), Some(first));
        assert_eq!(come(NOW, NOW), None);
        assert_eq!(come(NOW, &without), None, "it goes");
        assert_eq!(come(&without, &NOW.replace("400", "1000000")), None, "it is drained");
        assert_eq!(come("interface lo\n ip address 1.1.1.1/32\n", NOW), None, "the router comes");
    }

    #[test]
    fn a_stop_differs_by_its_metric_only() {
        let (now, target) = (Tree::parse(NOW), Tree::parse(&NOW.replace("400", "1000000")));
        let change = metric_change(&now, &target).unwrap();
        assert!(at_stop(&now, &change, 500).says_the_same(&Tree::parse(&NOW.replace("400", "500"))));
        let bare = Tree::parse(&NOW.replace(" isis metric 400\n", ""));
        let change = metric_change(&bare, &target).unwrap();
        assert!(at_stop(&bare, &change, 500).says_the_same(&Tree::parse(&NOW.replace("400", "500"))));
    }

    #[test]
    fn all_stops_together_fit_the_time_that_they_have() {
        assert_eq!((pause(0), pause(1), pause(10)), (STOP, STOP, STOP));
        assert!(pause(stops::MAX_STOPS) * u32::try_from(stops::MAX_STOPS).unwrap() <= STOPS);
    }

    #[test]
    fn the_overload_bit_goes_last_where_it_goes() {
        let overloaded = NOW.replace(" net x\n", " net x\n set-overload-bit\n");
        let (now, with) = (Tree::parse(NOW), Tree::parse(&overloaded));
        let drained = Tree::parse(&NOW.replace("400", "1000000"));
        let between = still_overloaded(&with, &drained).unwrap();
        assert!(between.says_the_same(&Tree::parse(&overloaded.replace("400", "1000000"))));
        assert_eq!(still_overloaded(&now, &drained), None);
        assert_eq!(still_overloaded(&with, &with), None);
        assert_eq!(still_overloaded(&with, &Tree::parse("interface a\n mtu 9\n")), None, "IS-IS goes as a whole");
    }

    #[test]
    fn a_startup_says_is_is_first_with_the_bit_at_its_end_and_loses_nothing() {
        let isis = "router isis 1\n is-type level-2-only\n net x\n";
        let links = NOW.strip_suffix(isis).unwrap();
        let saved = format!("frr version 8.4.4\n!\nvrf m\nexit-vrf\n!\n{links}exit\n!\n{isis}exit\n!\nend\n");
        let expected = format!(
            "frr version 8.4.4\n!\nvrf m\nexit-vrf\n!\n{isis} set-overload-bit\nexit\n{links}exit\n!\n!\nend\n"
        );
        assert_eq!(for_startup(&saved), expected);
        assert_eq!(for_startup(&expected), expected, "once");
        let drained = saved.replace(" net x\n", " set-overload-bit\n net x\n");
        assert_eq!(for_startup(&drained), expected, "after the timers");
        for other in ["! nothing\n", "interface a\n ip router isis 1\n", "router isis 2\n net x\n"] {
            assert_eq!(for_startup(other), other);
        }
        assert_eq!(for_startup("router isis 1"), "router isis 1\n set-overload-bit\n");
    }
}
