//! What a request may hold: its fields by name, what each may be, and the sentence that says what would be right.
//!
//! ```text
//! body ──▶ read as what it should be ─ no ─▶ looked at field by field ─▶ 400: name, value, what is expected
//! query ─▶ each parameter: known? once? what it should be? ─ no ──────▶ 400: the same
//! ```

use std::fmt;

use actix_web::web;
use evenkeel_core::text;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{integers, problem::Problem};

/// Longest piece of a request that an answer repeats.
const SHOWN_CHARS_MAX: usize = 60;

/// A field of a body, or a parameter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) required: bool,
}

impl Field {
    pub(super) const fn required(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, required: true }
    }

    pub(super) const fn optional(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, required: false }
    }
}

/// What a field may be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Both included.
    Integer {
        min: u64,
        max: u64,
    },
    Uuid,
    /// Of an entry of the journal.
    EntryId,
    Text,
    /// Only in bodies.
    Bool,
    OneOf(&'static [&'static str]),
    /// Objects with these fields.
    List(&'static [Field]),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer { min, max } => write!(f, "an integer of {min}..={max}"),
            Self::Uuid => f.write_str("a uuid, like 01890000-0000-7000-8000-000000000000"),
            Self::EntryId => f.write_str("an entry id, like 1800000000000-0"),
            Self::Text => f.write_str("a text in quotes"),
            Self::Bool => f.write_str("true or false"),
            Self::OneOf(words) => write!(f, "one of {}", words.join(", ")),
            Self::List(fields) => write!(f, "a list of {}", Shape(fields)),
        }
    }
}

/// The names of an object's fields, as a person writes them.
struct Shape(&'static [Field]);

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (at, field) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{}", field.name)?;
            match field.kind {
                Kind::List(fields) => write!(f, ": [{}]", Shape(fields))?,
                Kind::OneOf(words) => write!(f, ": {}", words.join(" | "))?,
                _ => {}
            }
        }
        f.write_str("}")
    }
}

/// A piece of a request as an answer may repeat it: short and printable.
fn shown(text: &str) -> String {
    format!("`{}`", text::shown(text, SHOWN_CHARS_MAX))
}

impl Kind {
    /// What is wrong with the `value` of the field `name`; none when it is nothing of this.
    fn fault(&self, name: &str, value: &Value) -> Option<String> {
        let fits = match (self, value) {
            (Self::Integer { min, max }, Value::Number(number)) => {
                let whole = number.as_f64().filter(|float| float.fract() == 0.0 && *float >= 0.0);
                let integer = number.as_u64().or(whole.map(|float| float as u64));
                integer.is_some_and(|integer| (*min..=*max).contains(&integer))
            }
            (Self::Uuid, Value::String(text)) => Uuid::try_parse(text).is_ok(),
            (Self::EntryId, Value::String(text)) => is_entry_id(text),
            (Self::Text, Value::String(_)) | (Self::Bool, Value::Bool(_)) => true,
            (Self::OneOf(words), Value::String(text)) => words.contains(&text.as_str()),
            (Self::List(fields), Value::Array(values)) => {
                let within = |(at, value)| object_fault(fields, true, &format!("{name}[{at}]"), value);
                return values.iter().enumerate().find_map(within);
            }
            _ => false,
        };
        (!fits).then(|| format!("`{name}` is {}: expected {self}", shown(&value.to_string())))
    }

    /// A parameter's text as the value that a body would have.
    fn value(&self, text: &str) -> Option<Value> {
        let value = match self {
            Self::Integer { min, max } => {
                let integer = text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))?;
                (*min..=*max).contains(&integer).then(|| Value::from(integer))?
            }
            _ => Value::from(text),
        };
        self.fault("", &value).is_none().then_some(value)
    }
}

/// An entry id as the description of this API allows it: a sign or more digits are none.
fn is_entry_id(text: &str) -> bool {
    let part = |part: &str| (1..=18).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    text.split_once('-').is_some_and(|(ms, n)| part(ms) && part(n))
}

