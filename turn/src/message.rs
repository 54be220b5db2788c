//! The STUN message format of RFC 8489 §5 and §14.
//!
//! ```text
//!  0                   1                   2                   3
//! |0 0|  type (14)    |         length of what follows the header |
//! |                  magic cookie 0x2112A442                      |
//! |                  transaction id (96 bits)                     |
//! | attribute type (16) | length (16) | value, padded to 32 bits  | ...
//! ```
//!
//! A message is read where it lies and attributes are found by walking it: a server that answers in one packet
//! needs no table. What follows MESSAGE-INTEGRITY or FINGERPRINT is never shown (RFC 8489 §14.5, §14.7).

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::attribute;
use crate::integrity::{Integrity, Key, Sum};

/// The fixed value that tells STUN from everything else on the port.
pub const MAGIC_COOKIE: u32 = 0x2112_a442;

pub(crate) const HEADER: usize = 20;
const FINGERPRINT_XOR: u32 = 0x5354_554e;

/// What a message is for, apart from its class (12 bits).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Method(pub u16);

impl Method {
    /// The Binding method: "which address do you see?".
    pub const BINDING: Self = Self(0x001);
    /// "Give me a relayed address" (RFC 8656).
    pub const ALLOCATE: Self = Self(0x003);
    /// "Let me keep it", or, with a lifetime of zero, "take it back".
    pub const REFRESH: Self = Self(0x004);
    /// An indication: data for a peer.
    pub const SEND: Self = Self(0x006);
    /// An indication: data of a peer.
    pub const DATA: Self = Self(0x007);
    /// "Let these peers' data in".
    pub const CREATE_PERMISSION: Self = Self(0x008);
    /// "Let this number stand for that peer".
    pub const CHANNEL_BIND: Self = Self(0x009);
    /// "Open a TCP connection to this peer" (RFC 6062).
    pub const CONNECT: Self = Self(0x00a);
    /// "What follows on this connection is that peer's".
    pub const CONNECTION_BIND: Self = Self(0x00b);
    /// An indication: a peer has opened a TCP connection.
    pub const CONNECTION_ATTEMPT: Self = Self(0x00c);
}

/// Whether a message asks, tells, or answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Wants a response.
    Request,
    /// Wants none.
    Indication,
    /// The request was done.
    Success,
    /// The request was refused.
    Error,
}

/// Ties a response to its request; chosen by the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TransactionId(pub [u8; 12]);

/// Why some bytes are no STUN message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// Shorter than a header, or the length field disagrees with the datagram.
    Length,
    /// The two top bits are not zero, or the magic cookie is missing: another protocol.
    NotStun,
    /// An attribute reaches beyond the message.
    Attribute,
    /// FINGERPRINT is there and wrong.
    Fingerprint,
}

/// One attribute of a [`Message`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// One of [`attribute`], or a type unknown here.
    pub kind: u16,
    /// The value without its padding.
    pub value: &'a [u8],
}

/// A well-formed STUN message: all attributes lie inside it and the fingerprint, if any, is right.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    bytes: &'a [u8],
    fingerprint: bool,
}

