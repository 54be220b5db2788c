use base64::{Engine, prelude::BASE64_STANDARD};
use hyper::Response;

use super::authorize::Authorization;
use super::{LoginServer, Trouble};
use crate::http::{self, Body};
use crate::store::{self, Code};

impl LoginServer {
    /// Sends the browser back to the page with a code: for one use, within a minute, by whoever has the verifier, for
    /// the key and device that the page named.
    pub(super) async fn grant(
        &self,
        request: &Authorization,
        owner: &str,
        now: u64,
    ) -> Result<Response<Body>, Trouble> {
        let secret = store::secret();
        let code = Code {
            owner: owner.into(),
            redirect: request.redirect.to_string(),
            challenge: request.challenge.clone(),
            public_key: BASE64_STANDARD.encode(request.public_key.to_spki()),
            instance: request.instance.to_string(),
            expires: now.saturating_add(self.config.lifetimes.code * 1_000) as i64,
        };
        self.store
            .keep_code(&store::hash(&secret), &code, now as i64)
            .await?;
        Ok(http::see_other(&request.granted(&secret, &self.origin)))
    }
}
