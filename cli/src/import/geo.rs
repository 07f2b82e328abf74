//! Points on the globe: distances, means, and the delay of fibre between two points.

use causeway_interface::values::{MAX_DELAY_NS, MIN_DELAY_NS};

/// Mean radius of the earth (IUGG), in kilometres.
const EARTH_RADIUS_KM: f64 = 6_371.008_8;
/// Light in fibre, at two thirds of its speed in vacuum, takes this many nanoseconds for a kilometre.
const FIBRE_NS_PER_KM: f64 = 1e12 / (299_792_458.0 * 2.0 / 3.0);
/// Fibre follows roads and coasts: length of a route over the great circle's.
pub const ROUTE_FACTOR: f64 = 1.3;

/// A point, in degrees, north and east positive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Latitude.
    pub lat: f64,
    /// Longitude.
    pub lng: f64,
}

impl Point {
    /// A point, unless one of the two is not on the globe.
    pub fn new(lat: f64, lng: f64) -> Option<Self> {
        let on_globe = lat.is_finite() && lng.is_finite() && lat.abs() <= 90.0 && lng.abs() <= 180.0;
        on_globe.then_some(Self { lat, lng })
    }

    fn vector(self) -> [f64; 3] {
        let (lat, lng) = (self.lat.to_radians(), self.lng.to_radians());
        [lat.cos() * lng.cos(), lat.cos() * lng.sin(), lat.sin()]
    }

    /// Great-circle distance in kilometres.
    pub fn distance_km(self, other: Point) -> f64 {
        let (lat_a, lat_b) = (self.lat.to_radians(), other.lat.to_radians());
        let (d_lat, d_lng) = (lat_b - lat_a, (other.lng - self.lng).to_radians());
        let h = (d_lat / 2.0).sin().powi(2) + lat_a.cos() * lat_b.cos() * (d_lng / 2.0).sin().powi(2);
        2.0 * EARTH_RADIUS_KM * h.clamp(0.0, 1.0).sqrt().asin()
    }
}

/// The middle of some points: of their directions, so that the antimeridian is no border. None for no points and for
/// points that cancel out.
pub fn mean(points: impl Iterator<Item = Point>) -> Option<Point> {
    let sum = points.map(Point::vector).fold([0.0; 3], |[a, b, c], [x, y, z]| [a + x, b + y, c + z]);
    let [x, y, z] = sum;
    let length = (x * x + y * y + z * z).sqrt();
    if length < 1e-9 {
        return None;
    }
    // Six decimals are what the ledger holds; rounding hides the last digits in which platforms may differ.
    let rounded = |radians: f64| (radians.to_degrees() * 1e6).round() / 1e6;
    Point::new(rounded((z / length).clamp(-1.0, 1.0).asin()), rounded(y.atan2(x)))
}

/// One-way delay of a fibre between two points in nanoseconds, in whole microseconds, within the limits of the ledger.
pub fn delay_ns(a: Point, z: Point) -> u64 {
    let micros = (a.distance_km(z) * ROUTE_FACTOR * FIBRE_NS_PER_KM / 1_000.0).ceil();
    (micros as u64).saturating_mul(1_000).clamp(MIN_DELAY_NS, MAX_DELAY_NS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_york_to_london_is_about_36_milliseconds_of_fibre_and_neighbours_have_the_floor() {
        let new_york = Point::new(40.71427, -74.00597).unwrap();
        let london = Point::new(51.50853, -0.12574).unwrap();
        assert!((new_york.distance_km(london) - 5_570.0).abs() < 10.0);
        let delay = delay_ns(new_york, london);
        assert!((36_000_000..36_500_000).contains(&delay), "{delay}");
        assert_eq!(delay % 1_000, 0);
        assert_eq!(delay_ns(london, london), MIN_DELAY_NS);
    }

    #[test]
    fn the_mean_crosses_the_antimeridian() {
        let points = [Point::new(10.0, 179.0).unwrap(), Point::new(10.0, -179.0).unwrap()];
        let middle = mean(points.into_iter()).unwrap();
        assert_eq!(middle.lng.abs(), 180.0);
        assert!(mean(std::iter::empty()).is_none());
        let poles = [Point::new(90.0, 0.0).unwrap(), Point::new(-90.0, 0.0).unwrap()];
        assert!(mean(poles.into_iter()).is_none());
        assert!(Point::new(91.0, 0.0).is_none() && Point::new(f64::NAN, 0.0).is_none());
    }
}
