//! JSON bodies whose integers may be written as `12.0`: for JSON Schema, and for many languages' writers, that is one.

use serde::de::DeserializeOwned;
use serde_json::{Error, Number, Value};

/// The largest integer that every reader of JSON can have, 2^53: ticks and epochs stay below for ever.
pub(super) const INTEGER_MAX: u64 = 9_007_199_254_740_992;

/// As [`serde_json::from_slice`].
///
/// # Errors
/// As there.
pub(super) fn from_slice<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body).or_else(|error| {
        // The way round costs some time, so it is for those alone who need it.
        let mut value: Value = serde_json::from_slice(body)?;
        if whole(&mut value) { serde_json::from_value(value) } else { Err(error) }
    })
}

/// Writes whole numbers as integers; whether there was one.
fn whole(value: &mut Value) -> bool {
    match value {
        Value::Number(number) => {
            let float = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0);
            let integer = float.filter(|float| (0.0..=INTEGER_MAX as f64).contains(float));
            integer.map(|float| *number = Number::from(float as u64)).is_some()
        }
        // All of them, not only up to the first.
        Value::Array(values) => values.iter_mut().filter_map(|value| whole(value).then_some(())).count() > 0,
        Value::Object(fields) => {
            fields.values_mut().filter_map(|value| whole(value).then_some(())).count() > 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Body {
        ticks: Vec<u64>,
    }

    #[test]
    fn a_whole_number_is_an_integer_however_it_is_written() {
        let ticks = |body: &str| from_slice::<Body>(body.as_bytes()).map(|body| body.ticks);
        assert_eq!(ticks(r#"{"ticks":[1,2.0,3e2]}"#).unwrap(), [1, 2, 300]);
        for wrong in [r#"{"ticks":[1.5]}"#, r#"{"ticks":[-1.0]}"#, r#"{"ticks":[1e300]}"#, "{", "[2.0]"] {
            assert!(ticks(wrong).is_err(), "{wrong}");
        }
    }
}
