//! The bootstrap server (draft §5.1): which super nodes are reachable now, over HTTP. Not part of the overlay.
//!
//! ```text
//! super node  -- POST /super-nodes {certificate, timestamp, ws, quic, signature} --> every 20 s
//! anybody     -- GET  /super-nodes --> {super_nodes: [{node, ws, quic}]}
//! ```
//! A report counts for a minute. It needs a super node's certificate of this overlay and is signed by its key, so
//! that nobody can list a node that isn't one, nor another's under an address of his own.

use core::fmt;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use credential::{NodeId, Refusal, RevocationList, TrustAnchor};
use hyper::{Method, Request, Response, StatusCode, body::Bytes, header};
use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

use crate::Clock;
use crate::http::{self, Body, Call, is_address, is_web_socket};
use crate::limit::{Class, Limiter, address};
use crate::proof;
use crate::wire::{self, Report, SuperNode, SuperNodes};

/// What the operator of a bootstrap server decides. Unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BootstrapConfig {
    /// Seconds for which a report counts.
    pub listed: u64,
    /// Most super nodes listed at once.
    pub most: usize,
    /// Requests per minute and address, and the same number as a burst.
    pub limit: u32,
}

impl Default for BootstrapConfig {
    fn default() -> Self {
        Self {
            listed: 60,
            most: 1_024,
            limit: 120,
        }
    }
}

/// A bootstrap server for the overlay of one root.
#[derive(Debug)]
pub struct BootstrapServer {
    config: BootstrapConfig,
    clock: Clock,
    anchor: TrustAnchor,
    revocations: Mutex<RevocationList>,
    listed: Mutex<HashMap<NodeId, Entry>>,
    limiter: Limiter,
}

/// What a super node said of itself last.
#[derive(Debug, Clone)]
struct Entry {
    ws: String,
    quic: String,
    serial: credential::Serial,
    stamp: u64,
    /// Milliseconds since 1970.
    until: u64,
}

impl BootstrapServer {
    /// A bootstrap server that accepts reports of super nodes certified by `root`, a root certificate in DER.
    ///
    /// # Errors
    /// When `root` isn't an overlay's root certificate.
    pub fn open(config: BootstrapConfig, root: &[u8], clock: Clock) -> Result<Self, RootFault> {
        let anchor = TrustAnchor::read(root).map_err(|_| RootFault)?;
        let revocations = Mutex::new(RevocationList::empty(anchor.overlay()));
        let (listed, limiter) = (Mutex::default(), Limiter::default());
        Ok(Self {
            config,
            clock,
            anchor,
            revocations,
            listed,
            limiter,
        })
    }

    /// Takes in a newer revocation list of the overlay's authority, as `GET /revocations` of the login server gives
    /// it. False if it is no such list, or not newer.
    pub fn take_revocations(&self, list: &[u8]) -> bool {
        let Some(list) = RevocationList::read(list) else {
            return false;
        };
        if !self
            .anchor
            .admit_revocations(&list)
            .is_ok_and(|check| proof::holds(&check))
        {
            return false;
        }
        let mut known = self
            .revocations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let newer = list.number() > known.number();
        if newer {
            *known = list;
        }
        newer
    }

    /// Answers one request that came from `peer`.
    pub async fn handle<B>(&self, request: Request<B>, peer: SocketAddr) -> Response<Body>
    where
        B: hyper::body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let now = self.clock.now();
        if let Err(wait) =
            self.limiter
                .count(Class::Report, address(peer.ip()), self.config.limit, now)
        {
            return http::too_many(wait);
        }
        let call = match Call::read(request, peer).await {
            Ok(call) => call,
            Err(unread) => return unread.answer(),
        };
        if call.path != "/super-nodes" {
            return http::not_found();
        }
        match call.method {
            Method::GET | Method::HEAD => {
                let list = http::json(StatusCode::OK, &self.list(now));
                http::with(list, header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")
            }
            Method::POST => self.report(&call, now),
            _ => http::wrong_method("GET, POST"),
        }
    }

