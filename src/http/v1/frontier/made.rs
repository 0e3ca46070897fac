//! The frontier that was made last, and the thread that makes the next one.

use std::{
    ops::ControlFlow,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use evenkeel_actors::ports::history::OpenHistory;
use evenkeel_core::{
    estimator::Estimates,
    insight::report::LearnedCosts,
    server::queue::HoldLimits,
    simulate::{Asked, Recorded, Report, Sweep},
    units::{lengths::Lengths, span::Span, tick::Tick},
};
use tokio::sync::watch;

use super::load::{self, TICKS_MAX};
use crate::http::Views;

/// A frontier serves for so long. After a failure, the next try waits for as long.
const MADE_EVERY: Duration = Duration::from_mins(10);
/// Least load that says something: a minute at the default pace, and ten windows.
const TICKS_MIN: u64 = 600;
const WINDOWS_MIN: u64 = 10;
/// Ticks of load for which costs that are being learned are waited for: five minutes at the default pace.
const LEARNED_IN_TICKS: u64 = 3_000;
/// The thread works for so long, and rests for as long: it takes half of a core at the most.
const STINT: Duration = Duration::from_millis(20);
/// Longest that it works in all. What is not known by then is left out.
const WORK_MAX: Duration = Duration::from_mins(1);

/// See the module. All of its clones are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frontiers(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    last: Option<Arc<Made>>,
    /// Parts that are done of the one that is being made, of all its parts.
    under_way: Option<(usize, usize)>,
    /// Why the last try came to nothing.
    failed: Option<(Instant, String)>,
}

/// A frontier.
#[derive(Debug)]
pub(super) struct Made {
    /// When its load was read.
    pub(super) at: Instant,
    /// The first tick of the load, the first that is counted, and the first after it.
    pub(super) span: [Tick; 3],
    /// In the order in which they were run.
    pub(super) rows: Vec<(Asked, Report)>,
    /// Whether all were run that were to be.
    pub(super) complete: bool,
}

/// What is known at one moment.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) last: Option<Arc<Made>>,
    pub(super) stage: Stage,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing is made before something else has happened, or after a failure: which.
    Waiting(String),
    /// Parts that are done, of all parts.
    UnderWay(usize, usize),
    Ready,
}

impl Frontiers {
    /// What is known. Where nothing is, or for too long, it is begun to be made.
    pub(super) fn ask(&self, views: &Views) -> Known {
        let mut kept = self.state();
        let last = kept.last.clone();
        let fresh = |at: Instant| at.elapsed() < MADE_EVERY;
        let stage = if let Some((done, of)) = kept.under_way {
            Stage::UnderWay(done, of)
        } else if last.as_ref().is_some_and(|made| fresh(made.at)) {
            Stage::Ready
        } else if let Some((_, why)) = kept.failed.as_ref().filter(|(at, _)| fresh(*at)) {
            Stage::Waiting(why.clone())
        } else {
            match Job::of(views) {
                Ok(job) => self.begin(&mut kept, job),
                Err(why) => Stage::Waiting(why),
            }
        };
        Known { last, stage }
    }

