//! `GET /api/v1/journal`: how much is recorded, handed out, read.

use actix_web::web;
use evenkeel_actors::{
    ports::{
        history::{Head, History, ReadError, StreamInfo},
        ledger::{Pressure, Published},
    },
    server::shipper::Shipping,
    stores::redis::GroupState,
};
use evenkeel_core::{
    journal::{PerStream, Positions, Stream},
    units::tick::Tick,
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::executions::read;
use crate::http::{
    RedisView, Views,
    fields::{NoParameters, Query},
    problem::Problem,
};

/// The journal.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Journal {
    journal: Uuid,
    /// Name of the database.
    name: String,
    /// Counts the processes that have written it.
    writer_epoch: u64,
    /// The last durable commit.
    revision: u64,
    outbox: OutboxInfo,
    /// Null where the journal is not handed out.
    redis: Option<RedisInfo>,
    streams: Vec<StreamView>,
    /// Commands that show it, ready to be copied.
    commands: Vec<String>,
}

/// The durable copy.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OutboxInfo {
    /// Bytes of the entries that it keeps.
    bytes: u64,
    /// `none`, or what is refused for want of room.
    pressure: &'static str,
    /// Entries that have not been handed out.
    unshipped: u64,
    /// Age of the oldest of them, by the ids.
    oldest_unshipped_ms: Option<u64>,
}

/// The copy that is handed out.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RedisInfo {
    /// Whether it took the last entries.
    connected: bool,
    /// Why not.
    trouble: Option<String>,
    /// What it has lost lately.
    lost: Vec<String>,
    /// What a person should look at.
    warnings: Vec<String>,
    /// Entries that clients had to leave out; null while Redis cannot be asked.
    dead_letters: Option<u64>,
}

/// One stream.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StreamView {
    /// `executions`, `queue` or `windows`.
    stream: &'static str,
    /// Its key in Redis.
    key: String,
    /// Entries that the outbox keeps.
    length: u64,
    /// Entries in Redis; null while it cannot be asked.
    redis_length: Option<u64>,
    first_seq: Option<u64>,
    last_seq: Option<u64>,
    last_id: Option<String>,
    /// The last one in Redis.
    shipped_seq: Option<u64>,
    groups: Vec<Group>,
}

/// A consumer group.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Group {
    name: String,
    consumers: u64,
    /// Entries that were delivered and not acknowledged.
    pending: u64,
    /// Entries that were not delivered; null where Redis does not know.
    lag: Option<u64>,
    last_delivered_id: String,
}

impl From<&GroupState> for Group {
    fn from(group: &GroupState) -> Self {
        let GroupState { name, consumers, pending, last_delivered, lag } = group;
        Self {
            name: name.clone(),
            consumers: *consumers,
            pending: *pending,
            lag: *lag,
            last_delivered_id: last_delivered.to_string(),
        }
    }
}

/// What the history itself says.
struct Kept {
    streams: PerStream<StreamInfo>,
    oldest_unshipped_ms: Option<u64>,
}

fn kept(history: &mut dyn History, shipped: Option<Positions>, tick_ms: u64) -> Result<Kept, ReadError> {
    let Head { next_tick, streams, .. } = history.head()?;
    let mut oldest: Option<Tick> = None;
    for stream in Stream::ALL {
        let Some(shipped) = shipped else { continue };
        let waiting = history.after(stream, shipped.get(stream), 1)?;
        let tick = waiting.entries.first().map(|entry| entry.record.tick());
        oldest = oldest.into_iter().chain(tick).min();
    }
    Ok(Kept { streams, oldest_unshipped_ms: oldest.map(|tick| next_tick.since(tick) * tick_ms) })
}

fn pressure(outbox: &Published) -> &'static str {
    match outbox.pressure {
        Pressure::None => "none",
        Pressure::RefuseArrivals => "arrivals are refused",
        Pressure::Full => "full",
    }
}

fn commands(views: &Views) -> Vec<String> {
    let about = &views.about;
    let dir = in_a_shell(&about.data_dir.display().to_string());
    let mut commands = vec![
        format!("evenkeel journal tail --data-dir {dir}"),
        format!("evenkeel journal stat --data-dir {dir}"),
        format!("evenkeel journal verify --data-dir {dir}"),
    ];
    if let Some(redis) = &about.redis {
        let url = redis_cli(redis);
        for stream in Stream::ALL {
            commands.push(format!("{url} XREVRANGE '{}' + - COUNT 10", about.keys.stream(stream)));
        }
        for stream in Stream::ALL {
            commands.push(format!("{url} XINFO GROUPS '{}'", about.keys.stream(stream)));
        }
    }
    commands
}

