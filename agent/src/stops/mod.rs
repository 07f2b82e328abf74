//! Metrics between an old one and a new one, so that no packet goes round while routers follow one after the other. Pure.
//!
//! Each router computes its routes anew at its own moment. In between, packets can go round: one router sends them along
//! its new way, another on that way still sends them back along its old one. A metric that goes to its end by *stops*, each
//! given time to reach every router, does not let it come to that: between two stops that follow each other, the next hops of before and of after
//! have no circle for any destination, whoever is first. (Francois, Shand and Bonaventure: *Disruption-free topology
//! reconfiguration in OSPF networks*, INFOCOM 2007; Clad et al.: *Graceful convergence in link-state IP networks*, IEEE/ACM
//! Transactions on Networking 22(1), 2014.)
//!
//! Both directions of a link are changes of their own: no destination is reached over both, so that neither moves what
//! the other one carries.

mod network;
#[cfg(test)]
mod tests;

pub use network::{Link, Network, Router};

use network::{Distance, UNREACHED};

/// Most routers of a network in which stops are looked for: every destination that the link leads to takes two computations of
/// routes. A thousand routers take 1 s.
pub const MAX_ROUTERS: usize = 1_024;
/// Most stops of one change. The worst link of the real backbones (Cogentco, 197 routers) needs 18.
pub const MAX_STOPS: usize = 32;

/// A link whose metric is to change, in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Place of the link among the network's.
    pub link: usize,
    /// The metric that is to be.
    pub metric: u32,
}

/// Why no stops are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoStops {
    /// Finding them would take too long.
    #[error("the network has {0} routers, more than {MAX_ROUTERS}")]
    TooLarge(usize),
    /// Going through them would.
    #[error("it would take more than {MAX_STOPS} stops")]
    TooMany,
}

/// The metrics at which to stop between the old one and the new one, in the order in which they are set; as few as will do. None are needed
/// where the change can't let packets go round.
///
/// # Errors
/// See [`NoStops`].
pub fn stops(network: &Network, change: Change) -> Result<Vec<u32>, NoStops> {
    let count = network.routers.len();
    if count > MAX_ROUTERS {
        return Err(NoStops::TooLarge(count));
    }
    let Some(link) = network.links.get(change.link) else { return Ok(Vec::new()) };
    let (low, high) = (link.metric.min(change.metric), link.metric.max(change.metric));
    let reach = high - low;
    let mut low_network = network.clone();
    low_network.links[change.link].metric = low;
    let ways: Vec<Ways> =
        low_network.destinations().filter_map(|destination| Ways::to(&low_network, change.link, destination)).collect();
    let safe = |from: u32, to: u32| ways.iter().all(|ways| !ways.can_go_round(from, to));
    let mut stops = Vec::new();
    let mut at = 0;
    while !safe(at, reach) {
        // What can go round between here and a stop can also go round between here and a later one: the farthest that is safe is found by
        // halves, and the fewest stops by going as far as is safe each time.
        let (mut can, mut can_not) = (at, reach);
        while can_not - can > 1 {
            let middle = can + (can_not - can) / 2;
            if safe(at, middle) { can = middle } else { can_not = middle }
        }
        if can == at || stops.len() == MAX_STOPS {
            return Err(NoStops::TooMany);
        }
        at = can;
        stops.push(low + at);
    }
    if change.metric == low {
        stops.reverse();
    }
    Ok(stops)
}

/// The routers that reach one destination over the link while its metric is at its lowest; no other ever changes its ways.
struct Ways {
    /// Per router: whether it is among them, and how far it is with the link and without.
    routers: Vec<Way>,
    /// Links between two of them, and whether it is the one that changes.
    links: Vec<(Link, bool)>,
}

#[derive(Clone, Copy)]
struct Way {
    moves: bool,
    with: Distance,
    without: Distance,
}

impl Way {
    /// How far it is once the metric is so much higher than at its lowest.
    fn at(self, higher: u32) -> Distance {
        if self.moves { self.without.min(self.with + u64::from(higher)) } else { self.with }
    }
}

impl Ways {
    fn to(network: &Network, changing: usize, destination: usize) -> Option<Self> {
        let with = network.distances(destination, |_| true);
        let link = network.links[changing];
        let leads = network.crosses(link.to, destination)
            && with[link.to] != UNREACHED
            && with[link.from] == u64::from(link.metric) + with[link.to];
        if !leads {
            return None;
        }
        let without = network.distances(destination, |link| link != changing);
        let moving = network.upstream(link.from, destination, &with);
        let way = |router: usize| Way { moves: moving[router], with: with[router], without: without[router] };
        let routers: Vec<Way> = (0..network.routers.len()).map(way).collect();
        // A circle is among those that move: the others send to none of them.
        let among = |link: &Link| moving[link.from] && moving[link.to] && network.crosses(link.to, destination);
        let links = network.links.iter().enumerate().filter(|(_, link)| among(link));
        Some(Self { routers, links: links.map(|(index, link)| (*link, index == changing)).collect() })
    }

    /// Whether a link is on a shortest way while the metric is so much higher than at its lowest.
    fn used(&self, (link, changes): &(Link, bool), higher: u32) -> bool {
        let (from, to) = (self.routers[link.from].at(higher), self.routers[link.to].at(higher));
        let more = if *changes { higher } else { 0 };
        to != UNREACHED && from == u64::from(link.metric) + u64::from(more) + to
    }

    /// Whether packets can go round while some routers know of one metric and some of the other.
    fn can_go_round(&self, from: u32, to: u32) -> bool {
        let mut leaving = vec![0_usize; self.routers.len()];
        let mut coming: Vec<Vec<usize>> = vec![Vec::new(); self.routers.len()];
        let mut left = 0;
        for (link, _) in self.links.iter().filter(|link| self.used(link, from) || self.used(link, to)) {
            leaving[link.from] += 1;
            coming[link.to].push(link.from);
            left += 1;
        }
        // Whoever sends to nobody that is left is on no circle.
        let mut ends: Vec<usize> = (0..self.routers.len()).filter(|router| leaving[*router] == 0).collect();
        while let Some(router) = ends.pop() {
            for sender in std::mem::take(&mut coming[router]) {
                left -= 1;
                leaving[sender] -= 1;
                if leaving[sender] == 0 {
                    ends.push(sender);
                }
            }
        }
        left > 0
    }
}
