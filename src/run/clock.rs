//! Whether the machine's clock is far from the journal's, or was moved: sentences for people. Nothing is decided by it.
//!
//! Entry ids follow the clock forwards and never back. So a clock that once ran ahead leaves ids that the right clock is
//! behind of, and more than 24 h of that keep the next start from beginning without a word of somebody.

use std::time::Duration;

use tokio::time::Instant;

/// A move that is told. Time daemons step by less, and correct the rest in small steps, which are none.
const MOVED_MS_MIN: u64 = 10_000;
/// How long a move, or a start far ahead of the journal, is told: somebody who looks once an hour sees it.
const TOLD_FOR: Duration = Duration::from_hours(1);
/// As far ahead a clock may be at a start without a word: set back by more, it would keep the next start from beginning.
const AHEAD_MS_MAX: u64 = 24 * 3_600_000;

/// Compares the machine's clock with the time that passes.
pub(super) struct ClockWatch {
    /// What the clock said, and when that was.
    seen: (u64, Instant),
    ahead_at_start_ms: u64,
    begun_at: Instant,
    moved: Option<Moved>,
}

impl Default for ClockWatch {
    fn default() -> Self {
        Self::new(evenkeel_actors::clock::unix_ms(), 0)
    }
}

/// The clock was moved.
struct Moved {
    by_ms: i64,
    at: Instant,
}

impl ClockWatch {
    /// A watch that begins when the clock says `now_ms`, and was ahead of the journal's last entry by that much.
    pub(super) fn new(now_ms: u64, ahead_at_start_ms: u64) -> Self {
        let now = Instant::now();
        Self { seen: (now_ms, now), ahead_at_start_ms, begun_at: now, moved: None }
    }

    /// What there is to say when the clock says `now_ms`.
    pub(super) fn look(&mut self, now_ms: u64) -> Vec<String> {
        let now = Instant::now();
        let (seen_ms, seen_at) = self.seen;
        self.seen = (now_ms, now);
        let expected_ms = seen_ms + now.duration_since(seen_at).as_millis() as u64;
        let by_ms = now_ms.cast_signed().saturating_sub(expected_ms.cast_signed());
        if by_ms.unsigned_abs() >= MOVED_MS_MIN {
            tracing::warn!(seconds = by_ms / 1_000, "the machine's clock was moved");
            // A clock that was set right again is where it was.
            let by_ms = by_ms.saturating_add(self.moved.as_ref().map_or(0, |moved| moved.by_ms));
            self.moved = (by_ms.unsigned_abs() >= MOVED_MS_MIN).then_some(Moved { by_ms, at: now });
        }
        self.moved.take_if(|moved| now.duration_since(moved.at) >= TOLD_FOR);
        let moved = self.moved.as_ref().map(|Moved { by_ms, at }| {
            let (seconds, ago) = (by_ms.unsigned_abs() / 1_000, now.duration_since(*at).as_secs());
            let way = if *by_ms > 0 { "ahead, or the machine slept" } else { "back" };
            format!(
                "the clock was moved {seconds} s {way}, {ago} s ago: ids of entries never go back, so set it right soon if \
                 it is wrong"
            )
        });
        let far = self.ahead_at_start_ms > AHEAD_MS_MAX && now.duration_since(self.begun_at) < TOLD_FOR;
        let far = far.then(|| {
            let hours = self.ahead_at_start_ms / 3_600_000;
            format!(
                "the clock was {hours} h ahead of the last entry when this server began: right if none ran for so long; if \
                 the clock is wrong, set it right, then start once with --clock-was-wrong"
            )
        });
        moved.into_iter().chain(far).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_800_000_000_000;

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_goes_as_time_does_is_no_news() {
        let mut watch = ClockWatch::new(NOW_MS, 60_000);
        for second in 1..=100 {
            tokio::time::advance(Duration::from_secs(1)).await;
            // Some correction of it, too.
            assert_eq!(watch.look(NOW_MS + second * 1_005), Vec::<String>::new());
        }
        tokio::time::advance(Duration::from_mins(10)).await;
        assert_eq!(watch.look(NOW_MS + 700_500), Vec::<String>::new(), "nobody looked for a while");
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_was_set_right_again_is_no_news_any_more() {
        let mut watch = ClockWatch::new(NOW_MS, 0);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(watch.look(NOW_MS + 3_601_000).len(), 1);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(watch.look(NOW_MS + 2_500), Vec::<String>::new());
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_was_moved_either_way_is_told_for_an_hour() {
        for (by_ms, way) in [(259_200_000_i64, "259200 s ahead"), (-3_600_000, "3600 s back")] {
            let mut watch = ClockWatch::new(NOW_MS, 0);
            tokio::time::advance(Duration::from_secs(1)).await;
            let moved = (NOW_MS + 1_000).saturating_add_signed(by_ms);
            let said = watch.look(moved);
            assert!(said.len() == 1 && said[0].contains(way), "{said:?}");
            tokio::time::advance(Duration::from_mins(30)).await;
            assert_eq!(watch.look(moved + 1_800_000).len(), 1);
            tokio::time::advance(Duration::from_mins(30)).await;
            assert_eq!(watch.look(moved + 3_600_000), Vec::<String>::new());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_start_far_ahead_of_the_journal_is_told_with_the_way_back() {
        let mut watch = ClockWatch::new(NOW_MS, 3 * AHEAD_MS_MAX);
        let said = watch.look(NOW_MS);
        assert!(
            said.len() == 1 && said[0].contains("72 h") && said[0].contains("--clock-was-wrong"),
            "{said:?}"
        );
        tokio::time::advance(TOLD_FOR).await;
        assert_eq!(watch.look(NOW_MS + 3_600_000), Vec::<String>::new());
    }
}
