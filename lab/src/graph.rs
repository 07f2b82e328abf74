//! Which traffic goes where: the topology as a graph of metrics. Pure.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use causeway_cli::site::Site;
use causeway_controller::plan::metric;
use causeway_interface::Code;

/// How often a device may be the end of a pair, so that the pairs are spread over the network.
const PAIRS_PER_DEVICE: usize = 2;

/// A link between two devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Its code.
    pub code: Code,
    /// Both ends.
    pub ends: [Code; 2],
    /// IS-IS metric.
    pub metric: u64,
}

/// Devices and links.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// In order of codes.
    pub edges: Vec<Edge>,
    at: BTreeMap<Code, Vec<usize>>,
}

/// A way from one device to another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// Sum of metrics.
    pub length: u64,
    /// Links in order.
    pub links: Vec<Code>,
    /// Devices between the ends.
    pub through: Vec<Code>,
}

/// Who plays what in the lab's script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cast {
    /// Far ends that probe each other.
    pub pairs: Vec<(Code, Code)>,
    /// The link that is drained and cut.
    pub link: Code,
    /// The device that is drained and crashes; no end of a pair.
    pub device: Code,
}

impl Graph {
    /// Of a site with everything in service.
    #[must_use]
    pub fn of(site: &Site) -> Self {
        let mut graph = Self::default();
        for link in &site.links {
            let metric = u64::from(metric(link.delay_ns, link.delay_override_ns));
            graph.edges.push(Edge { code: link.code, ends: [link.a.device, link.z.device], metric });
        }
        graph.edges.sort_by_key(|edge| edge.code);
        for (index, edge) in graph.edges.iter().enumerate() {
            for end in edge.ends {
                graph.at.entry(end).or_default().push(index);
            }
        }
        graph
    }

    /// Without a link, or without a device and its links.
    #[must_use]
    pub fn without(&self, link: Option<Code>, device: Option<Code>) -> Self {
        let mut graph = Self::default();
        for edge in &self.edges {
            if Some(edge.code) != link && !edge.ends.iter().any(|end| Some(*end) == device) {
                let index = graph.edges.len();
                graph.edges.push(edge.clone());
                for end in edge.ends {
                    graph.at.entry(end).or_default().push(index);
                }
            }
        }
        graph
    }

    /// Shortest ways from a device to all that it reaches; of equal ones, one that is the same every time.
    #[must_use]
    pub fn ways(&self, from: Code) -> BTreeMap<Code, Way> {
        let mut done: BTreeMap<Code, Way> = BTreeMap::new();
        let mut open = BinaryHeap::from([Reverse((0_u64, from, None::<(usize, Code)>))]);
        while let Some(Reverse((length, device, by))) = open.pop() {
            if done.contains_key(&device) {
                continue;
            }
            let mut way = by.and_then(|(_, before)| done.get(&before)).cloned().unwrap_or_default();
            if let Some((edge, before)) = by {
                way.links.extend(self.edges.get(edge).map(|e| e.code));
                if before != from {
                    way.through.push(before);
                }
            }
            way.length = length;
            done.insert(device, way);
            for index in self.at.get(&device).into_iter().flatten() {
                let Some(edge) = self.edges.get(*index) else { continue };
                let other = if edge.ends[0] == device { edge.ends[1] } else { edge.ends[0] };
                if !done.contains_key(&other) {
                    open.push(Reverse((length + edge.metric, other, Some((*index, device)))));
                }
            }
        }
        done
    }

