//! `relay-node ca`: the overlay's authority by hand, for a network without a login server.
//!
//! Whoever gets a certificate gets a directory that a node's `data` can be. A key that is there already is certified, so
//! that it need never leave its machine: only the public half, in a file, has to be brought here.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use credential::{Certificate, PublicKey, Serial};
use login_server::wire::{Credential, Enrolment};
use login_server::{OfflineAuthority, OfflineError};
use serde::Deserialize;

use crate::clock::Clock;
use crate::identity::{IdentityError, Vault};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const ENROLMENT: &str = "enrolment.json";
const CREDENTIAL: &str = "credential.json";
const REVOCATIONS: &str = "revocations.bin";

/// What `relay-node ca` can do.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Makes the root key and certificate of a new overlay.
    New {
        /// Directory of the authority; must not hold one yet. Keep it secret and back it up.
        #[arg(long, value_name = "DIR")]
        ca: PathBuf,
        /// Domain of the users.
        #[arg(long)]
        domain: String,
    },
    /// Issues a certificate into a directory that can be a node's `data`.
    Issue {
        /// For whom.
        #[command(subcommand)]
        whom: Whom,
    },
    /// Takes certificates back and writes the list of all that were.
    Revoke {
        /// Directory of the authority.
        #[arg(long, value_name = "DIR")]
        ca: PathBuf,
        /// Where the list goes; `revocations.bin` beside the root key, if not given.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// The `enrolment.json` or `credential.json` of each.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

/// Whom a certificate is for.
#[derive(Debug, Subcommand)]
pub enum Whom {
    /// A super node. A directory that has been a super node's keeps its node id.
    SuperNode(Issue),
    /// A user on one device.
    User {
        /// `alice`, or `sip:alice@example.org` for another domain.
        name: String,
        #[command(flatten)]
        /// What every certificate needs.
        issue: Issue,
    },
}

/// What every certificate needs.
#[derive(Debug, Args)]
pub struct Issue {
    /// Directory of the authority.
    #[arg(long, value_name = "DIR")]
    pub ca: PathBuf,
    /// Directory for key, certificate and root; made if missing.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// File with the node's public key (SubjectPublicKeyInfo, DER or PEM), if the key itself stays elsewhere.
    #[arg(long, value_name = "FILE")]
    pub public_key: Option<PathBuf>,
    /// How many days it lasts.
    #[arg(long, default_value_t = 365)]
    pub days: u32,
}

/// Why the authority did not do what it should.
#[derive(Debug)]
pub enum CaError {
    /// The authority itself.
    Authority(OfflineError),
    /// A directory.
    Identity(IdentityError),
    /// A file that isn't what it should be.
    File(PathBuf, String),
}

impl fmt::Display for CaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authority(error) => error.fmt(f),
            Self::Identity(error) => error.fmt(f),
            Self::File(path, why) => write!(f, "{}: {why}", path.display()),
        }
    }
}

impl std::error::Error for CaError {}

impl From<OfflineError> for CaError {
    fn from(error: OfflineError) -> Self {
        Self::Authority(error)
    }
}

impl From<IdentityError> for CaError {
    fn from(error: IdentityError) -> Self {
        Self::Identity(error)
    }
}

/// Does it, and says in one line what was done.
///
/// # Errors
/// See [`CaError`].
pub fn act(action: &Action, clock: &Clock) -> Result<String, CaError> {
    match action {
        Action::New { ca, domain } => {
            let made = OfflineAuthority::make(ca, domain, clock.wall())?;
            Ok(format!("overlay {} for {}", made.overlay(), made.domain()))
        }
        Action::Issue {
            whom: Whom::SuperNode(issue),
        } => super_node(issue, clock),
        Action::Issue {
            whom: Whom::User { name, issue },
        } => user(name, issue, clock),
        Action::Revoke { ca, out, files } => revoke(ca, out.as_deref(), files, clock),
    }
}

fn super_node(issue: &Issue, clock: &Clock) -> Result<String, CaError> {
    let (authority, vault, key) = prepare(issue, "node.key", clock)?;
    let before = vault.read(ENROLMENT)?;
    let before: Option<Enrolment> = before.and_then(|text| serde_json::from_slice(&text).ok());
    let node = before.and_then(|enrolment| enrolment.node.parse().ok());
    let enrolment = authority.super_node(key, node, clock.wall(), lifetime(issue))?;
    keep(&vault, ENROLMENT, &enrolment, authority.root())?;
    Ok(format!("super node {}", enrolment.node))
}