/// What is wrong with an object at the place `at` of a body, which is nothing for the body itself.
fn object_fault(fields: &'static [Field], refuses: bool, at: &str, value: &Value) -> Option<String> {
    let shape = Shape(fields);
    let Value::Object(object) = value else {
        let what = if at.is_empty() { "the body".to_owned() } else { format!("`{at}`") };
        return Some(format!("{what} is {}: expected an object {shape}", shown(&value.to_string())));
    };
    let path = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
    let unknown = object.keys().find(|name| refuses && fields.iter().all(|field| field.name != **name));
    if let Some(unknown) = unknown {
        return Some(format!("{} is not known here: expected {shape}", shown(&path(unknown))));
    }
    fields.iter().find_map(|field| match object.get(field.name) {
        Some(value) => field.kind.fault(&path(field.name), value),
        None => field.required.then(|| format!("`{}` is missing: expected {}", path(field.name), field.kind)),
    })
}

/// A JSON body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Body {
    pub(super) fields: &'static [Field],
    /// Fields of other names are somebody's mistake; the wire endpoints have always let them be.
    pub(super) refuses_unknown: bool,
}

impl Body {
    /// What `body` says.
    ///
    /// # Errors
    /// 400, naming the field and what would be right; a reader's own words never come out.
    pub(super) fn read<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, Problem> {
        integers::from_slice(body).map_err(|_| Problem::bad_request(self.fault(body)))
    }

    fn fault(&self, body: &[u8]) -> String {
        let shape = Shape(self.fields);
        if body.iter().all(u8::is_ascii_whitespace) {
            return format!("the body is empty: expected {shape} as JSON");
        }
        match serde_json::from_slice(body) {
            Ok(value) => object_fault(self.fields, self.refuses_unknown, "", &value)
                // What is left is a name that stands there twice.
                .unwrap_or_else(|| format!("the body is not {shape} with each field once")),
            Err(error) => format!(
                "the body is no JSON from line {}, column {} on: expected {shape}",
                error.line(),
                error.column()
            ),
        }
    }
}

/// Parameters after the `?`.
pub(super) trait Parameters: DeserializeOwned {
    /// All of them.
    const FIELDS: &'static [Field];
}

/// No parameter at all: one that is given has a name that somebody believes in.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
pub(super) struct NoParameters {}

impl Parameters for NoParameters {
    const FIELDS: &'static [Field] = &[];
}

/// The parameters of a request, or 400 with the name of the one that cannot be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Query<T>(pub(super) T);

impl<T: Parameters> actix_web::FromRequest for Query<T> {
    type Error = Problem;
    type Future = std::future::Ready<Result<Self, Problem>>;

    fn from_request(request: &actix_web::HttpRequest, _: &mut actix_web::dev::Payload) -> Self::Future {
        std::future::ready(parameters(request.query_string()).map(Self).map_err(Problem::bad_request))
    }
}

fn parameters<T: Parameters>(query: &str) -> Result<T, String> {
    let unreadable = || "what stands after the `?` cannot be read: expected name=value&name=value".to_owned();
    let pairs = web::Query::<Vec<(String, String)>>::from_query(query).map_err(|_| unreadable())?;
    let mut given = Map::new();
    for (name, text) in pairs.into_inner() {
        let Some(field) = T::FIELDS.iter().find(|field| field.name == name) else {
            let names: Vec<_> = T::FIELDS.iter().map(|field| field.name).collect();
            let right = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            return Err(format!("the parameter {} is not known here: expected {right}", shown(&name)));
        };
        let value = field
            .kind
            .value(&text)
            .ok_or_else(|| format!("`{name}` is {}: expected {}", shown(&text), field.kind))?;
        if given.insert(name, value).is_some() {
            return Err(format!("`{}` is given twice: expected once", field.name));
        }
    }
    if let Some(missing) = T::FIELDS.iter().find(|field| field.required && !given.contains_key(field.name)) {
        return Err(format!("`{}` is missing: expected {}", missing.name, missing.kind));
    }
    serde_json::from_value(Value::Object(given)).map_err(|_| unreadable())
}

