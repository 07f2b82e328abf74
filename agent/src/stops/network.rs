//! A network of links with metrics, and distances in it.

use std::{cmp::Reverse, collections::BinaryHeap};

/// How far it is.
pub type Distance = u64;
/// There is no way.
pub const UNREACHED: Distance = Distance::MAX;

/// A router, or a network between several that IS-IS treats as one (a pseudonode).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Router {
    /// Packets end here; a network between routers is only crossed.
    pub is_destination: bool,
    /// It asks not to be crossed.
    pub overloaded: bool,
}

/// One direction of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Place of the router that sends.
    pub from: usize,
    /// Place of the router that receives.
    pub to: usize,
    /// What it costs.
    pub metric: u32,
}

/// Routers and links, each known by its place.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// Routers.
    pub routers: Vec<Router>,
    /// Links between them, both directions of each.
    pub links: Vec<Link>,
    into: Vec<Vec<usize>>,
    out_of: Vec<Vec<usize>>,
}

impl Network {
    /// Of routers and links; links to routers that are not there are left out.
    pub fn new(routers: Vec<Router>, links: impl IntoIterator<Item = Link>) -> Self {
        let count = routers.len();
        let links: Vec<Link> = links.into_iter().filter(|link| link.from < count && link.to < count).collect();
        let (mut into, mut out_of) = (vec![Vec::new(); count], vec![Vec::new(); count]);
        for (index, link) in links.iter().enumerate() {
            into[link.to].push(index);
            out_of[link.from].push(index);
        }
        Self { routers, links, into, out_of }
    }

    /// Where packets go to.
    pub fn destinations(&self) -> impl Iterator<Item = usize> + '_ {
        let is = |router: &Router| router.is_destination;
        self.routers.iter().enumerate().filter(move |(_, router)| is(router)).map(|(place, _)| place)
    }

    /// Whether packets to a destination may be sent to this router.
    pub(super) fn crosses(&self, router: usize, destination: usize) -> bool {
        router == destination || !self.routers[router].overloaded
    }

    /// How far every router is from a destination, over the links that `open` lets through (Dijkstra's algorithm).
    pub(super) fn distances(&self, destination: usize, open: impl Fn(usize) -> bool) -> Vec<Distance> {
        let mut far = vec![UNREACHED; self.routers.len()];
        let mut next = BinaryHeap::from([Reverse((0, destination))]);
        far[destination] = 0;
        while let Some(Reverse((distance, router))) = next.pop() {
            if distance > far[router] || !self.crosses(router, destination) {
                continue;
            }
            for index in self.into[router].iter().copied().filter(|index| open(*index)) {
                let link = self.links[index];
                let through = distance + u64::from(link.metric);
                if through < far[link.from] {
                    far[link.from] = through;
                    next.push(Reverse((through, link.from)));
                }
            }
        }
        far
    }

    /// The routers of which some shortest way to a destination leads through one; itself among them.
    pub(super) fn upstream(&self, through: usize, destination: usize, far: &[Distance]) -> Vec<bool> {
        let mut found = vec![false; self.routers.len()];
        found[through] = true;
        let mut open = vec![through];
        while let Some(router) = open.pop() {
            if !self.crosses(router, destination) {
                continue;
            }
            for index in &self.into[router] {
                let link = self.links[*index];
                let on_the_way = far[link.from] == u64::from(link.metric).saturating_add(far[router]);
                if on_the_way && !std::mem::replace(&mut found[link.from], true) {
                    open.push(link.from);
                }
            }
        }
        found
    }

    /// Routers that one reaches, without itself.
    pub fn reached_from(&self, router: usize) -> Vec<usize> {
        let mut found = vec![false; self.routers.len()];
        let mut open = vec![router];
        found[router] = true;
        while let Some(at) = open.pop() {
            if at != router && self.routers[at].overloaded {
                continue;
            }
            for index in &self.out_of[at] {
                let to = self.links[*index].to;
                if !std::mem::replace(&mut found[to], true) {
                    open.push(to);
                }
            }
        }
        (0..found.len()).filter(|place| *place != router && found[*place]).collect()
    }
}
