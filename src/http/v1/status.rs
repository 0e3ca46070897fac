//! `GET /api/v1/status`: how everything is, at a glance.

use std::sync::Arc;

use actix_web::web;
use evenkeel_actors::{clock::unix_ms, server::daemon::Pace};
use evenkeel_core::{
    insight::{
        headline::{headline, would},
        recap::SpanSummary,
        report::Report,
    },
    journal::{Lease, Mode, Stream},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::dto::Benefit;
use crate::http::{
    Cause, ClientTold, Form, Views, degraded,
    fields::{NoParameters, Query},
    slice::{Readiness, Slices},
};

/// Who decides when executions run.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ModeName {
    /// Every execution runs when it is due.
    Off,
    /// As `off`, and the journal says what would have been chosen.
    Shadow,
    /// Slots decide.
    Enforce,
}

impl From<Mode> for ModeName {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Off => Self::Off,
            Mode::Shadow => Self::Shadow,
            Mode::Enforce => Self::Enforce,
        }
    }
}

impl From<ModeName> for Mode {
    fn from(mode: ModeName) -> Self {
        match mode {
            ModeName::Off => Self::Off,
            ModeName::Shadow => Self::Shadow,
            ModeName::Enforce => Self::Enforce,
        }
    }
}

/// How everything is.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Status {
    /// Name of the database.
    name: String,
    /// evenkeel's.
    version: &'static str,
    /// `embedded`, or `server` with a client elsewhere.
    form: &'static str,
    /// What the database is.
    database: String,
    /// The last tick that ran; null before the first.
    tick: Option<u64>,
    /// Length of a tick.
    tick_ms: u64,
    /// Ticks in a window.
    window_ticks: u64,
    /// Ticks between an arrival and its base due tick when nobody delays it.
    default_delay_ticks: u64,
    /// When this process started.
    started_ms: u64,
    /// The server's clock.
    now_ms: u64,
    /// Who decides; null while the queue is being restored.
    mode: Option<ModeName>,
    /// Whether slots decide at the next tick.
    levelled: bool,
    /// As `/readyz`.
    ready: bool,
    /// What keeps it from being ready.
    reasons: Vec<String>,
    /// What works less well than it should.
    degraded: Vec<String>,
    /// The same for machines, the most urgent first.
    causes: Vec<CauseView>,
    /// Who levels, or did last.
    lease: Option<LeaseView>,
    /// What levelling does to the last minute's peak, for which delay; in `shadow` what it would do to the last hour's. Null
    /// while that is not known.
    headline: Option<String>,
    /// Whether `/api/v1/shadow` has something to compare.
    compared: bool,
    /// Whether executions run within the delay that people want.
    delay: DelayView,
    /// Longest that a slot may hold an execution of a query that has no maximum delay of its own.
    max_delay_ticks: u64,
    /// Queries that have one of their own.
    own_max_delays: usize,
    /// Executions that wait.
    queued: Option<u64>,
    /// Ticks since the oldest of them arrived.
    oldest_wait_ticks: Option<u64>,
    /// Ticks that began more than half a tick after their time.
    late_ticks: u64,
    /// Arrivals that were refused for want of room.
    refused_arrivals: u64,
    /// Whether everything that ran is recorded.
    capture: Capture,
    /// The last minute.
    pub(crate) minute: Benefit,
    /// The last five.
    pub(crate) five_minutes: Benefit,
    /// What the client told last.
    client: Option<ClientView>,
}

/// What works less well than it should.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct CauseView {
    /// What it is about, as the metric `evenkeel_degraded_cause` names it.
    kind: &'static str,
    /// What is wrong, and the remedy where there is one.
    sentence: String,
    /// Since when.
    since_ms: u64,
}

impl From<&Cause> for CauseView {
    fn from(Cause { kind, sentence, since_ms }: &Cause) -> Self {
        Self { kind: kind.name(), sentence: sentence.clone(), since_ms: *since_ms }
    }
}

/// The right of one client to place slots.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct LeaseView {
    /// What its holder calls itself.
    client: String,
    /// Counts takeovers.
    epoch: u64,
    /// The last tick that it covers.
    until_tick: u64,
    /// Whether it covers the next tick.
    lives: bool,
}

impl LeaseView {
    /// The last lease; none before the first, or while the queue is being restored.
    pub(crate) fn last(views: &Views) -> Option<Self> {
        let queue = views.queue.borrow().clone()?;
        let lease = queue.lease.as_ref()?;
        let Lease { client, epoch, until, .. } = lease;
        let lives = lease.lives_after(queue.tick);
        Some(Self { client: client.clone(), epoch: *epoch, until_tick: until.0, lives })
    }
}

/// executed + under way = journalled + in the outbox, counted from the journal's beginning.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct Capture {
    /// Executions that the database has run.
    executed: u64,
    /// Those in the copy that is handed out; in one process those in the outbox.
    journalled: u64,
    /// Those that are durable and not yet handed out.
    in_outbox: u64,
    /// Those that are recorded and on their way to the database: a tick's at the most.
    under_way: u64,
    /// Whether every one that ran is recorded.
    complete: bool,
}

impl Capture {
    pub(crate) fn new(views: &Views) -> Self {
        // In this order: what has run is recorded before.
        let executed = views.about.executed_before + views.pace.borrow().executed;
        let recorded = views.outbox.borrow().last_seq[Stream::Executions];
        let shipped =
            views.shipping.as_ref().map(|shipping| shipping.borrow().shipped_seq[Stream::Executions]);
        let journalled = shipped.unwrap_or(recorded).min(recorded);
        Self {
            executed,
            journalled,
            in_outbox: recorded - journalled,
            under_way: recorded.saturating_sub(executed),
            complete: recorded >= executed,
        }
    }

