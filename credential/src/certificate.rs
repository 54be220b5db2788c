use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use crate::der::{self, Reader};
use crate::profile;
use crate::{Instance, NodeId, OverlayId, PublicKey, Serial, Signature};

/// Why bytes are not a certificate of the [profile](crate::profile).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateError {
    /// It is longer than any certificate of the profile.
    TooLarge,
    /// It is not DER, or its elements are not those of a certificate.
    Malformed,
    /// It is not of version 3.
    Version,
    /// Its serial number hasn't 16 bytes, or is negative.
    Serial,
    /// It names another signature algorithm than ECDSA with SHA-256.
    Algorithm,
    /// Its key is not of P-256.
    Key,
    /// Its validity is not two dates, or ends before it begins.
    Validity,
    /// It has an extension that the profile doesn't know.
    UnknownExtension,
    /// It has an extension twice.
    DuplicateExtension,
    /// It names no overlay, or not in 16 bytes.
    Overlay,
    /// Its key may be used for something else than its role needs, or not for that.
    KeyUsage,
    /// Its basic constraints are not those of its role.
    Constraints,
    /// It has no role, more than one, or not the one asked for.
    Role,
    /// Its alternative names are not those of its role.
    AltName,
    /// Its signature is not two numbers of at most 32 bytes.
    Signature,
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "certificate too large",
            Self::Malformed => "certificate malformed",
            Self::Version => "certificate not of version 3",
            Self::Serial => "certificate's serial number not of 16 bytes",
            Self::Algorithm => "certificate not signed with ecdsa and sha-256",
            Self::Key => "certificate's key not of p-256",
            Self::Validity => "certificate's validity is no span of time",
            Self::UnknownExtension => "certificate has an unknown extension",
            Self::DuplicateExtension => "certificate has an extension twice",
            Self::Overlay => "certificate names no overlay",
            Self::KeyUsage => "certificate's key usage not that of its role",
            Self::Constraints => "certificate's constraints not those of its role",
            Self::Role => "certificate of no role, or of another",
            Self::AltName => "certificate's names not those of its role",
            Self::Signature => "certificate's signature malformed",
        })
    }
}

impl core::error::Error for CertificateError {}

/// Whom a certificate speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A user on one of his devices.
    User {
        /// The user, as `sip:alice@example.org`, canonical.
        uri: String,
        /// The device.
        instance: Instance,
        /// The super node that holds the key, if it speaks for a SIP phone of that address and not the user himself.
        registrar: Option<NodeId>,
    },
    /// A super node.
    SuperNode {
        /// Its id.
        node: NodeId,
    },
    /// The overlay's authority itself.
    Authority,
}

/// A certificate that has the form of the profile. Whether it counts is for [`TrustAnchor::admit`] to say.
///
/// [`TrustAnchor::admit`]: crate::TrustAnchor::admit
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    signed: Range<usize>,
    issuer: Range<usize>,
    name: Range<usize>,
    serial: Serial,
    not_before: u64,
    not_after: u64,
    public_key: PublicKey,
    overlay: OverlayId,
    subject: Subject,
    signature: Signature,
}

