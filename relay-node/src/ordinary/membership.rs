//! The user whose node this is: key, certificate and the overlay's root, kept in the data directory.
//!
//! | file | what | mode |
//! |---|---|---|
//! | `user.key` | the user's key on this device, PKCS#8 in DER | 0600 |
//! | `root.der` | the overlay's root, pinned with the first certificate | 0644 |
//! | `credential.json` | the certificate, as a login server or `relay-node ca issue user` gave it | 0644 |

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use credential::{Certificate, Instance, Refusal, TrustAnchor};
use login_server::wire::{Credential, GuestRequest, RenewRequest, renew_text};
use tokio::time::sleep;

use crate::client::{Client, ClientError};
use crate::clock::Clock;
use crate::config::{OrdinaryNode, Origin};
use crate::crypto::{Key, entropy};
use crate::identity::{self, IdentityError, Vault};

const FILE: &str = "credential.json";
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LAST_RETRY: Duration = Duration::from_secs(30);

/// A user on this device.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) key: Key,
    pub(crate) certificate: Certificate,
    pub(crate) anchor: TrustAnchor,
    pub(crate) uri: String,
}

/// Why there is no certificate.
#[derive(Debug)]
pub enum MemberError {
    /// There is none, and no login server to get one from.
    None(PathBuf),
    /// No newer one was put into the data directory.
    NoneNewer(PathBuf),
    /// The login server gives none.
    Login(Origin, ClientError),
    /// What is kept or was given does not count.
    Identity(IdentityError),
}

impl fmt::Display for MemberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None(data) => write!(
                f,
                "this node has no user's certificate and no login server to become a guest at: name one as `login`, or \
                 have a certificate issued by `relay-node ca issue user NAME --out {}`",
                data.display()
            ),
            Self::NoneNewer(data) => write!(
                f,
                "have the next one issued by `relay-node ca issue user NAME --out {}`; it is taken up without a restart",
                data.display()
            ),
            Self::Login(login, error) => write!(f, "the login server {login} {error}"),
            Self::Identity(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for MemberError {}

impl From<IdentityError> for MemberError {
    fn from(error: IdentityError) -> Self {
        Self::Identity(error)
    }
}

/// Takes the certificate from the data directory, or becomes a guest, however long the login server takes to appear.
pub(crate) async fn obtain(
    config: &OrdinaryNode,
    vault: &Vault,
    client: &Client,
    clock: &Clock,
) -> Result<Member, MemberError> {
    let key = vault.named_key("user.key")?;
    match kept(config, vault, &key, clock.wall()) {
        Ok(Some(member)) => return Ok(member),
        Ok(None) => {}
        Err(IdentityError::Refused(refusal)) if config.login.is_some() => {
            tracing::warn!(%refusal, "the certificate at hand does not count any more: becoming a guest anew");
        }
        Err(error) => return Err(error.into()),
    }
    let Some(login) = &config.login else {
        return Err(MemberError::None(config.data.clone()));
    };
    let request = GuestRequest {
        public_key: STANDARD.encode(key.public().to_spki()),
        instance: instance().to_string(),
        name: config.guest.clone(),
    };
    let mut wait = FIRST_RETRY;
    loop {
        let asked: Result<Credential, _> = client.post(login, "/guest", &request).await;
        match asked {
            Ok(credential) => return Ok(keep(config, vault, &key, &credential, clock.wall())?),
            Err(error) if error.passing() => {
                tracing::warn!(%login, "the login server {error}; trying again");
                sleep(wait).await;
                wait = (wait * 2).min(LAST_RETRY);
            }
            Err(error) => return Err(MemberError::Login(login.clone(), error)),
        }
    }
}

/// Asks for the next certificate over the same key; without a login server, looks whether a newer one was put there.
pub(crate) async fn renew(
    config: &OrdinaryNode,
    vault: &Vault,
    client: &Client,
    clock: &Clock,
    member: &Member,
) -> Result<Member, MemberError> {
    let Some(login) = &config.login else {
        let kept = kept(config, vault, &member.key, clock.wall())?;
        return kept
            .filter(|kept| kept.certificate.not_after() > member.certificate.not_after())
            .ok_or_else(|| MemberError::NoneNewer(config.data.clone()));
    };
    let (timestamp, public_key) = (clock.wall(), STANDARD.encode(member.key.public().to_spki()));
    let overlay = member.anchor.overlay().to_string();
    let text = renew_text(&overlay, timestamp, &public_key);
    let request = RenewRequest {
        certificate: STANDARD.encode(member.certificate.der()),
        public_key,
        timestamp,
        signature: STANDARD.encode(member.key.sign(text.as_bytes()).0),
    };
    let credential: Credential = client
        .post(login, "/renew", &request)
        .await
        .map_err(|error| MemberError::Login(login.clone(), error))?;
    Ok(keep(config, vault, &member.key, &credential, clock.wall())?)
}

/// How long until a certificate is at the half of its life.
pub(crate) fn until_half_life(member: &Member, wall: u64) -> Duration {
    let certificate = &member.certificate;
    let half = certificate.not_before() / 2 + certificate.not_after() / 2;
    Duration::from_millis(half.saturating_sub(wall))
}

fn kept(
    config: &OrdinaryNode,
    vault: &Vault,
    key: &Key,
    wall: u64,
) -> Result<Option<Member>, IdentityError> {
    let Some(text) = vault.read(FILE)? else {
        return Ok(None);
    };
    let credential =
        serde_json::from_slice(&text).map_err(|_| IdentityError::Broken("credential.json"))?;
    accept(config, vault, key, &credential, wall).map(Some)
}

fn keep(
    config: &OrdinaryNode,
    vault: &Vault,
    key: &Key,
    credential: &Credential,
    wall: u64,
) -> Result<Member, IdentityError> {
    let member = accept(config, vault, key, credential, wall)?;
    vault.pin(&member.anchor)?;
    let text = serde_json::to_vec_pretty(credential).map_err(|_| IdentityError::Broken(FILE))?;
    vault.write(FILE, &text, 0o644)?;
    Ok(member)
}

fn accept(
    config: &OrdinaryNode,
    vault: &Vault,
    key: &Key,
    credential: &Credential,
    wall: u64,
) -> Result<Member, IdentityError> {
    let pinned = vault.pinned()?;
    let (anchor, certificate) = identity::admit(
        &credential.root,
        &credential.certificate,
        pinned.as_ref(),
        wall,
    )?;
    let offered = anchor.overlay();
    if let Some(pinned) = config.overlay.filter(|wanted| *wanted != offered) {
        return Err(IdentityError::OtherOverlay { pinned, offered });
    }
    let (uri, _) = certificate
        .user()
        .ok_or(IdentityError::Refused(Refusal::Role))?;
    if certificate.public_key() != key.public() {
        return Err(IdentityError::OtherKey);
    }
    Ok(Member {
        key: key.clone(),
        uri: uri.to_owned(),
        certificate,
        anchor,
    })
}

/// A random UUID, version 4 (RFC 9562 §5.4).
fn instance() -> Instance {
    let mut bytes = entropy::<16>();
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    Instance(bytes)
}
