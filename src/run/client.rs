//! `evenkeel client`: the client's half, reading from Redis, placing slots over HTTP.

use std::{net::SocketAddr, time::Duration};

use actix::Arbiter;
use evenkeel_actors::{
    ports::lease::LeaseEpoch,
    remote::server::RemoteQueue,
    stores::redis::{Link, RedisFault, RedisSource, RedisStateStore, ReportWriter},
    supervise::health::ActorName,
};
use evenkeel_core::{scheduler::PolicyName, units::lengths::Lengths};
use tokio::sync::watch;
use uuid::Uuid;

use super::{
    client_half::{self, Alone, ClientHalf},
    line,
    process::{self, EachSecond, Process},
    settings::ClientSettings,
    told::Reporter,
};
use crate::{
    exit::{Exit, ExitError},
    output,
};

/// Messages that wait for the remote queue: the scheduler asks one at a time.
const MAILBOX: usize = 16;
/// Longest that a start waits for Redis: both may be starting at once.
const REDIS_MAX: Duration = Duration::from_secs(5);
/// Wait between two tries at the start.
const RETRY: Duration = Duration::from_millis(200);

/// Runs until a signal, or an actor that is given up.
///
/// # Errors
/// It cannot start; see [`ExitError`] for the code.
pub fn run(settings: &ClientSettings) -> anyhow::Result<Exit> {
    let start = async |process: &mut Process| {
        find_redis(settings).await?;
        start(settings, process)
    };
    process::run(&settings.common, start, |address| introduce(settings, address))
}

fn introduce(settings: &ClientSettings, address: SocketAddr) {
    let ClientSettings { common, server, redis, .. } = settings;
    output::line(format_args!("evenkeel levels `{}` at {server}", common.name));
    output::line(format_args!("API      http://{address}/  e.g. curl http://{address}/readyz"));
    output::line(format_args!("journal  {} in {redis}", common.keys));
}

/// A client has its state in Redis: without it there is nothing to start.
async fn find_redis(settings: &ClientSettings) -> Result<(), ExitError> {
    let begun = tokio::time::Instant::now();
    loop {
        let (target, keys) = (settings.redis.clone(), settings.common.keys.clone());
        let opened = tokio::task::spawn_blocking(move || Link::open(&target)?.may_read(&keys)).await;
        let fault = match opened {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(fault)) => fault,
            Err(failed) => RedisFault::Away(failed.to_string()),
        };
        if begun.elapsed() >= REDIS_MAX || matches!(fault, RedisFault::Refused(_)) {
            return Err(ExitError {
                exit: Exit::Unreachable,
                message: format!("{}: {fault}", settings.redis),
            });
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Ends in this order, too: slots for what waits, beside the state; the lease.
fn start(settings: &ClientSettings, process: &mut Process) -> anyhow::Result<()> {
    let ClientSettings { common, levelling, server, token, redis } = settings;
    let arbiter = Arbiter::try_new()?;
    let epoch = LeaseEpoch::default();
    let (url, token) = (server.clone(), token.clone());
    let remote = process.starter.start(ActorName::RemoteQueue, &arbiter, MAILBOX, move |health| {
        RemoteQueue::new(&url, token.as_ref(), &health)
    });
    let holder = format!("{} pid {} {}", host(), std::process::id(), Uuid::new_v4());
    let keys = common.keys.clone();
    let ports = client_half::Ports {
        client: holder.clone(),
        epoch: epoch.clone(),
        lengths: Lengths::default(),
        source: Box::new(RedisSource::new(redis.clone(), keys.clone(), epoch.clone())),
        states: Box::new(RedisStateStore::new(redis.clone(), keys, holder, epoch)),
        control: remote.port(),
        policy: PolicyName::Evenkeel,
        applied: None,
    };
    let client = ClientHalf::start(*levelling, common.limits.clone(), ports, arbiter, &mut process.starter);
    let reporter = Reporter::new(&client);
    actix::spawn(reporter.publish(ReportWriter::new(redis.clone(), common.keys.clone())));
    let alone = Alone::new(&client, watch::channel(None).1, process);
    let (mut line, views) = (line::Client::default(), alone.views.clone());
    process.add(client);
    process.add(alone);
    process.add(EachSecond(move || line.print(&views, "")));
    Ok(())
}

/// The machine's name, for people who ask who levels.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "client".to_owned() } else { name.to_owned() }
}
