//! `GET /metrics`: numbers for Prometheus, in the `OpenMetrics` form, or in the older text form for who asks for it.
//! Labels take only values that are known here.

mod client;
mod clients;
#[cfg(test)]
mod document;
mod process;
mod requests;
mod server;
mod text;
mod write;

use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, http::header::Accept, web};
use prometheus_client::{encoding::text::encode, registry::Registry};

pub(super) use self::{
    client::ClientNumbers,
    clients::ClientsNumbers,
    process::{Actors, Condition, Outputs},
    requests::{Requests, literal},
    server::ServerNumbers,
};
use super::problem::Problem;

/// As the `OpenMetrics` specification names it.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// As Prometheus names the form that was there before.
const TEXT_CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Everything that is measured.
pub(super) type Numbers = Registry;

/// An empty registry whose metrics begin with the program's name.
pub(super) fn registry() -> Numbers {
    Registry::with_prefix("evenkeel")
}

/// Numbers for Prometheus, in the `OpenMetrics` form; in the older text form for who would rather have `text/plain`.
#[utoipa::path(get, path = "/metrics", tag = "status",
    responses((status = 200, content((String = "application/openmetrics-text"), (String = "text/plain")))))]
pub(super) async fn serve(
    numbers: web::Data<Numbers>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let mut text = String::new();
    encode(&mut text, &numbers).map_err(|_| Problem::unavailable("the numbers cannot be written"))?;
    if asks_for_text(&request) {
        return Ok(HttpResponse::Ok().content_type(TEXT_CONTENT_TYPE).body(text::from_open_metrics(&text)));
    }
    Ok(HttpResponse::Ok().content_type(CONTENT_TYPE).body(text))
}

/// Whether the older form is the one of the two that is named, or named first. Whatever will do is the newer one.
fn asks_for_text(request: &HttpRequest) -> bool {
    let Some(accept) = request.get_header::<Accept>() else { return false };
    let named = accept.ranked().into_iter().find_map(|range| {
        match (range.type_().as_str(), range.subtype().as_str()) {
            ("application", "openmetrics-text") | ("*", _) => Some(false),
            ("text", "plain" | "*") => Some(true),
            _ => None,
        }
    });
    named.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use actix_web::{http::header::ACCEPT, test::TestRequest};

    use super::*;

    #[test]
    fn the_older_form_is_for_who_asks_for_it() {
        let asks = |accept: &str| {
            asks_for_text(&TestRequest::default().insert_header((ACCEPT, accept)).to_http_request())
        };
        for accept in ["text/plain", "text/plain;version=0.0.4", "text/*", "text/plain, */*;q=0.1"] {
            assert!(asks(accept), "{accept}");
        }
        let prometheus =
            "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for accept in ["*/*", "", prometheus, "application/openmetrics-text", "text/html", "no type"] {
            assert!(!asks(accept), "{accept}");
        }
        assert!(!asks_for_text(&TestRequest::default().to_http_request()));
    }
}
