//! `GET /api/v1/events`: the state as server-sent events: all of it first, then what changed, once a second.
//!
//! Each reader draws from the latest frame when its connection has room: one that reads slowly skips frames,
//! one that stops reading holds one, and nobody waits for either.

use std::{
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use evenkeel_core::insight::recap::Step;
use futures_util::{Stream, stream};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval, timeout},
};
use utoipa::{IntoParams, ToSchema};

use super::{dto::Point, status::Status};
use crate::http::{
    Views,
    fields::{Field, Kind, Parameters, Query},
    integers::INTEGER_MAX,
    problem::Problem,
};

/// Time between two frames.
const EVERY: Duration = Duration::from_secs(1);
/// Silence after which a comment is sent, so that proxies keep the connection.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Most readers at once: each holds a connection, and at most one frame of about 100 kB.
const READERS_MAX: usize = 1_000;
/// Windows that are told again with each change: what the client knows of them comes up to two seconds later.
const TOLD_AGAIN: u64 = 30;

/// What an event holds.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Change {
    status: Status,
    /// Oldest first. One that was told before replaces what was told.
    points: Vec<Point>,
}

/// One second's state, rendered once for all readers.
struct Frame {
    status: Status,
    steps: Arc<[Step]>,
    change: web::Bytes,
    snapshot: OnceLock<web::Bytes>,
}

impl Frame {
    fn new(views: &Views) -> Self {
        let (status, steps) = (Status::new(views), Arc::clone(&views.overview.borrow().steps));
        let newest = newest(&steps).unwrap_or(0);
        let change = render("change", &status, &steps, newest.checked_sub(TOLD_AGAIN));
        Self { status, steps, change, snapshot: OnceLock::new() }
    }

    fn snapshot(&self, after: Option<u64>) -> web::Bytes {
        // One that is not remembered, or from another journal, is answered with everything.
        let known = after.filter(|after| self.steps.iter().any(|step| step.window.last_tick.0 == *after));
        match known {
            None => self.snapshot.get_or_init(|| render("snapshot", &self.status, &self.steps, None)).clone(),
            after => render("snapshot", &self.status, &self.steps, after),
        }
    }
}

fn newest(steps: &[Step]) -> Option<u64> {
    steps.last().map(|step| step.window.last_tick.0)
}

/// An event, with the points that end after `after`.
fn render(event: &str, status: &Status, steps: &[Step], after: Option<u64>) -> web::Bytes {
    let new = steps.iter().filter(|step| after.is_none_or(|after| step.window.last_tick.0 > after));
    let change = Change { status: status.clone(), points: new.map(Into::into).collect() };
    let data = serde_json::to_string(&change).unwrap_or_default();
    let id = newest(steps).map(|tick| format!("id: {tick}\n")).unwrap_or_default();
    web::Bytes::from(format!("event: {event}\n{id}data: {data}\n\n"))
}

/// The frames, made once a second while the server runs.
#[derive(Clone)]
pub(crate) struct Frames {
    latest: watch::Receiver<Arc<Frame>>,
    readers: Arc<AtomicUsize>,
}

impl Frames {
    /// Begins to make them; they end with the server's arbiter.
    pub(crate) fn start(views: &Views) -> Self {
        let (sender, latest) = watch::channel(Arc::new(Frame::new(views)));
        let views = views.clone();
        actix_web::rt::spawn(async move {
            let mut second = interval(EVERY);
            second.set_missed_tick_behavior(MissedTickBehavior::Skip);
            while !sender.is_closed() {
                second.tick().await;
                sender.send_replace(Arc::new(Frame::new(&views)));
            }
        });
        Self { latest, readers: Arc::default() }
    }

    /// Readers that are connected.
    pub(crate) fn readers(&self) -> usize {
        self.readers.load(Ordering::Relaxed)
    }
}

/// Counts a reader as long as it is connected.
struct Reader(Arc<AtomicUsize>);

impl Reader {
    fn new(readers: &Arc<AtomicUsize>) -> Option<Self> {
        let admitted = readers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |readers| {
            (readers < READERS_MAX).then_some(readers + 1)
        });
        admitted.is_ok().then(|| Self(Arc::clone(readers)))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Where a reader left off.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct LeftOff {
    /// As the header `Last-Event-ID`, for those who cannot set one: the last tick that was told.
    #[param(maximum = 9_007_199_254_740_992_u64)]
    last_event_id: Option<u64>,
}

impl Parameters for LeftOff {
    const FIELDS: &'static [Field] =
        &[Field::optional("last_event_id", Kind::Integer { min: 0, max: INTEGER_MAX })];
}

/// The state as server-sent events: a `snapshot` with the last 300 windows, or those after `Last-Event-ID`, then a
/// `change` once a second. Data of both are a `Change`.
#[utoipa::path(get, path = "/api/v1/events", tag = "status",
    params(LeftOff, ("Last-Event-ID" = Option<u64>, Header, description = "the last tick that was told")),
    responses((status = 200, body = Change, content_type = "text/event-stream"),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn events(
    views: web::Data<Views>,
    frames: web::Data<Frames>,
    Query(from): Query<LeftOff>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let reader = Reader::new(&frames.readers)
        .ok_or_else(|| Problem::unavailable(format!("{READERS_MAX} readers are connected already")))?;
    let header = request.headers().get("Last-Event-ID").and_then(|id| id.to_str().ok()?.parse().ok());
    let reading = Reading {
        frames: frames.latest.clone(),
        draining: views.draining.clone(),
        after: header.or(from.last_event_id),
        begun: false,
        _reader: reader,
    };
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(reading.stream()))
}

struct Reading {
    frames: watch::Receiver<Arc<Frame>>,
    draining: watch::Receiver<bool>,
    after: Option<u64>,
    begun: bool,
    _reader: Reader,
}

type Events = Pin<Box<dyn Stream<Item = Result<web::Bytes, actix_web::Error>>>>;

impl Reading {
    fn stream(self) -> Events {
        Box::pin(stream::unfold(self, |mut reading| async move {
            let bytes = reading.next().await?;
            Some((Ok(bytes), reading))
        }))
    }

    /// The next thing to be sent; none when the server is about to end.
    async fn next(&mut self) -> Option<web::Bytes> {
        if !self.begun {
            self.begun = true;
            let frame = Arc::clone(&self.frames.borrow_and_update());
            return Some(frame.snapshot(self.after));
        }
        tokio::select! {
            draining = self.draining.wait_for(|draining| *draining) => { drop(draining); None }
            changed = timeout(HEARTBEAT, self.frames.changed()) => match changed {
                Err(_silence) => Some(web::Bytes::from_static(b": heartbeat\n\n")),
                Ok(Err(_ended)) => None,
                Ok(Ok(())) => Some(self.frames.borrow_and_update().change.clone()),
            }
        }
    }
}
