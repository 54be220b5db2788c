use alloc::string::String;
use core::fmt;
use core::str::FromStr;

/// Why a text is not an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdError {
    /// It has the wrong number of digits.
    Length,
    /// It holds something that is no hexadecimal digit.
    Digit,
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "identifier of the wrong length",
            Self::Digit => "identifier holds something that is no hexadecimal digit",
        })
    }
}

impl core::error::Error for IdError {}

/// Gives a newtype over a byte array its constructor-free surroundings: hexadecimal text and serde as bare bytes.
macro_rules! octets {
    ($name:ident, $size:literal) => {
        impl $name {
            /// How many bytes it has.
            pub const SIZE: usize = $size;

            /// Its bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $size] {
                &self.0
            }

            /// Takes it from a slice of exactly [`SIZE`](Self::SIZE) bytes.
            #[must_use]
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $crate::id::serialize(&self.0, serializer)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::id::deserialize(deserializer).map(Self)
            }
        }
    };
}
pub(crate) use octets;

/// Gives an identifier its text: lower-case hexadecimal, read in either case.
macro_rules! hexadecimal {
    ($name:ident) => {
        impl $name {
            /// Its text.
            #[must_use]
            pub fn hex(&self) -> String {
                let mut text = String::new();
                push_hex(&mut text, &self.0);
                text
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.hex())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.hex())
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                read_hex(text).map(Self)
            }
        }
    };
}

/// Names an overlay. The authority derives it from its key; everybody else only compares it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OverlayId(pub [u8; 16]);
octets!(OverlayId, 16);
hexadecimal!(OverlayId);

/// Names a super node, and its place on the ring. The authority chose it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub [u8; 20]);
octets!(NodeId, 20);
hexadecimal!(NodeId);

impl NodeId {
    /// Its first eight bytes as a number: about where on the ring it is.
    #[inline]
    #[must_use]
    pub const fn first_eight(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    /// The place just behind it on the ring: no other node lies between.
    #[must_use]
    pub fn next(&self) -> Self {
        let mut bytes = self.0;
        for byte in bytes.iter_mut().rev() {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                break;
            }
        }
        Self(bytes)
    }

    /// The name that the node's certificate carries and by which it is dialled: `<40 digits>.sn`.
    #[must_use]
    pub fn host(&self) -> String {
        let mut host = self.hex();
        host.push_str(".sn");
        host
    }

    /// Reads the name that [`host`](Self::host) writes.
    ///
    /// # Errors
    /// The digits are not those of a node, or `.sn` does not follow them.
    pub fn from_host(host: &str) -> Result<Self, IdError> {
        host.strip_suffix(".sn").ok_or(IdError::Length)?.parse()
    }
}

/// A certificate's number, unique within its overlay: 16 bytes, the first of them from 1 to 127.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial(pub [u8; 16]);
octets!(Serial, 16);
hexadecimal!(Serial);

/// Names a device of a user; shown as `urn:uuid:...`, the form of a SIP instance id (RFC 5626 §4.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instance(pub [u8; 16]);
octets!(Instance, 16);

const URN: &str = "urn:uuid:";
const GROUPS: [core::ops::Range<usize>; 5] = [0..4, 4..6, 6..8, 8..10, 10..16];

impl Instance {
    /// The device that a super node is in its own records, and in those of the phones it speaks for: the first bytes of its id.
    #[must_use]
    pub fn of_node(node: NodeId) -> Self {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&node.0[..16]);
        Self(bytes)
    }

    /// Its text, `urn:uuid:...`.
    #[must_use]
    pub fn urn(&self) -> String {
        let mut urn = String::from(URN);
        for group in GROUPS {
            if group.start > 0 {
                urn.push('-');
            }
            push_hex(&mut urn, &self.0[group]);
        }
        urn
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.urn())
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Instance {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let digits = text.strip_prefix(URN).unwrap_or(text);
        if digits.len() != 36 {
            return Err(IdError::Length);
        }
        let mut plain = [0_u8; 32];
        let mut next = plain.iter_mut();
        for (place, byte) in digits.bytes().enumerate() {
            if matches!(place, 8 | 13 | 18 | 23) {
                if byte != b'-' {
                    return Err(IdError::Digit);
                }
            } else if let Some(slot) = next.next() {
                *slot = byte;
            }
        }
        read_digits(&plain).map(Self)
    }
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
}

fn digit(value: u8) -> char {
    char::from(b"0123456789abcdef"[usize::from(value & 15)])
}

fn read_hex<const N: usize>(text: &str) -> Result<[u8; N], IdError> {
    read_digits(text.as_bytes())
}

fn read_digits<const N: usize>(digits: &[u8]) -> Result<[u8; N], IdError> {
    if digits.len() != N * 2 {
        return Err(IdError::Length);
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = (value(pair[0])? << 4) | value(pair[1])?;
    }
    Ok(bytes)
}

fn value(digit: u8) -> Result<u8, IdError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(IdError::Digit),
    }
}

/// Writes bytes as a tuple, which postcard lays out as the bare bytes.
pub(crate) fn serialize<S: serde::Serializer>(
    bytes: &[u8],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeTuple;
    let mut tuple = serializer.serialize_tuple(bytes.len())?;
    for byte in bytes {
        tuple.serialize_element(byte)?;
    }
    tuple.end()
}

/// Reads what [`serialize`] wrote.
pub(crate) fn deserialize<'de, const N: usize, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<[u8; N], D::Error> {
    struct Bytes<const N: usize>;
    impl<'de, const N: usize> serde::de::Visitor<'de> for Bytes<N> {
        type Value = [u8; N];
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a fixed number of bytes")
        }
        fn visit_seq<A: serde::de::SeqAccess<'de>>(
            self,
            mut sequence: A,
        ) -> Result<[u8; N], A::Error> {
            let mut bytes = [0; N];
            for (place, byte) in bytes.iter_mut().enumerate() {
                *byte = sequence
                    .next_element()?
                    .ok_or_else(|| serde::de::Error::invalid_length(place, &self))?;
            }
            Ok(bytes)
        }
    }
    deserializer.deserialize_tuple(N, Bytes::<N>)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn text_and_back() {
        let node = NodeId([0xa7; 20]);
        assert_eq!(node.to_string(), "a7".repeat(20));
        assert_eq!(node.to_string().to_uppercase().parse(), Ok(node));
        assert_eq!(NodeId::from_host(&node.host()), Ok(node));
        assert_eq!(NodeId::from_host(&node.to_string()), Err(IdError::Length));
        assert_eq!("00".parse::<OverlayId>(), Err(IdError::Length));
        assert_eq!("g".repeat(32).parse::<OverlayId>(), Err(IdError::Digit));
    }

    #[test]
    fn instance_is_a_uuid_urn() {
        let text = "urn:uuid:00010203-0405-0607-0809-0a0b0c0d0e0f";
        let instance: Instance = text.parse().unwrap();
        assert_eq!(instance.0[15], 15);
        assert_eq!(instance.to_string(), text);
        assert_eq!(text[9..].parse(), Ok(instance));
        for bad in [
            "",
            "urn:uuid:",
            &text[..44],
            &text.replace('-', "_"),
            "é\u{e9}",
        ] {
            assert!(bad.parse::<Instance>().is_err(), "{bad}");
        }
    }
}
