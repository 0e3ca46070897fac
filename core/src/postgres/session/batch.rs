//! Whether a batch of an idle session is held: it is scanned up to its end and forwarded not at all, or all of it.

use super::{ClassOf, Context, Effects, Event, Expect, Own, Phase, Recording, Session, Staged};
use crate::{
    postgres::{
        frames::put,
        replies::{Refusal, put_sync},
        understood::{Kind, Part, Understood},
    },
    units::ids::ExecutionId,
};

/// A batch that is being scanned.
#[derive(Debug, Default)]
pub(super) struct Batch {
    runs: Vec<ExecutionId>,
    /// Longest time that the first run may be held, in ms.
    hold_ms_max: Option<u64>,
    /// Whether the first run begins a transaction, which is held as a whole.
    is_transaction: bool,
}

impl Session {
    /// Begins a batch that may be held, where the session is idle.
    pub(super) fn may_begin_batch(&mut self, context: &Context<'_>) {
        let idle = self.ready && self.is_idle() && !self.cancelling && self.batch.is_none();
        if context.enforce && idle && self.recording != Recording::Off {
            self.batch = Some(Batch::default());
        }
    }

    /// A run of the batch, and how long it may be held.
    pub(super) fn batch_runs(
        &mut self,
        execution: ExecutionId,
        understood: &Understood,
        part: &Part,
        context: &Context<'_>,
    ) {
        let Some(batch) = &mut self.batch else { return };
        batch.runs.push(execution);
        if batch.runs.len() == 1 && understood.exact {
            let of = |part| context.classes.class(&self.who, understood, part);
            batch.is_transaction = part.kind == Kind::Begin;
            let class = match &part.kind {
                Kind::Begin => of(None),
                kind if may_be_held(kind) => of(Some(part)),
                _ => return,
            };
            batch.hold_ms_max = class.hold_ms_max;
        }
    }

    /// The batch is whole: the server is asked whether it may be held, or it passes.
    pub(super) fn decide_batch(&mut self, context: &mut Context<'_>, out: &mut Effects) {
        let Some(batch) = &self.batch else { return };
        let one = batch.runs.len() == 1 || batch.is_transaction;
        if one && batch.hold_ms_max.is_some() {
            self.phase = Phase::Asking(Own::before_a_hold(&mut out.to_server));
            self.expected.push_back(Expect::Own);
        } else {
            self.pass_batch(context, out);
        }
    }

    /// The batch passes: it will not be held.
    pub(super) fn pass_batch(&mut self, context: &mut Context<'_>, out: &mut Effects) {
        if self.batch.take().is_some() {
            self.admit_staged(context, out);
        }
    }

    /// What it passes for, when it is too long.
    pub(super) fn pass_long_batch(&mut self, context: &mut Context<'_>, out: &mut Effects) {
        if self.batch.as_ref().is_some_and(|batch| batch.hold_ms_max.is_some()) {
            out.events.push(Event::TooLong);
        }
        self.pass_batch(context, out);
    }

    /// The server has answered: the batch is held, or passes.
    pub(super) fn answered_before_a_hold(&mut self, own: &Own, context: &mut Context<'_>, out: &mut Effects) {
        self.phase = Phase::Open;
        let Some(batch) = self.batch.take() else { return };
        let first = batch.runs.first().copied();
        let hold_ms = own.hold().zip(batch.hold_ms_max).and_then(|(facts, most)| facts.hold_ms(most));
        // The mode may have changed since.
        let held = first.zip(hold_ms).filter(|_| context.enforce);
        let Some((execution, hold_ms)) = held else {
            self.admit_staged(context, out);
            return self.forward(context, out);
        };
        self.tickets += 1;
        let intent = self.runs.get(execution).map(|run| run.intent(execution, self.tickets));
        if let Some(intent) = intent {
            self.phase = Phase::Held(execution);
            out.events.push(Event::Hold(intent, hold_ms));
        }
    }

    /// Asks for the records of what is staged.
    pub(super) fn admit_staged(&mut self, _context: &mut Context<'_>, out: &mut Effects) {
        for staged in &mut self.staged {
            for execution in staged.begins.drain(..) {
                if !self.runs.admitted(execution) {
                    continue;
                }
                self.tickets += 1;
                let Some(run) = self.runs.get(execution) else { continue };
                let intent = run.intent(execution, self.tickets);
                if intent.waited_for {
                    staged.wait_for = self.tickets;
                }
                out.events.push(Event::Intend(intent));
            }
        }
    }

    /// The held batch will not be sent: its client is told why. Its Closes reach the server nevertheless, as they would
    /// have if the statement had been cancelled there.
    pub(super) fn drop_batch(&mut self, refusal: &Refusal, out: &mut Effects) {
        self.phase = Phase::Open;
        refusal.put(&mut out.to_client, false);
        self.drop_staged(out);
        put_sync(&mut out.to_server);
        self.expected.push_back(Expect::Sync);
        self.ready = false;
    }

    /// Nothing of what is staged is sent but its Closes.
    pub(super) fn drop_staged(&mut self, out: &mut Effects) {
        let stage = std::mem::take(&mut self.stage);
        let mut at = 0;
        for Staged { bytes, kind, expect, begins, .. } in std::mem::take(&mut self.staged) {
            let message = &stage[at..at + bytes];
            at += bytes;
            for execution in begins {
                self.runs.given_up(execution, &mut out.events);
            }
            match expect {
                Some(Expect::Execute { run: Some(run), .. }) => self.runs.given_up(run, &mut out.events),
                Some(Expect::Query { runs }) => {
                    for run in runs {
                        self.runs.given_up(run, &mut out.events);
                    }
                }
                Some(Expect::Parse { name, parse, .. }) => self.names.not_sent(&name, parse),
                _ if kind == b'C' => {
                    put(&mut out.to_server, b'C', |body| body.extend_from_slice(&message[5..]));
                    self.expected.push_back(Expect::Close { told: false });
                }
                _ => {}
            }
        }
    }
}

/// Whether a statement of that kind can be held by itself.
fn may_be_held(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Select
            | Kind::Insert
            | Kind::Update
            | Kind::Delete
            | Kind::Merge
            | Kind::Execute { .. }
            | Kind::Procedure
            | Kind::Explain { .. }
            | Kind::Maintain
            | Kind::Schema
    )
}

impl ClassOf {
    /// The class of what nobody holds.
    pub fn interactive() -> Self {
        Self { name: "interactive".into(), hold_ms_max: None }
    }
}