impl Certificate {
    /// Reads a certificate in DER, strictly by the [profile](crate::profile). Its signature is not checked.
    ///
    /// # Errors
    /// The bytes are not a certificate of the profile.
    pub fn read(bytes: &[u8]) -> Result<Self, CertificateError> {
        use CertificateError::{Algorithm, Key, Malformed, Overlay, Role, Validity, Version};
        if bytes.len() > profile::MAXIMUM {
            return Err(CertificateError::TooLarge);
        }
        let mut outer = Reader::new(bytes);
        let mut parts = Reader::new(outer.expect(der::SEQUENCE).ok_or(Malformed)?);
        outer.finish().ok_or(Malformed)?;
        let (_, body, signed) = whole(&mut parts)?;
        if parts.expect(der::SEQUENCE).ok_or(Malformed)? != ECDSA_WITH_SHA256 {
            return Err(Algorithm);
        }
        let signature = parts.expect(der::BIT_STRING).and_then(der::bits);
        let signature = signature
            .and_then(Signature::from_der)
            .ok_or(CertificateError::Signature)?;
        parts.finish().ok_or(Malformed)?;

        let mut body = Reader::new(body);
        if body.expect(CONTEXT_0) != Some(&[der::INTEGER, 1, 2]) {
            return Err(Version);
        }
        let serial = body.expect(der::INTEGER).ok_or(Malformed)?;
        let serial = Serial::from_slice(serial).filter(|serial| (1..0x80).contains(&serial.0[0]));
        let serial = serial.ok_or(CertificateError::Serial)?;
        if body.expect(der::SEQUENCE).ok_or(Malformed)? != ECDSA_WITH_SHA256 {
            return Err(Algorithm);
        }
        let (_, _, issuer) = whole(&mut body)?;
        let (not_before, not_after) =
            read_validity(body.expect(der::SEQUENCE).ok_or(Malformed)?).ok_or(Validity)?;
        let (_, _, name) = whole(&mut body)?;
        let (_, _, key) = whole(&mut body)?;
        let public_key = PublicKey::from_spki(key).ok_or(Key)?;
        let extensions = body.expect(CONTEXT_3).ok_or(Malformed)?;
        body.finish().ok_or(Malformed)?;
        let extensions = Extensions::read(extensions)?;
        let subject = extensions.subject()?.ok_or(Role)?;

        Ok(Self {
            signed: place(bytes, signed),
            issuer: place(bytes, issuer),
            name: place(bytes, name),
            der: bytes.to_vec(),
            serial,
            not_before,
            not_after,
            public_key,
            overlay: extensions.overlay.ok_or(Overlay)?,
            subject,
            signature,
        })
    }

    /// The certificate as it was read.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Its number.
    #[must_use]
    pub const fn serial(&self) -> Serial {
        self.serial
    }

    /// Whom it speaks of.
    #[must_use]
    pub const fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The overlay that it counts in.
    #[must_use]
    pub const fn overlay(&self) -> OverlayId {
        self.overlay
    }

    /// The subject's key.
    #[must_use]
    pub const fn public_key(&self) -> PublicKey {
        self.public_key
    }

    /// From when on it counts, in milliseconds since 1970.
    #[must_use]
    pub const fn not_before(&self) -> u64 {
        self.not_before
    }

    /// Until when it counts, in milliseconds since 1970; this one still belongs to it.
    #[must_use]
    pub const fn not_after(&self) -> u64 {
        self.not_after
    }

    /// The user and device, if it is a user's.
    #[must_use]
    pub fn user(&self) -> Option<(&str, Instance)> {
        match &self.subject {
            Subject::User { uri, instance, .. } => Some((uri, *instance)),
            Subject::SuperNode { .. } | Subject::Authority => None,
        }
    }

    /// The super node that speaks for a user's phone by this certificate, if it is one of that kind.
    #[must_use]
    pub const fn registrar(&self) -> Option<NodeId> {
        match &self.subject {
            Subject::User { registrar, .. } => *registrar,
            Subject::SuperNode { .. } | Subject::Authority => None,
        }
    }

    /// The node id, if it is a super node's.
    #[must_use]
    pub const fn node(&self) -> Option<NodeId> {
        match &self.subject {
            Subject::SuperNode { node } => Some(*node),
            Subject::User { .. } | Subject::Authority => None,
        }
    }

    /// The bytes that the authority signed.
    pub(crate) fn signed_part(&self) -> &[u8] {
        &self.der[self.signed.clone()]
    }

    /// The authority's signature.
    pub(crate) const fn signature(&self) -> Signature {
        self.signature
    }

    /// The authority's name, in DER.
    pub(crate) fn issuer_name(&self) -> &[u8] {
        &self.der[self.issuer.clone()]
    }

    /// The subject's name, in DER.
    pub(crate) fn subject_name(&self) -> &[u8] {
        &self.der[self.name.clone()]
    }
}

