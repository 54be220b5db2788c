//! The bootstrap server (draft §5.1): which super nodes are reachable now, over HTTP. Not part of the overlay.

use core::fmt;
use std::net::SocketAddr;

use hyper::{Request, Response, body::Bytes};
use serde::{Deserialize, Serialize};

use crate::Clock;
use crate::http::{self, Body};

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
    clock: Clock,
}

impl BootstrapServer {
    /// A bootstrap server that accepts reports of super nodes certified by `root`, a root certificate in DER.
    ///
    /// # Errors
    /// When `root` isn't an overlay's root certificate.
    pub fn open(config: BootstrapConfig, root: &[u8], clock: Clock) -> Result<Self, RootFault> {
        let _ = (config, root);
        Ok(Self { clock })
    }

    /// Answers one request that came from `peer`.
    pub async fn handle<B>(&self, request: Request<B>, peer: SocketAddr) -> Response<Body>
    where
        B: hyper::body::Body<Data = Bytes>,
    {
        let _ = (peer, request, self.clock.now());
        http::not_found()
    }
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
