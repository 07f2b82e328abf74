//! Nodes and links out of GML: what can become devices and links, everything else left out and said.
//!
//! Guarantees: every link joins two different nodes of the list, every node has a link, and no node has more links than
//! a device has ports. It decides nothing about places, codes or owners.

use std::collections::{BTreeMap, BTreeSet};

use causeway_interface::{Country, accounts::MAX_INTERFACES};

use super::{AssumptionKind as Kind, ImportError, country, geo::Point, gml::List, notes::Notes, speed};

/// Most devices of one import: a /29 for each out of 198.19.0.0/16.
pub const MAX_DEVICES: usize = 8_192;
/// Most links of one import: the /31s of a /16.
pub const MAX_LINKS: usize = 32_768;
/// Most links of one device: its interfaces, and at most 99 ports that have a name, but for the management interface, two
/// loopbacks, a users' port and a DIA port.
pub const MAX_LINKS_OF_DEVICE: usize = (if MAX_INTERFACES < 102 { MAX_INTERFACES } else { 102 }) - 5;

/// A node that becomes a device.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) id: String,
    /// Its name, where it has one.
    pub(super) label: Option<String>,
    pub(super) country: Option<Country>,
    pub(super) place: Option<Point>,
    external: bool,
    hyperedge: bool,
}

impl Node {
    /// What to call it where it has no code yet.
    pub(super) fn shown(&self) -> String {
        self.label.clone().unwrap_or_else(|| format!("node {}", self.id))
    }
}

/// An edge that becomes a link.
#[derive(Clone, Debug)]
pub(super) struct Edge {
    /// Index of the node on side A.
    pub(super) a: usize,
    /// Index of the node on side Z.
    pub(super) z: usize,
    /// Speed in bit/s, where the file gives one.
    pub(super) bps: Option<f64>,
}

/// What a file holds.
#[derive(Debug)]
pub(super) struct Graph {
    pub(super) name: Option<String>,
    pub(super) nodes: Vec<Node>,
    pub(super) edges: Vec<Edge>,
}

/// Reads the first graph of a file.
pub(super) fn read(file: &List, notes: &mut Notes) -> Result<Graph, ImportError> {
    let graph = file.lists("graph").next().ok_or(ImportError::NoGraph)?;
    let name = ["Network", "label", "name"].iter().find_map(|key| named(graph, key));
    let mut nodes: Vec<Node> = Vec::new();
    let mut by_id: BTreeMap<String, usize> = BTreeMap::new();
    for list in graph.lists("node") {
        let node = node(list, notes);
        if node.id.is_empty() {
            notes.about(Kind::NodeWithoutId, &node.shown());
        } else if by_id.contains_key(&node.id) {
            notes.about(Kind::RepeatedId, &node.shown());
        } else {
            by_id.insert(node.id.clone(), nodes.len());
            nodes.push(node);
        }
    }
    let edges = edges(graph, &nodes, &by_id, notes);
    let (nodes, edges) = without_external(nodes, edges, notes);
    let edges = within_ports(&nodes, edges, notes);
    let (nodes, edges) = only(nodes, edges, Kind::Isolated, notes, |_, degree| degree > 0);
    for node in nodes.iter().filter(|node| node.hyperedge) {
        notes.about(Kind::Hyperedge, &node.shown());
    }
    match (nodes.len(), edges.len()) {
        (_, 0) => Err(ImportError::NoLinks),
        (devices, _) if devices > MAX_DEVICES => Err(ImportError::TooManyDevices { devices }),
        (_, links) if links > MAX_LINKS => Err(ImportError::TooManyLinks { links }),
        (_, _) => Ok(Graph { name, nodes, edges }),
    }
}

/// Text that names something: files write "None", "?" and nothing for nameless nodes.
fn named(list: &List, key: &str) -> Option<String> {
    let text = list.text(key)?.trim().to_owned();
    let nameless = matches!(text.to_ascii_lowercase().as_str(), "" | "none" | "null" | "unknown");
    (!nameless && text.chars().any(char::is_alphanumeric)).then_some(text)
}

