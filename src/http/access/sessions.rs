//! Sessions of browsers: a random name in a cookie stands for a token's hash, for some hours.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::tokens::Hashed;

/// How long a session lives: a working day.
pub(super) const LIFETIME: Duration = Duration::from_hours(12);
/// Most sessions at once; the oldest makes room.
const SESSIONS_MAX: usize = 1_000;

/// By the hash of their names, so that what is in memory opens nothing.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<Hashed, Session>>);

struct Session {
    token: Hashed,
    since: Instant,
}

impl Sessions {
    /// Begins a session for the token with this hash; its name.
    pub(super) fn begin(&self, token: Hashed) -> Option<String> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).ok()?;
        let name = bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        let mut sessions = self.all();
        sessions.retain(|_, session| session.since.elapsed() < LIFETIME);
        if sessions.len() >= SESSIONS_MAX
            && let Some(oldest) =
                sessions.iter().min_by_key(|(_, session)| session.since).map(|(name, _)| *name)
        {
            sessions.remove(&oldest);
        }
        sessions.insert(Hashed::of(&name), Session { token, since: Instant::now() });
        Some(name)
    }

    /// The hash of the token that the session stands for whose name has the hash `name`.
    pub(super) fn token(&self, name: &Hashed) -> Option<Hashed> {
        let sessions = self.all();
        let session = sessions.get(name)?;
        (session.since.elapsed() < LIFETIME).then_some(session.token)
    }

    pub(super) fn end(&self, name: &Hashed) {
        self.all().remove(name);
    }

    /// Ends those whose token is not `alive`: one that is taken back opens nothing, also when it is given again.
    pub(super) fn keep(&self, alive: impl Fn(&Hashed) -> bool) {
        self.all().retain(|_, session| alive(&session.token));
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Hashed, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_session_ends_with_the_day_or_when_it_is_asked_to() {
        let (sessions, token) = (Sessions::default(), Hashed::of("evk_1"));
        let (first, second) = (sessions.begin(token).unwrap(), sessions.begin(token).unwrap());
        assert_ne!(first, second);
        let (first, second) = (Hashed::of(&first), Hashed::of(&second));
        sessions.end(&first);
        assert_eq!((sessions.token(&first), sessions.token(&second)), (None, Some(token)));
        tokio::time::advance(LIFETIME.saturating_sub(Duration::from_secs(1))).await;
        assert_eq!(sessions.token(&second), Some(token));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(sessions.token(&second), None);
        sessions.begin(token).unwrap();
        assert_eq!(sessions.all().len(), 1, "what is over is forgotten when another one begins");
    }

    #[test]
    fn a_session_ends_with_its_token() {
        let sessions = Sessions::default();
        let [kept, gone] = ["evk_1", "evk_2"].map(Hashed::of);
        let [first, second] = [kept, gone].map(|token| Hashed::of(&sessions.begin(token).unwrap()));
        sessions.keep(|token| *token == kept);
        assert_eq!((sessions.token(&first), sessions.token(&second)), (Some(kept), None));
    }

    #[test]
    fn sessions_are_bounded() {
        let sessions = Sessions::default();
        let first = sessions.begin(Hashed::of("evk_1")).unwrap();
        for _ in 0..SESSIONS_MAX {
            sessions.begin(Hashed::of("evk_1")).unwrap();
        }
        assert_eq!(sessions.all().len(), SESSIONS_MAX);
        assert_eq!(sessions.token(&Hashed::of(&first)), None);
    }
}
