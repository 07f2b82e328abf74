//! Decodes YAML values field by field, so that one bad field hides no other.
//!
//! A field that can't be read leaves a problem and its default, or makes the whole record absent where it is required;
//! the checks that need the record are skipped then, those of its siblings are not.

use causeway_interface::*;
use serde::de::DeserializeOwned;
use serde_yaml_ng::{Mapping, Value};

use super::{Degrees, Problem};

/// A value that a field can hold.
pub(super) trait Decode: Sized {
    /// The value, or none with at least one problem.
    fn decode(value: &Value, path: &str, problems: &mut Vec<Problem>) -> Option<Self>;
}

/// Defines a record of the site file: its struct, its serde form (fields that hold their default may be left out) and
/// its decoder.
macro_rules! record {
    ($(#[$meta:meta])* $name:ident {
        $($(#[$fmeta:meta])* $field:ident : $ty:ty $(= $default:expr, $skip:literal)?;)+
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
        pub struct $name {
            $($(#[$fmeta])* $(#[serde(skip_serializing_if = $skip)])? pub $field: $ty,)+
        }

        impl $crate::site::decode::Decode for $name {
            fn decode(
                value: &serde_yaml_ng::Value,
                path: &str,
                problems: &mut Vec<$crate::site::Problem>,
            ) -> Option<Self> {
                let known = &[$(stringify!($field)),+];
                let fields = $crate::site::decode::Fields::open(value, path, known, problems)?;
                $(let $field: Option<$ty> = $crate::site::decode::field!(fields, problems, $field $(, $default)?);)+
                Some(Self { $($field: $field?),+ })
            }
        }
    };
}
pub(super) use record;

macro_rules! field {
    ($fields:ident, $problems:ident, $field:ident) => {
        $fields.required(stringify!($field), $problems)
    };
    ($fields:ident, $problems:ident, $field:ident, $default:expr) => {
        Some($fields.optional(stringify!($field), $problems).unwrap_or($default))
    };
}
pub(super) use field;

fn problem(problems: &mut Vec<Problem>, path: &str, message: impl Into<String>) {
    problems.push(Problem { line: None, path: path.into(), message: message.into() });
}

fn below(path: &str, field: &str) -> String {
    if path.is_empty() { field.into() } else { format!("{path}.{field}") }
}

/// The fields of one record.
pub(super) struct Fields<'a> {
    mapping: &'a Mapping,
    path: &'a str,
}

impl<'a> Fields<'a> {
    /// The fields of a mapping; those that are not known are problems.
    pub(super) fn open(value: &'a Value, path: &'a str, known: &[&str], problems: &mut Vec<Problem>) -> Option<Self> {
        let Value::Mapping(mapping) = value else {
            problem(problems, path, format!("expected fields ({}), found {}", known.join(", "), kind(value)));
            return None;
        };
        for key in mapping.keys() {
            match key.as_str() {
                Some(name) if known.contains(&name) => {}
                Some(name) => {
                    problem(problems, &below(path, name), format!("unknown field; known are {}", known.join(", ")));
                }
                None => problem(problems, path, format!("a field's name has to be a word, found {}", kind(key))),
            }
        }
        Some(Self { mapping, path })
    }

    pub(super) fn required<T: Decode>(&self, field: &str, problems: &mut Vec<Problem>) -> Option<T> {
        match self.mapping.get(field) {
            Some(value) if !value.is_null() => T::decode(value, &below(self.path, field), problems),
            Some(_) | None => {
                problem(problems, self.path, format!("the field `{field}` is missing"));
                None
            }
        }
    }

    pub(super) fn optional<T: Decode>(&self, field: &str, problems: &mut Vec<Problem>) -> Option<T> {
        match self.mapping.get(field) {
            Some(value) if !value.is_null() => T::decode(value, &below(self.path, field), problems),
            Some(_) | None => None,
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Sequence(_) => "a list",
        Value::Mapping(_) => "fields",
        Value::Tagged(_) => "a tagged value",
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(value: &Value, path: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let Value::Sequence(items) = value else {
            problem(problems, path, format!("expected a list, found {}", kind(value)));
            return None;
        };
        let decoded = items.iter().enumerate().map(|(i, item)| T::decode(item, &format!("{path}[{i}]"), problems));
        Some(decoded.collect::<Vec<_>>().into_iter().flatten().collect())
    }
}

fn scalar<T: DeserializeOwned>(value: &Value, path: &str, problems: &mut Vec<Problem>) -> Option<T> {
    match serde_yaml_ng::from_value(value.clone()) {
        Ok(decoded) => Some(decoded),
        Err(error) => {
            problem(problems, path, error.to_string());
            None
        }
    }
}

macro_rules! scalars {
    ($($ty:ty)+) => {$(
        impl Decode for $ty {
            fn decode(value: &Value, path: &str, problems: &mut Vec<Problem>) -> Option<Self> {
                scalar(value, path, problems)
            }
        }
    )+};
}

scalars! {
    Code Key Label Country Ip4 Prefix InterfaceName VrfName DeviceType LinkType Platform DesiredStatus InterfaceKind
    InterfaceRole Degrees u16 u64
}

/// The whole file.
pub(super) fn whole(value: &Value, problems: &mut Vec<Problem>) -> Option<super::Site> {
    super::Site::decode(value, "", problems)
}
