use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use crate::der::{self, Reader};
use crate::profile;
use crate::{Instance, NodeId, OverlayId, PublicKey, Serial, Signature};

mod extensions;

use extensions::Extensions;

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