impl<'a> Message<'a> {
    /// Reads a whole datagram.
    ///
    /// # Errors
    /// Says what is wrong with the bytes.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let [t0, _, l0, l1, c0, c1, c2, c3, ..] = *bytes else {
            return Err(Malformed::Length);
        };
        if t0 & 0xc0 != 0 || u32::from_be_bytes([c0, c1, c2, c3]) != MAGIC_COOKIE {
            return Err(Malformed::NotStun);
        }
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        if !length.is_multiple_of(4) || bytes.len() != HEADER + length {
            return Err(Malformed::Length);
        }
        let mut message = Self {
            bytes,
            fingerprint: false,
        };
        let mut at = HEADER;
        while at < bytes.len() {
            let (found, next) = attribute_at(bytes, at).ok_or(Malformed::Attribute)?;
            if found.kind == attribute::FINGERPRINT {
                // RFC 8489 §14.7: "the FINGERPRINT attribute MUST be the last attribute in the message"
                if next != bytes.len() || found.value != fingerprint(&bytes[..at]).to_be_bytes() {
                    return Err(Malformed::Fingerprint);
                }
                message.fingerprint = true;
            }
            at = next;
        }
        Ok(message)
    }

    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The class.
    #[must_use]
    pub fn class(&self) -> Class {
        match (self.bytes[0] & 1, self.bytes[1] & 0x10) {
            (0, 0) => Class::Request,
            (0, _) => Class::Indication,
            (_, 0) => Class::Success,
            (_, _) => Class::Error,
        }
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> Method {
        let kind = u16::from_be_bytes([self.bytes[0], self.bytes[1]]);
        Method((kind & 0x000f) | ((kind & 0x00e0) >> 1) | ((kind & 0x3e00) >> 2))
    }

    /// The transaction id.
    #[must_use]
    pub fn transaction(&self) -> TransactionId {
        let mut id = [0; 12];
        id.copy_from_slice(&self.bytes[8..HEADER]);
        TransactionId(id)
    }

    /// Whether the message carries a (right) FINGERPRINT, so that its answer should, too.
    #[must_use]
    pub fn has_fingerprint(&self) -> bool {
        self.fingerprint
    }

    /// Walks the attributes, up to and with the first MESSAGE-INTEGRITY, MESSAGE-INTEGRITY-SHA256 or FINGERPRINT.
    ///
    /// "With the exception of the FINGERPRINT and MESSAGE-INTEGRITY-SHA256 attributes, agents MUST ignore all
    /// other attributes that follow MESSAGE-INTEGRITY" (RFC 8489 §14.5).
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'a>> {
        let bytes = self.bytes;
        let mut at = HEADER;
        let mut sealed = false;
        core::iter::from_fn(move || {
            loop {
                let (found, next) = attribute_at(bytes, at)?;
                at = next;
                let seals = matches!(
                    found.kind,
                    attribute::MESSAGE_INTEGRITY
                        | attribute::MESSAGE_INTEGRITY_SHA256
                        | attribute::FINGERPRINT
                );
                if sealed && !seals {
                    continue;
                }
                sealed |= seals;
                return Some(found);
            }
        })
    }

    /// The address in an attribute of the form of XOR-MAPPED-ADDRESS; nothing, if it has not that form.
    #[must_use]
    pub fn unmask(&self, value: &[u8]) -> Option<SocketAddr> {
        let [_, family, p0, p1, ref octets @ ..] = *value else {
            return None;
        };
        let port = u16::from_be_bytes([p0, p1]) ^ (MAGIC_COOKIE >> 16) as u16;
        let mut ip = [0; 16];
        let place = ip.get_mut(..octets.len())?;
        place.copy_from_slice(octets);
        let mask = &self.bytes[4..HEADER];
        ip.iter_mut()
            .zip(mask)
            .for_each(|(octet, mask)| *octet ^= mask);
        let ip = match (family, octets.len()) {
            (1, 4) => IpAddr::V4(Ipv4Addr::new(ip[0], ip[1], ip[2], ip[3])),
            (2, 16) => IpAddr::V6(Ipv6Addr::from(ip)),
            (_, _) => return None,
        };
        Some(SocketAddr::new(ip, port))
    }

    /// The kind of sum that proves the message, the stronger if there are two.
    #[must_use]
    pub fn integrity(&self) -> Option<Integrity> {
        let has = |kind| self.attribute(kind).is_some();
        if has(attribute::MESSAGE_INTEGRITY_SHA256) {
            Some(Integrity::Sha256)
        } else {
            has(attribute::MESSAGE_INTEGRITY).then_some(Integrity::Sha1)
        }
    }

    /// Whether the message carries a sum of this kind, made with this key.
    #[must_use]
    pub fn is_proved(&self, integrity: Integrity, key: &Key) -> bool {
        let mut at = HEADER;
        while let Some((found, next)) = attribute_at(self.bytes, at) {
            if found.kind == integrity.attribute() {
                // RFC 8489 §14.5: the length field "MUST then be set to point to the length of the message up to, and
                // including, the MESSAGE-INTEGRITY attribute itself but excluding any attributes after it".
                let length = ((next - HEADER) as u16).to_be_bytes();
                let sum = key.sum(integrity, &[&self.bytes[..2], &length, &self.bytes[4..at]]);
                return sum.matches(found.value);
            }
            at = next;
        }
        false
    }

    /// The value of the first attribute of a type.
    #[must_use]
    pub fn attribute(&self, kind: u16) -> Option<&'a [u8]> {
        self.attributes()
            .find(|found| found.kind == kind)
            .map(|found| found.value)
    }
}

/// Writes one message.
#[derive(Debug, Clone)]
pub struct Builder {
    bytes: Vec<u8>,
}

