//! Texts of queries in Redis: a hash beside the streams, from a query's id to its text as JSON. Best effort: entries never
//! wait for a text.

use evenkeel_core::{journal::QueryText, units::ids::QueryId};
use redis::{Value, cmd};

use super::{
    backlog::Backlog,
    fields::{optional, pairs, text},
    keys::Keys,
    link::{Link, RedisFault, refused},
    reader::RedisReader,
};
use crate::ports::history::ReadError;

/// Texts that one command writes: about 300 kB.
const BATCH_MAX: usize = 1_000;

/// How far texts are; it begins anew with every connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Texts {
    /// The number of the last one that Redis took.
    sent: u64,
    /// Why Redis takes none.
    pub(super) trouble: Option<String>,
}

impl Texts {
    /// Sends what is next; whether more waits. What Redis refuses is told, and tried again after the next connect.
    pub(super) fn ship(
        &mut self,
        link: &mut Link,
        keys: &Keys,
        backlog: &dyn Backlog,
    ) -> Result<bool, RedisFault> {
        if self.trouble.is_some() {
            return Ok(false);
        }
        let texts = match backlog.texts_after(self.sent, BATCH_MAX) {
            Ok(texts) => texts,
            Err(cause) => {
                self.trouble = Some(sentence(&cause.to_string()));
                return Ok(false);
            }
        };
        let Some(&(last, _)) = texts.last() else { return Ok(false) };
        let mut write = cmd("HSET");
        write.arg(keys.texts());
        for (_, text) in &texts {
            let body = serde_json::to_string(text).expect("texts are JSON");
            write.arg(text.query.to_string()).arg(body);
        }
        match link.call(&write) {
            Ok(value) => match refused(value) {
                None => {
                    self.sent = last;
                    return Ok(texts.len() == BATCH_MAX);
                }
                Some(fault) => self.trouble = Some(sentence(&fault.to_string())),
            },
            Err(fault @ (RedisFault::Away(_) | RedisFault::NotMaster(_))) => return Err(fault),
            Err(fault) => self.trouble = Some(sentence(&fault.to_string())),
        }
        Ok(false)
    }
}

fn sentence(cause: &str) -> String {
    format!("texts of queries are not written to Redis: {cause}; entries are")
}

impl RedisReader {
    /// The texts of all queries that have one, in the order of the ids.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn texts(&mut self) -> Result<Vec<QueryText>, ReadError> {
        let found = pairs(self.call(cmd("HGETALL").arg(self.keys().texts()))?)?;
        let texts = found.into_iter().map(|(query, value)| decode(&query, value));
        let mut texts = texts.collect::<Result<Vec<_>, _>>()?;
        texts.sort_unstable_by_key(|text| text.query);
        Ok(texts)
    }

    /// The text of one query, if it has one.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn text(&mut self, query: QueryId) -> Result<Option<QueryText>, ReadError> {
        let id = query.to_string();
        let found = optional(self.call(cmd("HGET").arg(self.keys().texts()).arg(&id))?)?;
        Ok(found.map(|body| decode(&id, Value::BulkString(body.into_bytes()))).transpose()?)
    }
}

fn decode(query: &str, value: Value) -> Result<QueryText, RedisFault> {
    let unexpected = |error: String| RedisFault::Unexpected(format!("the text of query {query}: {error}"));
    serde_json::from_str(&text(value)?).map_err(|error| unexpected(error.to_string()))
}
