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
pub const ROUTES_WITHIN: Duration = Duration::from_secs(20);
/// Longest wait for both ends of a link that comes: its adjacency takes a second or two once the other end has it as well, and the other
/// end's agent has the same text at the same time, but may take longer to check it.
pub const LINK_WITHIN: Duration = Duration::from_secs(25);
/// Between two looks at a router's routes. What isn't complete yet is told by the network's own pace.
const LOOK: Duration = Duration::from_millis(500);
/// Looks in a row that have to find the same, complete.
const LOOKS: u32 = 2;

/// Waits until both ends tell everybody of a link. Says whether it came to that by the deadline; the other end may not have it yet.
pub fn await_link(vtysh: &Vtysh, change: &MetricChange, deadline: Instant) -> bool {
    loop {
        let known = vtysh.database().is_ok_and(|database| {
            let (network, names) = database.network();
            database.link_at(&network, &names, change.address, change.from).is_some()
        });
        if known || Instant::now() + LOOK >= deadline {
            return known;
        }
        thread::sleep(LOOK);
    }
}

/// Waits until this router can forward to everybody: each wanted adjacency whose link has a carrier is up, and the kernel has a route to every
/// host that IS-IS knows of, the same at two looks. Says whether it came to that by the deadline.
pub fn await_routes(vtysh: &Vtysh, kernel: &Kernel, target: &Tree, deadline: Instant) -> bool {
    let wanted = observe::wanted_adjacencies(target);
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
    let carried = links::counters(kernel.read()?).into_iter().filter(|link| link.oper_up);
    if carried.map(|link| link.interface).any(|name| wanted.contains(&name) && !up.contains(&name)) {
        return Ok(None);
    }
    let hosts = vtysh.database()?.hosts();
    let routed = kernel.host_routes()?;
    Ok(hosts.is_subset(&routed).then_some(hosts.len()))
}
