//! Windows of which it is not certain yet which tick was the smallest and which the largest. Once costs are known
//! better it is, and these sums are exact: the first windows tell as much as the later ones.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{
    equations::{BACKGROUND, Equations},
    learner::Learner,
    numbers::Numbers,
    snapshot::SnapshotError,
};
use crate::units::{
    resource::{PerResource, Resource},
    window::Extent,
};

/// Windows that are looked back on: with twice as many as there are queries everything is known.
const WINDOWS_MAX: usize = 64;
/// Terms of all of them, so that looking back takes no more than milliseconds.
const TERMS_MAX: usize = 20_000;

/// See the module. Oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Memory {
    windows: VecDeque<Remembered>,
    terms: usize,
}

#[derive(Clone, Debug, PartialEq)]
struct Remembered {
    usage: PerResource<Extent>,
    equations: Equations,
    open: PerResource<Open>,
}

/// Which of a window's extremes is still anybody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Open {
    max: bool,
    min: bool,
}

impl Open {
    const BOTH: Self = Self { max: true, min: true };
    const NONE: Self = Self { max: false, min: false };
}

/// A window that is looked back on, as it is stored: usage, what is open, then each tick with its terms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpenWindow(Numbers);

impl Memory {
    /// Remembers a window that has been learned from, and learns what earlier ones tell now.
    pub(super) fn look_back(
        &mut self,
        learners: &mut PerResource<Learner>,
        usage: &PerResource<Extent>,
        equations: Equations,
    ) {
        self.push(Remembered { usage: *usage, equations, open: PerResource::all(Open::BOTH) });
        for r in Resource::ALL {
            let windows = self.windows.iter_mut().filter(|window| window.open[r] != Open::NONE);
            for Remembered { usage, equations, open } in windows {
                let model = &mut learners[r].exact;
                let open = &mut open[r];
                if open.max && model.look_back(usage[r].max, equations, 1.0) {
                    open.max = false;
                }
                if open.min && model.look_back(usage[r].min, equations, -1.0) {
                    open.min = false;
                }
                if model.knows_ticks(equations) {
                    *open = Open::NONE;
                }
            }
        }
        self.windows.retain(|window| Resource::ALL.into_iter().any(|r| window.open[r] != Open::NONE));
        self.terms = self.windows.iter().map(|window| terms(&window.equations)).sum();
    }

    /// What was measured of `resource` so far is of costs that have changed.
    pub(super) fn forget(&mut self, resource: Resource) {
        for window in &mut self.windows {
            window.open[resource] = Open::NONE;
        }
    }

    fn push(&mut self, window: Remembered) {
        self.terms += terms(&window.equations);
        self.windows.push_back(window);
        while (self.windows.len() > WINDOWS_MAX || self.terms > TERMS_MAX)
            && let Some(oldest) = self.windows.pop_front()
        {
            self.terms -= terms(&oldest.equations);
        }
    }

    /// As it is stored.
    pub(super) fn stored(&self) -> Vec<OpenWindow> {
        self.windows.iter().map(OpenWindow::of).collect()
    }

    /// What [`Memory::stored`] said, of as many `variables` as are believed in.
    pub(super) fn restore(stored: &[OpenWindow], variables: usize) -> Result<Self, SnapshotError> {
        let mut memory = Self::default();
        for window in stored {
            let window = window.read(variables).ok_or(SnapshotError::Value { what: "open window" })?;
            memory.push(window);
        }
        Ok(memory)
    }
}

fn terms(equations: &Equations) -> usize {
    equations.ticks.iter().map(|(tick, _)| tick.len()).sum()
}

impl OpenWindow {
    fn of(window: &Remembered) -> Self {
        let mut numbers = Vec::new();
        for r in Resource::ALL {
            let (Extent { average, min, max }, open) = (window.usage[r], window.open[r]);
            let flag = |open: bool| if open { 1.0 } else { 0.0 };
            numbers.extend([average as f64, min as f64, max as f64, flag(open.min), flag(open.max)]);
        }
        for (tick, share) in &window.equations.ticks {
            numbers.extend([*share, tick.len() as f64]);
            numbers.extend(tick.iter().flat_map(|(variable, weight)| [*variable as f64, *weight]));
        }
        Self(Numbers(numbers))
    }

    /// None for what cannot have been stored.
    fn read(&self, variables: usize) -> Option<Remembered> {
        let mut numbers = self.0.0.iter().copied();
        if !self.0.0.iter().all(|number| number.is_finite() && *number >= 0.0) {
            return None;
        }
        let (mut usage, mut open) = (PerResource::all(Extent::default()), PerResource::all(Open::NONE));
        for r in Resource::ALL {
            let mut unit = || numbers.next().map(|number| number as u64);
            usage[r] = Extent { average: unit()?, min: unit()?, max: unit()? };
            let mut flag = || numbers.next().map(|number| number > 0.0);
            open[r] = Open { min: flag()?, max: flag()? };
        }
        let mut ticks = Vec::new();
        while let Some(share) = numbers.next() {
            let count = numbers.next()? as usize;
            let mut tick: Vec<(usize, f64)> = Vec::new();
            for _ in 0..count {
                tick.push((numbers.next()? as usize, numbers.next()?));
            }
            let known = tick.iter().all(|(variable, _)| (BACKGROUND..variables).contains(variable));
            if !known || !tick.is_sorted_by(|a, b| a.0 < b.0) || share > 1.0 {
                return None;
            }
            ticks.push((tick, share));
        }
        Some(Remembered { usage, equations: Equations::new(ticks), open })
    }
}
