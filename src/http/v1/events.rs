//! `GET /api/v1/events`: the state as server-sent events: all of it first, then what changed, once a second.
//!
//! Each reader draws from the latest frame when its connection has room: one that reads slowly skips frames,
//! one that stops reading holds one, and nobody waits for either. Frames are made while somebody reads, and shared by
//! the readers of one tenant: never by those of two.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use evenkeel_core::{insight::recap::Step, units::lengths::Lengths};
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
    access::{Principal, Tenant},
    fields::{Field, Kind, Parameters, Query},
    integers::INTEGER_MAX,
    problem::Problem,
    slice::Slices,
};

/// Time between two frames.
const EVERY: Duration = Duration::from_secs(1);
/// Silence after which a comment is sent, so that proxies keep the connection.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Most readers at once: each holds a connection, and at most one frame: some 100 kB, and 1 MB where windows are short.
const READERS_MAX: usize = 1_000;
/// Time of which windows are told again with each change, three of them at least: what the client knows of them comes up
/// to two seconds later.
const TOLD_AGAIN_MS: u64 = 3_000;

/// What an event holds.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Change {
    status: Status,
    /// Oldest first. One that was told before replaces what was told.
    points: Vec<Point>,
}

/// One second's state, rendered once for all readers of a tenant.
struct Frame {
    status: Status,
    steps: Arc<[Step]>,
    change: web::Bytes,
    snapshot: OnceLock<web::Bytes>,
}

impl Frame {
    fn new(views: &Views, slices: &Slices) -> Self {
        let status = Status::new(views, slices.readiness());
        let steps = Arc::clone(&views.overview.borrow().steps);
        let newest = newest(&steps).unwrap_or(0);
        let change = render("change", &status, &steps, newest.checked_sub(told_again(views.about.lengths)));
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

/// Ticks of which windows are told again.
fn told_again(lengths: Lengths) -> u64 {
    lengths.ticks_in_ms(TOLD_AGAIN_MS).max(3 * lengths.window_ticks)
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

type Sender = watch::Sender<Arc<Frame>>;

/// The frames of each tenant that has a reader, made once a second as long as it has one.
#[derive(Clone, Default)]
pub(crate) struct Frames {
    made: Arc<Mutex<BTreeMap<Tenant, Weak<Sender>>>>,
    readers: Arc<AtomicUsize>,
}

impl Frames {
    /// Readers that are connected.
    pub(crate) fn readers(&self) -> usize {
        self.readers.load(Ordering::Relaxed)
    }

    /// The frames of `tenant`; begins to make them with `frame` where nobody has read them yet. Whoever makes what a
    /// tenant sees differ from what others see does that in `frame`.
    fn of(&self, tenant: &Tenant, frame: impl Fn() -> Frame + 'static) -> watch::Receiver<Arc<Frame>> {
        let mut made = self.made();
        if let Some(sender) = made.get(tenant).and_then(Weak::upgrade) {
            return sender.subscribe();
        }
        let (sender, latest) = watch::channel(Arc::new(frame()));
        let sender = Arc::new(sender);
        made.insert(tenant.clone(), Arc::downgrade(&sender));
        drop(made);
        let (frames, tenant) = (self.clone(), tenant.clone());
        actix_web::rt::spawn(async move {
            let mut second = interval(EVERY);
            second.set_missed_tick_behavior(MissedTickBehavior::Skip);
            // The first one is there already.
            second.tick().await;
            loop {
                second.tick().await;
                if frames.ended(&tenant, &sender) {
                    return;
                }
                sender.send_replace(Arc::new(frame()));
            }
        });
        latest
    }

    /// Whether nobody reads what `sender` sends; then nobody begins to, either.
    fn ended(&self, tenant: &Tenant, sender: &Sender) -> bool {
        let mut made = self.made();
        let ended = sender.receiver_count() == 0;
        if ended {
            made.remove(tenant);
        }
        ended
    }

    fn made(&self) -> MutexGuard<'_, BTreeMap<Tenant, Weak<Sender>>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
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
    (views, slices): (web::Data<Views>, web::Data<Slices>),
    frames: web::Data<Frames>,
    principal: Principal,
    Query(from): Query<LeftOff>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let reader = Reader::new(&frames.readers)
        .ok_or_else(|| Problem::unavailable(format!("{READERS_MAX} readers are connected already")))?;
    let draining = views.draining.clone();
    let latest = frames.of(&principal.tenant, move || Frame::new(&views, &slices));
    let after = last_event_id(&request).or(from.last_event_id);
    let reading = Reading { frames: latest, draining, after, begun: false, _reader: reader };
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(reading.stream()))
}

fn last_event_id(request: &HttpRequest) -> Option<u64> {
    request.headers().get("Last-Event-ID")?.to_str().ok()?.parse().ok()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Access, AccessSettings, tests::views};

    #[actix_web::test]
    async fn readers_of_one_tenant_share_frames_and_those_of_two_never_do() {
        let views = views(Access::new(AccessSettings::open()).unwrap());
        let frames = Frames::default();
        let of = |name| {
            let views = views.clone();
            frames.of(&Tenant::other(name), move || Frame::new(&views, &Slices::new(Vec::new())))
        };
        let (a, again, b) = (of("a"), of("a"), of("b"));
        assert!(a.same_channel(&again) && !a.same_channel(&b));
        assert!(Arc::ptr_eq(&a.borrow(), &again.borrow()) && !Arc::ptr_eq(&a.borrow(), &b.borrow()));
        drop((a, again));
        tokio::time::timeout(EVERY * 20, async {
            while frames.made().contains_key(&Tenant::other("a")) {
                tokio::time::sleep(EVERY / 10).await;
            }
        })
        .await
        .expect("frames that nobody reads are no longer made");
        assert!(frames.made().contains_key(&Tenant::other("b")), "somebody reads these");
        assert!(!of("a").same_channel(&b));
    }
}
