//! One JSON text per value: keys sorted by their bytes, no white space, integers only, strings escaped as serde_json
//! does it. The subset of RFC 8785 without floating-point numbers.

use serde::Serialize;
use serde_json::Value;

/// Deepest nesting. Documents nest five deep; the bound keeps recursion from growing with its input.
const MAX_DEPTH: usize = 32;

/// Why a value has no canonical form.
#[derive(Debug, thiserror::Error)]
pub enum CanonicalError {
    /// It can't be JSON at all.
    #[error("not JSON")]
    Json(#[from] serde_json::Error),
    /// A floating-point number has many texts.
    #[error("a floating-point number")]
    Float,
    /// Nested too deeply.
    #[error("nested more than {MAX_DEPTH} deep")]
    Depth,
}

/// The canonical text.
///
/// # Errors
/// See [`CanonicalError`].
pub fn to_bytes<T: Serialize>(value: &T) -> Result<Vec<u8>, CanonicalError> {
    let mut out = Vec::new();
    write(&serde_json::to_value(value)?, 0, &mut out)?;
    Ok(out)
}

fn write(value: &Value, depth: usize, out: &mut Vec<u8>) -> Result<(), CanonicalError> {
    if depth > MAX_DEPTH {
        return Err(CanonicalError::Depth);
    }
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => serde_json::to_writer(out, value)?,
        Value::Number(number) if number.is_f64() => return Err(CanonicalError::Float),
        Value::Number(_) => serde_json::to_writer(out, value)?,
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(item, depth + 1, out)?;
            }
            out.push(b']');
        }
        Value::Object(map) => {
            // Sorted here: whether the map is, depends on a feature that any crate of the build can turn on.
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_bytes());
            out.push(b'{');
            for (index, (key, item)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                serde_json::to_writer(&mut *out, key)?;
                out.push(b':');
                write(item, depth + 1, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_are_sorted_and_nothing_is_loose() {
        let value: Value =
            serde_json::from_str(r#"{ "b": [1, {"z": null, "a": true}], "A": "\u00e9\n", "aa": -1 }"#).unwrap();
        let expected = "{\"A\":\"é\\n\",\"aa\":-1,\"b\":[1,{\"a\":true,\"z\":null}]}";
        assert_eq!(String::from_utf8(to_bytes(&value).unwrap()).unwrap(), expected);
    }

    #[test]
    fn what_has_many_texts_is_refused() {
        assert!(matches!(to_bytes(&json!({ "a": 1.5 })), Err(CanonicalError::Float)));
        let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
        assert!(matches!(to_bytes(&deep), Err(CanonicalError::Depth)));
    }
}