const ECDSA_WITH_SHA256: [u8; 10] = [
    der::OBJECT_IDENTIFIER,
    8,
    0x2a,
    0x86,
    0x48,
    0xce,
    0x3d,
    0x04,
    0x03,
    0x02,
];
const CONTEXT_0: u8 = 0xa0;
const CONTEXT_3: u8 = 0xa3;
const DNS_NAME: u8 = 0x82;
const URI_NAME: u8 = 0x86;
const SUBJECT_KEY_IDENTIFIER: [u8; 3] = [0x55, 0x1d, 0x0e];
const KEY_USAGE: [u8; 3] = [0x55, 0x1d, 0x0f];
const SUBJECT_ALT_NAME: [u8; 3] = [0x55, 0x1d, 0x11];
const BASIC_CONSTRAINTS: [u8; 3] = [0x55, 0x1d, 0x13];
const AUTHORITY_KEY_IDENTIFIER: [u8; 3] = [0x55, 0x1d, 0x23];
const EXTENDED_KEY_USAGE: [u8; 3] = [0x55, 0x1d, 0x25];
const SERVER_AUTH: [u8; 8] = [0x2b, 6, 1, 5, 5, 7, 3, 1];
const CLIENT_AUTH: [u8; 8] = [0x2b, 6, 1, 5, 5, 7, 3, 2];
const DIGITAL_SIGNATURE: [u8; 4] = [der::BIT_STRING, 2, 7, 0x80];
const CERT_AND_CRL_SIGN: [u8; 4] = [der::BIT_STRING, 2, 1, 0x06];

/// The extensions of the profile, their contents as far as the role does not matter.
#[derive(Default)]
struct Extensions<'a> {
    overlay: Option<OverlayId>,
    key_usage: Option<&'a [u8]>,
    usages: Option<Usages>,
    names: Option<&'a [u8]>,
    constraints: Option<&'a [u8]>,
    subject_key: Option<()>,
    authority_key: Option<()>,
}

impl<'a> Extensions<'a> {
    fn read(contents: &'a [u8]) -> Result<Self, CertificateError> {
        use CertificateError::{Malformed, Overlay, Role, UnknownExtension};
        let mut outer = Reader::new(contents);
        let mut list = Reader::new(outer.expect(der::SEQUENCE).ok_or(Malformed)?);
        outer.finish().ok_or(Malformed)?;
        let mut all = Self::default();
        while !list.is_empty() {
            let (id, value) = list
                .expect(der::SEQUENCE)
                .and_then(read_extension)
                .ok_or(Malformed)?;
            if id == KEY_USAGE {
                once(&mut all.key_usage, value)?;
            } else if id == EXTENDED_KEY_USAGE {
                once(&mut all.usages, Usages::read(value).ok_or(Role)?)?;
            } else if id == SUBJECT_ALT_NAME {
                once(&mut all.names, value)?;
            } else if id == BASIC_CONSTRAINTS {
                once(&mut all.constraints, value)?;
            } else if id == SUBJECT_KEY_IDENTIFIER {
                once(&mut all.subject_key, ())?;
            } else if id == AUTHORITY_KEY_IDENTIFIER {
                once(&mut all.authority_key, ())?;
            } else if own(id) == Some(1) {
                let overlay = OverlayId::from_slice(value).ok_or(Overlay)?;
                once(&mut all.overlay, overlay)?;
            } else {
                return Err(UnknownExtension);
            }
        }
        Ok(all)
    }

    /// Finds the role that all extensions agree on.
    fn subject(&self) -> Result<Option<Subject>, CertificateError> {
        let Some(usages) = &self.usages else {
            return self.authority().map(Some);
        };
        if self.key_usage != Some(&DIGITAL_SIGNATURE) {
            return Err(CertificateError::KeyUsage);
        }
        if !matches!(self.constraints, None | Some(&[der::SEQUENCE, 0])) {
            return Err(CertificateError::Constraints);
        }
        let names = self.names.ok_or(CertificateError::AltName)?;
        let subject = match usages {
            Usages {
                user: true,
                super_node: false,
                server: false,
                client: false,
            } => user(names),
            Usages {
                user: false,
                super_node: true,
                server: true,
                client: true,
            } => node(names),
            _ => return Ok(None),
        };
        subject.map(Some).ok_or(CertificateError::AltName)
    }

    fn authority(&self) -> Result<Subject, CertificateError> {
        let constraints = self.constraints.ok_or(CertificateError::Role)?;
        if !matches!(
            *constraints,
            [der::SEQUENCE, 3, der::BOOLEAN, 1, 0xff]
                | [der::SEQUENCE, 6, der::BOOLEAN, 1, 0xff, der::INTEGER, 1, 0]
        ) {
            return Err(CertificateError::Constraints);
        }
        if self.key_usage != Some(&CERT_AND_CRL_SIGN) {
            return Err(CertificateError::KeyUsage);
        }
        if self.names.is_some() {
            return Err(CertificateError::AltName);
        }
        Ok(Subject::Authority)
    }
}