    /// Who plays what: pairs of far ends, and the link and the device that most of them use and none of them needs. Nothing
    /// where no device or no link can be taken out.
    #[must_use]
    pub fn cast(&self, pairs: usize) -> Option<Cast> {
        let everybody = self.far_pairs(usize::MAX, None, usize::MAX);
        let ways = self.ways_of(&everybody);
        let spare = |device: &Code| {
            let rest: Vec<_> = everybody.iter().filter(|(a, z)| a != device && z != device).copied().collect();
            all_connected(&self.without(None, Some(*device)), &rest)
        };
        let device = busiest(ways.iter().flat_map(|way| way.through.iter().copied()), spare)?;
        let pairs = self.far_pairs(pairs, Some(device), PAIRS_PER_DEVICE);
        let ways = self.ways_of(&pairs);
        let spare = |link: &Code| all_connected(&self.without(Some(*link), None), &pairs);
        let link = busiest(ways.iter().flat_map(|way| way.links.iter().copied()), spare)?;
        Some(Cast { pairs, link, device })
    }

    /// The `count` pairs that are farthest from each other, without a device, and none with one that `each` others have already.
    fn far_pairs(&self, count: usize, without: Option<Code>, each: usize) -> Vec<(Code, Code)> {
        let mut all: Vec<(u64, Code, Code)> = Vec::new();
        for from in self.at.keys() {
            let ways = self.ways(*from);
            all.extend(ways.iter().filter(|(to, _)| *to > from).map(|(to, way)| (way.length, *from, *to)));
        }
        all.sort_by_key(|(length, a, z)| (Reverse(*length), *a, *z));
        let mut used: BTreeMap<Code, usize> = BTreeMap::new();
        let mut pairs = Vec::new();
        for (_, a, z) in all {
            let free = |code: &Code| Some(*code) != without && used.get(code).is_none_or(|n| *n < each);
            if pairs.len() < count && free(&a) && free(&z) {
                pairs.push((a, z));
                for code in [a, z] {
                    *used.entry(code).or_default() += 1;
                }
            }
        }
        pairs
    }

    fn ways_of(&self, pairs: &[(Code, Code)]) -> Vec<Way> {
        pairs.iter().filter_map(|(a, z)| self.ways(*a).remove(z)).collect()
    }
}

fn all_connected(graph: &Graph, pairs: &[(Code, Code)]) -> bool {
    pairs.iter().all(|(a, z)| graph.ways(*a).contains_key(z))
}

fn busiest(uses: impl Iterator<Item = Code>, fits: impl Fn(&Code) -> bool) -> Option<Code> {
    let mut counts: BTreeMap<Code, usize> = BTreeMap::new();
    for code in uses {
        *counts.entry(code).or_default() += 1;
    }
    let mut order: Vec<(Code, usize)> = counts.into_iter().collect();
    order.sort_by_key(|(code, count)| (Reverse(*count), *code));
    order.into_iter().map(|(code, _)| code).find(|code| fits(code))
}

#[cfg(test)]
mod tests {
    use causeway_agent::stops::{Change, Link, MAX_STOPS, Network, Router, stops};
    use causeway_controller::plan::DRAINED_METRIC;

    use super::*;

    fn code(text: &str) -> Code {
        text.parse().unwrap()
    }

    /// a - b - c - d in a row, and a longer way b - e - c around; f hangs on d.
    fn graph() -> Graph {
        let mut graph = Graph::default();
        for (name, a, z, metric) in [
            ("ab", "a", "b", 1),
            ("bc", "b", "c", 1),
            ("be", "b", "e", 5),
            ("cd", "c", "d", 1),
            ("ce", "c", "e", 5),
            ("df", "d", "f", 1),
        ] {
            let index = graph.edges.len();
            graph.edges.push(Edge { code: code(name), ends: [code(a), code(z)], metric });
            for end in [a, z] {
                graph.at.entry(code(end)).or_default().push(index);
            }
        }
        graph
    }

    #[test]
    fn the_shortest_way_names_its_links_and_what_it_crosses() {
        let ways = graph().ways(code("a"));
        let way = &ways[&code("f")];
        assert_eq!(way.length, 4);
        assert_eq!(way.links, ["ab", "bc", "cd", "df"].map(code));
        assert_eq!(way.through, ["b", "c", "d"].map(code));
        assert_eq!(ways[&code("a")], Way::default());
        assert_eq!(graph().without(Some(code("bc")), None).ways(code("a"))[&code("c")].length, 11);
    }

