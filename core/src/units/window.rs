//! Windows of ticks, what the monitor sees of them, and the corridor.

use serde::{Deserialize, Serialize};

use crate::units::{
    lengths::Lengths,
    resource::{PerResource, Usage},
    tick::Tick,
};

/// Average, smallest and largest tick sum of one resource over a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent<T = u64> {
    /// Mean tick sum; of a measured window truncated to an integer.
    pub average: T,
    /// Smallest tick sum.
    pub min: T,
    /// Largest tick sum.
    pub max: T,
}

/// A closed window, as the journal and `GET /resources` know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// First tick, a multiple of its length.
    pub first_tick: Tick,
    /// Last tick, inclusive.
    pub last_tick: Tick,
    /// What was used, resource by resource.
    pub usage: PerResource<Extent>,
    /// Executions that ended in it.
    pub executed: u64,
    /// Whether every tick stayed within ±10 % of the window's own mean, for all three resources.
    pub in_corridor: bool,
    /// Executions that had begun by its end and ended later; none where each ends in the tick in which it runs.
    #[serde(default, skip_serializing_if = "is_none")]
    pub running: u64,
    /// Whether the usage of a tick never became known, or too late: `usage` is that of the others then, and the window is
    /// out of the corridor.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub incomplete: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_none(count: &u64) -> bool {
    *count == 0
}

/// Sum and extremes of tick sums over a stretch of ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// Ticks added so far.
    pub ticks: u64,
    /// Sum of the tick sums.
    pub sum: Usage,
    /// Smallest tick sum; meaningless while `ticks` is 0.
    pub min: Usage,
    /// Largest tick sum.
    pub max: Usage,
}

impl Default for Stretch {
    fn default() -> Self {
        Self { ticks: 0, sum: Usage::default(), min: Usage::all(u64::MAX), max: Usage::default() }
    }
}

impl Stretch {
    /// Adds one tick's sums.
    pub fn add(&mut self, usage: &Usage) {
        self.ticks += 1;
        self.sum += *usage;
        self.min = PerResource::from_fn(|r| self.min[r].min(usage[r]));
        self.max = PerResource::from_fn(|r| self.max[r].max(usage[r]));
    }

    /// The corridor in integers: n ticks with sum S are level when `10·n·max ≤ 11·S`, `10·n·min ≥ 9·S`
    /// and `S > 0`, for every resource. An idle stretch is out of it.
    pub fn in_corridor(&self) -> bool {
        crate::units::resource::Resource::ALL.iter().all(|&r| {
            let ten_n = 10 * u128::from(self.ticks);
            let sum = u128::from(self.sum[r]);
            sum > 0
                && ten_n * u128::from(self.max[r]) <= 11 * sum
                && ten_n * u128::from(self.min[r]) >= 9 * sum
        })
    }
}

impl<'a> FromIterator<&'a Usage> for Stretch {
    fn from_iter<I: IntoIterator<Item = &'a Usage>>(ticks: I) -> Self {
        let mut stretch = Self::default();
        ticks.into_iter().for_each(|usage| stretch.add(usage));
        stretch
    }
}

/// The window that is being filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenWindow {
    /// Of the ticks whose usage is known.
    stretch: Stretch,
    executed: u64,
    /// Ticks whose usage is not known.
    #[serde(default, skip_serializing_if = "is_none")]
    missing: u64,
    /// Its length belongs to the journal and is not written with every tick.
    #[serde(skip, default = "default_window_ticks")]
    window_ticks: u64,
}

fn default_window_ticks() -> u64 {
    Lengths::default().window_ticks
}

impl Default for OpenWindow {
    fn default() -> Self {
        Self::of(Lengths::default())
    }
}

/// A tick's usage reached the monitor out of turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "usage of tick {got} came when the open window has {ticks} ticks, which expects tick ≡ {ticks} mod {window_ticks}"
)]
pub struct OutOfTurn {
    /// The tick that came.
    pub got: Tick,
    /// Ticks in the open window.
    pub ticks: u64,
    /// Ticks that it is to have.
    pub window_ticks: u64,
}

impl OpenWindow {
    /// A window that has no tick yet.
    pub fn of(lengths: Lengths) -> Self {
        let window_ticks = lengths.window_ticks;
        Self { stretch: Stretch::default(), executed: 0, missing: 0, window_ticks }
    }

    /// A window in whose first `ticks` ticks nothing ran.
    pub fn idle(lengths: Lengths, ticks: u64) -> Self {
        let mut open = Self::of(lengths);
        for _ in 0..ticks {
            open.stretch.add(&Usage::default());
        }
        open
    }

