//! The login server itself: what is open, and which request goes where.

use core::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use hyper::{Request, Response, body::Bytes};

use crate::http::{self, Body};
use crate::{Clock, ConfigFault, LoginConfig};

/// A login server: certificate authority and accounts of one overlay.
#[derive(Debug)]
pub struct LoginServer {
    config: LoginConfig,
    clock: Clock,
    root: Vec<u8>,
}

impl LoginServer {
    /// Opens the data directory, and makes root key, root certificate and database at the first start.
    ///
    /// # Errors
    /// What is wrong with the configuration, or which file can't be used.
    pub async fn open(config: LoginConfig, clock: Clock) -> Result<Self, OpenError> {
        config.check().map_err(OpenError::Config)?;
        Ok(Self {
            config,
            clock,
            root: Vec::new(),
        })
    }

    /// Answers one request that came from `peer`.
    pub async fn handle<B>(&self, request: Request<B>, peer: SocketAddr) -> Response<Body>
    where
        B: hyper::body::Body<Data = Bytes>,
    {
        let _ = (peer, self.clock.now(), request);
        http::not_found()
    }

    /// Makes an enrolment token for super nodes: good for `uses` enrolments within `lifetime`. Only its hash is kept.
    ///
    /// # Errors
    /// When the database can't keep it.
    pub async fn enrolment_token(
        &self,
        uses: u32,
        lifetime: Duration,
    ) -> Result<String, TokenError> {
        let _ = (uses, lifetime);
        Err(TokenError)
    }

    /// The overlay's root certificate, DER.
    #[must_use]
    pub fn root(&self) -> &[u8] {
        &self.root
    }

    /// The overlay's id in hex.
    #[must_use]
    pub fn overlay(&self) -> String {
        String::new()
    }

    /// The domain of the users.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.config.domain
    }
}

/// Why a login server can't start.
#[derive(Debug)]
pub enum OpenError {
    /// The configuration can't work.
    Config(ConfigFault),
    /// A file of the data directory can't be read or written.
    File(std::path::PathBuf, std::io::Error),
    /// The root key or certificate in the data directory isn't one.
    Authority(&'static str),
    /// The database can't be opened or brought up to date.
    Database(String),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(fault) => fault.fmt(f),
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Authority(what) => f.write_str(what),
            Self::Database(what) => write!(f, "accounts database: {what}"),
        }
    }
}

impl std::error::Error for OpenError {}

/// The database didn't keep an enrolment token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenError;

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the database did not keep the enrolment token")
    }
}

impl std::error::Error for TokenError {}
