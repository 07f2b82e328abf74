//! Splits nodes among contributors by region: compact, balanced, and the same every time.

use super::geo::Point;

/// The group of every node, 0 to `groups - 1`: the plane is halved along its longer side until there are enough parts,
/// each with its share of the nodes.
pub fn split(points: &[Point], groups: usize) -> Vec<usize> {
    let mut group_of = vec![0; points.len()];
    let mut nodes: Vec<usize> = (0..points.len()).collect();
    let groups = groups.clamp(1, points.len().max(1));
    halve(points, &mut nodes, 0, groups, &mut group_of);
    group_of
}

fn halve(points: &[Point], nodes: &mut [usize], first: usize, groups: usize, group_of: &mut [usize]) {
    if groups <= 1 {
        for node in nodes.iter() {
            if let Some(group) = group_of.get_mut(*node) {
                *group = first;
            }
        }
        return;
    }
    let at = |node: &usize| points.get(*node).copied().unwrap_or(Point { lat: 0.0, lng: 0.0 });
    let extent = |of: fn(Point) -> f64| {
        let values = nodes.iter().map(|n| of(at(n)));
        let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(v), high.max(v)));
        high - low
    };
    let middle = nodes.iter().map(|n| at(n).lat).sum::<f64>() / nodes.len().max(1) as f64;
    // A degree of longitude is shorter away from the equator.
    let wide = extent(|p| p.lng) * middle.to_radians().cos();
    let along: fn(Point) -> f64 = if wide >= extent(|p| p.lat) { |p| p.lng } else { |p| p.lat };
    nodes.sort_by(|a, b| along(at(a)).total_cmp(&along(at(b))).then(a.cmp(b)));
    let left_groups = groups / 2;
    let left_nodes = (nodes.len() * left_groups / groups).max(left_groups).min(nodes.len());
    let (left, right) = nodes.split_at_mut(left_nodes);
    halve(points, left, first, left_groups, group_of);
    halve(points, right, first + left_groups, groups - left_groups, group_of);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_group_has_its_share(
            raw in proptest::collection::vec((-90.0f64..90.0, -180.0f64..180.0), 1..60),
            groups in 1usize..9,
        ) {
            let points: Vec<Point> = raw.into_iter().map(|(lat, lng)| Point { lat, lng }).collect();
            let of = split(&points, groups);
            let groups = groups.min(points.len());
            let sizes: Vec<usize> = (0..groups).map(|g| of.iter().filter(|o| **o == g).count()).collect();
            prop_assert_eq!(sizes.iter().sum::<usize>(), points.len());
            let (low, high) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
            prop_assert!(*low >= 1 && high - low <= 2, "{:?}", sizes);
            prop_assert_eq!(split(&points, groups), of);
        }
    }
}