    /// Adds what `executed` executions used in `tick`; the window, when that closes it.
    ///
    /// # Errors
    /// [`OutOfTurn`] when `tick` is not the one that this window waits for; nothing is changed then.
    pub fn add(&mut self, tick: Tick, usage: &Usage, executed: u64) -> Result<Option<Window>, OutOfTurn> {
        self.expects(tick)?;
        self.stretch.add(usage);
        self.executed += executed;
        Ok(self.close(tick))
    }

    /// The same for a tick whose usage is not known, and will not be.
    ///
    /// # Errors
    /// [`OutOfTurn`], as [`OpenWindow::add`].
    pub fn add_unknown(&mut self, tick: Tick) -> Result<Option<Window>, OutOfTurn> {
        self.expects(tick)?;
        self.missing += 1;
        Ok(self.close(tick))
    }

    /// Ticks that it has.
    pub fn ticks(&self) -> u64 {
        self.stretch.ticks + self.missing
    }

    fn expects(&self, tick: Tick) -> Result<(), OutOfTurn> {
        let (ticks, window_ticks) = (self.ticks(), self.window_ticks);
        if tick.0 % window_ticks == ticks {
            Ok(())
        } else {
            Err(OutOfTurn { got: tick, ticks, window_ticks })
        }
    }

    /// The window, when it has all its ticks.
    fn close(&mut self, last_tick: Tick) -> Option<Window> {
        if self.ticks() < self.window_ticks {
            return None;
        }
        let Self { stretch, executed, missing, window_ticks } = *self;
        *self = Self { stretch: Stretch::default(), executed: 0, missing: 0, window_ticks };
        let incomplete = missing > 0;
        Some(Window {
            first_tick: Tick(last_tick.0 + 1 - window_ticks),
            last_tick,
            usage: PerResource::from_fn(|r| Extent {
                average: stretch.sum[r] / stretch.ticks.max(1),
                // Nothing is known of a window without a tick.
                min: stretch.min[r].min(stretch.max[r]),
                max: stretch.max[r],
            }),
            executed,
            in_corridor: !incomplete && stretch.in_corridor(),
            running: 0,
            incomplete,
        })
    }
}

/// What the monitor knows when a tick begins: the usage of all ticks before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// The window that the last usage closed.
    pub closed: Option<Window>,
    /// The window that is being filled.
    pub open: OpenWindow,
    /// The last closed window.
    pub last: Option<Window>,
}

impl Measured {
    /// What was known when the server stopped: the window that was being filled, and the last one before it.
    pub fn recover(lengths: Lengths, open: OpenWindow, last: Option<Window>) -> Self {
        Self { closed: None, open: OpenWindow { window_ticks: lengths.window_ticks, ..open }, last }
    }

    /// Adds what `executed` executions used in `tick`.
    ///
    /// # Errors
    /// [`OutOfTurn`] when `tick` is not the one that is waited for; nothing is changed then.
    pub fn add(&mut self, tick: Tick, usage: &Usage, executed: u64) -> Result<(), OutOfTurn> {
        self.closed = self.open.add(tick, usage, executed)?;
        self.last = self.closed.or(self.last);
        Ok(())
    }

    /// The same for a tick whose usage is not known, and will not be.
    ///
    /// # Errors
    /// [`OutOfTurn`], as [`Measured::add`].
    pub fn add_unknown(&mut self, tick: Tick) -> Result<(), OutOfTurn> {
        self.closed = self.open.add_unknown(tick)?;
        self.last = self.closed.or(self.last);
        Ok(())
    }