fn node(list: &List, notes: &mut Notes) -> Node {
    let given = list.number("Latitude").zip(list.number("Longitude"));
    let place = given.and_then(|(lat, lng)| Point::new(lat, lng));
    let node = Node {
        id: list.text("id").unwrap_or_default().trim().to_owned(),
        label: named(list, "label"),
        country: list.text("Country").and_then(|name| country::by_name(&name)),
        place,
        external: list.number("Internal") == Some(0.0),
        hyperedge: list.number("hyperedge") == Some(1.0),
    };
    if given.is_some() && place.is_none() {
        notes.about(Kind::BadCoordinates, &node.shown());
    }
    node
}

fn edges(graph: &List, nodes: &[Node], by_id: &BTreeMap<String, usize>, notes: &mut Notes) -> Vec<Edge> {
    let mut edges = Vec::new();
    for list in graph.lists("edge") {
        let end = |key| list.text(key).map(|id| id.trim().to_owned()).unwrap_or_default();
        let (source, target) = (end("source"), end("target"));
        let (Some(a), Some(z)) = (by_id.get(&source), by_id.get(&target)) else {
            notes.about(Kind::UnknownEnd, &format!("{source} - {target}"));
            continue;
        };
        if a == z {
            notes.about(Kind::SelfLoop, &nodes.get(*a).map(Node::shown).unwrap_or_default());
            continue;
        }
        edges.push(Edge { a: *a, z: *z, bps: speed::of_edge(list) });
    }
    edges
}

fn without_external(nodes: Vec<Node>, edges: Vec<Edge>, notes: &mut Notes) -> (Vec<Node>, Vec<Edge>) {
    let external: BTreeSet<usize> =
        nodes.iter().enumerate().filter(|(_, node)| node.external).map(|(index, _)| index).collect();
    if edges.iter().any(|edge| !external.contains(&edge.a) && !external.contains(&edge.z)) {
        return only(nodes, edges, Kind::ExternalLeftOut, notes, |node, _| !node.external);
    }
    for node in nodes.iter().filter(|node| node.external) {
        notes.about(Kind::ExternalKept, &node.shown());
    }
    (nodes, edges)
}

fn within_ports(nodes: &[Node], edges: Vec<Edge>, notes: &mut Notes) -> Vec<Edge> {
    let mut used: BTreeMap<usize, usize> = BTreeMap::new();
    let mut kept = Vec::new();
    for edge in edges {
        let full = |node: &usize| used.get(node).is_some_and(|links| *links >= MAX_LINKS_OF_DEVICE);
        if let Some(node) = [edge.a, edge.z].iter().find(|node| full(node)) {
            notes.about(Kind::TooManyAtDevice, &nodes.get(*node).map(Node::shown).unwrap_or_default());
            continue;
        }
        *used.entry(edge.a).or_default() += 1;
        *used.entry(edge.z).or_default() += 1;
        kept.push(edge);
    }
    kept
}

/// Keeps some nodes, told by themselves and their number of links, and the edges between them.
fn only(
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    why: Kind,
    notes: &mut Notes,
    keep: impl Fn(&Node, usize) -> bool,
) -> (Vec<Node>, Vec<Edge>) {
    let mut degrees = vec![0usize; nodes.len()];
    for end in edges.iter().flat_map(|edge| [edge.a, edge.z]) {
        if let Some(degree) = degrees.get_mut(end) {
            *degree += 1;
        }
    }
    let mut places: BTreeMap<usize, usize> = BTreeMap::new();
    let mut kept = Vec::new();
    for (index, (node, degree)) in nodes.into_iter().zip(degrees).enumerate() {
        if keep(&node, degree) {
            places.insert(index, kept.len());
            kept.push(node);
        } else {
            notes.about(why, &node.shown());
        }
    }
    let moved = |edge: Edge| Some(Edge { a: *places.get(&edge.a)?, z: *places.get(&edge.z)?, bps: edge.bps });
    (kept, edges.into_iter().filter_map(moved).collect())
}
