//! From GML to a clean graph: every node placed and linked, every edge between two different nodes.
//!
//! Everything that is left out, moved or made up is an [`Assumption`]. The order of the file decides every tie, so the
//! same text always gives the same graph.

use std::collections::BTreeMap;

use super::{
    Assumption, ImportError, ImportOptions, Topic,
    geo::{self, Point},
    gml::List,
    speed,
};

/// Links that a device can hold at most: ports are numbered up to 99, and the default ones that can't hold a link take
/// up to two of these numbers.
pub const MAX_DEGREE: usize = 97;
/// Radius in degrees of the circle on which nodes are put when no node of a file has coordinates.
const CIRCLE_DEGREES: f64 = 5.0;
/// Rounds of placing nodes between placed neighbours: the longest chain of unplaced nodes that is still interpolated.
const PLACING_ROUNDS: usize = 64;

/// A node.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its id in the file, for people.
    pub id: String,
    /// Its label, if it has one that means something.
    pub label: Option<String>,
    /// Its country as the file names it.
    pub country: Option<String>,
    /// Where it is.
    pub point: Point,
}

/// An edge between two nodes, by their index.
#[derive(Clone, Copy, Debug)]
pub struct Edge {
    /// One end.
    pub a: usize,
    /// The other.
    pub z: usize,
    /// Speed in bit/s, where the file says it.
    pub speed_bps: Option<f64>,
}

/// A clean graph.
#[derive(Clone, Debug)]
pub struct Graph {
    /// Its name.
    pub name: String,
    /// Nodes in the file's order.
    pub nodes: Vec<Node>,
    /// Edges in the file's order.
    pub edges: Vec<Edge>,
}

struct RawNode {
    id: String,
    label: Option<String>,
    country: Option<String>,
    point: Option<Point>,
    external: bool,
    hyperedge: bool,
}

struct Cleaner<'a> {
    options: &'a ImportOptions,
    assumptions: &'a mut Vec<Assumption>,
}

/// Cleans the graph of a parsed file.
///
/// # Errors
/// There is no graph in it, or nothing of it is left.
pub fn clean(file: &List, options: &ImportOptions, assumptions: &mut Vec<Assumption>) -> Result<Graph, ImportError> {
    let graph = file.lists("graph").next().ok_or(ImportError::NoGraph)?;
    let mut cleaner = Cleaner { options, assumptions };
    let nodes = cleaner.nodes(graph);
    if nodes.is_empty() {
        return Err(ImportError::NoNodes);
    }
    let edges = cleaner.edges(graph, &nodes);
    let (nodes, edges) = cleaner.without_unwanted(nodes, edges);
    if nodes.is_empty() {
        return Err(ImportError::NothingLeft);
    }
    let nodes = cleaner.placed(nodes, &edges);
    let meaningful = |text: String| Some(text.trim().to_owned()).filter(|t| !t.is_empty());
    let name = graph.text("Network").and_then(meaningful).or_else(|| graph.text("label").and_then(meaningful));
    Ok(Graph { name: name.unwrap_or_default(), nodes, edges })
}