/// `text` as one word of a shell.
fn in_a_shell(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// How a person asks the Redis at `shown`. Where this server has a user of its own, people have theirs, and its
/// password is asked for: this is shown on screens.
fn redis_cli(shown: &str) -> String {
    if let Some((_, path)) = shown.split_once(":/").filter(|(scheme, _)| scheme.contains("unix")) {
        let path = path.split('?').next().unwrap_or_default();
        return format!("redis-cli -s {}", in_a_shell(&format!("/{path}")));
    }
    match shown.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?.1))) {
        Some((scheme, host)) => format!("redis-cli -u '{scheme}://{host}' --user inspection --askpass"),
        None => format!("redis-cli -u '{shown}'"),
    }
}

/// What is known at one moment, of the outbox and of the copy that is handed out.
struct Known {
    outbox: Published,
    shipping: Option<Shipping>,
    redis: Option<RedisView>,
}

impl Known {
    fn new(views: &Views) -> Self {
        Self {
            outbox: views.outbox.borrow().clone(),
            shipping: views.shipping.as_ref().map(|shipping| shipping.borrow().clone()),
            redis: views.redis.as_ref().map(|redis| redis.borrow().clone()),
        }
    }

    fn stream(&self, stream: Stream, info: &StreamInfo, key: String) -> StreamView {
        let redis = self.redis.as_ref().and_then(RedisView::known);
        StreamView {
            stream: stream.name(),
            key,
            length: info.length,
            redis_length: redis.map(|redis| redis.lengths[stream]),
            first_seq: info.first.map(|first| first.seq),
            last_seq: info.last.map(|last| last.seq),
            last_id: info.last.map(|last| last.id.to_string()),
            shipped_seq: self.shipping.as_ref().map(|shipping| shipping.shipped_seq[stream]),
            groups: redis.iter().flat_map(|redis| &redis.groups[stream]).map(Into::into).collect(),
        }
    }

    fn outbox(&self, kept: &Kept) -> OutboxInfo {
        let unshipped = self.shipping.as_ref().map(|shipping| shipping.lag(&self.outbox.last_seq));
        OutboxInfo {
            bytes: Stream::ALL.iter().map(|&stream| kept.streams[stream].bytes.unwrap_or_default()).sum(),
            pressure: pressure(&self.outbox),
            unshipped: unshipped.unwrap_or_default(),
            oldest_unshipped_ms: kept.oldest_unshipped_ms,
        }
    }

    fn redis(&self) -> Option<RedisInfo> {
        let (shipping, redis) = (self.shipping.as_ref()?, self.redis.as_ref()?);
        let trouble = shipping.trouble.as_ref().map(|trouble| trouble.fault.to_string());
        Some(RedisInfo {
            connected: shipping.connected,
            trouble: trouble.or_else(|| redis.fault.clone()),
            lost: shipping.lost.iter().map(|(sentence, _)| sentence.clone()).collect(),
            warnings: shipping.warnings.clone(),
            dead_letters: redis.known().map(|redis| redis.dead_letters),
        })
    }
}

impl Journal {
    fn new(views: &Views, known: &Known, kept: &Kept) -> Self {
        let about = &views.about;
        let stream = |stream| known.stream(stream, &kept.streams[stream], about.keys.stream(stream));
        Self {
            journal: about.journal,
            name: about.name.clone(),
            writer_epoch: about.writer_epoch,
            revision: known.outbox.revision,
            outbox: known.outbox(kept),
            redis: known.redis(),
            streams: Stream::ALL.map(stream).into(),
            commands: commands(views),
        }
    }
}

/// How much is recorded, handed out, read.
#[utoipa::path(get, path = "/api/v1/journal", tag = "journal", responses((status = 200, body = Journal)))]
pub(super) async fn journal(
    views: web::Data<Views>,
    _: Query<NoParameters>,
) -> Result<web::Json<Journal>, Problem> {
    let known = Known::new(&views);
    let (shipped, tick_ms) =
        (known.shipping.as_ref().map(|shipping| shipping.shipped), views.about.lengths.tick_ms);
    let kept = read(&views, move |history| kept(history, shipped, tick_ms)).await?;
    Ok(web::Json(Journal::new(&views, &known, &kept)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_ask_as_themselves_where_there_are_users() {
        let with_users = redis_cli("redis://…@redis:6379");
        assert_eq!(with_users, "redis-cli -u 'redis://redis:6379' --user inspection --askpass");
        assert_eq!(redis_cli("redis://127.0.0.1:6379"), "redis-cli -u 'redis://127.0.0.1:6379'");
        assert_eq!(redis_cli("redis+unix:/run/redis.sock?…"), "redis-cli -s /run/redis.sock");
        assert_eq!(in_a_shell("/data/Bob's disk"), r"'/data/Bob'\''s disk'");
    }
}
