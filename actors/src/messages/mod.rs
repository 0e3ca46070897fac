//! Messages that cross actors, a file a conversation. Commands are imperative, facts past tense.
//!
//! All are sent with `send`, which waits for room in the mailbox, and all are answered. A sender whose
//! answer is `MailboxError::Closed` knows nothing about the outcome: the receiver failed on it.

mod control;
mod learn;
mod outcome;
mod record;
mod tick;
mod watch;

pub use self::{
    control::{Control, ControlRefused, Delay, DelayRefused, HandOver, SetMode, SetModeRefused},
    learn::{
        Batch, GetEstimator, GetScheduler, LearnError, Learned, RestoreEstimator, RestoreScheduler, SaveState,
    },
    outcome::{Admit, DropRefused, DropWaiting, Ended, NotRecorded},
    record::{Append, AppendError, Applied, Recorded, Recover, Restore},
    tick::{Advance, AdvanceError, Measure, MeasureError, StopTicking},
    watch::{GetMinutes, GetSteps, Reported, SaveMinutes},
};

/// The receiver has lost its state and waits to be restored: try again in a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("recovering: the state is being read from the journal, try again in a moment")]
pub struct Lost;
