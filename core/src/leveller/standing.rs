//! Whether the server takes what a client decides.
//!
//! ```text
//! levels ─▶ taken ─▶ taken ─▶ refused … refused for 3 s ─▶ gives up: somebody else may level
//!    └ nothing decided, or nothing taken for 3 s ─▶ in trouble: not ready
//! ```

/// Longest that refusals last, and that nothing is taken, at the default pace: thirty ticks, as long as a server may be
/// without a tick. A server that starts again takes a second.
const PATIENCE_MS: u64 = 3_000;
/// As many ticks of a slow server.
const PATIENCE_TICKS: u64 = 3;

/// See the module. Times are ms on a clock of the caller's that never goes back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    began_ms: u64,
    taken_ms: Option<u64>,
    refused: Option<Refused>,
    tick_ms: u64,
}

/// Refusals since a decision was taken last.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Refused {
    since_ms: u64,
    /// Of the last one.
    cause: String,
}

impl Standing {
    /// It begins to level, perhaps again.
    pub fn began(&mut self, now_ms: u64) {
        *self = Self { began_ms: now_ms, tick_ms: self.tick_ms, ..Self::default() };
    }

    /// The server took a decision, and says how long its ticks are.
    pub fn taken(&mut self, now_ms: u64, tick_ms: u64) {
        (self.taken_ms, self.refused, self.tick_ms) = (Some(now_ms), None, tick_ms);
    }

    /// The server refused a decision, or did not answer.
    pub fn refused(&mut self, now_ms: u64, cause: String) {
        let since_ms = self.refused.as_ref().map_or(now_ms, |refused| refused.since_ms);
        self.refused = Some(Refused { since_ms, cause });
    }

    /// Why this client cannot act, when refusals have lasted for so long that another one should.
    pub fn gives_up(&self, now_ms: u64) -> Option<String> {
        let refused = self.refused.as_ref()?;
        (now_ms.saturating_sub(refused.since_ms) >= self.patience_ms()).then(|| refused.cause.clone())
    }

    /// What is wrong, in a sentence; none while decisions are taken.
    pub fn trouble(&self, now_ms: u64) -> Option<String> {
        let since_ms = self.taken_ms.unwrap_or(self.began_ms);
        let for_ms = now_ms.saturating_sub(since_ms);
        if self.taken_ms.is_some() && for_ms < self.patience_ms() {
            return None;
        }
        let seconds = for_ms / 1_000;
        Some(match &self.refused {
            Some(Refused { cause, .. }) => format!("no decision has been taken for {seconds} s: {cause}"),
            None => format!(
                "nothing has been decided for {seconds} s: the journal tells of no tick that has not been decided after"
            ),
        })
    }

    fn patience_ms(&self) -> u64 {
        PATIENCE_MS.max(self.tick_ms.saturating_mul(PATIENCE_TICKS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_in_trouble_until_a_decision_is_taken_and_when_none_is_for_three_seconds() {
        let mut standing = Standing::default();
        standing.began(10_000);
        assert!(standing.trouble(10_000).unwrap().contains("nothing has been decided for 0 s"));
        standing.taken(10_100, 100);
        assert_eq!(standing.trouble(13_099), None);
        assert!(standing.trouble(13_100).unwrap().contains("nothing has been decided for 3 s"));
        assert_eq!(standing.gives_up(99_000), None, "nobody refuses anything");
        standing.taken(13_200, 2_000);
        assert_eq!(standing.trouble(19_199), None, "three ticks of a slow server");
        standing.began(20_000);
        assert!(standing.trouble(20_001).is_some(), "what was taken before is another leader's");
    }

    #[test]
    fn who_begins_again_still_knows_how_slow_the_server_is() {
        let mut standing = Standing::default();
        standing.taken(1_000, 2_000);
        standing.began(10_000);
        standing.refused(10_000, "401".to_owned());
        assert_eq!(standing.gives_up(15_999), None);
        assert_eq!(standing.gives_up(16_000).as_deref(), Some("401"));
    }

    #[test]
    fn it_gives_up_after_three_seconds_of_refusals_counted_from_the_first() {
        let mut standing = Standing::default();
        standing.began(0);
        standing.taken(1_000, 100);
        standing.refused(1_100, "401".to_owned());
        assert_eq!(standing.trouble(1_100), None, "one is no trouble");
        standing.refused(4_000, "403".to_owned());
        assert_eq!(standing.gives_up(4_099), None);
        assert_eq!(standing.gives_up(4_100).as_deref(), Some("403"));
        assert!(standing.trouble(4_100).unwrap().contains("taken for 3 s: 403"));
        standing.taken(4_200, 100);
        assert_eq!((standing.gives_up(9_000), standing.trouble(4_200)), (None, None));
    }
}
