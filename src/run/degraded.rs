//! What works less well than it should while the program does its work: sentences for `/readyz`, the page, the metrics.
//! Gathered once a second. Each sentence says what is wrong, since when, and the remedy where there is one.

use evenkeel_actors::{
    clock::unix_ms,
    journal::outbox::Published,
    shipper::{Shipping, Trouble},
};
use evenkeel_core::{control::Mode, journal::Stream};

use crate::http::{Degraded, Views};

/// Entries that may wait without a word: a tick at 1,000 executions, of which each has two.
const LAG_MAX: u64 = 2_000;
/// A clock that is corrected by less is no news.
const CLOCK_BEHIND_MAX_MS: u64 = 1_000;

/// Of both halves in one process.
pub(super) fn embedded(views: &Views) -> Degraded {
    everywhere(views)
}

/// Of the server's half alone, which has shipped all but `lag` entries.
pub(super) fn server(views: &Views, shipping: &Shipping, lag: u64) -> Degraded {
    let mut degraded = shipped(shipping, lag);
    degraded.extend(levelled(views));
    degraded.extend(refused(views));
    degraded.extend(everywhere(views));
    degraded
}

/// What each form of the program has in common.
fn everywhere(views: &Views) -> Degraded {
    clock(&views.outbox.borrow()).into_iter().collect()
}

fn shipped(shipping: &Shipping, lag: u64) -> Degraded {
    let mut degraded = Vec::new();
    match &shipping.trouble {
        Some(Trouble { fault, since }) => {
            let seconds = since.elapsed().as_secs();
            degraded.push(format!("nothing is shipped for {seconds} s, {lag} entries wait: {fault}"));
        }
        None if lag > LAG_MAX => degraded.push(format!("catching up: {lag} entries wait in the outbox")),
        None => {}
    }
    degraded.extend(shipping.lost.iter().map(|(sentence, _)| sentence.clone()));
    degraded.extend(shipping.warnings.iter().cloned());
    degraded
}

fn levelled(views: &Views) -> Option<String> {
    let queue = views.queue.borrow().clone()?;
    let leaderless = queue.lease.as_ref().is_none_or(|lease| lease.until < queue.tick);
    (queue.mode != Mode::Off && leaderless)
        .then(|| "no client levels: executions run when they are due".to_owned())
}

fn refused(views: &Views) -> Option<String> {
    let refused = views.pace.borrow().refused_arrivals;
    (refused > 0)
        .then(|| format!("{refused} arrivals were refused: the outbox is full of what Redis has not taken"))
}

/// Entry ids never go back with the machine's clock.
fn clock(outbox: &Published) -> Option<String> {
    let last_ms = Stream::ALL.iter().map(|&stream| outbox.last[stream].ms).max().unwrap_or(0);
    let behind_ms = last_ms.saturating_sub(unix_ms());
    (behind_ms > CLOCK_BEHIND_MAX_MS).then(|| {
        let seconds = behind_ms / 1_000;
        format!("the clock is {seconds} s behind the last entry: ids go on from there until it has caught up")
    })
}
