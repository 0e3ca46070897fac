//! The server's queue, reached over HTTP: `POST /api/v1/control`.

use std::time::Duration;

use actix::{Actor, Context, Handler, ResponseFuture, Supervised};
use evenkeel_actors::{
    health::ActorHealth,
    journal::redis::LeaseEpoch,
    messages::{Control, ControlRefused},
};
use evenkeel_core::control::{ControlError, ControlResponse};
use serde::Deserialize;

use crate::tokens::Secret;

/// Longest that an answer may take: a lease at the default pace. The next request says everything again.
const ANSWER_MAX: Duration = Duration::from_secs(1);
/// Largest answer: 10,000 results of about 120 bytes.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// Takes [`Control`] as the queue itself does, and answers what the server answered.
pub(super) struct RemoteQueue {
    url: String,
    http: awc::Client,
    epoch: LeaseEpoch,
}

/// What of a problem+json is looked at.
#[derive(Deserialize)]
struct Refusal {
    detail: String,
    /// With 409: who levels, under which epoch.
    holder: Option<String>,
    epoch: Option<u64>,
}

impl RemoteQueue {
    /// The queue of the server at `server`, `http://host:port`.
    pub(super) fn new(server: &str, token: Option<&Secret>, epoch: LeaseEpoch, health: &ActorHealth) -> Self {
        health.set_recovering(false);
        let http = awc::Client::builder().timeout(ANSWER_MAX).disable_redirects();
        let http = match token {
            Some(token) => http.bearer_auth(token.expose()).finish(),
            None => http.finish(),
        };
        Self { url: format!("{}/api/v1/control", server.trim_end_matches('/')), http, epoch }
    }
}

impl Actor for RemoteQueue {
    type Context = Context<Self>;
}

impl Supervised for RemoteQueue {}

impl Handler<Control> for RemoteQueue {
    type Result = ResponseFuture<Result<ControlResponse, ControlRefused>>;

    fn handle(&mut self, Control(request): Control, _context: &mut Self::Context) -> Self::Result {
        let (client, got) = (request.client.clone(), request.epoch);
        let epoch = self.epoch.clone();
        let sent = self.http.post(&self.url).send_json(&request);
        Box::pin(async move {
            let unreachable = |cause: String| ControlRefused::Unreachable(cause);
            let mut answer = sent.await.map_err(|error| unreachable(error.to_string()))?;
            if answer.status().is_success() {
                let response = answer.json().limit(ANSWER_BYTES_MAX).await;
                return response.map_err(|error| unreachable(error.to_string()));
            }
            let status = answer.status();
            let refusal: Option<Refusal> = answer.json().await.ok();
            match refusal {
                Some(Refusal { holder: Some(holder), epoch: Some(current), .. }) => {
                    epoch.outdated(current);
                    Err(ControlError::Fenced { client, got, holder, current }.into())
                }
                Some(Refusal { detail, .. }) => Err(unreachable(detail)),
                None => Err(unreachable(format!("it answered {status}"))),
            }
        })
    }
}
