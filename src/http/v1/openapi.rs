//! The description of the API, made from the handlers.

use std::sync::Arc;

use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{self, ContentEncoding},
    },
    web,
};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        ContentBuilder, Ref, RefOr, ResponseBuilder, Schema,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use crate::http::{access, control, health, metrics, problem::Problem, wire};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "evenkeel",
        description = "Keep a database on an even keel: what waits, what ran, what it costs, and why it ran when it did. \
            Ticks are 100 ms unless configured otherwise; fields that end in `_ms` are Unix milliseconds or durations."
    ),
    paths(
        wire::queued, wire::resources, wire::delay,
        control::control,
        health::healthz, health::readyz, metrics::serve, access::login::session,
        super::status::status, super::shadow::shadow, super::frontier::frontier, super::resources::now, super::resources::history,
        super::minutes::minutes, super::queued::queued, super::running::running,
        super::queries::list, super::queries::one, super::executions::executions, super::decisions::explain,
        super::mode::get, super::mode::put, super::journal::journal, super::actors::actors, super::events::events,
    ),
    components(schemas(Problem)),
    modifiers(&Everywhere),
)]
struct Document;

/// What holds for all operations.
struct Everywhere;

impl Modify for Everywhere {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let problem = Ref::from_schema_name("Problem");
        let problem = ContentBuilder::new().schema(Some(RefOr::Ref(problem))).build();
        let other = ResponseBuilder::new()
            .description("what was wrong, and what would be right (RFC 9457)")
            .content("application/problem+json", problem)
            .build();
        for (path, item) in &mut openapi.paths.paths {
            let methods = [("get", &mut item.get), ("put", &mut item.put), ("post", &mut item.post)];
            for (method, operation) in methods {
                let Some(operation) = operation else { continue };
                // Whoever generates a client makes names of these.
                let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
                operation.operation_id =
                    Some([method].into_iter().chain(words).collect::<Vec<_>>().join("_"));
                let says = operation.summary.clone().or(operation.description.clone()).unwrap_or_default();
                for (status, response) in &mut operation.responses.responses {
                    let RefOr::T(response) = response else { continue };
                    if response.description.is_empty() {
                        response.description = described(status, &says);
                    }
                }
                operation.responses.responses.insert("default".to_owned(), RefOr::T(other.clone()));
            }
        }
        let components = openapi.components.get_or_insert_default();
        for (name, schema) in &mut components.schemas {
            // Answers hold every field, null where nothing is known; what may be left out are these.
            if let RefOr::T(Schema::Object(object)) = schema
                && !["ControlBody", "Slot", "Problem"].contains(&name.as_str())
            {
                object.required = object.properties.keys().cloned().collect();
            }
        }
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("token", SecurityScheme::Http(bearer));
        let cookie = ApiKey::Cookie(ApiKeyValue::with_description(
            "evenkeel_session_7070",
            "what /login gives; the number is the port that the server listens on",
        ));
        components.add_security_scheme("session", SecurityScheme::ApiKey(cookie));
    }
}

/// What an answer with `status` is; a document without these words is not valid. `says` is what the operation does.
fn described(status: &str, says: &str) -> String {
    let reason =
        status.parse().ok().and_then(|code: u16| StatusCode::from_u16(code).ok()?.canonical_reason());
    if status.starts_with('2') && !says.is_empty() {
        return says.lines().next().unwrap_or_default().to_owned();
    }
    reason.unwrap_or("an answer").to_owned()
}

/// The document.
pub(crate) fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

pub(super) async fn serve() -> HttpResponse {
    HttpResponse::Ok().json(document())
}

/// `/api/docs` is `/api/docs/`, wherever this server is.
pub(super) async fn to_pages() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((header::LOCATION, "docs/")).finish()
}

/// The document for people, from embedded assets.
pub(super) async fn page(file: web::Path<String>) -> Result<HttpResponse, Problem> {
    let config = utoipa_swagger_ui::Config::new(["../v1/openapi.json"]).validator_url("none");
    let found = utoipa_swagger_ui::serve(&file, Arc::new(config)).map_err(Problem::unavailable)?;
    let file =
        found.ok_or_else(|| Problem::not_found("there is nothing here: /api/docs/ is the beginning"))?;
    let mut response = HttpResponse::Ok();
    if file.gzpipped {
        response.insert_header((header::CONTENT_ENCODING, ContentEncoding::Gzip));
    }
    Ok(response.content_type(file.content_type).body(file.bytes.into_owned()))
}
