//! Degrees as people write them and millionths of a degree as the ledger holds them.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An angle in millionths of a degree; in files a number of degrees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Degrees(pub i32);

impl Degrees {
    /// The nearest millionth of a degree; none beyond 180 degrees and for what is not a number.
    pub fn new(degrees: f64) -> Option<Self> {
        (degrees.is_finite() && degrees.abs() <= 180.0).then(|| Self((degrees * 1e6).round() as i32))
    }

    /// In degrees.
    pub fn get(self) -> f64 {
        f64::from(self.0) / 1e6
    }
}

impl std::str::FromStr for Degrees {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let degrees = text.parse().ok().and_then(Self::new);
        degrees.ok_or_else(|| format!("{text:?} is not a number of degrees from -180 to 180"))
    }
}

impl std::fmt::Display for Degrees {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.get().to_string())
    }
}

impl Serialize for Degrees {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.get())
    }
}

impl<'de> Deserialize<'de> for Degrees {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let degrees = f64::deserialize(deserializer)?;
        Self::new(degrees).ok_or_else(|| de::Error::custom(format!("{degrees} is not degrees from -180 to 180")))
    }
}
