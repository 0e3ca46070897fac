//! `GET /api/v1/running`: what runs now in a real database.

use actix_web::web;
use evenkeel_actors::messages::Lost;
use evenkeel_core::journal::Released;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    executions::read,
    statements::{Statement, Text, say_texts},
};
use crate::http::{
    Views,
    fields::{Field, Kind, Parameters, Query},
    problem::Problem,
};

/// Most executions of one answer.
const LIMIT_MAX: u64 = 1_000;

/// How many.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunningLimit {
    /// Executions in the answer, those that have run longest first.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    #[serde(default = "hundred")]
    limit: usize,
}

impl Parameters for RunningLimit {
    const FIELDS: &'static [Field] = &[Field::optional("limit", Kind::Integer { min: 1, max: LIMIT_MAX })];
}

fn hundred() -> usize {
    100
}

/// What runs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunningList {
    /// Whether this journal tells of statements of a real database; without any, nothing is known to run.
    statements: bool,
    /// All that run, whatever the limit.
    total: usize,
    /// Those that have run longest first.
    executions: Vec<Running>,
}

/// An execution that was released and has no outcome.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Running {
    execution: Uuid,
    query: Uuid,
    /// What it asks; null where that is not kept.
    text: Option<Text>,
    /// Whose statement it is; null of a simulated database.
    statement: Option<Statement>,
    /// When it arrived.
    queued_tick: u64,
    /// When it was released.
    tick: u64,
    /// The same, Unix ms.
    since_ms: u64,
    /// Why it runs now; empty when it was not delayed.
    reason: String,
}

impl From<&Released> for Running {
    fn from(released: &Released) -> Self {
        Self {
            execution: released.execution.0,
            query: released.query.0,
            text: None,
            statement: released.statement.as_deref().map(Statement::from),
            queued_tick: released.queued_tick.0,
            tick: released.tick.0,
            since_ms: released.at_ms,
            reason: released.reason.clone(),
        }
    }
}

/// What runs now: everything that was released and has no outcome.
#[utoipa::path(get, path = "/api/v1/running", tag = "executions", params(RunningLimit),
    responses((status = 200, body = RunningList), (status = 400, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn running(
    views: web::Data<Views>,
    Query(RunningLimit { limit }): Query<RunningLimit>,
) -> Result<web::Json<RunningList>, Problem> {
    let queue = views.queue.borrow().clone().ok_or_else(|| Problem::unavailable(Lost))?;
    let statements = views.overview.borrow().statements || !queue.running.is_empty();
    let executions = with_texts(&views, longest(&queue.running, limit)).await?;
    Ok(web::Json(RunningList { statements, total: queue.running.len(), executions }))
}

fn longest(running: &[Released], limit: usize) -> Vec<Running> {
    let mut running: Vec<_> = running.iter().collect();
    running.sort_by_key(|released| (released.at_ms, released.execution));
    running.into_iter().take(limit).map(Running::from).collect()
}

async fn with_texts(views: &Views, mut executions: Vec<Running>) -> Result<Vec<Running>, Problem> {
    if executions.is_empty() {
        return Ok(executions);
    }
    read(views, move |history| {
        say_texts(history, &mut executions, |running| (running.query, &mut running.text))?;
        Ok(executions)
    })
    .await
}
