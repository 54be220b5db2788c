//! What both servers need of HTTP: requests read whole, answers, origins, cookies.

use http_body_util::Full;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode, body::Bytes};
use maud::Markup;

mod fields;
mod origin;
mod request;

pub(crate) use fields::Fields;
pub(crate) use origin::{Origin, is_address, is_web_socket};
pub(crate) use request::Call;

use crate::limit::Wait;
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

/// This address is served, but not by this method.
pub(crate) fn wrong_method(allowed: &'static str) -> Response<Body> {
    let sentence = "This address does not take this method.";
    let response = fault(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        sentence,
    );
    with(response, header::ALLOW, allowed)
}

/// Too much, too fast.
pub(crate) fn too_many(Wait(seconds): Wait) -> Response<Body> {
    let sentence = format!(
        "That was too often. Try again in {}.",
        seconds_in_words(seconds)
    );
    let response = fault(
        StatusCode::TOO_MANY_REQUESTS,
        "too_many_requests",
        &sentence,
    );
    with(response, header::RETRY_AFTER, &seconds.to_string())
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
    bytes(status, "application/json", body)
}

/// Bytes of a kind, not to be kept by anybody on the way.
pub(crate) fn bytes(
    status: StatusCode,
    kind: &'static str,
    body: impl Into<Bytes>,
) -> Response<Body> {
    let mut response = Response::new(Body::from(body.into()));
    *response.status_mut() = status;
    let response = with(response, header::CONTENT_TYPE, kind);
    let response = with(response, header::CACHE_CONTROL, "no-store");
    with(response, header::X_CONTENT_TYPE_OPTIONS, "nosniff")
}

/// A page whose forms may lead to `forms` besides this server.
///
/// Browsers apply `form-action` to the redirect that answers a form, too.
pub(crate) fn page(status: StatusCode, markup: Markup, forms: Option<&Origin>) -> Response<Body> {
    let forms = forms.map(|origin| format!(" {origin}")).unwrap_or_default();
    let policy = format!(
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'{forms}; \
         frame-ancestors 'none'; base-uri 'none'"
    );
    let mut response = bytes(status, "text/html; charset=utf-8", markup.into_string());
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, &*policy),
        (header::X_FRAME_OPTIONS, "DENY"),
        // not `no-referrer`, which would make the Origin of our own forms `null`
        (header::REFERRER_POLICY, "same-origin"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), microphone=(), geolocation=()",
        ),
    ] {
        response = with(response, name, value);
    }
    response
}

/// Sends a browser on with GET: never 307, which would send the form with the password along (RFC 9700 §4.12).
pub(crate) fn see_other(location: &str) -> Response<Body> {
    let response = bytes(StatusCode::SEE_OTHER, "text/plain; charset=utf-8", "");
    let response = with(response, header::REFERRER_POLICY, "no-referrer");
    with(response, header::LOCATION, location)
}

/// The response with a header; a value that can't be one is left out.
pub(crate) fn with(mut response: Response<Body>, name: HeaderName, value: &str) -> Response<Body> {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().append(name, value);
    }
    response
}

/// A waiting time as people say it.
pub(crate) fn seconds_in_words(seconds: u64) -> String {
    match seconds {
        0 | 1 => "a second".into(),
        2..=90 => format!("{seconds} seconds"),
        _ => format!("{} minutes", seconds.div_ceil(60)),
    }
}
