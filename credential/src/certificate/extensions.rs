//! The extensions of a certificate, and the role that they agree on.

use alloc::string::ToString;

use super::{CertificateError, Subject};
use crate::der::{self, Reader};
use crate::profile;
use crate::{Instance, NodeId, OverlayId};

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
pub(super) struct Extensions<'a> {
    pub(super) overlay: Option<OverlayId>,
    key_usage: Option<&'a [u8]>,
    usages: Option<Usages>,
    names: Option<&'a [u8]>,
    constraints: Option<&'a [u8]>,
    subject_key: Option<()>,
    authority_key: Option<()>,
}

impl<'a> Extensions<'a> {
    pub(super) fn read(contents: &'a [u8]) -> Result<Self, CertificateError> {
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
    pub(super) fn subject(&self) -> Result<Option<Subject>, CertificateError> {
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
