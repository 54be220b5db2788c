//! The certificate authority by hand, for an overlay without a login server (draft §3): no accounts, no HTTP.
//!
//! | file | what |
//! |---|---|
//! | `root-key.pkcs8` | the root key, as a login server keeps it; secret |
//! | `root.der` | the root certificate |
//! | `offline.json` | domain of the users, and the serials taken back |

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use credential::profile::is_canonical;
use credential::{Instance, NodeId, PublicKey, RevocationList, Serial};
use serde::{Deserialize, Serialize};

use crate::OpenError;
use crate::authority::Authority;
use crate::config::is_domain;
use crate::store::random;
use crate::wire::{Credential, Enrolment};

const STATE: &str = "offline.json";

/// An overlay's authority in the hands of its operator.
#[derive(Debug)]
pub struct OfflineAuthority {
    authority: Authority,
    directory: PathBuf,
    state: State,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    domain: String,
    /// The number of the last revocation list.
    number: u64,
    /// Serials taken back, in hex.
    revoked: Vec<String>,
}

/// Why the authority does not do what it is asked.
#[derive(Debug)]
pub enum OfflineError {
    /// The directory can't be used.
    Open(OpenError),
    /// There is no authority in the directory.
    None(PathBuf),
    /// There is one already.
    Exists(PathBuf),
    /// Not a domain.
    Domain(String),
    /// No user that a certificate can name.
    User(String),
    /// The certificate could not be written.
    Issue(String),
    /// A list holds no more.
    Full,
}

impl core::fmt::Display for OfflineError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Open(error) => error.fmt(f),
            Self::None(path) => write!(
                f,
                "{} holds no certificate authority: make one with `relay-node ca new`",
                path.display()
            ),
            Self::Exists(path) => write!(
                f,
                "{} already holds a certificate authority; a new overlay needs an empty directory",
                path.display()
            ),
            Self::Domain(text) => write!(f, "`{text}` is no domain: write it as example.org"),
            Self::User(text) => write!(
                f,
                "`{text}` is no user that a certificate can name: write alice, or sip:alice@example.org"
            ),
            Self::Issue(why) => write!(f, "no certificate was made: {why}"),
            Self::Full => write!(
                f,
                "a revocation list holds at most {} certificates",
                RevocationList::MAXIMUM
            ),
        }
    }
}

impl std::error::Error for OfflineError {}

impl From<OpenError> for OfflineError {
    fn from(error: OpenError) -> Self {
        Self::Open(error)
    }
}

impl OfflineAuthority {
    /// Makes a new overlay's root in an empty directory, or one that isn't there yet.
    ///
    /// # Errors
    /// See [`OfflineError`].
    pub fn make(directory: &Path, domain: &str, now: u64) -> Result<Self, OfflineError> {
        let domain = domain.to_ascii_lowercase();
        if !is_domain(&domain) {
            return Err(OfflineError::Domain(domain));
        }
        if directory.join("root-key.pkcs8").exists() || directory.join(STATE).exists() {
            return Err(OfflineError::Exists(directory.to_owned()));
        }
        crate::login::private_directory(directory).map_err(|error| file(directory, error))?;
        let made = Self {
            authority: Authority::open(directory, now)?,
            directory: directory.to_owned(),
            state: State {
                domain,
                ..State::default()
            },
        };
        made.keep()?;
        Ok(made)
    }

