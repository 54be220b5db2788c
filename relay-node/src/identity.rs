//! Who this node is: its key, its certificate and the overlay's root, kept in the data directory.
//!
//! | file | what | mode |
//! |---|---|---|
//! | `node.key` | the node's key, PKCS#8 in DER | 0600 |
//! | `root.der` | the overlay's root, pinned at the first enrolment | 0644 |
//! | `relay.secret` | what the relay's credentials are made with | 0600 |
//! | `enrolment.json` | certificate, member statement and domain, as the login server gave them | 0644 |

use std::fmt;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use credential::{
    Certificate, MemberStatement, NodeId, OverlayId, Refusal, RevocationList, TrustAnchor,
};
use login_server::wire::Enrolment;

use crate::crypto::{self, Key};

/// Key, certificate and trust of one super node.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The node's key.
    pub key: Key,
    /// The certificate over that key.
    pub certificate: Certificate,
    /// The compact statement of the same.
    pub statement: MemberStatement,
    /// The overlay's authority.
    pub anchor: TrustAnchor,
    /// The node's id.
    pub node: NodeId,
    /// The domain of the overlay's users.
    pub domain: String,
}

/// Why the data directory or an enrolment does not make an identity.
#[derive(Debug)]
pub enum IdentityError {
    /// A file can't be read or written.
    File(PathBuf, std::io::Error),
    /// A file or a field isn't what it should be.
    Broken(&'static str),
    /// The credential is of another overlay than the one pinned.
    OtherOverlay {
        /// The overlay of the data directory.
        pinned: OverlayId,
        /// The overlay of the credential.
        offered: OverlayId,
    },
    /// The credential does not count.
    Refused(Refusal),
    /// The credential is over another key.
    OtherKey,
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Broken(what) => write!(f, "{what} can't be read"),
            Self::OtherOverlay { pinned, offered } => write!(
                f,
                "the credential is of overlay {offered}, but this node belongs to overlay {pinned}: name the login server \
                 of {pinned}, or join the other overlay with an empty data directory and without `overlay` in the file"
            ),
            Self::Refused(refusal) => write!(f, "the certificate is refused: {refusal}"),
            Self::OtherKey => f.write_str("the certificate is over another key than this node's"),
        }
    }
}

impl std::error::Error for IdentityError {}

/// The files of an identity.
#[derive(Debug, Clone)]
pub struct Vault {
    directory: PathBuf,
}

impl Vault {
    /// Uses a directory, and makes it if it isn't there.
    ///
    /// # Errors
    /// It can't be made.
    pub fn open(directory: &Path) -> Result<Self, IdentityError> {
        std::fs::create_dir_all(directory)
            .map_err(|error| IdentityError::File(directory.into(), error))?;
        Ok(Self {
            directory: directory.into(),
        })
    }

    /// Reads the node's key, and makes one the first time.
    ///
    /// # Errors
    /// The file can't be used.
    pub fn key(&self) -> Result<Key, IdentityError> {
        self.named_key("node.key")
    }

    /// Reads the key in a file, and makes one the first time.
    ///
    /// # Errors
    /// The file can't be used.
    pub fn named_key(&self, name: &'static str) -> Result<Key, IdentityError> {
        if let Some(bytes) = self.read(name)? {
            return Key::read(&bytes).map_err(|_| IdentityError::Broken(name));
        }
        let key = Key::generate();
        self.write(name, key.pkcs8(), 0o600)?;
        Ok(key)
    }

    /// Reads the secret of the relay's credentials, and makes one the first time: what was given out shall be good after
    /// a restart.
    ///
    /// # Errors
    /// The file can't be used.
    pub fn relay_secret(&self) -> Result<[u8; 32], IdentityError> {
        let name = "relay.secret";
        if let Some(bytes) = self.read(name)? {
            return bytes.try_into().map_err(|_| IdentityError::Broken(name));
        }
        let secret: [u8; 32] = crypto::entropy();
        self.write(name, &secret, 0o600)?;
        Ok(secret)
    }

    /// Reads the identity, if the node has been enrolled.
    ///
    /// # Errors
    /// There is one and it does not count at `wall` (milliseconds since 1970).
    pub fn identity(&self, key: &Key, wall: u64) -> Result<Option<Identity>, IdentityError> {
        let Some(bytes) = self.read("enrolment.json")? else {
            return Ok(None);
        };
        let enrolment: Enrolment =
            serde_json::from_slice(&bytes).map_err(|_| IdentityError::Broken("enrolment.json"))?;
        let pinned = self.pinned()?.ok_or(IdentityError::Broken("root.der"))?;
        accept(key, &enrolment, Some(&pinned), wall).map(Some)
    }