    /// The first tick of the window that is being filled.
    pub fn first_open(&self) -> Tick {
        self.last.map_or(Tick(0), |last| last.last_tick.next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretch(ticks: [u64; 10]) -> Stretch {
        ticks.map(Usage::all).iter().collect()
    }

    #[test]
    fn the_corridor_includes_exactly_ten_percent() {
        assert!(stretch([90, 110, 100, 100, 100, 100, 100, 100, 100, 100]).in_corridor());
        assert!(!stretch([90, 111, 99, 100, 100, 100, 100, 100, 100, 100]).in_corridor());
        assert!(!stretch([89, 110, 101, 100, 100, 100, 100, 100, 100, 100]).in_corridor());
    }

    #[test]
    fn an_idle_window_is_out_of_the_corridor() {
        assert!(!stretch([0; 10]).in_corridor());
    }

    #[test]
    fn one_resource_out_is_out() {
        let mut ticks = [Usage::all(100); 10];
        ticks[3].io = 120;
        assert!(!ticks.iter().collect::<Stretch>().in_corridor());
    }

    #[test]
    fn a_window_closes_with_its_tenth_tick_and_truncates_its_average() {
        let mut open = OpenWindow::default();
        for tick in 20..29 {
            assert_eq!(open.add(Tick(tick), &Usage::all(7), 2), Ok(None));
        }
        let window = open.add(Tick(29), &Usage::all(16), 2).unwrap().unwrap();
        assert_eq!((window.first_tick, window.last_tick, window.executed), (Tick(20), Tick(29), 20));
        assert_eq!(window.usage.io, Extent { average: 7, min: 7, max: 16 });
        assert_eq!(open, OpenWindow::default());
    }

    #[test]
    fn windows_begin_at_multiples_of_ten_and_each_has_its_own_sums() {
        let mut open = OpenWindow::default();
        let closed: Vec<_> =
            (0..30).filter_map(|tick| open.add(Tick(tick), &Usage::all(tick), tick).unwrap()).collect();
        let ticks: Vec<_> = closed.iter().map(|window| (window.first_tick.0, window.last_tick.0)).collect();
        assert_eq!(ticks, [(0, 9), (10, 19), (20, 29)]);
        let sums: Vec<_> = closed.iter().map(|window| (window.executed, window.usage.memory)).collect();
        let extent = |average, min, max| Extent { average, min, max };
        assert_eq!(sums, [(45, extent(4, 0, 9)), (145, extent(14, 10, 19)), (245, extent(24, 20, 29))]);
    }

    #[test]
    fn a_stretch_keeps_sum_and_extremes_of_each_resource() {
        let usage = |cpu, io, memory| Usage { cpu, io, memory };
        let stretch: Stretch = [usage(5, 1, 9), usage(2, 4, 9), usage(3, 7, 1)].iter().collect();
        let expected = Stretch { ticks: 3, sum: usage(10, 12, 19), min: usage(2, 1, 1), max: usage(5, 7, 9) };
        assert_eq!(stretch, expected);
        assert!([Usage::all(100)].iter().collect::<Stretch>().in_corridor());
        assert!(!Stretch::default().in_corridor());
    }

    #[test]
    fn an_idle_window_waits_for_the_tick_after_its_idle_ones() {
        let mut open = OpenWindow::idle(Lengths::default(), 7);
        assert!(open.add(Tick(6), &Usage::all(1), 1).is_err());
        for tick in 7..9 {
            assert_eq!(open.add(Tick(tick), &Usage::all(10), 1), Ok(None));
        }
        let window = open.add(Tick(9), &Usage::all(10), 1).unwrap().unwrap();
        assert_eq!(window.usage.cpu, Extent { average: 3, min: 0, max: 10 });
        assert_eq!((window.executed, window.in_corridor), (3, false));
    }

    #[test]
    fn a_window_is_level_when_its_ticks_are() {
        let closed = |last: u64| {
            let mut open = OpenWindow::default();
            (0..9).for_each(|tick| assert_eq!(open.add(Tick(tick), &Usage::all(100), 0), Ok(None)));
            open.add(Tick(9), &Usage::all(last), 0).unwrap().unwrap().in_corridor
        };
        assert_eq!([100, 110, 200, 50].map(closed), [true, true, false, false]);
    }

    #[test]
    fn a_window_with_a_tick_that_is_not_known_says_so_and_is_made_of_the_others() {
        let mut open = OpenWindow::default();
        for tick in 0..9 {
            let added =
                if tick == 4 { open.add_unknown(Tick(4)) } else { open.add(Tick(tick), &Usage::all(100), 1) };
            assert_eq!(added, Ok(None));
        }
        let window = open.add(Tick(9), &Usage::all(109), 1).unwrap().unwrap();
        assert_eq!(window.usage.cpu, Extent { average: 101, min: 100, max: 109 });
        assert_eq!((window.executed, window.incomplete, window.in_corridor), (9, true, false));
        let mut unknown = OpenWindow::default();
        let closed = (10..20).find_map(|tick| unknown.add_unknown(Tick(tick)).unwrap()).unwrap();
        assert_eq!((closed.usage.io, closed.incomplete), (Extent::default(), true));
        assert_eq!(unknown, OpenWindow::default());
    }

    #[test]
    fn what_most_windows_do_not_have_is_not_written() {
        let mut open = OpenWindow::default();
        let closed = (0..10).find_map(|tick| open.add(Tick(tick), &Usage::all(1), 1).unwrap()).unwrap();
        let written = serde_json::to_string(&closed).unwrap();
        assert!(!written.contains("running") && !written.contains("incomplete"), "{written}");
        assert_eq!(serde_json::from_str::<Window>(&written).unwrap(), closed);
        let late = Window { running: 3, incomplete: true, ..closed };
        assert_eq!(serde_json::from_str::<Window>(&serde_json::to_string(&late).unwrap()).unwrap(), late);
    }

    #[test]
    fn a_tick_out_of_turn_is_refused_and_changes_nothing() {
        let mut open = OpenWindow::default();
        open.add(Tick(0), &Usage::all(1), 1).unwrap();
        let before = open;
        assert!(open.add(Tick(2), &Usage::all(1), 1).is_err());
        assert_eq!(open, before);
    }
}
