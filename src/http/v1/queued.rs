//! `GET /api/v1/queued`: what waits, until when, and why.

use actix_web::web;
use evenkeel_actors::{messages::Lost, server::queue::WaitingExecution};
use evenkeel_core::units::tick::Tick;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::statements::Statement;
use crate::http::{
    Views,
    fields::{Field, Kind, Parameters, Query},
    problem::Problem,
};

/// Most executions of one answer.
const LIMIT_MAX: u64 = 10_000;

/// How many.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limit {
    /// Executions in the answer, oldest first.
    #[param(minimum = 1, maximum = 10000, default = 1000)]
    #[serde(default = "thousand")]
    limit: usize,
}

impl Parameters for Limit {
    const FIELDS: &'static [Field] = &[Field::optional("limit", Kind::Integer { min: 1, max: LIMIT_MAX })];
}

fn thousand() -> usize {
    1_000
}

/// What waits.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WaitingList {
    /// All that wait, whatever the limit.
    total: usize,
    /// Oldest first.
    executions: Vec<Waiting>,
}

/// A waiting execution.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Waiting {
    execution: Uuid,
    query: Uuid,
    /// When it arrived.
    queued_tick: u64,
    /// When it would run if nobody levelled.
    due_tick: u64,
    /// When it runs as things stand; null while it is held for a plan, which gives it a slot.
    planned_tick: Option<u64>,
    /// The same.
    planned_ms: Option<u64>,
    /// Whether it is held for a plan.
    held_for_plan: bool,
    /// The latest tick to which it is held for one; null when it is not.
    held_until_tick: Option<u64>,
    /// Ticks between base and plan; while it is held for one, those until now.
    held_ticks: u64,
    /// Why its slot was chosen; null without a slot.
    reason: Option<String>,
    /// Whose statement it is; null of a simulated database.
    statement: Option<Statement>,
}

impl Waiting {
    /// As things stand after tick `now`.
    fn new(waiting: &WaitingExecution, now: Tick) -> Self {
        let planned = (!waiting.held).then_some(waiting.planned_tick);
        Self {
            execution: waiting.execution.0,
            query: waiting.query.0,
            queued_tick: waiting.queued_tick.0,
            due_tick: waiting.due_tick.0,
            planned_tick: planned.map(|tick| tick.0),
            planned_ms: planned.map(|_| waiting.planned_ms),
            held_for_plan: waiting.held,
            held_until_tick: waiting.held.then_some(waiting.planned_tick.0),
            held_ticks: planned.unwrap_or(now).since(waiting.due_tick),
            reason: waiting.reason.as_ref().map(ToString::to_string),
            statement: waiting.statement.as_deref().map(Statement::from),
        }
    }
}

/// What waits, until when, and why.
#[utoipa::path(get, path = "/api/v1/queued", tag = "executions", params(Limit),
    responses((status = 200, body = WaitingList), (status = 400, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn queued(
    views: web::Data<Views>,
    Query(Limit { limit }): Query<Limit>,
) -> Result<web::Json<WaitingList>, Problem> {
    let queue = views.queue.borrow().clone().ok_or_else(|| Problem::unavailable(Lost))?;
    let executions =
        queue.waiting.iter().take(limit).map(|waiting| Waiting::new(waiting, queue.tick)).collect();
    Ok(web::Json(WaitingList { total: queue.waiting.len(), executions }))
}
