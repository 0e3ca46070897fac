//! The three requests that a foreign server understands.

use std::{cell::Cell, rc::Rc, time::Duration};

use awc::{
    Client,
    error::{ConnectError, SendRequestError},
    http::StatusCode,
};
use evenkeel_core::{
    foreign::{DelayOutcome, Look, Reading},
    units::ids::ExecutionId,
};
use tokio::time::Instant;

use super::wire;
use crate::remote::{
    bearer::Bearer,
    reach::{self, Server},
    secret::Secret,
};

/// Longest that an answer may take: ten ticks, after which it tells nothing of use.
const ANSWER_MAX: Duration = Duration::from_secs(1);
/// Largest answer: 100,000 waiting executions.
const ANSWER_BYTES_MAX: usize = 32 << 20;
/// How long connections are not used again after one was found closed.
const WARY: Duration = Duration::from_mins(1);

/// A server's address, and connections to it.
#[derive(Clone)]
pub(super) struct Requests {
    server: Server,
    kept: Client,
    fresh: Client,
    bearer: Bearer,
    /// A server that closes connections would otherwise swallow delays.
    wary_until: Rc<Cell<Option<Instant>>>,
    origin: Instant,
}

impl Requests {
    /// Connections to `server`, which `token` opens where it is asked for one.
    pub(super) fn new(server: &Server, token: Option<&Secret>) -> Self {
        Self {
            server: server.clone(),
            kept: server.client(ANSWER_MAX, Duration::from_secs(15)),
            fresh: server.client(ANSWER_MAX, Duration::ZERO),
            bearer: Bearer::new(token),
            wary_until: Rc::default(),
            origin: Instant::now(),
        }
    }

    /// Microseconds since the start.
    fn now_us(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn client(&self) -> &Client {
        let wary = self.wary_until.get().is_some_and(|until| Instant::now() < until);
        if wary { &self.fresh } else { &self.kept }
    }

    fn failed(&self, error: &SendRequestError) -> String {
        if !matches!(error, SendRequestError::Connect(_) | SendRequestError::Timeout) {
            self.wary_until.set(Some(Instant::now() + WARY));
        }
        reach::cause(error)
    }

    /// Looks at the queue. The number is of items that made no sense.
    ///
    /// # Errors
    /// It cannot be read, and why.
    pub(super) async fn look(self) -> Result<(Look, usize), String> {
        let asked_us = self.now_us();
        let (queued, nonsense) = wire::queued(&self.get("queued").await?)?;
        Ok((Look { asked_us, answered_us: self.now_us(), queued }, nonsense))
    }

    /// Reads the last window.
    ///
    /// # Errors
    /// It cannot be read, and why.
    pub(super) async fn read(self) -> Result<Reading, String> {
        let asked_us = self.now_us();
        let (usage, mark) = wire::resources(&self.get("resources").await?)?;
        Ok(Reading { asked_us, answered_us: self.now_us(), usage, mark })
    }

    async fn get(&self, path: &str) -> Result<Vec<u8>, String> {
        let send = || self.bearer.on(self.client().get(self.server.url(&format!("/{path}")))).send();
        let failed = |error| format!("/{path}: {}", self.failed(&error));
        let mut answer = send().await.map_err(failed)?;
        if self.bearer.reread_after(answer.status()).await {
            answer = send().await.map_err(failed)?;
        }
        if !answer.status().is_success() {
            return Err(format!("/{path} answered {}", answer.status()));
        }
        let body = answer.body().limit(ANSWER_BYTES_MAX).await;
        body.map(|body| body.to_vec()).map_err(|error| format!("/{path}: {error}"))
    }

    /// Adds ticks to an execution. The second is what was wrong, unless it was that execution alone.
    pub(super) async fn delay(self, execution: ExecutionId, ticks: u64) -> (DelayOutcome, Option<String>) {
        let body = wire::Delay { id: execution, delay: ticks };
        let mut tries = 0;
        loop {
            tries += 1;
            let request = self.client().post(self.server.url("/delay"));
            let sent = self.bearer.on(request).send_json(&body).await;
            match sent {
                Ok(answer) if answer.status().is_success() => return (DelayOutcome::Added, None),
                // It has run meanwhile.
                Ok(answer) if answer.status() == StatusCode::NOT_FOUND => {
                    return (DelayOutcome::Refused, None);
                }
                // It had no effect: again, once.
                Ok(answer) if tries == 1 && self.bearer.reread_after(answer.status()).await => {}
                Ok(answer) => {
                    return (DelayOutcome::Refused, Some(format!("/delay answers {}", answer.status())));
                }
                // It was not sent: again, once.
                Err(SendRequestError::Connect(error))
                    if !matches!(error, ConnectError::Timeout) && tries == 1 => {}
                Err(SendRequestError::Connect(error)) => {
                    return (DelayOutcome::Refused, Some(format!("/delay: {error}")));
                }
                Err(error) => {
                    return (DelayOutcome::Unknown, Some(format!("/delay: {}", self.failed(&error))));
                }
            }
        }
    }
}
