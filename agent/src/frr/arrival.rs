//! Waiting, on the device, until a link or a router's routes are there. Every wait is bounded: what stays away must not keep out what
//! is there.

use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant},
};

use super::{
    links::{self, Kernel},
    observe,
    passage::MetricChange,
    tree::Tree,
    vtysh::Vtysh,
};
use crate::driver::DriverError;

/// Longest wait for a router's routes before its overload bit goes all the same: a link that stays away must not keep it out.
const ROUTES_WITHIN: Duration = Duration::from_secs(20);
/// Longest wait for both ends of a link that comes: its adjacency takes a second or two once the other end has it as well, and the other
/// end's agent has the same text at the same time, but may take longer to check it.
const LINK_WITHIN: Duration = Duration::from_secs(25);
/// Of the time that there is, what waits may take: the rest is for what is done between them, and for the way back.
const SHARE: (u32, u32) = (3, 4);
/// Between two looks at a router's routes. What isn't complete yet is told by the network's own pace.
const LOOK: Duration = Duration::from_millis(500);
/// Looks in a row that have to find the same, complete.
const LOOKS: u32 = 2;

/// How long a commit may wait on its way to a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waits {
    /// For all that it waits for and stops at.
    pub all: Duration,
    /// For both ends of a link that comes.
    pub link: Duration,
    /// For the router's routes.
    pub routes: Duration,
}

impl Waits {
    /// With so much time for the verb, and so much until the way back begins. Where both have plenty, the longest waits
    /// that make sense; else less of each.
    pub fn within(verb: Duration, way_back_after: Duration) -> Self {
        let longest = LINK_WITHIN + ROUTES_WITHIN;
        let all = longest.min(verb.min(way_back_after) * SHARE.0 / SHARE.1);
        let of = |wait: Duration| wait.mul_f64(all.div_duration_f64(longest));
        Self { all, link: of(LINK_WITHIN), routes: of(ROUTES_WITHIN) }
    }
}

/// Waits until both ends tell everybody of a link. Says whether it came to that by the deadline; the other end may not have it yet.
///
/// # Errors
/// Of `goes_on`, which is asked before every look.
pub fn await_link(
    vtysh: &Vtysh,
    change: &MetricChange,
    deadline: Instant,
    goes_on: impl Fn() -> Result<(), DriverError>,
) -> Result<bool, DriverError> {
    loop {
        goes_on()?;
        let known = vtysh.database().is_ok_and(|database| {
            let (network, names) = database.network();
            database.link_at(&network, &names, change.address, change.from).is_some()
        });
        if known || Instant::now() + LOOK >= deadline {
            return Ok(known);
        }
        thread::sleep(LOOK);
    }
}

/// Waits until this router can forward to everybody: each wanted adjacency whose link has a carrier is up, and the kernel has a route to every
/// host that IS-IS knows of, the same at two looks. Says whether it came to that by the deadline.
///
/// # Errors
/// Of `goes_on`, which is asked before every look.
pub fn await_routes(
    vtysh: &Vtysh,
    kernel: &Kernel,
    target: &Tree,
    deadline: Instant,
    goes_on: impl Fn() -> Result<(), DriverError>,
) -> Result<bool, DriverError> {
    let wanted = observe::wanted_adjacencies(target);
    let (mut last, mut looks) = (0, 0);
    loop {
        goes_on()?;
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
            return Ok(true);
        }
        if Instant::now() + LOOK >= deadline {
            return Ok(false);
        }
        thread::sleep(LOOK);
    }
}

/// How many hosts there are, once all are routed to.
fn complete(vtysh: &Vtysh, kernel: &Kernel, wanted: &BTreeSet<String>) -> Result<Option<usize>, DriverError> {
    let up: BTreeSet<String> = vtysh
        .adjacencies()?
        .into_iter()
        .filter(|adjacency| adjacency.up)
        .map(|adjacency| adjacency.interface)
        .collect();
    let links = kernel.read()?;
    if links::carried(&links).into_iter().any(|name| wanted.contains(name) && !up.contains(name)) {
        return Ok(None);
    }
    let hosts = vtysh.database()?.hosts();
    let routed = kernel.host_routes()?;
    Ok(hosts.is_subset(&routed).then_some(hosts.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_fit_the_time_of_a_verb_and_the_time_until_the_way_back() {
        let of = |verb_s, way_back_s| {
            let Waits { all, link, routes } =
                Waits::within(Duration::from_secs(verb_s), Duration::from_secs(way_back_s));
            (all.as_secs(), link.as_secs(), routes.as_secs())
        };
        assert_eq!(of(60, 90), (45, 25, 20), "what an agent does that is told nothing else");
        assert_eq!(of(600, 1_000), (45, 25, 20));
        assert_eq!(of(12, 39), (9, 5, 4));
        assert_eq!(of(60, 12), (9, 5, 4));
        assert_eq!(of(0, 0), (0, 0, 0));
    }
}