impl Builder {
    /// Starts a message.
    #[must_use]
    pub fn new(class: Class, method: Method, transaction: TransactionId) -> Self {
        let bits = match class {
            Class::Request => 0x000,
            Class::Indication => 0x010,
            Class::Success => 0x100,
            Class::Error => 0x110,
        };
        let Method(method) = method;
        let kind = bits | (method & 0x000f) | ((method & 0x0070) << 1) | ((method & 0x0f80) << 2);
        let mut bytes = Vec::with_capacity(HEADER + 32);
        bytes.extend(kind.to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(MAGIC_COOKIE.to_be_bytes());
        bytes.extend(transaction.0);
        Self { bytes }
    }

    /// Appends an attribute and its padding. A value longer than 64 KiB does not fit the format and is cut.
    #[must_use]
    pub fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        let value = &value[..value.len().min(usize::from(u16::MAX))];
        self.bytes.extend(kind.to_be_bytes());
        self.bytes.extend((value.len() as u16).to_be_bytes());
        self.bytes.extend(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self.set_length(0);
        self
    }

    /// Appends XOR-MAPPED-ADDRESS (or another attribute of its form).
    #[must_use]
    pub fn xor_address(self, kind: u16, address: SocketAddr) -> Self {
        let mut mask = [0; 16];
        mask.copy_from_slice(&self.bytes[4..HEADER]);
        let port = address.port() ^ (MAGIC_COOKIE >> 16) as u16;
        let mut value = Vec::with_capacity(HEADER);
        let masked = |value: &mut Vec<u8>, octets: &[u8]| {
            value.extend(octets.iter().zip(mask).map(|(octet, mask)| octet ^ mask));
        };
        // A dual-stack socket shows IPv4 clients as ::ffff:a.b.c.d; they must learn their IPv4 address.
        match address.ip().to_canonical() {
            IpAddr::V4(ip) => {
                value.extend([0, 1]);
                value.extend(port.to_be_bytes());
                masked(&mut value, &ip.octets());
            }
            IpAddr::V6(ip) => {
                value.extend([0, 2]);
                value.extend(port.to_be_bytes());
                masked(&mut value, &ip.octets());
            }
        }
        self.attribute(kind, &value)
    }

    /// Appends ERROR-CODE.
    #[must_use]
    pub fn error(self, code: u16, reason: &str) -> Self {
        let mut value = Vec::with_capacity(4 + reason.len());
        value.extend([0, 0, (code / 100) as u8, (code % 100) as u8]);
        value.extend(reason.as_bytes());
        self.attribute(attribute::ERROR_CODE, &value)
    }

    /// Appends MESSAGE-INTEGRITY or MESSAGE-INTEGRITY-SHA256.
    #[must_use]
    pub fn integrity(mut self, integrity: Integrity, key: &Key) -> Self {
        self.set_length(4 + integrity.length());
        let sum: Sum = key.sum(integrity, &[&self.bytes]);
        self.attribute(integrity.attribute(), sum.as_bytes())
    }

    /// Appends FINGERPRINT and gives the message.
    #[must_use]
    pub fn finish_with_fingerprint(mut self) -> Vec<u8> {
        self.set_length(8);
        let crc = fingerprint(&self.bytes);
        self.attribute(attribute::FINGERPRINT, &crc.to_be_bytes())
            .finish()
    }

    /// Gives the message.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }

    fn set_length(&mut self, more: usize) {
        let length = (self.bytes.len() - HEADER + more) as u16;
        self.bytes[2..4].copy_from_slice(&length.to_be_bytes());
    }
}

fn attribute_at(bytes: &[u8], at: usize) -> Option<(Attribute<'_>, usize)> {
    let [k0, k1, l0, l1] = *bytes.get(at..at + 4)? else {
        return None;
    };
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    let start = at + 4;
    let value = bytes.get(start..start + length)?;
    let next = (start + length).next_multiple_of(4);
    (next <= bytes.len()).then_some((
        Attribute {
            kind: u16::from_be_bytes([k0, k1]),
            value,
        },
        next,
    ))
}

/// RFC 8489 §14.7: "the CRC-32 of the STUN message up to (but excluding) the FINGERPRINT attribute itself, XOR'ed
/// with the 32-bit value 0x5354554e". The length in the header already counts the attribute.
fn fingerprint(before: &[u8]) -> u32 {
    let crc = before.iter().fold(!0_u32, |crc, byte| {
        (crc >> 8) ^ CRC_TABLE[((crc ^ u32::from(*byte)) & 0xff) as usize]
    });
    !crc ^ FINGERPRINT_XOR
}

const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = index as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0xedb8_8320
            } else {
                crc >> 1
            };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
};
