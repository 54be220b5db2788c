//! What keeps a request from being granted: the request itself, or the server.

use hyper::{Response, StatusCode, header};

use crate::http::{self, Body};
use crate::limit::Wait;
use crate::password::Busy;
use crate::store::StoreError;

/// What keeps a request from being granted.
#[derive(Debug)]
pub(super) enum Trouble {
    Store(StoreError),
    Certify(rcgen::Error),
    Busy,
    Wait(Wait),
    /// The request is wrong: status, error code (RFC 6749 §5.2 has the shape) and a sentence.
    Refused(StatusCode, &'static str, String),
}

impl Trouble {
    /// The status, what to wait for in seconds, and a sentence.
    pub(super) fn explain(&self) -> (StatusCode, Option<u64>, String) {
        match self {
            Self::Store(error) => {
                tracing::error!(%error, "the accounts database does not answer");
                let sentence = "The login server can't reach its database. Try again in a moment.";
                (StatusCode::SERVICE_UNAVAILABLE, Some(5), sentence.into())
            }
            Self::Certify(error) => {
                tracing::error!(%error, "a certificate could not be made");
                (
                    StatusCode::INTERNAL_SERVER_ERROR,
                    None,
                    "The login server could not make the certificate.".into(),
                )
            }
            Self::Busy => {
                let sentence = "Many people are signing in right now. Try again in a few seconds.";
                (StatusCode::SERVICE_UNAVAILABLE, Some(3), sentence.into())
            }
            Self::Wait(Wait(seconds)) => {
                let sentence = format!(
                    "That was too often. Try again in {}.",
                    http::seconds_in_words(*seconds)
                );
                (StatusCode::TOO_MANY_REQUESTS, Some(*seconds), sentence)
            }
            Self::Refused(status, _, sentence) => (*status, None, sentence.clone()),
        }
    }

    /// As a machine endpoint says it.
    pub(super) fn document(self) -> Response<Body> {
        let (status, wait, sentence) = self.explain();
        let error = match self {
            Self::Store(_) | Self::Busy => "temporarily_unavailable",
            Self::Certify(_) => "server_error",
            Self::Wait(_) => "too_many_requests",
            Self::Refused(_, error, _) => error,
        };
        retry_after(http::fault(status, error, &sentence), wait)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<rcgen::Error> for Trouble {
    fn from(error: rcgen::Error) -> Self {
        Self::Certify(error)
    }
}

impl From<Busy> for Trouble {
    fn from(Busy: Busy) -> Self {
        Self::Busy
    }
}

/// The response, saying when to ask again.
pub(super) fn retry_after(response: Response<Body>, seconds: Option<u64>) -> Response<Body> {
    match seconds {
        Some(seconds) => http::with(response, header::RETRY_AFTER, &seconds.to_string()),
        None => response,
    }
}
