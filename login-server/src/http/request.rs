use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::header::{self, HeaderMap};
use hyper::{Method, Request, Response, StatusCode, body::Bytes};
use serde::de::DeserializeOwned;

use super::{Body, Fields, fault};

/// Longest body that is read: the largest request, a renewal, has about 2 KiB.
const LONGEST: usize = 16 * 1_024;
/// Longest query that is looked at.
const LONGEST_QUERY: usize = 4 * 1_024;
/// How long a client may take to send its body.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request, read whole.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    /// From the request line, if it names one.
    authority: Option<String>,
    pub(crate) body: Bytes,
    pub(crate) peer: IpAddr,
}

/// Why a request was not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unread {
    TooLarge,
    TooSlow,
    Broken,
}

impl Unread {
    pub(crate) fn answer(self) -> Response<Body> {
        match self {
            Self::TooLarge => fault(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                "The request is larger than any that is valid here.",
            ),
            Self::TooSlow => fault(
                StatusCode::REQUEST_TIMEOUT,
                "too_slow",
                "The request took more than ten seconds to arrive.",
            ),
            Self::Broken => fault(
                StatusCode::BAD_REQUEST,
                "invalid_request",
                "The request broke off.",
            ),
        }
    }
}

/// Why a request's body is not the document expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Misread {
    Kind,
    /// Where the document stopped making sense. The parser's own words may quote a secret.
    Document {
        line: usize,
        column: usize,
    },
}

impl Misread {
    pub(crate) fn explain(self) -> (StatusCode, String) {
        match self {
            Self::Kind => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "The request must be JSON, with content type application/json.".into(),
            ),
            Self::Document { line, column } => (
                StatusCode::BAD_REQUEST,
                format!(
                    "The request is not the document expected here (line {line}, column {column})."
                ),
            ),
        }
    }

    pub(crate) fn answer(self) -> Response<Body> {
        let (status, sentence) = self.explain();
        fault(status, "invalid_request", &sentence)
    }
}

impl Call {
    pub(crate) async fn read<B>(request: Request<B>, peer: SocketAddr) -> Result<Self, Unread>
    where
        B: hyper::body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        let query = head.uri.query().unwrap_or_default();
        // what announces itself as too large isn't read at all
        if query.len() > LONGEST_QUERY || body.size_hint().lower() > LONGEST as u64 {
            return Err(Unread::TooLarge);
        }
        let whole = async {
            Limited::new(body, LONGEST)
                .collect()
                .await
                .map_err(|error| {
                    if error.is::<LengthLimitError>() {
                        Unread::TooLarge
                    } else {
                        Unread::Broken
                    }
                })
        };
        let body = tokio::time::timeout(PATIENCE, whole)
            .await
            .map_err(|_| Unread::TooSlow)??
            .to_bytes();
        Ok(Self {
            path: head.uri.path().into(),
            query: query.into(),
            authority: head.uri.authority().map(ToString::to_string),
            method: head.method,
            headers: head.headers,
            body,
            peer: peer.ip(),
        })
    }

    /// The host that the client means: RFC 9112 §3.2.2 lets the request line's count.
    pub(crate) fn host(&self) -> Option<&str> {
        self.authority
            .as_deref()
            .or_else(|| self.header(header::HOST))
    }

    /// A header's text; none if it isn't there, isn't text, or is there twice.
    pub(crate) fn header(&self, name: header::HeaderName) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?;
        if values.next().is_some() {
            None
        } else {
            value.to_str().ok()
        }
    }

    /// Whether a link or script of another site led here, as far as the browser says (Fetch Metadata).
    pub(crate) fn is_from_another_site(&self) -> bool {
        self.header(header::HeaderName::from_static("sec-fetch-site")) == Some("cross-site")
    }

    /// The fields of a form. Browsers send nothing else from a page without scripts.
    pub(crate) fn form(&self) -> Fields {
        Fields::read(&self.body)
    }

    /// Reads a JSON document. The content type must say so: a foreign page can't send that without a CORS preflight.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Misread> {
        let kind = self.header(header::CONTENT_TYPE).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(Misread::Kind);
        }
        serde_json::from_slice(&self.body).map_err(|error| Misread::Document {
            line: error.line(),
            column: error.column(),
        })
    }

    /// A cookie's value.
    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        self.headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find_map(|(key, value)| (key == name).then_some(value))
    }
}