fn user(name: &str, issue: &Issue, clock: &Clock) -> Result<String, CaError> {
    let (authority, vault, key) = prepare(issue, "user.key", clock)?;
    let before = vault.read(CREDENTIAL)?;
    let before: Option<Credential> = before.and_then(|text| serde_json::from_slice(&text).ok());
    // A renewal is for the same device.
    let instance = before
        .and_then(|credential| STANDARD.decode(credential.certificate).ok())
        .and_then(|der| Certificate::read(&der).ok())
        .and_then(|certificate| Some(certificate.user()?.1));
    let credential = authority.user(key, name, instance, clock.wall(), lifetime(issue))?;
    keep(&vault, CREDENTIAL, &credential, authority.root())?;
    Ok(credential.uri)
}

fn revoke(
    ca: &Path,
    out: Option<&Path>,
    files: &[PathBuf],
    clock: &Clock,
) -> Result<String, CaError> {
    let mut authority = OfflineAuthority::open(ca, clock.wall())?;
    let serials = files.iter().map(|path| serial(path));
    let serials = serials.collect::<Result<Vec<_>, _>>()?;
    let list = authority.revoke(&serials, clock.wall())?;
    let path = out.map_or_else(|| ca.join(REVOCATIONS), Path::to_owned);
    std::fs::write(&path, list.to_bytes()).map_err(|error| file(&path, error))?;
    Ok(format!("list {} in {}", list.number(), path.display()))
}

/// Opens the authority and the directory, and finds the key to certify.
fn prepare(
    issue: &Issue,
    name: &'static str,
    clock: &Clock,
) -> Result<(OfflineAuthority, Vault, PublicKey), CaError> {
    let authority = OfflineAuthority::open(&issue.ca, clock.wall())?;
    let key = issue.public_key.as_deref().map(public_key).transpose()?;
    let vault = Vault::open(&issue.out)?;
    let other = vault.read("root.der")?;
    if other.is_some_and(|root| root != authority.root()) {
        let why = "belongs to another overlay; each overlay needs a directory of its own";
        return Err(file(&issue.out.join("root.der"), why));
    }
    let key = match key {
        Some(key) => key,
        None => vault.named_key(name)?.public(),
    };
    Ok((authority, vault, key))
}

fn keep(
    vault: &Vault,
    name: &str,
    document: &impl serde::Serialize,
    root: &[u8],
) -> Result<(), CaError> {
    let text = serde_json::to_vec_pretty(document)
        .map_err(|error| CaError::File(name.into(), error.to_string()))?;
    vault.write("root.der", root, 0o644)?;
    vault.write(name, &text, 0o644)?;
    Ok(())
}

fn lifetime(issue: &Issue) -> u64 {
    u64::try_from((DAY * issue.days).as_millis()).unwrap_or(u64::MAX)
}

fn public_key(path: &Path) -> Result<PublicKey, CaError> {
    let bytes = std::fs::read(path).map_err(|error| file(path, error))?;
    let der = match std::str::from_utf8(&bytes) {
        Ok(text) => {
            let lines = text.lines().filter(|line| !line.starts_with("-----"));
            let joined: String = lines.map(str::trim).collect();
            STANDARD.decode(joined).map_err(|error| file(path, error))?
        }
        Err(_) => bytes,
    };
    PublicKey::from_spki(&der).ok_or_else(|| file(path, "is no P-256 public key"))
}

fn serial(path: &Path) -> Result<Serial, CaError> {
    #[derive(Deserialize)]
    struct Document {
        certificate: String,
    }
    let text = std::fs::read(path).map_err(|error| file(path, error))?;
    let document: Document = serde_json::from_slice(&text).map_err(|error| file(path, error))?;
    let der = STANDARD.decode(document.certificate).ok();
    der.and_then(|der| Certificate::read(&der).ok())
        .map(|certificate| certificate.serial())
        .ok_or_else(|| file(path, "holds no certificate of an overlay"))
}

fn file(path: &Path, why: impl fmt::Display) -> CaError {
    CaError::File(path.to_owned(), why.to_string())
}
