//! The overlay's certificate authority: root key, root certificate, and whatever they sign.
//!
//! The key lies in `root-key.pkcs8` in the data directory, readable by its owner alone, and is made at the first
//! start; the root certificate beside it in `root.der`.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use credential::{
    Certificate, Instance, MemberStatement, NodeId, OverlayId, PublicKey, RevocationList, Serial,
    Signature, TrustAnchor,
};
use rcgen::{CertificateParams, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};

use crate::OpenError;
use crate::store::random;

mod profile;

/// An overlay's root key and certificate.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    signer: EcdsaKeyPair,
    anchor: TrustAnchor,
}

impl Authority {
    /// Opens the authority of a data directory; makes key and root certificate if they aren't there.
    pub(crate) fn open(data: &Path, now: u64) -> Result<Self, OpenError> {
        let key = load_or_make(&data.join("root-key.pkcs8"), 0o600, || {
            Ok(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?.serialize_der())
        })?;
        let bad = |_| OpenError::Authority("root-key.pkcs8 in the data directory is no P-256 key");
        let pair = KeyPair::try_from(key.as_slice()).map_err(bad)?;
        let signer =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key, &SystemRandom::new())
                .map_err(|_| {
                    OpenError::Authority("root-key.pkcs8 in the data directory is no P-256 key")
                })?;
        let overlay = overlay_of(&pair);
        let params = profile::root(overlay, serial(), now);
        let root = load_or_make(&data.join("root.der"), 0o644, || {
            Ok(params.self_signed(&pair)?.der().to_vec())
        })?;
        let anchor = TrustAnchor::read(&root).map_err(|_| {
            OpenError::Authority("root.der in the data directory is no overlay's root certificate")
        })?;
        if anchor.overlay() != overlay {
            return Err(OpenError::Authority(
                "root.der in the data directory belongs to another key",
            ));
        }
        Ok(Self {
            issuer: Issuer::new(params, pair),
            signer,
            anchor,
        })
    }

    pub(crate) fn anchor(&self) -> &TrustAnchor {
        &self.anchor
    }

    pub(crate) fn overlay(&self) -> OverlayId {
        self.anchor.overlay()
    }

    /// The root certificate, DER.
    pub(crate) fn root(&self) -> &[u8] {
        self.anchor.certificate().der()
    }

    /// Certifies a user's or guest's key on one device until `not_after`.
    pub(crate) fn certify_user(
        &self,
        key: PublicKey,
        uri: &str,
        instance: Instance,
        now: u64,
        not_after: u64,
    ) -> Result<Certificate, rcgen::Error> {
        self.issue(
            key,
            profile::user(self.overlay(), uri, instance, None)?,
            now,
            not_after,
        )
    }

    /// Certifies that super node `node` speaks, by its key, for a phone with the address `uri` until `not_after`.
    pub(crate) fn certify_phone(
        &self,
        key: PublicKey,
        uri: &str,
        node: NodeId,
        now: u64,
        not_after: u64,
    ) -> Result<Certificate, rcgen::Error> {
        let instance = Instance::of_node(node);
        let params = profile::user(self.overlay(), uri, instance, Some(node))?;
        self.issue(key, params, now, not_after)
    }

    /// Certifies a super node's key until `not_after`, on a certificate and on a statement of the same serial.
    pub(crate) fn certify_node(
        &self,
        key: PublicKey,
        node: NodeId,
        now: u64,
        not_after: u64,
    ) -> Result<(Certificate, MemberStatement), rcgen::Error> {
        let certificate = self.issue(
            key,
            profile::super_node(self.overlay(), node)?,
            now,
            not_after,
        )?;
        let mut statement = MemberStatement {
            node,
            serial: certificate.serial(),
            key,
            not_after: certificate.not_after(),
            signature: Signature([0; 64]),
        };
        statement.signature = self.sign(&statement.message(self.overlay()));
        Ok((certificate, statement))
    }

    /// Signs the list with this number.
    pub(crate) fn revocations(
        &self,
        number: u64,
        issued: u64,
        mut serials: Vec<Serial>,
    ) -> RevocationList {
        serials.truncate(RevocationList::MAXIMUM);
        let list = RevocationList::new(self.overlay(), number, issued, serials)
            .expect("no more serials than a list holds");
        let signature = self.sign(&list.message());
        list.signed(signature)
    }

    fn issue(
        &self,
        key: PublicKey,
        mut params: CertificateParams,
        now: u64,
        not_after: u64,
    ) -> Result<Certificate, rcgen::Error> {
        let not_after = not_after.min(self.anchor.certificate().not_after());
        profile::validity(&mut params, now, not_after);
        params.serial_number = Some(rcgen::SerialNumber::from_slice(&serial().0));
        let der = params.signed_by(&profile::Subject::new(key), &self.issuer)?;
        Ok(Certificate::read(der.der()).expect("this authority writes the profile that it reads"))
    }

    fn sign(&self, message: &[u8]) -> Signature {
        let signature = self
            .signer
            .sign(&SystemRandom::new(), message)
            .expect("the system has random bytes");
        Signature::from_slice(signature.as_ref()).expect("r and s of P-256 have 64 bytes")
    }
}

impl core::fmt::Debug for Authority {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Authority({})", self.overlay())
    }
}

/// A serial that nobody can foresee: the profile wants its first byte from 1 to 127.
fn serial() -> Serial {
    let mut bytes = random::<16>();
    bytes[0] = (bytes[0] & 0x3f) | 0x40;
    Serial(bytes)
}

/// The overlay's id: the first half of the SHA-256 of the root key's SubjectPublicKeyInfo.
fn overlay_of(pair: &KeyPair) -> OverlayId {
    let digest = ring::digest::digest(
        &ring::digest::SHA256,
        &rcgen::PublicKeyData::subject_public_key_info(pair),
    );
    OverlayId::from_slice(&digest.as_ref()[..OverlayId::SIZE])
        .expect("half of a SHA-256 has 16 bytes")
}

/// Reads a file, or makes it. Whoever comes second when two processes make it reads what the first one wrote.
fn load_or_make(
    path: &Path,
    mode: u32,
    make: impl FnOnce() -> Result<Vec<u8>, rcgen::Error>,
) -> Result<Vec<u8>, OpenError> {
    let failed = |error| OpenError::File(path.to_owned(), error);
    match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        read => return read.map_err(failed),
    }
    let bytes = make().map_err(|_| OpenError::Authority("the system made no key"))?;
    // written whole under another name first: a crash leaves no half a key
    let draft = draft_of(path);
    let mut file = private(&draft, mode).map_err(failed)?;
    file.write_all(&bytes)
        .and_then(|()| file.sync_all())
        .map_err(failed)?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft).map_err(failed)?;
    match linked {
        Ok(()) => Ok(bytes),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => fs::read(path).map_err(failed),
        Err(error) => Err(failed(error)),
    }
}

fn draft_of(path: &Path) -> PathBuf {
    path.with_extension(format!("draft-{}", crate::store::hex(&random::<8>())))
}

#[cfg(unix)]
fn private(path: &Path, mode: u32) -> std::io::Result<fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
}

#[cfg(not(unix))]
fn private(path: &Path, _mode: u32) -> std::io::Result<fs::File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}
