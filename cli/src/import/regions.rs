//! Splits points into regions of about equal size: recursive bisection at the median of the wider axis.

use super::{geo, geo::Point};

/// The region, from 0, of each point. There are `regions` of them, each with at least one point, where there are that
/// many points; sizes differ by no more than rounding. The order of equal points decides between them.
pub(super) fn split(points: &[Point], regions: usize) -> Vec<usize> {
    let middle = geo::mean(points.iter().copied()).map_or(0.0, |point| point.lng);
    // Flat co-ordinates in which a step is about as long on both axes, and the edge of the map is far from the points.
    let flat: Vec<Flat> = points
        .iter()
        .map(|point| {
            let east = (point.lng - middle + 540.0).rem_euclid(360.0) - 180.0;
            Flat { east: whole(east), north: whole(point.lat), width: point.lat.to_radians().cos() }
        })
        .collect();
    let mut out = vec![0; points.len()];
    let mut order: Vec<usize> = (0..points.len()).collect();
    bisect(&flat, &mut order, 0, regions.clamp(1, points.len().max(1)), &mut out);
    out
}

/// Millionths of a degree: integers order the same everywhere.
fn whole(degrees: f64) -> i64 {
    (degrees * 1e6).round() as i64
}

#[derive(Clone, Copy, Default)]
struct Flat {
    east: i64,
    north: i64,
    /// Length of a degree east over that of a degree north.
    width: f64,
}

fn bisect(flat: &[Flat], order: &mut [usize], first: usize, regions: usize, out: &mut [usize]) {
    if regions <= 1 {
        for index in order.iter() {
            if let Some(region) = out.get_mut(*index) {
                *region = first;
            }
        }
        return;
    }
    let at = |index: &usize| flat.get(*index).copied().unwrap_or_default();
    let extent = |axis: fn(Flat) -> i64| {
        let values = || order.iter().map(|index| axis(at(index)));
        values().max().unwrap_or(0) - values().min().unwrap_or(0)
    };
    let width = order.iter().map(|index| at(index).width).sum::<f64>() / order.len().max(1) as f64;
    let wide = extent(|f| f.east) as f64 * width >= extent(|f| f.north) as f64;
    order.sort_by_key(|index| {
        let point = at(index);
        if wide { (point.east, point.north, *index) } else { (point.north, point.east, *index) }
    });
    let left = regions / 2;
    let middle = order.len() * left / regions;
    let (low, high) = order.split_at_mut(middle.min(order.len()));
    bisect(flat, low, first, left, out);
    bisect(flat, high, first + left, regions - left, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(points: &[Point], regions: usize) -> Vec<usize> {
        let split = split(points, regions);
        (0..regions).map(|region| split.iter().filter(|r| **r == region).count()).collect()
    }

    #[test]
    fn regions_are_balanced_and_compact() {
        let grid: Vec<Point> = (0..64).map(|i| Point { lat: f64::from(i / 8), lng: f64::from(i % 8) }).collect();
        assert_eq!(sizes(&grid, 4), [16; 4]);
        assert_eq!(sizes(&grid, 3), [21, 21, 22]);
        // Corners of the grid lie in four different regions.
        let regions = split(&grid, 4);
        let corners: std::collections::BTreeSet<_> = [0, 7, 56, 63].map(|i| regions[i]).into();
        assert_eq!(corners.len(), 4);
    }

    #[test]
    fn every_region_has_a_point_even_when_all_are_in_one_place() {
        let here = Point { lat: 1.0, lng: 2.0 };
        for count in 1..9 {
            for regions in 1..=count {
                assert!(sizes(&vec![here; count], regions).iter().all(|size| *size > 0), "{count} in {regions}");
            }
        }
        assert_eq!(split(&[], 4), Vec::<usize>::new());
        assert_eq!(split(&[here], 4), [0]);
    }

    #[test]
    fn the_antimeridian_is_no_border() {
        let lng = [170.0, 175.0, -175.0, -170.0];
        let points: Vec<Point> = lng.iter().map(|lng| Point { lat: 0.0, lng: *lng }).collect();
        assert_eq!(split(&points, 2), [0, 0, 1, 1]);
    }
}