/// Which extended key usages a certificate names.
#[derive(Default)]
struct Usages {
    user: bool,
    super_node: bool,
    server: bool,
    client: bool,
}

impl Usages {
    /// Reads the usages; one that the profile doesn't know, or one named twice, is `None`.
    fn read(value: &[u8]) -> Option<Self> {
        let mut outer = Reader::new(value);
        let mut list = Reader::new(outer.expect(der::SEQUENCE)?);
        outer.finish()?;
        let mut all = Self::default();
        while !list.is_empty() {
            let id = list.expect(der::OBJECT_IDENTIFIER)?;
            let flag = match own(id) {
                Some(2) => &mut all.user,
                Some(3) => &mut all.super_node,
                _ if id == SERVER_AUTH => &mut all.server,
                _ if id == CLIENT_AUTH => &mut all.client,
                _ => return None,
            };
            if core::mem::replace(flag, true) {
                return None;
            }
        }
        Some(all)
    }
}

/// The two names of a user, in either order, and behind them that of the super node which speaks for him.
fn user(names: &[u8]) -> Option<Subject> {
    let mut outer = Reader::new(names);
    let mut list = Reader::new(outer.expect(der::SEQUENCE)?);
    outer.finish()?;
    let first = core::str::from_utf8(list.expect(URI_NAME)?).ok()?;
    let second = core::str::from_utf8(list.expect(URI_NAME)?).ok()?;
    let registrar = if list.is_empty() {
        None
    } else {
        Some(host(&mut list)?)
    };
    list.finish()?;
    let (uri, instance) = if first.starts_with("urn:uuid:") {
        (second, first)
    } else {
        (first, second)
    };
    let read: Instance = instance.parse().ok()?;
    (profile::is_canonical(uri) && read.urn() == instance).then(|| Subject::User {
        uri: uri.to_string(),
        instance: read,
        registrar,
    })
}

fn node(names: &[u8]) -> Option<Subject> {
    let mut outer = Reader::new(names);
    let mut list = Reader::new(outer.expect(der::SEQUENCE)?);
    outer.finish()?;
    let node = host(&mut list)?;
    list.finish()?;
    Some(Subject::SuperNode { node })
}

/// The name of a super node.
fn host(list: &mut Reader<'_>) -> Option<NodeId> {
    let host = core::str::from_utf8(list.expect(DNS_NAME)?).ok()?;
    let node = NodeId::from_host(host).ok()?;
    (node.host() == host).then_some(node)
}

/// The last arc of one of the profile's own object identifiers.
fn own(id: &[u8]) -> Option<u8> {
    match id.strip_prefix(&profile::PREFIX)? {
        [last] => Some(*last),
        _ => None,
    }
}

fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), CertificateError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(CertificateError::DuplicateExtension),
    }
}

/// `Extension ::= SEQUENCE { extnID, critical BOOLEAN DEFAULT FALSE, extnValue }`; since every extension of the
/// profile is understood, it does not matter whether one is critical.
fn read_extension(contents: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut parts = Reader::new(contents);
    let id = parts.expect(der::OBJECT_IDENTIFIER)?;
    if parts.optional(der::BOOLEAN)?.is_some_and(|it| it != [0xff]) {
        return None;
    }
    let value = parts.expect(der::OCTET_STRING)?;
    parts.finish()?;
    Some((id, value))
}

fn read_validity(contents: &[u8]) -> Option<(u64, u64)> {
    let mut dates = Reader::new(contents);
    let (tag, text, _) = dates.element()?;
    let not_before = der::time(tag, text)?;
    let (tag, text, _) = dates.element()?;
    let not_after = der::time(tag, text)?;
    dates.finish()?;
    (not_before <= not_after).then_some((not_before, not_after))
}

/// The next element, which must be a SEQUENCE.
fn whole<'a>(reader: &mut Reader<'a>) -> Result<(u8, &'a [u8], &'a [u8]), CertificateError> {
    let element = reader.element().ok_or(CertificateError::Malformed)?;
    if element.0 != der::SEQUENCE {
        return Err(CertificateError::Malformed);
    }
    Ok(element)
}

/// Where a part lies in the whole that it was cut from.
fn place(whole: &[u8], part: &[u8]) -> Range<usize> {
    let start = part.as_ptr() as usize - whole.as_ptr() as usize;
    start..start + part.len()
}
