//! The dashboard: what `make web` built of web/, embedded into the program. It holds no data: anybody may read it.

use std::{borrow::Cow, fmt::Write};

use actix_web::{
    FromRequest, Handler, HttpMessage, HttpRequest, HttpResponse, Responder, Route,
    http::{
        Method,
        header::{self, CacheControl, CacheDirective, ETag, EntityTag, IfNoneMatch},
    },
    middleware::{Compress, DefaultHeaders},
    web,
};
use rust_embed::RustEmbed;

use super::{
    access::Needs,
    problem::Problem,
    routes::{Resource, Routes},
};

#[derive(RustEmbed)]
#[folder = "web/dist"]
#[allow_missing = true]
struct Dist;

/// What the page may load: files of this server, no inline script or style; nobody frames it.
const POLICY: &str =
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
/// Assets have their content's hash in their names: a year is for ever.
const YEAR_SECONDS: u32 = 365 * 24 * 3600;
/// The page is read.
pub(super) const READS: [Method; 2] = [Method::GET, Method::HEAD];
/// What `/` says in a program that was built without Node.
const NOT_BUILT: &str = r#"<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>evenkeel</title></head>
<body>
<h1>evenkeel</h1>
<p>This program was built without its page. To get it: install Node 20.19 or later with npm, run
<code>make web</code>, and build the program again; <code>make run</code> does both.</p>
<p>Everything else is here: <a href="api/v1/status">/api/v1/status</a>, <a href="api/docs/">/api/docs/</a>.</p>
</body>
</html>
"#;

/// Adds `/` and `/assets/…`; `GET /login` shows the same page.
pub(super) fn add(routes: &mut Routes<'_>) {
    routes.add(Resource::at("/").on(&READS, Needs::Nothing, None, page(index)));
    routes.add(Resource::at("/assets/{name}").on(&READS, Needs::Nothing, None, page(asset)));
}

/// Shows the page.
pub(super) fn index_route() -> Route {
    page(index)
}

