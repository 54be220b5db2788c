//! Certificates for super nodes: `POST /enrol` and `/enrol/renew`.

use base64::{Engine, prelude::BASE64_STANDARD};
use credential::{NodeId, PublicKey, Refusal};
use hyper::{Response, StatusCode};

use super::proved::{bad, forbid, refuse};
use super::{LoginServer, Trouble};
use crate::http::{self, Body, Call, Origin};
use crate::limit::Class;
use crate::proof;
use crate::store::{self, Member};
use crate::wire::{self, EnrolRenewRequest, EnrolRequest, Enrolment};

/// Origins that one super node may serve the page at.
const MOST_NAMES: usize = 8;

impl LoginServer {
    /// Makes an operator's node a super node, against a token. The authority chooses the node id, so that nobody can
    /// choose a place on the ring.
    pub(super) async fn enrol(&self, call: &Call, now: u64) -> Result<Response<Body>, Trouble> {
        let request: EnrolRequest =
            self.request(call, Class::Credential, self.config.limits.credential, now)?;
        let (key, names) = check(&request.public_key, &request.names, &request.quic)
            .map_err(|sentence| bad("invalid_request", sentence))?;
        if !self
            .store
            .use_token(&store::hash(&request.token), now as i64)
            .await?
        {
            let sentence =
                "This enrolment token is unknown, used up or over. Ask the operator for a new one.";
            return Err(forbid("invalid_token", sentence));
        }
        let node = NodeId(store::random());
        let (member, answer) = self.certify_member(node, key, names, request.quic, now)?;
        self.store.enrol(&member, now as i64).await?;
        self.hand_out(&answer, now).await
    }

    /// Gives a super node its next certificate, asked for with the current key.
    pub(super) async fn renew_enrolment(
        &self,
        call: &Call,
        now: u64,
    ) -> Result<Response<Body>, Trouble> {
        let request: EnrolRenewRequest =
            self.request(call, Class::Credential, self.config.limits.credential, now)?;
        let EnrolRenewRequest {
            certificate,
            timestamp,
            public_key,
            quic,
            names,
            signature,
        } = request;
        let text = wire::enrol_renew_text(&self.overlay(), timestamp, &public_key, &quic, &names);
        let certificate = self
            .prove(&certificate, &text, timestamp, &signature, now)
            .await?;
        let Some(node) = certificate.node() else {
            return Err(refuse(Refusal::Role));
        };
        let (key, names) = check(&public_key, &names, &quic)
            .map_err(|sentence| bad("invalid_request", sentence))?;
        let (member, answer) = self.certify_member(node, key, names, quic, now)?;
        if !self.store.stamp_member(&member, timestamp as i64).await? {
            let sentence = "This request has been answered before, or the node has been taken out.";
            return Err(forbid("replayed", sentence));
        }
        self.hand_out(&answer, now).await
    }

    fn certify_member(
        &self,
        node: NodeId,
        key: PublicKey,
        names: String,
        quic: String,
        now: u64,
    ) -> Result<(Member, Issued), Trouble> {
        let not_after = now.saturating_add(self.config.lifetimes.super_node * 1_000);
        let (certificate, statement) = self.authority.certify_node(key, node, now, not_after)?;
        let member = Member {
            node: node.to_string(),
            names,
            quic,
            not_after: certificate.not_after() as i64,
        };
        Ok((
            member,
            Issued {
                node,
                certificate,
                statement,
            },
        ))
    }

    async fn hand_out(&self, issued: &Issued, now: u64) -> Result<Response<Body>, Trouble> {
        let Issued {
            node,
            certificate,
            statement,
        } = issued;
        let (serial, expires) = (certificate.serial(), certificate.not_after());
        self.store
            .keep_certificate(serial, &node.to_string(), now as i64, expires as i64)
            .await?;
        tracing::info!(%node, %serial, "super node's certificate issued");
        let answer = Enrolment {
            node: node.to_string(),
            certificate: BASE64_STANDARD.encode(certificate.der()),
            statement: BASE64_STANDARD.encode(statement.to_bytes()),
            root: BASE64_STANDARD.encode(self.root()),
            overlay: self.overlay(),
            domain: self.config.domain.clone(),
            expires,
        };
        Ok(http::json(StatusCode::OK, &answer))
    }
}

struct Issued {
    node: NodeId,
    certificate: credential::Certificate,
    statement: credential::MemberStatement,
}

/// Checks what a node says of itself; the names come back as they are kept.
fn check(
    public_key: &str,
    names: &[String],
    quic: &str,
) -> Result<(PublicKey, String), &'static str> {
    let key = proof::public_key(public_key).ok_or("The public key is no P-256 key.")?;
    if names.len() > MOST_NAMES {
        return Err("A super node has at most eight names.");
    }
    let names: Option<Vec<_>> = names
        .iter()
        .map(|name| Origin::read(name).map(|origin| origin.to_string()))
        .collect();
    let names = names.ok_or(
        "A name must be an origin: https://host or https://host:port (http on loopback only).",
    )?;
    if !http::is_address(quic) {
        return Err("The QUIC address must be host:port.");
    }
    Ok((key, names.join(" ")))
}