impl Cleaner<'_> {
    fn say(&mut self, topic: Topic, subject: impl Into<String>, detail: impl Into<String>) {
        self.assumptions.push(Assumption { topic, subject: subject.into(), detail: detail.into() });
    }

    fn nodes(&mut self, graph: &List) -> Vec<RawNode> {
        let mut seen = BTreeMap::new();
        let mut nodes = Vec::new();
        for (index, list) in graph.lists("node").enumerate() {
            let Some(id) = list.text("id") else {
                self.say(Topic::NodeId, format!("node {index} of the file"), "it has no id");
                continue;
            };
            if seen.insert(id.clone(), ()).is_some() {
                self.say(Topic::NodeId, format!("node {id}"), "another node has this id");
                continue;
            }
            let label = list.text("label").map(|l| l.trim().to_owned()).filter(|l| is_label(l));
            let point = list.number("Latitude").zip(list.number("Longitude"));
            nodes.push(RawNode {
                id,
                label,
                country: list.text("Country").map(|c| c.trim().to_owned()).filter(|c| is_label(c)),
                point: point.and_then(|(lat, lng)| Point::new(lat, lng)),
                external: list.number("Internal") == Some(0.0),
                hyperedge: list.number("hyperedge").is_some_and(|h| h != 0.0),
            });
        }
        nodes
    }

    fn edges(&mut self, graph: &List, nodes: &[RawNode]) -> Vec<Edge> {
        let index: BTreeMap<&str, usize> = nodes.iter().enumerate().map(|(i, n)| (n.id.as_str(), i)).collect();
        let mut degree = vec![0usize; nodes.len()];
        let mut edges = Vec::new();
        for (number, list) in graph.lists("edge").enumerate() {
            let name = |key| list.text(key).unwrap_or_else(|| "?".into());
            let (source, target) = (name("source"), name("target"));
            let subject = format!("edge {number} ({source} to {target})");
            let ends = (index.get(source.as_str()).copied(), index.get(target.as_str()).copied());
            let (Some(a), Some(z)) = ends else {
                self.say(Topic::Dangling, subject, "it names a node that the file does not have");
                continue;
            };
            if a == z {
                self.say(Topic::SelfLoop, subject, "both ends are the same node");
                continue;
            }
            let room = |node: usize| degree.get(node).is_some_and(|d| *d < MAX_DEGREE);
            if !room(a) || !room(z) {
                self.say(Topic::TooManyLinks, subject, format!("a device can hold {MAX_DEGREE} links"));
                continue;
            }
            for node in [a, z] {
                if let Some(d) = degree.get_mut(node) {
                    *d += 1;
                }
            }
            edges.push(Edge { a, z, speed_bps: speed::of_edge(list) });
        }
        edges
    }

    /// Leaves out external nodes, then nodes without edges, and renumbers the rest.
    fn without_unwanted(&mut self, nodes: Vec<RawNode>, edges: Vec<Edge>) -> (Vec<RawNode>, Vec<Edge>) {
        let all_external = nodes.iter().all(|n| n.external);
        let drops_external = !self.options.keep_external && !all_external;
        let wanted: Vec<bool> = nodes.iter().map(|n| !(n.external && drops_external)).collect();
        let kept = |node: usize| wanted.get(node).copied().unwrap_or(false);
        let edges: Vec<Edge> = edges.into_iter().filter(|e| kept(e.a) && kept(e.z)).collect();
        let mut linked = vec![false; nodes.len()];
        for node in edges.iter().flat_map(|e| [e.a, e.z]) {
            if let Some(l) = linked.get_mut(node) {
                *l = true;
            }
        }
        let mut renumbered = vec![None; nodes.len()];
        let mut rest = Vec::new();
        for (index, node) in nodes.into_iter().enumerate() {
            let subject = node.label.clone().unwrap_or_else(|| format!("node {}", node.id));
            if node.external {
                let detail = match (drops_external, all_external) {
                    (true, _) => "another operator's; left out",
                    (false, true) => "every node is external; kept",
                    (false, false) => "kept as a device, as asked",
                };
                self.say(Topic::External, subject.clone(), detail);
            }
            if !kept(index) {
                continue;
            }
            if !linked.get(index).copied().unwrap_or(false) {
                self.say(Topic::Isolated, subject, "no link ends here");
                continue;
            }
            if node.hyperedge {
                self.say(Topic::Hyperedge, subject, "the file marks it as a hyperedge");
            }
            if let Some(slot) = renumbered.get_mut(index) {
                *slot = Some(rest.len());
            }
            rest.push(node);
        }
        let renumber = |node: usize| renumbered.get(node).copied().flatten();
        let edges = edges.into_iter().filter_map(|e| Some(Edge { a: renumber(e.a)?, z: renumber(e.z)?, ..e }));
        let edges = edges.collect();
        (rest, edges)
    }

    /// Gives a place to nodes without one: between placed neighbours, else in the middle of all, else on a circle.
    fn placed(&mut self, nodes: Vec<RawNode>, edges: &[Edge]) -> Vec<Node> {
        let mut neighbours = vec![Vec::new(); nodes.len()];
        for e in edges {
            for (from, to) in [(e.a, e.z), (e.z, e.a)] {
                if let Some(list) = neighbours.get_mut(from) {
                    list.push(to);
                }
            }
        }
        let known: Vec<Option<Point>> = nodes.iter().map(|n| n.point).collect();
        let centre = geo::mean(known.iter().copied().flatten());
        let mut points = known.clone();
        for _ in 0..PLACING_ROUNDS {
            let before = points.clone();
            let at = |node: &usize| before.get(*node).copied().flatten();
            for (point, around) in points.iter_mut().zip(&neighbours).filter(|(p, _)| p.is_none()) {
                *point = geo::mean(around.iter().filter_map(at));
            }
            if points == before {
                break;
            }
        }
        let count = nodes.len();
        let mut placed = Vec::with_capacity(count);
        for (index, (node, point)) in nodes.into_iter().zip(points).enumerate() {
            let (point, how) = match (point, centre) {
                (Some(point), _) => (point, "between its neighbours"),
                (None, Some(centre)) => (centre, "in the middle of all others; no neighbour has coordinates"),
                (None, None) => (on_circle(index, count), "on a circle around 0, 0; no node has coordinates"),
            };
            if node.point.is_none() {
                let subject = node.label.clone().unwrap_or_else(|| format!("node {}", node.id));
                self.say(Topic::Coordinates, subject, how);
            }
            placed.push(Node { id: node.id, label: node.label, country: node.country, point });
        }
        placed
    }
}

fn on_circle(index: usize, count: usize) -> Point {
    let angle = std::f64::consts::TAU * index as f64 / count.max(1) as f64;
    let rounded = |x: f64| (x * 1e6).round() / 1e6;
    Point { lat: rounded(CIRCLE_DEGREES * angle.sin()), lng: rounded(CIRCLE_DEGREES * angle.cos()) }
}

/// Whether a label says anything.
fn is_label(label: &str) -> bool {
    let lower = label.to_ascii_lowercase();
    label.chars().any(char::is_alphanumeric) && !matches!(lower.as_str(), "none" | "null" | "unknown" | "n/a" | "nan")
}
