//! `POST /api/v1/control`: evenkeel's own client renews its lease and places slots.

use actix_web::{HttpResponse, http::StatusCode, web};
use evenkeel_actors::messages::{Control, ControlRefused};
use evenkeel_core::server::control::{ControlError, ControlRequest, EPOCH_MAX, LEASE_TICKS_MAX, SetSlot};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    CONTROL_BYTES_MAX, Views,
    fields::{Body, Field, Kind},
    integers::INTEGER_MAX,
    problem::Problem,
    v1::ModeName,
};

/// A client renews its lease and places slots.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "describes what the core's own types read and write")]
pub(super) struct ControlBody {
    /// A stable name of the client.
    client: String,
    /// Its fencing token: not below the last lease's, and at most 1,000,000 above it.
    #[schema(maximum = 4_503_599_627_370_495_u64)]
    epoch: u64,
    /// How long the lease shall live from the last tick.
    #[schema(minimum = 1, maximum = 50, default = 10, required = false)]
    lease_ticks: u64,
    /// Slots.
    #[schema(max_items = 10_000, required = false)]
    set: Vec<Slot>,
    /// Whether this is the last request of a client that ends: its slots, and no others, stay valid without a lease
    /// until they have run or somebody else plans, and the lease is free at once.
    #[schema(default = false, required = false)]
    handover: bool,
}

/// Run `execution` at `due_tick`; one that has passed means the next tick.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "as above")]
struct Slot {
    execution: Uuid,
    #[schema(maximum = 9_007_199_254_740_992_u64)]
    due_tick: u64,
    /// One sentence for the journal.
    #[schema(max_length = 400, required = false)]
    reason: String,
}

/// What became of it.
#[derive(ToSchema)]
#[allow(dead_code, reason = "as above")]
pub(super) struct ControlAnswer {
    /// The last tick that has begun.
    tick: u64,
    tick_ms: u64,
    mode: ModeName,
    /// The last tick that the lease covers.
    lease_until: u64,
    results: Vec<SlotResult>,
}

/// What became of a slot.
#[derive(ToSchema)]
#[allow(dead_code, reason = "as above")]
struct SlotResult {
    execution: Uuid,
    /// `set`, `executed` or `unknown`.
    result: String,
    /// When it runs, or ran; null when unknown.
    due_tick: Option<u64>,
}

/// Any that every reader of JSON can have.
const COUNT: Kind = Kind::Integer { min: 0, max: INTEGER_MAX };

/// The queue knows how far above the last one it may be.
const EPOCH: Kind = Kind::Integer { min: 0, max: EPOCH_MAX - 1 };

/// As [`Slot`], for what is told about a body that is none.
const SLOT: &[Field] = &[
    Field::required("execution", Kind::Uuid),
    Field::required("due_tick", COUNT),
    Field::optional("reason", Kind::Text),
];

/// As [`ControlBody`], likewise.
const CONTROL: Body = Body {
    fields: &[
        Field::required("client", Kind::Text),
        Field::required("epoch", EPOCH),
        Field::optional("lease_ticks", Kind::Integer { min: 1, max: LEASE_TICKS_MAX }),
        Field::optional("set", Kind::List(SLOT)),
        Field::optional("handover", Kind::Bool),
    ],
    refuses_unknown: true,
};

fn in_range(slots: &[SetSlot]) -> Result<(), Problem> {
    match slots.iter().position(|slot| slot.due_tick.0 > INTEGER_MAX) {
        None => Ok(()),
        Some(at) => {
            let value = slots[at].due_tick;
            Err(Problem::bad_request(format!("`set[{at}].due_tick` is `{value}`: expected {COUNT}")))
        }
    }
}

/// Renews the client's lease and places slots; the same request twice changes nothing.
#[utoipa::path(post, path = "/api/v1/control", tag = "executions", request_body = ControlBody,
    responses((status = 200, body = ControlAnswer),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 413, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn control(
    views: web::Data<Views>,
    body: Result<web::Bytes, actix_web::Error>,
) -> Result<HttpResponse, Problem> {
    let body = body.map_err(|error| Problem::from_payload(&error, CONTROL_BYTES_MAX))?;
    let request: ControlRequest = CONTROL.read(&body)?;
    in_range(&request.set)?;
    match views.control.send(Control(request)).await {
        Err(_) => Err(Problem::outcome_unknown()),
        Ok(Ok(response)) => Ok(HttpResponse::Ok().json(response)),
        Ok(Err(refused)) => Err(control_refused(refused)),
    }
}

fn control_refused(refused: ControlRefused) -> Problem {
    match refused {
        ControlRefused::Lost(_) | ControlRefused::Unreachable(_) => Problem::unavailable(refused),
        ControlRefused::Invalid(error) => match &error {
            ControlError::Fenced { holder, current, .. } => {
                Problem::new(StatusCode::CONFLICT, &error).with_holder(holder, *current)
            }
            _ => Problem::bad_request(error),
        },
    }
}