    /// Opens what [`make`](Self::make) made.
    ///
    /// # Errors
    /// See [`OfflineError`].
    pub fn open(directory: &Path, now: u64) -> Result<Self, OfflineError> {
        let path = directory.join(STATE);
        let text = match fs::read(&path) {
            Ok(text) if directory.join("root-key.pkcs8").exists() => text,
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(file(&path, error));
            }
            Ok(_) | Err(_) => return Err(OfflineError::None(directory.to_owned())),
        };
        let state = serde_json::from_slice(&text)
            .map_err(|error| file(&path, std::io::Error::other(error)))?;
        Ok(Self {
            authority: Authority::open(directory, now)?,
            directory: directory.to_owned(),
            state,
        })
    }

    /// The overlay's id, in hex.
    #[must_use]
    pub fn overlay(&self) -> String {
        self.authority.overlay().to_string()
    }

    /// The root certificate, DER.
    #[must_use]
    pub fn root(&self) -> &[u8] {
        self.authority.root()
    }

    /// Domain of the users.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.state.domain
    }

    /// Certifies a super node's key from `now` on for `lifetime`, both in milliseconds. Without a `node` it gets an id of
    /// the authority's choice.
    ///
    /// # Errors
    /// See [`OfflineError`].
    pub fn super_node(
        &self,
        key: PublicKey,
        node: Option<NodeId>,
        now: u64,
        lifetime: u64,
    ) -> Result<Enrolment, OfflineError> {
        let node = node.unwrap_or_else(|| NodeId(random()));
        let (certificate, statement) = self
            .authority
            .certify_node(key, node, now, now.saturating_add(lifetime))
            .map_err(|error| OfflineError::Issue(error.to_string()))?;
        Ok(Enrolment {
            node: node.to_string(),
            certificate: BASE64_STANDARD.encode(certificate.der()),
            statement: BASE64_STANDARD.encode(statement.to_bytes()),
            root: BASE64_STANDARD.encode(self.root()),
            overlay: self.overlay(),
            domain: self.state.domain.clone(),
            expires: certificate.not_after(),
        })
    }

    /// Certifies a user's key on one device. `user` is `alice` or a whole `sip:alice@example.org`.
    ///
    /// # Errors
    /// See [`OfflineError`].
    pub fn user(
        &self,
        key: PublicKey,
        user: &str,
        instance: Option<Instance>,
        now: u64,
        lifetime: u64,
    ) -> Result<Credential, OfflineError> {
        let uri = match user.strip_prefix("sip:") {
            Some(_) => user.to_owned(),
            None if user.contains('@') => format!("sip:{user}"),
            None => format!("sip:{user}@{}", self.state.domain),
        };
        if !is_canonical(&uri) {
            return Err(OfflineError::User(user.to_owned()));
        }
        let name = uri["sip:".len()..].split('@').next().unwrap_or_default();
        let certificate = self
            .authority
            .certify_user(
                key,
                &uri,
                instance.unwrap_or_else(fresh_instance),
                now,
                now.saturating_add(lifetime),
            )
            .map_err(|error| OfflineError::Issue(error.to_string()))?;
        Ok(Credential {
            name: name.to_owned(),
            guest: false,
            certificate: BASE64_STANDARD.encode(certificate.der()),
            root: BASE64_STANDARD.encode(self.root()),
            overlay: self.overlay(),
            domain: self.state.domain.clone(),
            expires: certificate.not_after(),
            uri,
        })
    }

    /// Takes certificates back, and signs the list of all that were.
    ///
    /// # Errors
    /// See [`OfflineError`].
    pub fn revoke(&mut self, serials: &[Serial], now: u64) -> Result<RevocationList, OfflineError> {
        let mut state = self.state.clone();
        for serial in serials.iter().map(ToString::to_string) {
            if !state.revoked.contains(&serial) {
                state.revoked.push(serial);
            }
        }
        if state.revoked.len() > RevocationList::MAXIMUM {
            return Err(OfflineError::Full);
        }
        state.number += 1;
        self.state = state;
        // The number first: two lists of one number would never be told apart.
        self.keep()?;
        let revoked = self
            .state
            .revoked
            .iter()
            .filter_map(|text| text.parse().ok());
        Ok(self
            .authority
            .revocations(self.state.number, now, revoked.collect()))
    }

    fn keep(&self) -> Result<(), OfflineError> {
        let path = self.directory.join(STATE);
        let text = serde_json::to_vec_pretty(&self.state)
            .map_err(|error| OfflineError::Issue(error.to_string()))?;
        let fresh = path.with_extension("new");
        fs::write(&fresh, text)
            .and_then(|()| fs::rename(&fresh, &path))
            .map_err(|error| file(&path, error))
    }
}

fn file(path: &Path, error: std::io::Error) -> OfflineError {
    OfflineError::Open(OpenError::File(path.to_owned(), error))
}

/// A random UUID, version 4 (RFC 9562 §5.4).
fn fresh_instance() -> Instance {
    let mut bytes = random::<16>();
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    Instance(bytes)
}

#[cfg(test)]
mod tests {
    use credential::{Certificate, TrustAnchor};
    use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};

    use super::*;

    const NOW: u64 = 1_795_400_000_000;
    const DAY: u64 = 24 * 60 * 60 * 1_000;

    fn key() -> PublicKey {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        PublicKey::from_point(pair.public_key_raw()).unwrap()
    }

    #[test]
    fn r092_an_authority_issues_and_takes_back_without_a_login_server() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("ca");
        let made = OfflineAuthority::make(&data, "Example.org", NOW).unwrap();
        let node = made.super_node(key(), None, NOW, 30 * DAY).unwrap();
        let again = node.node.parse().ok();
        let mut opened = OfflineAuthority::open(&data, NOW).unwrap();
        assert_eq!(opened.overlay(), node.overlay);
        let renewed = opened.super_node(key(), again, NOW, 30 * DAY).unwrap();
        assert_eq!(renewed.node, node.node);
        let alice = opened.user(key(), "alice", None, NOW, DAY).unwrap();
        assert_eq!(
            (&*alice.uri, &*alice.name),
            ("sip:alice@example.org", "alice")
        );

        let anchor = TrustAnchor::read(opened.root()).unwrap();
        let read = |text: &str| Certificate::read(&BASE64_STANDARD.decode(text).unwrap()).unwrap();
        let (node, alice) = (read(&node.certificate), read(&alice.certificate));
        let none = RevocationList::empty(anchor.overlay());
        assert!(anchor.admit(&node, NOW, &none).is_ok());
        assert!(anchor.admit(&alice, NOW, &none).is_ok());
        let list = opened.revoke(&[node.serial()], NOW).unwrap();
        assert!(anchor.admit(&node, NOW, &list).is_err());
        let mut opened = OfflineAuthority::open(&data, NOW).unwrap();
        let later = opened.revoke(&[alice.serial()], NOW).unwrap();
        assert!(later.number() > list.number());
        assert!(later.contains(node.serial()) && later.contains(alice.serial()));
    }

    #[test]
    fn an_authority_is_neither_made_twice_nor_opened_where_there_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("ca");
        let missing = OfflineAuthority::open(&data, NOW).unwrap_err().to_string();
        assert!(missing.contains("relay-node ca new"), "{missing}");
        let made = OfflineAuthority::make(&data, "example.org", NOW).unwrap();
        assert!(matches!(
            OfflineAuthority::make(&data, "example.org", NOW),
            Err(OfflineError::Exists(_))
        ));
        assert!(matches!(
            made.user(key(), "no body", None, NOW, DAY),
            Err(OfflineError::User(_))
        ));
        let elsewhere = directory.path().join("other");
        assert!(matches!(
            OfflineAuthority::make(&elsewhere, "not a domain", NOW),
            Err(OfflineError::Domain(_))
        ));
        assert!(!elsewhere.exists());
    }
}