    /// The super nodes that are reachable now.
    fn list(&self, now: u64) -> SuperNodes {
        let revocations = self
            .revocations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        let current = listed
            .iter()
            .filter(|(_, it)| it.until >= now && !revocations.contains(it.serial));
        let super_nodes = current
            .map(|(node, it)| SuperNode {
                node: node.to_string(),
                ws: it.ws.clone(),
                quic: it.quic.clone(),
            })
            .collect();
        SuperNodes { super_nodes }
    }

    fn report(&self, call: &Call, now: u64) -> Response<Body> {
        if call.headers.contains_key(header::ORIGIN) {
            return forbidden("foreign_origin", "Pages don't report super nodes.");
        }
        let report: Report = match call.json() {
            Ok(report) => report,
            Err(misread) => return misread.answer(),
        };
        let known = self
            .revocations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let certificate = match proof::admit(&self.anchor, &report.certificate, &known, now) {
            Ok(certificate) => certificate,
            Err(refusal) => return refuse(refusal),
        };
        let Some(node) = certificate.node() else {
            return refuse(Refusal::Role);
        };
        let overlay = self.anchor.overlay().to_string();
        let text = wire::report_text(&overlay, report.timestamp, &report.ws, &report.quic);
        if !proof::is_signed(certificate.public_key(), &text, &report.signature) {
            return forbidden(
                "invalid_signature",
                "The report is not signed by the certificate's key.",
            );
        }
        if !proof::is_recent(report.timestamp, now) {
            return forbidden(
                "wrong_clock",
                "This node's clock is more than ten minutes wrong.",
            );
        }
        if !is_web_socket(&report.ws) || !is_address(&report.quic) {
            let sentence = "The addresses must be a ws:// or wss:// address and host:port.";
            return http::fault(StatusCode::BAD_REQUEST, "invalid_request", sentence);
        }
        self.enter(node, certificate.serial(), report, now)
    }

    fn enter(
        &self,
        node: NodeId,
        serial: credential::Serial,
        report: Report,
        now: u64,
    ) -> Response<Body> {
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        // entries stay for as long as a replay of their report would pass
        listed.retain(|_, it| it.stamp.saturating_add(proof::SKEW) >= now || it.until >= now);
        if listed
            .get(&node)
            .is_some_and(|it| it.stamp >= report.timestamp)
        {
            return forbidden(
                "replayed",
                "A report as late as this one has been taken before.",
            );
        }
        if listed.len() >= self.config.most && !listed.contains_key(&node) {
            let sentence = "The list is full.";
            let full = http::fault(
                StatusCode::SERVICE_UNAVAILABLE,
                "temporarily_unavailable",
                sentence,
            );
            return http::with(full, header::RETRY_AFTER, &self.config.listed.to_string());
        }
        let until = now.saturating_add(self.config.listed * 1_000);
        let Report {
            ws,
            quic,
            timestamp: stamp,
            ..
        } = report;
        listed.insert(
            node,
            Entry {
                ws,
                quic,
                serial,
                stamp,
                until,
            },
        );
        let mut response = Response::new(Body::default());
        *response.status_mut() = StatusCode::NO_CONTENT;
        response
    }
}

fn refuse(refusal: Refusal) -> Response<Body> {
    let sentence = match refusal {
        Refusal::Expired | Refusal::NotYetValid => "The certificate is not in force now.",
        Refusal::Revoked => "The certificate has been taken back.",
        Refusal::Role | Refusal::Authority => "The certificate is not a super node's.",
        Refusal::Overlay | Refusal::Issuer | Refusal::Signature => {
            "The certificate is not one of this network."
        }
    };
    forbidden("invalid_credential", sentence)
}

fn forbidden(error: &str, sentence: &str) -> Response<Body> {
    http::fault(StatusCode::FORBIDDEN, error, sentence)
}

/// The root certificate handed in isn't an overlay's root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootFault;

impl fmt::Display for RootFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this is no overlay's root certificate")
    }
}

impl std::error::Error for RootFault {}
