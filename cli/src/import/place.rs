//! Where nodes stand whose file doesn't say: in the middle of their neighbours, else in the middle of all.

use super::{AssumptionKind as Kind, geo, geo::Point, graph::Graph, notes::Notes};

/// Degrees from 0, 0 at which nodes are put when none of a file has coordinates.
const CIRCLE_DEGREES: f64 = 10.0;

/// A place for every node, in their order.
pub(super) fn all(graph: &Graph, notes: &mut Notes) -> Vec<Point> {
    let mut places: Vec<Option<Point>> = graph.nodes.iter().map(|node| node.place).collect();
    if places.iter().all(Option::is_none) {
        notes.say(Kind::PlacedOnCircle);
        return (0..places.len()).map(|index| on_circle(index, places.len())).collect();
    }
    let mut neighbours = vec![Vec::new(); places.len()];
    for edge in &graph.edges {
        for (from, to) in [(edge.a, edge.z), (edge.z, edge.a)] {
            if let Some(list) = neighbours.get_mut(from) {
                list.push(to);
            }
        }
    }
    // Each round places all nodes that have a placed neighbour, from the places of the round before, so that the order
    // in the file doesn't matter. Only neighbours of what the last round placed can be next.
    let mut next: Vec<usize> = (0..places.len()).collect();
    while !next.is_empty() {
        let mut placed = Vec::new();
        for index in next {
            if places.get(index).is_some_and(Option::is_none) {
                let known = neighbours.get(index).into_iter().flatten();
                let middle = geo::mean(known.filter_map(|other| places.get(*other).copied().flatten()));
                placed.extend(middle.map(|point| (index, point)));
            }
        }
        next = Vec::new();
        for (index, point) in placed {
            if let Some(place) = places.get_mut(index) {
                *place = Some(point);
            }
            next.extend(neighbours.get(index).into_iter().flatten().copied());
            if let Some(node) = graph.nodes.get(index) {
                notes.about(Kind::PlacedByNeighbours, &node.shown());
            }
        }
        next.sort_unstable();
        next.dedup();
    }
    let origin = Point { lat: 0.0, lng: 0.0 };
    let centre = geo::mean(places.iter().flatten().copied()).unwrap_or(origin);
    let or_centre = |(place, node): (Option<Point>, &super::graph::Node)| {
        place.unwrap_or_else(|| {
            notes.about(Kind::PlacedAtCentre, &node.shown());
            centre
        })
    };
    places.into_iter().zip(&graph.nodes).map(or_centre).collect()
}

fn on_circle(index: usize, count: usize) -> Point {
    let angle = std::f64::consts::TAU * index as f64 / count as f64;
    let rounded = |degrees: f64| (degrees * 1e6).round() / 1e6;
    Point { lat: rounded(CIRCLE_DEGREES * angle.sin()), lng: rounded(CIRCLE_DEGREES * angle.cos()) }
}