/// A piece of the path that cannot be read. All of them are uuids.
pub(super) fn path_problem(request: &actix_web::HttpRequest) -> Problem {
    let wrong = request.match_info().iter().find(|(_, text)| Uuid::try_parse(text).is_err());
    Problem::bad_request(match wrong {
        Some((name, text)) => format!("`{name}` is {}: expected {}", shown(text), Kind::Uuid),
        None => "the path cannot be read".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only whether it is read matters")]
    struct Slots {
        epoch: u64,
        #[serde(default)]
        set: Vec<Slot>,
        #[serde(default)]
        last: bool,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "as above")]
    struct Slot {
        execution: Uuid,
    }

    const SLOT: &[Field] = &[Field::required("execution", Kind::Uuid)];
    const SLOTS: Body = Body {
        fields: &[
            Field::required("epoch", Kind::Integer { min: 0, max: 9 }),
            Field::optional("set", Kind::List(SLOT)),
            Field::optional("last", Kind::Bool),
        ],
        refuses_unknown: true,
    };

    #[test]
    fn a_body_that_cannot_be_read_is_told_by_field_and_never_in_a_readers_words() {
        for (body, says) in [
            ("", "the body is empty: expected {epoch, set: [{execution}], last}"),
            ("{", "the body is no JSON from line 1, column 1"),
            ("[]", "the body is `[]`: expected an object"),
            ("{}", "`epoch` is missing: expected an integer of 0..=9"),
            (r#"{"epoch":"1"}"#, r#"`epoch` is `"1"`: expected an integer of 0..=9"#),
            (r#"{"epoch":-1}"#, "`epoch` is `-1`"),
            (r#"{"epoch":null}"#, "`epoch` is `null`"),
            (
                r#"{"epoch":1,"slots":[]}"#,
                "`slots` is not known here: expected {epoch, set: [{execution}], last}",
            ),
            (r#"{"epoch":1,"last":1}"#, "`last` is `1`: expected true or false"),
            (r#"{"epoch":1,"last":"true"}"#, "expected true or false"),
            (r#"{"epoch":1,"set":{}}"#, "`set` is `{}`: expected a list of {execution}"),
            (r#"{"epoch":1,"set":[{"execution":7}]}"#, "`set[0].execution` is `7`: expected a uuid"),
            (r#"{"epoch":1,"set":[{"x":7}]}"#, "`set[0].x` is not known here: expected {execution}"),
            (r#"{"epoch":1,"epoch":2}"#, "each field once"),
            ("{\"epoch\":\"\u{9b}31m\"}", r"\u{9b}31m"),
        ] {
            let said = SLOTS.read::<Slots>(body.as_bytes()).unwrap_err().to_string();
            assert!(said.contains(says), "{body} is told {said}");
            for word in ["serde", "invalid type", "expected value", "EOF", "unknown field", "variant"] {
                assert!(!said.contains(word), "{body} is told {said}");
            }
        }
        assert!(SLOTS.read::<Slots>(br#"{"epoch":2.0}"#).is_ok(), "a whole number is an integer");
        let long = format!(r#"{{"epoch":"{}"}}"#, "x".repeat(10_000));
        assert!(SLOTS.read::<Slots>(long.as_bytes()).unwrap_err().to_string().len() < 200);
    }

    #[derive(Debug, Deserialize)]
    struct Page {
        limit: Option<u64>,
        query: Option<Uuid>,
    }

    impl Parameters for Page {
        const FIELDS: &'static [Field] = &[
            Field::optional("limit", Kind::Integer { min: 1, max: 100 }),
            Field::optional("query", Kind::Uuid),
        ];
    }

    #[test]
    fn parameters_are_told_by_name() {
        for (query, says) in [
            ("limit=0", "`limit` is `0`: expected an integer of 1..=100"),
            ("limit=", "`limit` is ``: expected an integer of 1..=100"),
            ("limit=%2B5", "`limit` is `+5`"),
            ("limit=5&limit=6", "`limit` is given twice"),
            ("from=0", "the parameter `from` is not known here: expected limit, query"),
            ("query=x", "`query` is `x`: expected a uuid"),
        ] {
            assert!(parameters::<Page>(query).unwrap_err().contains(says), "{query}");
        }
        let page = parameters::<Page>("query=01890000-0000-7000-8000-000000000000&limit=7").unwrap();
        assert_eq!((page.limit, page.query.is_some()), (Some(7), true));
        assert!(parameters::<NoParameters>("").is_ok());
        assert!(parameters::<NoParameters>("x=1").unwrap_err().contains("expected none"));
    }
}