fn page<F, A>(handler: F) -> Route
where
    F: Handler<A>,
    A: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let headers = DefaultHeaders::new()
        .add((header::CONTENT_SECURITY_POLICY, POLICY))
        .add((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .add((header::REFERRER_POLICY, "no-referrer"))
        .add((header::X_FRAME_OPTIONS, "DENY"));
    web::to(handler).wrap(Compress::default()).wrap(headers)
}

async fn index(request: HttpRequest) -> HttpResponse {
    let file = File::embedded("index.html").unwrap_or_else(File::not_built);
    file.answer(&request, CacheControl(vec![CacheDirective::NoCache]))
}

async fn asset(request: HttpRequest, name: web::Path<String>) -> Result<HttpResponse, Problem> {
    let file = File::embedded(&format!("assets/{name}"))
        .ok_or_else(|| Problem::not_found("the page has no such part: load it anew"))?;
    let for_ever = CacheControl(vec![
        CacheDirective::Public,
        CacheDirective::MaxAge(YEAR_SECONDS),
        CacheDirective::Extension("immutable".to_owned(), None),
    ]);
    Ok(file.answer(&request, for_ever))
}

struct File {
    content: Cow<'static, [u8]>,
    content_type: &'static str,
    tag: EntityTag,
}

impl File {
    fn embedded(name: &str) -> Option<Self> {
        let file = Dist::get(name)?;
        let hash = file.metadata.sha256_hash();
        Some(Self { content: file.data, content_type: content_type(name), tag: tag(&hash) })
    }

    fn not_built() -> Self {
        let content = Cow::Borrowed(NOT_BUILT.as_bytes());
        Self { content, content_type: content_type("index.html"), tag: tag(b"not built") }
    }

    /// The file, or 304 when the reader has it.
    fn answer(self, request: &HttpRequest, cache: CacheControl) -> HttpResponse {
        let known = match request.get_header() {
            Some(IfNoneMatch::Any) => true,
            Some(IfNoneMatch::Items(tags)) => tags.iter().any(|tag| tag.weak_eq(&self.tag)),
            None => false,
        };
        let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        response.insert_header(cache).insert_header(ETag(self.tag));
        if known {
            return response.finish();
        }
        response.content_type(self.content_type);
        match self.content {
            Cow::Borrowed(content) => response.body(content),
            Cow::Owned(content) => response.body(content),
        }
    }
}

/// Weak: the compressed and the plain file share it.
fn tag(hash: &[u8]) -> EntityTag {
    let hex = hash.iter().take(16).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    EntityTag::new_weak(hex)
}

/// Of the kinds that a build of web/ consists of.
fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use actix_web::{App, http::StatusCode, test, web::ServiceConfig};

    use super::*;
    use crate::http::access::{Access, AccessSettings};

    type Headers = BTreeMap<String, String>;

    async fn answer(method: Method, uri: &str, known: Option<&str>) -> (StatusCode, Headers, String) {
        let access = Access::new(AccessSettings::open()).expect("no file of tokens");
        let routes = |config: &mut ServiceConfig| {
            let mut routes = Routes::new(config);
            add(&mut routes);
            routes.add(Resource::at("/login").on(&READS, Needs::Nothing, None, index_route()));
        };
        let app = test::init_service(App::new().app_data(web::Data::new(access)).configure(routes)).await;
        let mut request = test::TestRequest::with_uri(uri).method(method);
        if let Some(tag) = known {
            request = request.insert_header((header::IF_NONE_MATCH, tag));
        }
        let response = test::call_service(&app, request.to_request()).await;
        let status = response.status();
        let text = |value: &header::HeaderValue| value.to_str().expect("text").to_owned();
        let headers =
            response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let body = test::read_body(response).await;
        (status, headers, String::from_utf8_lossy(&body).into_owned())
    }

    #[actix_web::test]
    async fn the_page_is_strict_about_what_it_loads_and_is_asked_for_anew() {
        for uri in ["/", "/login"] {
            let (status, headers, body) = answer(Method::GET, uri, None).await;
            assert_eq!(status, StatusCode::OK);
            assert_eq!(headers["content-type"], "text/html; charset=utf-8");
            assert_eq!(headers["content-security-policy"], POLICY);
            assert_eq!(headers["x-content-type-options"], "nosniff");
            assert_eq!(headers["referrer-policy"], "no-referrer");
            assert_eq!(headers["x-frame-options"], "DENY");
            assert_eq!(headers["cache-control"], "no-cache");
            assert!(body.contains("<title>evenkeel</title>"), "{body}");
            assert!(!body.contains("style=") && !body.contains("<style"), "{body}");

            let tag = &headers["etag"];
            let (status, again, body) = answer(Method::GET, uri, Some(tag)).await;
            assert_eq!((status, body.as_str()), (StatusCode::NOT_MODIFIED, ""));
            assert_eq!(&again["etag"], tag);
        }
    }

    #[actix_web::test]
    async fn what_the_page_is_made_of_stays_for_ever() {
        let names: Vec<_> = Dist::iter().filter(|name| name.starts_with("assets/")).collect();
        for name in &names {
            let (status, headers, _) = answer(Method::GET, &format!("/{name}"), None).await;
            assert_eq!(status, StatusCode::OK, "{name}");
            assert_ne!(headers["content-type"], "application/octet-stream", "{name}");
            assert_eq!(headers["cache-control"], "public, max-age=31536000, immutable");
        }
        let (status, ..) = answer(Method::GET, "/assets/other.js", None).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
    }

    #[actix_web::test]
    async fn changes_are_not_the_pages_business() {
        let (status, headers, _) = answer(Method::POST, "/", None).await;
        assert_eq!((status, headers["allow"].as_str()), (StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD"));
    }

    #[actix_web::test]
    async fn without_its_files_the_page_says_how_to_get_them() {
        let request = test::TestRequest::default().to_http_request();
        let response = File::not_built().answer(&request, CacheControl(vec![CacheDirective::NoCache]));
        let body = actix_web::body::to_bytes(response.into_body()).await.expect("a body");
        assert!(String::from_utf8_lossy(&body).contains("make web"));
    }
}
