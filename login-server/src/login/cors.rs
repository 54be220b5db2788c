//! Which pages' scripts may use the machine endpoints: those of member super nodes and of configured origins.

use hyper::{Response, StatusCode, header};

use crate::http::{self, Body, Call, Origin};
use crate::login::{LoginServer, Trouble};
use crate::store::StoreError;

impl LoginServer {
    /// The origins that may ask for credentials, and that codes may be sent to.
    pub(super) async fn allowed_origins(&self, now: u64) -> Result<Vec<Origin>, StoreError> {
        let members = self.store.members(now as i64).await?;
        let names = members
            .iter()
            .flat_map(|member| member.names.split(' '))
            .filter_map(Origin::read);
        Ok(self.origins.iter().cloned().chain(names).collect())
    }

    /// The origin of the page whose script sent the request; `None` if no browser's script did. A foreign one is
    /// refused.
    pub(super) async fn admit_origin(
        &self,
        call: &Call,
        now: u64,
    ) -> Result<Option<Origin>, Response<Body>> {
        if !call.headers.contains_key(header::ORIGIN) {
            return Ok(None);
        }
        let allowed = self
            .allowed_origins(now)
            .await
            .map_err(|error| Trouble::Store(error).document())?;
        let origin = call.header(header::ORIGIN).and_then(Origin::read);
        origin
            .filter(|origin| allowed.contains(origin))
            .map(Some)
            .ok_or_else(refuse)
    }
}

pub(super) fn refuse() -> Response<Body> {
    let sentence = "The page that sent this is not one of a super node of this network.";
    http::fault(StatusCode::FORBIDDEN, "foreign_origin", sentence)
}

/// Answers the question that a browser asks before it sends a script's request.
pub(super) fn preflight(origin: Option<&Origin>) -> Response<Body> {
    let mut response = Response::new(Body::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "POST"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "content-type"),
        (header::ACCESS_CONTROL_MAX_AGE, "7200"),
    ] {
        response = http::with(response, name, value);
    }
    allow(response, origin)
}

/// Lets the page read the answer. Without credentials: no cookie counts at these endpoints.
pub(super) fn allow(response: Response<Body>, origin: Option<&Origin>) -> Response<Body> {
    let response = http::with(response, header::VARY, "origin");
    let Some(origin) = origin else {
        return response;
    };
    let response = http::with(
        response,
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        "retry-after",
    );
    http::with(
        response,
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        &origin.to_string(),
    )
}
