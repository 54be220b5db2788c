//! Delegated certificates: `POST /phone`.
//!
//! A SIP phone has no key that the overlay knows. The super node at which it registers speaks for it, by its own key, and the
//! authority says so address by address: never for one that somebody has an account for, and for a day only.

use base64::{Engine, prelude::BASE64_STANDARD};
use credential::{Refusal, profile};
use hyper::{Response, StatusCode};

use super::proved::{bad, forbid, refuse};
use super::{LoginServer, Trouble};
use crate::http::{self, Body, Call};
use crate::limit::Class;
use crate::name;
use crate::wire::{self, Delegation, PhoneRequest};

/// How long a delegated certificate lasts, in milliseconds.
const LIFETIME: u64 = 24 * 60 * 60 * 1_000;

impl LoginServer {
    /// Lets a super node speak for the phone of an address of this domain that is nobody's account.
    pub(super) async fn delegate(&self, call: &Call, now: u64) -> Result<Response<Body>, Trouble> {
        let most = self.config.limits.phone;
        let request: PhoneRequest = self.request(call, Class::Phone, most, now)?;
        let PhoneRequest {
            certificate,
            user,
            timestamp,
            signature,
        } = request;
        let text = wire::phone_text(&self.overlay(), timestamp, &user);
        let certificate = self
            .prove(&certificate, &text, timestamp, &signature, now)
            .await?;
        let Some(node) = certificate.node() else {
            return Err(refuse(Refusal::Role));
        };
        if !self.config.phones {
            let sentence = "This network's operator has not allowed SIP phones.";
            return Err(forbid("no_phones", sentence));
        }
        let uri = format!("sip:{user}@{}", self.config.domain);
        if !profile::is_canonical(&uri) || user.starts_with(name::GUEST) {
            return Err(bad("invalid_request", "A phone can't have this address."));
        }
        if self.store.identity(&user.to_lowercase()).await?.is_some() {
            let sentence = "Somebody has an account with this address.";
            return Err(forbid("address_taken", sentence));
        }
        let not_after = now.saturating_add(LIFETIME).min(certificate.not_after());
        let key = certificate.public_key();
        let delegated = self
            .authority
            .certify_phone(key, &uri, node, now, not_after)?;
        let (serial, expires) = (delegated.serial(), delegated.not_after());
        self.store
            .keep_certificate(serial, &node.to_string(), now as i64, expires as i64)
            .await?;
        tracing::info!(%node, %uri, %serial, "phone's certificate issued");
        let answer = Delegation {
            certificate: BASE64_STANDARD.encode(delegated.der()),
            expires,
        };
        Ok(http::json(StatusCode::OK, &answer))
    }
}
