//! What a foreign server says, taken as generously as it can be understood.

use evenkeel_core::units::{
    ids::{ExecutionId, QueryId},
    resource::PerResource,
    window::Extent,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `/delay`'s body.
#[derive(Serialize)]
pub(super) struct Delay {
    pub(super) id: ExecutionId,
    pub(super) delay: u64,
}

#[derive(Deserialize)]
struct Item {
    query: Named<QueryId>,
    execution: Named<ExecutionId>,
}

/// Timestamps are left alone: servers disagree about their unit.
#[derive(Deserialize)]
struct Named<T> {
    id: T,
}

#[derive(Deserialize)]
struct Resources {
    cpu: Numbers,
    io: Numbers,
    memory: Numbers,
    #[serde(default)]
    timestamp: Value,
}

#[derive(Deserialize)]
struct Numbers {
    average: f64,
    min: f64,
    max: f64,
}

impl Numbers {
    fn extent(&self) -> Result<Extent, String> {
        let whole = |name: &str, number: f64| {
            let sane = number.is_finite() && (0.0..=1e15).contains(&number);
            sane.then_some(number as u64)
                .ok_or_else(|| format!("`{name}` is {number}: expected units of 0 or more"))
        };
        Ok(Extent {
            average: whole("average", self.average)?,
            min: whole("min", self.min)?,
            max: whole("max", self.max)?,
        })
    }
}

/// What waits, and how many items made no sense.
///
/// # Errors
/// It is no list.
pub(super) fn queued(body: &[u8]) -> Result<(Vec<(ExecutionId, QueryId)>, usize), String> {
    if body.is_empty() {
        return Ok((Vec::new(), 0));
    }
    let items: Vec<Value> = serde_json::from_slice(body).map_err(|error| {
        format!("/queued is not a list of {{\"query\":{{\"id\"}},\"execution\":{{\"id\"}}}}: {error}")
    })?;
    let all = items.len();
    let understood = items.into_iter().filter_map(|item| serde_json::from_value::<Item>(item).ok());
    let queued: Vec<_> = understood.map(|item| (item.execution.id, item.query.id)).collect();
    let nonsense = all - queued.len();
    Ok((queued, nonsense))
}

/// The last window, and a mark that changes with it.
///
/// # Errors
/// It is none.
pub(super) fn resources(body: &[u8]) -> Result<(PerResource<Extent>, String), String> {
    let resources: Resources = serde_json::from_slice(body).map_err(|error| {
        format!(
            "/resources is not {{\"cpu\":{{\"average\",\"min\",\"max\"}},\"io\":…,\"memory\":…}}: {error}"
        )
    })?;
    let Resources { cpu, io, memory, timestamp } = resources;
    let usage = PerResource { cpu: cpu.extent()?, io: io.extent()?, memory: memory.extent()? };
    Ok((usage, format!("{timestamp} {usage:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ITEM: &str = r#"{"query":{"id":"00000000-0000-0000-0000-000000000001"},"execution":{"id":"00000000-0000-0000-0000-000000000002","timestamp":"soon"},"more":1}"#;

    #[test]
    fn what_makes_no_sense_is_counted_and_the_rest_is_taken() {
        let body = format!(r#"[{ITEM}, 7, {{"query":{{}}}}]"#);
        let (queued, nonsense) = queued(body.as_bytes()).unwrap();
        assert_eq!((queued.len(), nonsense), (1, 2));
    }

    #[test]
    fn no_body_is_an_empty_queue_and_another_one_says_what_was_expected() {
        assert_eq!(queued(b""), Ok((Vec::new(), 0)));
        assert!(queued(b"<html>").unwrap_err().contains("/queued is not a list"));
        assert!(resources(b"{}").unwrap_err().contains("/resources is not"));
        let negative = r#"{"cpu":{"average":-1,"min":0,"max":0},"io":{"average":0,"min":0,"max":0},"memory":{"average":0,"min":0,"max":0}}"#;
        assert!(resources(negative.as_bytes()).unwrap_err().contains("`average` is -1"));
    }

    #[test]
    fn numbers_may_have_fractions_and_timestamps_be_anything() {
        let body = r#"{"cpu":{"average":12.9,"min":1,"max":30},"io":{"average":1,"min":1,"max":1},"memory":{"average":1,"min":1,"max":1},"timestamp":{"s":1}}"#;
        let (usage, mark) = resources(body.as_bytes()).unwrap();
        assert_eq!(usage.cpu, Extent { average: 12, min: 1, max: 30 });
        assert!(mark.starts_with(r#"{"s":1}"#), "{mark}");
    }
}
