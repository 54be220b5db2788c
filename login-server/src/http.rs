//! What both servers need of HTTP: bodies, answers, origins.

use http_body_util::Full;
use hyper::{Response, StatusCode, body::Bytes, header};

mod origin;

pub(crate) use origin::Origin;

use crate::wire::Fault;

/// Body of every answer.
pub type Body = Full<Bytes>;

/// Nothing is served at this address.
pub(crate) fn not_found() -> Response<Body> {
    fault(
        StatusCode::NOT_FOUND,
        "not_found",
        "Nothing is served at this address.",
    )
}

/// A refusal of a machine endpoint.
pub(crate) fn fault(status: StatusCode, error: &str, sentence: &str) -> Response<Body> {
    json(
        status,
        &Fault {
            error: error.into(),
            sentence: sentence.into(),
        },
    )
}

/// A document.
pub(crate) fn json(status: StatusCode, document: &impl serde::Serialize) -> Response<Body> {
    let body = serde_json::to_vec(document).expect("documents of this crate have string keys only");
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    headers.insert(
        header::CACHE_CONTROL,
        header::HeaderValue::from_static("no-store"),
    );
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        header::HeaderValue::from_static("nosniff"),
    );
    response
}
