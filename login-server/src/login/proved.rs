//! What the machine endpoints have in common: a counted request, proved by a certificate's key.

use credential::{Certificate, Instance, Refusal, Serial};
use hyper::StatusCode;
use serde::de::DeserializeOwned;

use super::{LoginServer, Trouble};
use crate::http::Call;
use crate::limit::{Class, address};
use crate::{name, proof};

impl LoginServer {
    /// The document of a request, counted against what one address may ask for in a minute.
    pub(super) fn request<T: DeserializeOwned>(
        &self,
        call: &Call,
        class: Class,
        per_minute: u32,
        now: u64,
    ) -> Result<T, Trouble> {
        self.limit(class, address(call.peer), per_minute, now)?;
        call.json().map_err(|misread| {
            let (status, sentence) = misread.explain();
            Trouble::Refused(status, "invalid_request", sentence)
        })
    }

    /// The certificate of a request, if it is in force and its key signed `text` within these minutes.
    pub(super) async fn prove(
        &self,
        certificate: &str,
        text: &str,
        timestamp: u64,
        signature: &str,
        now: u64,
    ) -> Result<Certificate, Trouble> {
        let revocations = self.revocation_list().await?;
        let certificate = proof::admit(self.authority.anchor(), certificate, &revocations, now)
            .map_err(refuse)?;
        if !proof::is_signed(certificate.public_key(), text, signature) {
            let sentence = "The request is not signed by the certificate's key.";
            return Err(forbid("invalid_signature", sentence));
        }
        if !proof::is_recent(timestamp, now) {
            let sentence =
                "The clock of this device is more than ten minutes wrong. Set it and try again.";
            return Err(forbid("wrong_clock", sentence));
        }
        Ok(certificate)
    }

    /// As [`prove`](Self::prove), by a user's certificate: its owner, device and number.
    pub(super) async fn prove_user(
        &self,
        certificate: &str,
        text: &str,
        timestamp: u64,
        signature: &str,
        now: u64,
    ) -> Result<(String, Instance, Serial), Trouble> {
        let certificate = self
            .prove(certificate, text, timestamp, signature, now)
            .await?;
        let (uri, instance) = certificate.user().ok_or_else(|| refuse(Refusal::Role))?;
        let owner = name::tidy(uri, &self.config.domain);
        Ok((owner, instance, certificate.serial()))
    }
}

pub(super) fn bad(error: &'static str, sentence: &str) -> Trouble {
    Trouble::Refused(StatusCode::BAD_REQUEST, error, sentence.into())
}

pub(super) fn forbid(error: &'static str, sentence: &str) -> Trouble {
    Trouble::Refused(StatusCode::FORBIDDEN, error, sentence.into())
}

/// Says why a certificate doesn't count.
pub(super) fn refuse(refusal: Refusal) -> Trouble {
    let (error, sentence) = match refusal {
        Refusal::Expired | Refusal::NotYetValid => (
            "credential_expired",
            "This device's certificate has ended. Sign in again.",
        ),
        Refusal::Revoked => (
            "credential_revoked",
            "This device has been signed out. Sign in again.",
        ),
        Refusal::Role | Refusal::Authority => (
            "invalid_credential",
            "This certificate is of a kind that can't be used here.",
        ),
        Refusal::Overlay | Refusal::Issuer | Refusal::Signature => (
            "invalid_credential",
            "This certificate is not one of this network.",
        ),
    };
    forbid(error, sentence)
}