    pub(crate) fn executed(&self) -> u64 {
        self.executed
    }
}

/// What the client told last.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ClientView {
    /// Time since that reached the server.
    age_ms: u64,
    /// `levelling`, `standing by`, `gave up`, `restoring` or `waiting`.
    role: String,
    /// Who levels instead, what is waited for, or why what it decides has no effect.
    holder: Option<String>,
    /// After which tick it decided last.
    decided_tick: Option<u64>,
    /// Whether the corridor can be reached.
    feasible: Option<bool>,
    /// What binds when it cannot: `arrivals`, `budget`, `estimates` or `deadlines`.
    binding: Option<String>,
    /// Whether peaks are cut although the corridor is out of reach.
    cuts_peaks: Option<bool>,
    /// The same in words; null when the corridor can be reached.
    reach: Option<String>,
    /// Roughly, seconds until costs are known well enough; null when they are, or something else binds.
    learning_s: Option<f64>,
    /// Slots that it placed.
    slots: Option<usize>,
    /// Root mean square of the relative error of its model over the last minute.
    residual: Option<f64>,
}

fn first_sentence(views: &Views, minute: &SpanSummary) -> Option<String> {
    let tick_ms = views.about.lengths.tick_ms;
    let told = views.told.borrow();
    let shadow = told.as_ref().and_then(|told| told.report.shadow.as_ref());
    // What a client told before the mode changed is over.
    let in_shadow = views.queue.borrow().as_ref().is_some_and(|queue| queue.mode == Mode::Shadow);
    shadow
        .filter(|_| in_shadow)
        .and_then(|report| would(report, tick_ms))
        .or_else(|| headline(minute, tick_ms))
}

impl From<&ClientTold> for ClientView {
    fn from(ClientTold { report, at, .. }: &ClientTold) -> Self {
        let Report { role, note, decided, residual, .. } = &**report;
        Self {
            age_ms: at.elapsed().as_millis() as u64,
            role: role.clone(),
            holder: note.clone(),
            decided_tick: decided.map(|decided| decided.tick.0),
            feasible: decided.map(|decided| decided.feasibility.feasible),
            binding: decided
                .and_then(|decided| decided.feasibility.binding)
                .map(|binding| binding.to_string()),
            cuts_peaks: decided.map(|decided| decided.feasibility.cuts_peaks),
            reach: report.reach(),
            learning_s: report.learning_s,
            slots: decided.map(|decided| decided.slots),
            residual: *residual,
        }
    }
}

/// How the delay is to its objective.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct DelayView {
    /// Delay within which executions should run.
    objective_ticks: u64,
    /// The same.
    objective_ms: u64,
    /// `good`; `warning` when some executions are beyond it; `bad` when they are on average, or one is far beyond.
    level: &'static str,
    /// What is beyond it; null when nothing is.
    sentence: Option<String>,
}

impl DelayView {
    fn new(views: &Views) -> Self {
        let objective_ticks = views.about.delay_objective_ticks;
        let verdict = views.delay_verdict();
        Self {
            objective_ticks,
            objective_ms: objective_ticks * views.about.lengths.tick_ms,
            level: verdict.level.name(),
            sentence: verdict.sentence(),
        }
    }
}

impl Status {
    /// As `views` show it, of a process with this readiness.
    pub(crate) fn new(views: &Views, readiness: Readiness) -> Self {
        let about = &views.about;
        let Pace { last, late_ticks, refused_arrivals, .. } = *views.pace.borrow();
        let queue = views.queue.borrow().clone();
        let overview = Arc::clone(&views.overview.borrow());
        let Readiness { reasons, degraded, says: _ } = readiness;
        let oldest =
            queue.as_ref().and_then(|queue| Some(queue.tick.since(queue.waiting.first()?.queued_tick)));
        Self {
            name: about.name.clone(),
            version: env!("CARGO_PKG_VERSION"),
            form: if about.form == Form::Embedded { "embedded" } else { "server" },
            database: about.database.clone(),
            tick: last.map(|last| last.tick.0),
            tick_ms: about.lengths.tick_ms,
            window_ticks: about.lengths.window_ticks,
            default_delay_ticks: about.lengths.default_delay_ticks,
            started_ms: about.started_ms,
            now_ms: unix_ms(),
            mode: queue.as_ref().map(|queue| queue.mode.into()),
            levelled: queue.as_ref().is_some_and(|queue| queue.levelled),
            ready: reasons.is_empty(),
            reasons,
            causes: degraded.iter().map(Into::into).collect(),
            degraded: degraded::sentences(&degraded),
            lease: LeaseView::last(views),
            headline: first_sentence(views, &overview.minute),
            compared: views.told.borrow().as_ref().is_some_and(|told| told.report.shadow.is_some()),
            delay: DelayView::new(views),
            max_delay_ticks: about.limits.default_ticks,
            own_max_delays: about.limits.by_query.len(),
            queued: queue.as_ref().map(|queue| queue.waiting.len() as u64),
            oldest_wait_ticks: oldest,
            late_ticks,
            refused_arrivals,
            capture: Capture::new(views),
            minute: overview.minute.into(),
            five_minutes: overview.five_minutes.into(),
            client: views.told.borrow().as_ref().map(Into::into),
        }
    }
}

/// How everything is, at a glance.
#[utoipa::path(get, path = "/api/v1/status", tag = "status", responses((status = 200, body = Status)))]
pub(super) async fn status(
    views: web::Data<Views>,
    slices: web::Data<Slices>,
    _: Query<NoParameters>,
) -> web::Json<Status> {
    web::Json(Status::new(&views, slices.readiness()))
}
