//! The server's queue, reached over HTTP: `POST /api/v1/control`.

use std::time::Duration;

use actix::{Actor, Context, Handler, ResponseFuture, Supervised};
use awc::http::header::LOCATION;
use evenkeel_core::server::control::{ControlError, ControlResponse};
use serde::Deserialize;

use super::{
    bearer::Bearer,
    reach::{self, Server},
    secret::Secret,
};
use crate::{
    messages::{Control, ControlRefused},
    supervise::health::ActorHealth,
};

/// Longest that an answer may take: a lease at the default pace. The next request says everything again.
const ANSWER_MAX: Duration = Duration::from_secs(1);
/// How long a connection lives unused: requests come once a tick.
const KEEP: Duration = Duration::from_secs(15);
/// Largest answer: 10,000 results of about 120 bytes.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// Of an address that somebody else chose, people are shown so much.
const LOCATION_CHARS_MAX: usize = 200;

/// Takes [`Control`] as the queue itself does, and answers what the server answered.
pub struct RemoteQueue {
    url: String,
    http: awc::Client,
    bearer: Bearer,
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
    /// The queue of the server at `server`.
    pub fn new(server: &Server, token: Option<&Secret>, health: &ActorHealth) -> Self {
        health.set_recovering(false);
        let http = server.client(ANSWER_MAX, KEEP);
        Self { url: server.url("/api/v1/control"), http, bearer: Bearer::new(token) }
    }
}

impl Actor for RemoteQueue {
    type Context = Context<Self>;
}

impl Supervised for RemoteQueue {}

impl Handler<Control> for RemoteQueue {
    type Result = ResponseFuture<Result<ControlResponse, ControlRefused>>;

    fn handle(&mut self, Control(request): Control, _context: &mut Self::Context) -> Self::Result {
        let Self { url, http, bearer } = self;
        let (url, http, bearer) = (url.clone(), http.clone(), bearer.clone());
        Box::pin(async move {
            let unreachable = |cause: String| ControlRefused::Unreachable(cause);
            let send = || bearer.on(http.post(&url)).send_json(&request);
            let mut answer = send().await.map_err(|error| unreachable(reach::cause(&error)))?;
            if bearer.reread_after(answer.status()).await {
                answer = send().await.map_err(|error| unreachable(reach::cause(&error)))?;
            }
            let status = answer.status();
            if status.is_success() {
                let response = answer.json().limit(ANSWER_BYTES_MAX).await;
                return response.map_err(|error| unreachable(error.to_string()));
            }
            if status.is_redirection() {
                let to =
                    answer.headers().get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or("elsewhere");
                let to: String = to.chars().take(LOCATION_CHARS_MAX).collect();
                return Err(unreachable(format!(
                    "{url} answers {status} to {}, which is not followed: give the server's own address",
                    to.escape_debug()
                )));
            }
            let refusal: Option<Refusal> = answer.json().await.ok();
            match refusal {
                Some(Refusal { holder: Some(holder), epoch: Some(current), .. }) => {
                    let (client, got) = (request.client.clone(), request.epoch);
                    Err(ControlError::Fenced { client, got, holder, current }.into())
                }
                Some(Refusal { detail, .. }) => Err(unreachable(format!("it answers {status}: {detail}"))),
                None => Err(unreachable(format!("it answers {status}"))),
            }
        })
    }
}