    /// Checks what the login server gave, keeps it, and pins its root the first time.
    ///
    /// # Errors
    /// It does not count at `wall`, or is of another overlay than the one pinned.
    pub fn keep(
        &self,
        key: &Key,
        enrolment: &Enrolment,
        wall: u64,
    ) -> Result<Identity, IdentityError> {
        let pinned = self.pinned()?;
        let identity = accept(key, enrolment, pinned.as_ref(), wall)?;
        self.pin(&identity.anchor)?;
        let text = serde_json::to_vec_pretty(enrolment)
            .map_err(|_| IdentityError::Broken("enrolment.json"))?;
        self.write("enrolment.json", &text, 0o644)?;
        Ok(identity)
    }

    /// Reads a file that may be missing.
    ///
    /// # Errors
    /// It is there and can't be read.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, IdentityError> {
        let path = self.directory.join(name);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(IdentityError::File(path, error)),
        }
    }

    /// Replaces a file as a whole.
    ///
    /// # Errors
    /// It can't be written.
    pub fn write(&self, name: &str, bytes: &[u8], mode: u32) -> Result<(), IdentityError> {
        let path = self.directory.join(name);
        let fresh = self.directory.join(format!("{name}.new"));
        let writing = || {
            let _ = std::fs::remove_file(&fresh);
            let mut file = std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(mode)
                .open(&fresh)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            std::fs::rename(&fresh, &path)
        };
        writing().map_err(|error| IdentityError::File(path.clone(), error))
    }

    /// Keeps the overlay's root, the first time.
    ///
    /// # Errors
    /// It can't be written.
    pub(crate) fn pin(&self, anchor: &TrustAnchor) -> Result<(), IdentityError> {
        if self.pinned()?.is_none() {
            self.write("root.der", anchor.certificate().der(), 0o644)?;
        }
        Ok(())
    }

    /// The overlay's root that was kept.
    ///
    /// # Errors
    /// It can't be read.
    pub(crate) fn pinned(&self) -> Result<Option<TrustAnchor>, IdentityError> {
        let Some(root) = self.read("root.der")? else {
            return Ok(None);
        };
        TrustAnchor::read(&root)
            .map(Some)
            .map_err(|_| IdentityError::Broken("root.der"))
    }
}

fn accept(
    key: &Key,
    enrolment: &Enrolment,
    pinned: Option<&TrustAnchor>,
    wall: u64,
) -> Result<Identity, IdentityError> {
    let (anchor, certificate) = admit(&enrolment.root, &enrolment.certificate, pinned, wall)?;
    let node = certificate
        .node()
        .ok_or(IdentityError::Refused(Refusal::Role))?;
    if certificate.public_key() != key.public() {
        return Err(IdentityError::OtherKey);
    }
    let statement = MemberStatement::read(&decode(&enrolment.statement, "the member statement")?)
        .filter(|statement| statement.node == node && statement.key == key.public())
        .ok_or(IdentityError::Broken("the member statement"))?;
    Ok(Identity {
        key: key.clone(),
        certificate,
        statement,
        anchor,
        node,
        domain: enrolment.domain.clone(),
    })
}

/// Reads and checks a root and a certificate under it, both base64.
pub(crate) fn admit(
    root: &str,
    certificate: &str,
    pinned: Option<&TrustAnchor>,
    wall: u64,
) -> Result<(TrustAnchor, Certificate), IdentityError> {
    let root = decode(root, "the overlay's root")?;
    let offered =
        TrustAnchor::read(&root).map_err(|_| IdentityError::Broken("the overlay's root"))?;
    let anchor = match pinned {
        Some(pinned) if pinned.certificate().der() != root => {
            return Err(IdentityError::OtherOverlay {
                pinned: pinned.overlay(),
                offered: offered.overlay(),
            });
        }
        Some(_) | None => offered,
    };
    let certificate = Certificate::read(&decode(certificate, "the certificate")?)
        .map_err(|_| IdentityError::Broken("the certificate"))?;
    let revocations = RevocationList::empty(anchor.overlay());
    let check = match anchor.admit(&certificate, wall, &revocations) {
        Ok(check) => check,
        Err(Refusal::Overlay) => {
            return Err(IdentityError::OtherOverlay {
                pinned: anchor.overlay(),
                offered: certificate.overlay(),
            });
        }
        Err(refusal) => return Err(IdentityError::Refused(refusal)),
    };
    if !crypto::verify(&check.key, &check.message, &check.signature) {
        return Err(IdentityError::Refused(Refusal::Signature));
    }
    Ok((anchor, certificate))
}

fn decode(text: &str, what: &'static str) -> Result<Vec<u8>, IdentityError> {
    STANDARD
        .decode(text)
        .map_err(|_| IdentityError::Broken(what))
}