    #[test]
    fn pairs_are_far_and_spread() {
        let codes = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, z)| (code(a), code(z))).collect::<Vec<_>>();
        // From e it is 5 to b and c, 6 to a and d, 7 to f, which is the farthest.
        assert_eq!(graph().far_pairs(4, None, 2), codes(&[("e", "f"), ("a", "e"), ("a", "f"), ("b", "d")]));
        assert_eq!(graph().far_pairs(2, Some(code("e")), 2), codes(&[("a", "f"), ("a", "d")]));
    }

    #[test]
    fn what_is_taken_out_is_used_and_not_needed() {
        assert_eq!(graph().cast(4), None, "b, c and d are needed, e is not crossed");
        // A ring of five with a shortcut: b is crossed, and nobody needs it.
        let mut ring = Graph::default();
        for (name, a, z, metric) in
            [("ab", "a", "b", 1), ("bc", "b", "c", 1), ("cd", "c", "d", 4), ("de", "d", "e", 4), ("ea", "e", "a", 4)]
        {
            let index = ring.edges.len();
            ring.edges.push(Edge { code: code(name), ends: [code(a), code(z)], metric });
            for end in [a, z] {
                ring.at.entry(code(end)).or_default().push(index);
            }
        }
        let cast = ring.cast(3).unwrap();
        assert!(cast.pairs.iter().all(|(a, z)| *a != cast.device && *z != cast.device), "{cast:?}");
        let ways = ring.ways_of(&cast.pairs);
        assert!(ways.iter().any(|way| way.links.contains(&cast.link)), "{cast:?}");
    }

    /// Directed links of each backbone that are tried, evenly spread over it.
    const TRIED: usize = 40;

    /// A drain of any link of a real backbone goes by stops, and by few: what the agents rely on.
    #[test]
    fn a_drain_takes_few_stops_in_real_backbones() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../topologies");
        for name in ["Abilene", "AttMpls", "Geant2012", "Cogentco", "UsCarrier"] {
            let text = std::fs::read(folder.join(format!("{name}.gml"))).unwrap();
            let (text, _) = causeway_cli::import::gml::decode(&text);
            let options = causeway_cli::import::ImportOptions::default();
            let site = causeway_cli::import::site_from_gml(&text, &options).unwrap().site;
            let network = directed(&Graph::of(&site), site.devices.iter().map(|device| device.code).collect());
            let every = (network.links.len() / TRIED).max(1);
            let mut counts: Vec<usize> = (0..network.links.len())
                .step_by(every)
                .map(|link| stops(&network, Change { link, metric: DRAINED_METRIC }).unwrap().len())
                .collect();
            counts.sort_unstable();
            let at =
                |percent| crate::report::percentile(&counts.iter().map(|c| *c as u64).collect::<Vec<_>>(), percent);
            eprintln!(
                "{name}: {} routers, {} of {} links need stops; median, nine of ten, most: {:?} {:?} {:?}",
                network.routers.len(),
                counts.iter().filter(|count| **count > 0).count(),
                counts.len(),
                at(50),
                at(90),
                at(100)
            );
            assert!(counts.iter().all(|count| *count < MAX_STOPS), "{name}: {counts:?}");
        }
    }

    /// Both directions of every link, as IS-IS has them.
    fn directed(graph: &Graph, devices: std::collections::BTreeSet<Code>) -> Network {
        let places: Vec<Code> = devices.into_iter().collect();
        let place = |code: &Code| places.binary_search(code).unwrap();
        let links = graph.edges.iter().flat_map(|edge| {
            let [a, z] = edge.ends.map(|code| place(&code));
            let metric = u32::try_from(edge.metric).unwrap();
            [Link { from: a, to: z, metric }, Link { from: z, to: a, metric }]
        });
        Network::new(vec![Router { is_destination: true, overloaded: false }; places.len()], links)
    }
}
