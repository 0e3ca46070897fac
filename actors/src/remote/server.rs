//! The server's queue, reached over HTTP: `POST /api/v1/control`.

use std::time::Duration;

use actix::{Actor, Context, Handler, ResponseFuture, Supervised};
use awc::http::{
    StatusCode,
    header::{HeaderMap, LOCATION},
};
use evenkeel_core::server::control::{ControlError, ControlRequest, ControlResponse};
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
    way: Way,
}

/// Where a request goes, and what opens it.
#[derive(Clone)]
struct Way {
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
        Self { way: Way { url: server.url("/api/v1/control"), http, bearer: Bearer::new(token) } }
    }
}

impl Actor for RemoteQueue {
    type Context = Context<Self>;
}

impl Supervised for RemoteQueue {}

impl Handler<Control> for RemoteQueue {
    type Result = ResponseFuture<Result<ControlResponse, ControlRefused>>;

    fn handle(&mut self, Control(request): Control, _context: &mut Self::Context) -> Self::Result {
        Box::pin(self.way.clone().ask(request))
    }
}

impl Way {
    async fn ask(self, request: ControlRequest) -> Result<ControlResponse, ControlRefused> {
        let send = || self.bearer.on(self.http.post(&self.url)).send_json(&request);
        let failed = |error| ControlRefused::Unreachable(reach::cause(&error));
        let mut answer = send().await.map_err(failed)?;
        if self.bearer.reread_after(answer.status()).await {
            answer = send().await.map_err(failed)?;
        }
        let status = answer.status();
        if status.is_success() {
            let response = answer.json().limit(ANSWER_BYTES_MAX).await;
            return response.map_err(|error| ControlRefused::Unreachable(error.to_string()));
        }
        if status.is_redirection() {
            return Err(self.led_elsewhere(status, answer.headers()));
        }
        Err(refused(status, answer.json().await.ok(), request))
    }

    fn led_elsewhere(&self, status: StatusCode, headers: &HeaderMap) -> ControlRefused {
        let to = headers.get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or("elsewhere");
        let to: String = to.chars().take(LOCATION_CHARS_MAX).collect();
        ControlRefused::Unreachable(format!(
            "{} answers {status} to {}, which is not followed: give the server's own address",
            self.url,
            to.escape_debug()
        ))
    }
}

fn refused(status: StatusCode, refusal: Option<Refusal>, request: ControlRequest) -> ControlRefused {
    match refusal {
        Some(Refusal { holder: Some(holder), epoch: Some(current), .. }) => {
            let ControlRequest { client, epoch: got, .. } = request;
            ControlError::Fenced { client, got, holder, current }.into()
        }
        Some(Refusal { detail, .. }) => ControlRefused::Unreachable(format!("it answers {status}: {detail}")),
        None => ControlRefused::Unreachable(format!("it answers {status}")),
    }
}