    fn begin(&self, state: &mut State, job: Job) -> Stage {
        let (all, under_way) = (Sweep::new(job.lengths).left(), UnderWay(self.clone()));
        let work = move || under_way.ends(job);
        match thread::Builder::new().name("frontier".to_owned()).spawn(work) {
            Ok(_) => {
                state.under_way = Some((0, all));
                Stage::UnderWay(0, all)
            }
            Err(error) => Stage::Waiting(format!("no thread can be had: {error}")),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A frontier that is being made; none is any more once this is gone, however that came.
struct UnderWay(Frontiers);

impl UnderWay {
    fn ends(self, job: Job) {
        let done = job.make(|done, of| self.0.state().under_way = Some((done, of)));
        let mut state = self.0.state();
        match done {
            Ok(made) => (state.last, state.failed) = (Some(Arc::new(made)), None),
            Err(why) => state.failed = Some((Instant::now(), why)),
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.state().under_way = None;
    }
}

/// What one is made from.
struct Job {
    open: OpenHistory,
    lengths: Lengths,
    limits: HoldLimits,
    costs: Arc<LearnedCosts>,
    draining: watch::Receiver<bool>,
}

impl Job {
    /// What is known now; what is waited for where that does not suffice.
    fn of(views: &Views) -> Result<Self, String> {
        let lengths = views.about.lengths;
        let told = views.told.borrow().clone();
        let told = told.filter(|told| !told.costs.queries.is_empty());
        let told = told.ok_or("costs are not known yet: a client learns them from what runs")?;
        if let Some(until) = views.ahead_until() {
            return Err(format!("ticks run ahead of their time until tick {until}"));
        }
        let ticks = views.queue.borrow().as_ref().map_or(0, |queue| queue.tick.next().0);
        enough(ticks, lengths)?;
        match told.report.learning_s {
            Some(seconds) if ticks < LEARNED_IN_TICKS => {
                Err(format!("costs are being learned, about {seconds:.0} s to go"))
            }
            _ => Ok(Self {
                open: Arc::clone(&views.history),
                lengths,
                limits: views.about.limits.clone(),
                costs: told.costs,
                draining: views.draining.clone(),
            }),
        }
    }

    /// `progress` is told how many parts are done, of how many.
    fn make(self, mut progress: impl FnMut(usize, usize)) -> Result<Made, String> {
        let at = Instant::now();
        let mut history = (self.open)().map_err(|error| error.to_string())?;
        let recorded = load::read(&mut *history, self.limits).map_err(|error| error.to_string())?;
        drop(history);
        enough(recorded.ticks(), self.lengths)?;
        let estimates = Estimates::from(&*self.costs);
        let mut stints = Stints { since: at, worked: Duration::ZERO, draining: self.draining };
        let (sweep, complete) =
            swept(&recorded, &estimates, Sweep::new(self.lengths), || stints.go_on(), &mut progress);
        let first = recorded.first();
        let span = [first, recorded.counted_from(), first.after(recorded.ticks())];
        Ok(Made { at, span, rows: sweep.rows().to_vec(), complete })
    }
}

/// Runs what `sweep` asks for, as long as `go_on` says so; and whether that was all of it.
fn swept(
    recorded: &Recorded,
    estimates: &Estimates,
    mut sweep: Sweep,
    mut go_on: impl FnMut() -> ControlFlow<()>,
    progress: &mut impl FnMut(usize, usize),
) -> (Sweep, bool) {
    while let Some(asked) = sweep.next() {
        let Some(report) = recorded.run(asked, estimates, &mut go_on) else { return (sweep, false) };
        sweep.found(report);
        let done = sweep.rows().len();
        progress(done, done + sweep.left());
    }
    (sweep, true)
}

/// Whether `ticks` say something; what is waited for when they do not.
fn enough(ticks: u64, lengths: Lengths) -> Result<(), String> {
    let least = TICKS_MIN.max(WINDOWS_MIN * lengths.window_ticks).min(TICKS_MAX);
    if ticks + lengths.window_ticks > least {
        return Ok(());
    }
    Err(format!("{} of load must be recorded first", Span::of(least, lengths.tick_ms)))
}

/// Work and rest of the thread.
struct Stints {
    since: Instant,
    worked: Duration,
    draining: watch::Receiver<bool>,
}

impl Stints {
    /// Rests when a stint is over; whether another one is to follow.
    fn go_on(&mut self) -> ControlFlow<()> {
        let stint = self.since.elapsed();
        if stint < STINT {
            return ControlFlow::Continue(());
        }
        self.worked += stint;
        thread::park_timeout(stint);
        self.since = Instant::now();
        if self.worked > WORK_MAX || *self.draining.borrow() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}
