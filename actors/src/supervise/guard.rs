//! Keeps an actor alive through its panics.
//!
//! actix's own supervisor restarts an actor that stops, and not one that panics. The guard owns the
//! future of the actor's context, catches what unwinds out of it, waits, and restarts it in place:
//! the address, the mailbox and the messages in it survive; only the message that was being handled is
//! lost, and its sender sees the mailbox closed: outcome unknown.
//!
//! ```text
//!              panic or ctx.stop()            ≤ 5 restarts in 60 s
//! running ────────────────────────▶ backing off ─────▶ restarting(), started() ─▶ running
//!                                        └─ the 6th: gave up, the process is told
//! ```
//!
//! A guarded actor rebuilds its state in `restarting()` or says that it has lost it, and never calls
//! `ctx.cancel_future`: handles count anew after a restart, so a stale one would cancel a fresh future.

use std::{
    any::Any,
    collections::VecDeque,
    future::Future,
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context as TaskContext, Poll, ready},
    time::Duration,
};

use actix::{
    Actor, ActorContext, Addr, ArbiterHandle, Context, Supervised,
    dev::{AsyncContextParts, ContextFut, channel},
};
use tokio::{
    sync::mpsc,
    time::{Instant, Interval, MissedTickBehavior, Sleep, interval, sleep},
};

use crate::supervise::health::{ActorHealth, ActorName, ActorState};

/// How often a guard shows that its arbiter is not blocked: three beats before anybody may worry.
const BEAT: Duration = Duration::from_secs(1);

/// How failures are answered.
#[derive(Clone, Copy, Debug)]
pub struct RestartPolicy {
    /// Wait before the first restart; doubled with each further one within `within`.
    pub backoff_first: Duration,
    /// Longest wait.
    pub backoff_max: Duration,
    /// Restarts within `within` that are still answered.
    pub restarts_max: usize,
    /// See `restarts_max`.
    pub within: Duration,
}

impl Default for RestartPolicy {
    /// The 6th restart within 60 s is one too many. The waits before the five sum to 0.31 s, so a
    /// passing fault costs three ticks and a lasting one ends within a second.
    fn default() -> Self {
        Self {
            backoff_first: Duration::from_millis(10),
            backoff_max: Duration::from_secs(1),
            restarts_max: 5,
            within: Duration::from_mins(1),
        }
    }
}

/// An actor failed too often: the process should end, so that whoever runs it starts it afresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GaveUp {
    /// Which one.
    pub actor: ActorName,
    /// Its last failure.
    pub cause: String,
}

/// What a guard needs besides its actor.
#[derive(Clone, Debug)]
pub struct Guarding {
    /// How failures are answered.
    pub policy: RestartPolicy,
    /// Who is told when an actor is given up. Seven actors can each be given up once.
    pub gave_up: mpsc::Sender<GaveUp>,
}

/// Starts an actor on `arbiter`, guarded, with a mailbox for `mailbox` messages.
pub fn start<A, F>(
    arbiter: &ArbiterHandle,
    mailbox: usize,
    health: ActorHealth,
    guarding: Guarding,
    make: F,
) -> Addr<A>
where
    A: Actor<Context = Context<A>> + Supervised,
    F: FnOnce(&mut Context<A>) -> A + Send + 'static,
{
    let (sender, receiver) = channel::channel(mailbox);
    arbiter.spawn_fn(move || {
        let mut context = Context::with_receiver(receiver);
        let actor = make(&mut context);
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
        health.set_state(ActorState::Running);
        actix::spawn(Guard {
            actor: context.into_future(actor),
            health,
            guarding,
            failures: VecDeque::new(),
            backoff: None,
            beat,
        });
    });
    Addr::new(sender)
}

struct Guard<A: Actor<Context = Context<A>>> {
    actor: ContextFut<A, Context<A>>,
    health: ActorHealth,
    guarding: Guarding,
    /// When it failed, oldest first, within the policy's time.
    failures: VecDeque<Instant>,
    backoff: Option<Pin<Box<Sleep>>>,
    beat: Interval,
}

impl<A: Actor<Context = Context<A>> + Supervised> Future for Guard<A> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<()> {
        while self.beat.poll_tick(task).is_ready() {
            self.health.beat();
        }
        loop {
            if let Some(backoff) = &mut self.backoff {
                ready!(backoff.as_mut().poll(task));
                self.backoff = None;
                let restart = || {
                    #[cfg(feature = "faults")]
                    crate::supervise::fault::restarting(self.health.name());
                    self.actor.restart()
                };
                match catch_unwind(AssertUnwindSafe(restart)) {
                    Ok(true) => self.health.set_state(ActorState::Running),
                    // Nobody has its address any more.
                    Ok(false) => return Poll::Ready(()),
                    Err(panic) => {
                        if self.failed(&cause(panic.as_ref())).is_break() {
                            return Poll::Ready(());
                        }
                        continue;
                    }
                }
            }
            let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(&mut self.actor).poll(task)));
            let failed = match polled {
                Ok(Poll::Pending) => return Poll::Pending,
                Ok(Poll::Ready(())) if !self.actor.ctx().parts().connected() => return Poll::Ready(()),
                Ok(Poll::Ready(())) => self.failed("it stopped itself"),
                Err(panic) => self.failed(&cause(panic.as_ref())),
            };
            if failed.is_break() {
                return Poll::Ready(());
            }
        }
    }
}

impl<A: Actor<Context = Context<A>>> Guard<A> {
    /// Notes a failure: go on into the backoff, or break off.
    fn failed(&mut self, cause: &str) -> ControlFlow<()> {
        let RestartPolicy { backoff_first, backoff_max, restarts_max, within } = self.guarding.policy;
        let now = Instant::now();
        while self.failures.front().is_some_and(|failed| now.duration_since(*failed) > within) {
            self.failures.pop_front();
        }
        self.failures.push_back(now);
        let actor = self.health.name();
        if self.failures.len() > restarts_max {
            tracing::error!(
                actor = actor.name(),
                cause,
                "failed {restarts_max} times and once more: given up"
            );
            self.health.set_state(ActorState::GaveUp);
            // A dropped context that is alive is polled once more; this one must not be.
            self.actor.ctx().terminate();
            // The channel holds one for each actor, so it can be full only of the same news.
            let _ = self.guarding.gave_up.try_send(GaveUp { actor, cause: cause.to_owned() });
            return ControlFlow::Break(());
        }
        let doublings = u32::try_from(self.failures.len() - 1).unwrap_or(u32::MAX).min(16);
        let wait = (backoff_first * 2u32.pow(doublings)).min(backoff_max);
        self.health.count_restart();
        self.health.set_state(ActorState::BackingOff);
        tracing::error!(
            actor = actor.name(),
            cause,
            wait_ms = wait.as_millis() as u64,
            restarts = self.health.restarts(),
            "failed: it is started again"
        );
        self.backoff = Some(Box::pin(sleep(wait)));
        ControlFlow::Continue(())
    }
}

fn cause(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a text".to_owned())
}
