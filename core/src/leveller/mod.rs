//! The client's durable state, one value: how far it has read, and what it made of that; and how it gets from one
//! such value to the next.

mod progress;
mod standing;
mod suspects;

use serde::{Deserialize, Serialize};

pub use self::{progress::Progress, standing::Standing};
use crate::{
    estimator::{Estimator, LateWindow, OpenWindow, SnapshotError},
    journal::Positions,
    scheduler::SchedulerSnapshot,
};

/// State and positions belong together: what is folded is exactly what lies up to the positions.
///
/// As it is stored, later formats add lists to format 1, at the very end: format 2 what has been released and has no
/// outcome, format 3 what waiting windows say of executions that go on, format 4 windows that costs may still be
/// learned from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct ClientState {
    /// The last applied id of each stream.
    pub positions: Positions,
    /// What was learned.
    pub estimator: Estimator,
    /// What waits, and how much arrives; none before the first entry.
    pub scheduler: Option<SchedulerSnapshot>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    positions: Positions,
    estimator: Estimator,
    scheduler: Option<SchedulerSnapshot>,
    late_windows: Vec<LateWindow>,
    open_windows: Vec<OpenWindow>,
}

impl From<ClientState> for Stored {
    fn from(ClientState { positions, estimator, scheduler }: ClientState) -> Self {
        let (late_windows, open_windows) = (estimator.late_windows(), estimator.open_windows());
        Self { positions, estimator, scheduler, late_windows, open_windows }
    }
}

impl TryFrom<Stored> for ClientState {
    type Error = SnapshotError;

    fn try_from(stored: Stored) -> Result<Self, SnapshotError> {
        let Stored { positions, mut estimator, scheduler, late_windows, open_windows } = stored;
        estimator.restore_late_windows(&late_windows)?;
        estimator.restore_open_windows(&open_windows)?;
        Ok(Self { positions, estimator, scheduler })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        journal::Record,
        units::{
            resource::PerResource,
            tick::Tick,
            window::{Extent, Window},
        },
    };

    #[test]
    fn a_state_keeps_what_waiting_windows_say_of_executions_that_go_on() {
        let window = Window {
            first_tick: Tick(10),
            last_tick: Tick(19),
            usage: PerResource::all(Extent::default()),
            executed: 1,
            in_corridor: false,
            running: 3,
            incomplete: false,
        };
        let mut state = ClientState::default();
        state.estimator.apply(&Record::Window(window));
        let read = |state: &ClientState| -> ClientState {
            serde_json::from_slice(&serde_json::to_vec(state).unwrap()).unwrap()
        };
        assert_eq!(read(&state), state);
        let other = Record::Window(Window { running: 0, ..window });
        let mut without = ClientState::default();
        without.estimator.apply(&other);
        assert!(read(&without) == without && without != state);
    }
}
