//! The way from what runs to a text on which no packet goes round and none is sent to a router that can't forward it yet.
//!
//! Two changes have a way of their own: one link's metric goes by stops ([`crate::stops`]), and a router's overload bit goes last,
//! once it has all routes ([`super::arrival`]). Everything else is one step. Pure; [`super::device`] does it.

use std::{collections::BTreeSet, time::Duration};

use ipnet::Ipv4Net;

use super::{
    database::Database,
    tree::{Path, Tree},
    values::{DEFAULT_METRIC, METRIC},
};
use crate::stops::{self, NoStops};

/// Between two stops: a generation of link-state packets (1 s) and two computations of routes (200 ms each) of a router that was
/// changed just before, and as much again for packets and processors that are slow.
const STOP: Duration = Duration::from_secs(2);
/// A network in which more than a few others have said something for so long is one in which more changes than one link: as where a
/// backbone comes into service. Stops would mean nothing there, and each is work for every router.
const SETTLED_S: u32 = 5;
/// The other end of the link, and who happens to say the same again, which a router does about every 800 s.
const FEW: usize = 4;
const ONE_IN: usize = 50;
/// The metric of a link that nobody uses who has another way; the controller's of one that is drained.
const AS_DRAINED: u32 = 1_000_000;
/// The overload bit.
pub(super) const OVERLOAD: [&str; 2] = ["router isis 1", "set-overload-bit"];
/// A link whose metric changes, as this router has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricChange {
    /// What begins the interface's section.
    pub header: String,
    /// This end's address, and the link's network.
    pub address: Ipv4Net,
    /// The metric at first.
    pub from: u32,
    /// The metric that is to be.
    pub to: u32,
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

/// How long each of so many stops takes, where there is time for them.
pub fn pause(stops: usize, time: Duration) -> Duration {
    STOP.min(time / u32::try_from(stops.max(1)).unwrap_or(u32::MAX))
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

/// A configuration with another metric on the link.
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
            link_that_comes(&now, &target).map(|change| at_stop(&target, &change, change.from).text())
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
        let time = STOP * 10;
        assert_eq!((pause(0, time), pause(1, time), pause(10, time)), (STOP, STOP, STOP));
        assert_eq!(pause(20, time), STOP / 2);
        assert_eq!(pause(1, Duration::ZERO), Duration::ZERO);
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
}
