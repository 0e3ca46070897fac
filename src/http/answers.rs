//! How answers leave: without a body for HEAD, and compressed for who asks for that.

use std::io::Write as _;

use actix_web::{
    Error, HttpMessage as _, HttpRequest,
    body::{BodySize, BoxBody, MessageBody as _},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{AcceptEncoding, CONTENT_ENCODING, CONTENT_TYPE, Encoding, HeaderMap, HeaderValue, VARY},
    },
    web::{self, Bytes},
};
use flate2::{Compression, write::GzEncoder};

/// Fewer bytes fit into one packet as they are.
pub(super) const COMPRESSED_FROM: usize = 1_400;
/// More are compressed on a thread that may block: half a millisecond's worth.
const INLINE_MAX: usize = 64 * 1024;
/// What grows small. Events are not among them: they would wait until there are enough for a block.
const TEXTS: [&[u8]; 4] =
    [b"application/json", b"application/problem+json", b"application/openmetrics-text", b"text/plain"];

/// HEAD is GET without the body, wherever there is a GET. Whether it was one.
pub(super) fn head_is_get(request: &mut ServiceRequest) -> bool {
    let is_head = request.method() == Method::HEAD;
    if is_head {
        request.head_mut().method = Method::GET;
    }
    is_head
}

/// The answer as it leaves.
pub(super) async fn leave(answer: ServiceResponse, is_head: bool) -> Result<ServiceResponse, Error> {
    let answer = compressed(answer).await?;
    // The length stays. What has no end would be read for ever, and nobody would get it.
    let is_endless = matches!(answer.response().body().size(), BodySize::Stream);
    Ok(if is_head && is_endless { answer.map_body(|_, _| BoxBody::new(())) } else { answer })
}

async fn compressed(mut answer: ServiceResponse) -> Result<ServiceResponse, Error> {
    let content_type = answer.headers().get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    if !TEXTS.iter().any(|text| content_type.starts_with(text)) {
        return Ok(answer);
    }
    answer.headers_mut().append(VARY, HeaderValue::from_static("accept-encoding"));
    let BodySize::Sized(bytes) = answer.response().body().size() else { return Ok(answer) };
    let bytes = bytes as usize;
    let is_encoded = answer.headers().contains_key(CONTENT_ENCODING);
    if bytes < COMPRESSED_FROM || is_encoded || !takes_gzip(answer.request()) {
        return Ok(answer);
    }
    let (request, response) = answer.into_parts();
    let (mut response, body) = response.into_parts();
    let body = body.try_into_bytes().unwrap_or_default();
    let small = if bytes > INLINE_MAX { web::block(move || gzip(&body)).await? } else { gzip(&body) };
    response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    Ok(ServiceResponse::new(request, response.set_body(BoxBody::new(small))))
}

/// Whether who asks would rather have it compressed.
pub(super) fn takes_gzip(request: &HttpRequest) -> bool {
    let asked: &HeaderMap = request.headers();
    if !asked.contains_key(actix_web::http::header::ACCEPT_ENCODING) {
        return false;
    }
    let (gzip, identity) = (Encoding::gzip(), Encoding::identity());
    let accepted: Option<AcceptEncoding> = request.get_header();
    accepted.and_then(|accepted| accepted.negotiate([&gzip, &identity].into_iter())) == Some(gzip)
}

/// `body`, compressed quickly: JSON becomes a tenth.
pub(super) fn gzip(body: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 8), Compression::fast());
    // Writing into memory does not fail.
    let _ = encoder.write_all(body);
    Bytes::from(encoder.finish().unwrap_or_default())
}
