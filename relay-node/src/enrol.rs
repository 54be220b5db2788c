//! How a node becomes a super node: it shows an enrolment token once, and later renews by its own key.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use login_server::wire::{EnrolRenewRequest, EnrolRequest, Enrolment, enrol_renew_text};

use crate::client::{Client, ClientError};
use crate::clock::Clock;
use crate::config::{Origin, SuperNode};
use crate::identity::{Identity, IdentityError, Vault};

const FIRST_RETRY: Duration = Duration::from_millis(500);
const LAST_RETRY: Duration = Duration::from_secs(30);

/// Why a node isn't enrolled.
#[derive(Debug)]
pub enum EnrolError {
    /// There is no certificate and no token to get one.
    NoToken,
    /// There is no certificate and no login server to ask for one.
    NoLogin(std::path::PathBuf),
    /// No newer certificate was put into the data directory.
    NoneNewer(std::path::PathBuf),
    /// The token's file can't be read.
    TokenFile(std::path::PathBuf, std::io::Error),
    /// The login server does not give a certificate.
    Login(Origin, ClientError),
    /// What is kept or was given does not count.
    Identity(IdentityError),
}

impl fmt::Display for EnrolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoToken => f.write_str(
                "this node has no certificate yet and no enrolment token: the login server's operator makes one with \
                 `relay-node token --config LOGIN.toml`; put it into `token` or `token_file`",
            ),
            Self::NoLogin(data) => write!(
                f,
                "this node has no certificate and no login server to enrol at: name one as `login`, or have the \
                 certificate issued by `relay-node ca issue super-node --out {}`",
                data.display()
            ),
            Self::NoneNewer(data) => write!(
                f,
                "have the next one issued by `relay-node ca issue super-node --out {}`; it is taken up without a restart",
                data.display()
            ),
            Self::TokenFile(path, error) => {
                write!(f, "the enrolment token in {} can't be read: {error}", path.display())
            }
            Self::Login(login, error) => write!(f, "the login server {login} {error}"),
            Self::Identity(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for EnrolError {}

impl From<IdentityError> for EnrolError {
    fn from(error: IdentityError) -> Self {
        Self::Identity(error)
    }
}

/// Takes the identity from the data directory, or enrols at the login server, however long that takes to appear.
///
/// # Errors
/// Waiting won't help.
pub async fn enrol(
    config: &SuperNode,
    vault: &Vault,
    client: &Client,
    clock: &Clock,
) -> Result<Identity, EnrolError> {
    let key = vault.key()?;
    let Some(login) = &config.login else {
        let identity = vault.identity(&key, clock.wall())?;
        return identity.ok_or_else(|| EnrolError::NoLogin(config.data.clone()));
    };
    let token = token(config)?;
    match vault.identity(&key, clock.wall()) {
        Ok(Some(identity)) => return Ok(identity),
        Ok(None) => {}
        // A certificate that ended while the node was off is replaced by a fresh token.
        Err(IdentityError::Refused(refusal)) if token.is_some() => {
            tracing::warn!(%refusal, "the certificate at hand does not count any more: enrolling anew");
        }
        Err(error) => return Err(error.into()),
    }
    let token = token.ok_or(EnrolError::NoToken)?;
    let request = EnrolRequest {
        token,
        public_key: STANDARD.encode(key.public().to_spki()),
        names: names(config),
        quic: config.quic_public(),
    };
    let mut wait = FIRST_RETRY;
    loop {
        let asked: Result<Enrolment, _> = client.post(login, "/enrol", &request).await;
        match asked {
            Ok(enrolment) => return Ok(vault.keep(&key, &enrolment, clock.wall())?),
            Err(error) if error.passing() => {
                tracing::warn!(%login, "the login server {error}; trying again");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LAST_RETRY);
            }
            Err(error) => return Err(EnrolError::Login(login.clone(), error)),
        }
    }
}

/// Asks for the next certificate over the same key; without a login server, looks whether a newer one was put there.
///
/// # Errors
/// There is none now.
pub async fn renew(
    config: &SuperNode,
    vault: &Vault,
    client: &Client,
    clock: &Clock,
    identity: &Identity,
) -> Result<Identity, EnrolError> {
    let Some(login) = &config.login else {
        let kept = vault.identity(&identity.key, clock.wall())?;
        return kept
            .filter(|kept| kept.certificate.not_after() > identity.certificate.not_after())
            .ok_or_else(|| EnrolError::NoneNewer(config.data.clone()));
    };
    let (names, quic, timestamp) = (names(config), config.quic_public(), clock.wall());
    let public_key = STANDARD.encode(identity.key.public().to_spki());
    let overlay = identity.anchor.overlay().to_string();
    let text = enrol_renew_text(&overlay, timestamp, &public_key, &quic, &names);
    let request = EnrolRenewRequest {
        certificate: STANDARD.encode(identity.certificate.der()),
        public_key,
        names,
        quic,
        timestamp,
        signature: STANDARD.encode(identity.key.sign(text.as_bytes()).0),
    };
    let enrolment: Enrolment = client
        .post(login, "/enrol/renew", &request)
        .await
        .map_err(|error| EnrolError::Login(login.clone(), error))?;
    Ok(vault.keep(&identity.key, &enrolment, clock.wall())?)
}

/// How long until a certificate is at the half of its life.
#[must_use]
pub fn until_half_life(identity: &Identity, wall: u64) -> Duration {
    let certificate = &identity.certificate;
    let half = certificate.not_before() / 2 + certificate.not_after() / 2;
    Duration::from_millis(half.saturating_sub(wall))
}

/// How long a certificate that was just renewed is let be, even if it was dated so far back that it is past its half.
#[must_use]
pub fn rest(identity: &Identity, wall: u64) -> Duration {
    let left = identity.certificate.not_after().saturating_sub(wall);
    Duration::from_millis(left / 2).max(Duration::from_secs(1))
}

fn names(config: &SuperNode) -> Vec<String> {
    config.urls().map(ToString::to_string).collect()
}

fn token(config: &SuperNode) -> Result<Option<String>, EnrolError> {
    if let Some(token) = &config.token {
        return Ok(Some(token.reveal().trim().to_owned()));
    }
    let Some(path) = &config.token_file else {
        return Ok(None);
    };
    match std::fs::read_to_string(path) {
        Ok(token) => Ok(Some(token.trim().to_owned())),
        // An enrolled node does not need the file any more; one that isn't says that it lacks a token.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(EnrolError::TokenFile(path.clone(), error)),
    }
}
