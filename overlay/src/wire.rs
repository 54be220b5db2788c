//! Postcard's layout, written out for what ordinary nodes read and write.
//!
//! ```text
//! u8, bool         1 byte; a bool is 0 or 1
//! u32, u64         LEB128, the lowest seven bits first
//! [u8; N]          N bytes
//! String, Vec      their length as u64, then what they hold
//! Option           0, or 1 and what it holds
//! struct           its fields, one after the other
//! enum             its variant's number as u64, then its fields
//! ```
//! The code that serde derives does the same and takes four times as much room in a browser. Super nodes speak with each
//! other by that.

use alloc::string::String;
use alloc::vec::Vec;

use credential::{Instance, NodeId, OverlayId, Signature};

use crate::association::{
    Contact, Denial, FromOrdinary, FromSuperNode, Mode, PutOutcome, SearchEnd,
};
use crate::{Control, Key, Policy, RecordFault, Refused, SignedRecord, Writer};

/// What has a form on the wire.
pub trait Wire: Sized {
    /// Appends the form.
    fn write(&self, bytes: &mut Vec<u8>);

    /// Takes the value from the front of the bytes; `None` if it doesn't stand there.
    fn read(bytes: &mut &[u8]) -> Option<Self>;
}

impl Wire for u8 {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.push(*self);
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        Some(*first)
    }
}

impl Wire for bool {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.push((*self).into());
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        match u8::read(bytes)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl Wire for u64 {
    fn write(&self, bytes: &mut Vec<u8>) {
        let mut rest = *self;
        while rest >= 0x80 {
            bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        bytes.push(rest as u8);
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = u8::read(bytes)?;
            let bits = Self::from(byte & 0x7f);
            // The tenth byte holds the last of 64 bits.
            if shift > 63 || (shift == 63 && bits > 1) {
                return None;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Some(number);
            }
            shift += 7;
        }
    }
}

impl Wire for u32 {
    fn write(&self, bytes: &mut Vec<u8>) {
        u64::from(*self).write(bytes);
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        u64::read(bytes)?.try_into().ok()
    }
}

impl<const N: usize> Wire for [u8; N] {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self);
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let (first, rest) = bytes.split_first_chunk()?;
        *bytes = rest;
        Some(*first)
    }
}

impl Wire for String {
    fn write(&self, bytes: &mut Vec<u8>) {
        (self.len() as u64).write(bytes);
        bytes.extend_from_slice(self.as_bytes());
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        Self::from_utf8(Vec::read(bytes)?).ok()
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn write(&self, bytes: &mut Vec<u8>) {
        (self.len() as u64).write(bytes);
        for item in self {
            item.write(bytes);
        }
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        // Not reserved: the number may be anything.
        let mut items = Self::new();
        for _ in 0..u64::read(bytes)? {
            items.push(T::read(bytes)?);
        }
        Some(items)
    }
}

impl<T: Wire> Wire for Option<T> {
    fn write(&self, bytes: &mut Vec<u8>) {
        self.is_some().write(bytes);
        if let Some(value) = self {
            value.write(bytes);
        }
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        Some(if bool::read(bytes)? {
            Some(T::read(bytes)?)
        } else {
            None
        })
    }
}

/// A struct's fields, or an enum's variants with their numbers and fields.
macro_rules! wire {
    (struct $name:ident { $($field:tt),* }) => {
        impl Wire for $name {
            fn write(&self, bytes: &mut Vec<u8>) {
                $(self.$field.write(bytes);)*
            }

            fn read(bytes: &mut &[u8]) -> Option<Self> {
                Some(Self { $($field: Wire::read(bytes)?),* })
            }
        }
    };
    (enum $name:ident {
        $($number:literal $variant:ident $(($inner:ident))? $({ $($field:ident),* })?,)*
    }) => {
        impl Wire for $name {
            fn write(&self, bytes: &mut Vec<u8>) {
                match self {
                    $(Self::$variant $(($inner))? $({ $($field),* })? => {
                        bytes.push($number);
                        $($inner.write(bytes);)?
                        $($($field.write(bytes);)*)?
                    })*
                }
            }

            fn read(bytes: &mut &[u8]) -> Option<Self> {
                Some(match u64::read(bytes)? {
                    $($number => {
                        $(let $inner = Wire::read(bytes)?;)?
                        $($(let $field = Wire::read(bytes)?;)*)?
                        Self::$variant $(($inner))? $({ $($field),* })?
                    })*
                    _ => return None,
                })
            }
        }
    };
}

wire!(enum FromOrdinary {
    0 Hello { nonce, host, revocations },
    1 Proof { certificate, signature },
    2 Get { request, key, owner, newest },
    3 Put { request, mode, record },
    4 Ping { number },
    5 Touch { request, control, signature },
});
wire!(enum FromSuperNode {
    0 Challenge { nonce, certificate, signature },
    1 Welcome { time, super_nodes, stun, revocations },
    2 Refused { why, super_nodes },
    3 Records { request, records, end },
    4 Put { request, outcome },
    5 Pong { number },
    6 Revocations { list },
    7 Lost { key },
});
wire!(enum Mode { 0 Add, 1 Update, 2 Remove, });
wire!(enum SearchEnd { 0 Complete, 1 Timeout, 2 Busy, });
wire!(enum PutOutcome { 0 Stored, 1 Refused(why), 2 Timeout, });
wire!(enum Refused {
    0 Record(fault),
    1 Exists,
    2 NotFound,
    3 NotUpdatable,
    4 Policy,
    5 Older(sequence),
    6 Quota,
    7 Rate,
    8 Full,
    9 Busy,
    10 NotResponsible,
    11 Absent,
});
wire!(enum Denial {
    0 Host,
    1 Certificate,
    2 Overlay,
    3 Expired,
    4 Revoked,
    5 Signature,
    6 Protocol,
    7 Busy,
    8 Leaving,
});
wire!(enum RecordFault {
    0 Overlay,
    1 Key,
    2 OtherOwner,
    3 TooLarge,
    4 Expired,
    5 Lifetime,
    6 Sequence,
    7 Tombstone,
    8 Certificate,
    9 Owner,
    10 Instance,
    11 Chain,
    12 Signature,
    13 Stale,
});
wire!(enum Writer { 0 Nobody, 1 Instance, 2 Owner, });
wire!(struct Policy { update, remove });
wire!(struct Control {
    overlay, key, owner, instance, policy, sequence, lifetime, no_update, removed
});
wire!(struct SignedRecord { control, body, certificate, signature });
wire!(struct Contact { node, url });
wire!(struct Key { 0 });
wire!(struct NodeId { 0 });
wire!(struct OverlayId { 0 });
wire!(struct Instance { 0 });
wire!(struct Signature { 0 });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_up_to_64_bits() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            number.write(&mut bytes);
            assert_eq!(u64::read(&mut &*bytes), Some(number));
            assert_eq!(u64::read(&mut &bytes[..bytes.len() - 1]), None);
        }
        let mut bytes = [0xff; 10];
        bytes[9] = 2;
        assert_eq!(u64::read(&mut &bytes[..]), None);
        assert_eq!(u64::read(&mut &[0x80; 11][..]), None);
        assert_eq!(u32::read(&mut &[0xff, 0xff, 0xff, 0xff, 0x1f][..]), None);
    }

    #[test]
    fn what_is_neither_true_nor_false_is_nothing() {
        assert_eq!(bool::read(&mut &[2][..]), None);
        assert_eq!(Option::<u8>::read(&mut &[2, 7][..]), None);
        assert_eq!(Option::<u8>::read(&mut &[1, 7][..]), Some(Some(7)));
    }

    #[test]
    fn a_length_that_is_not_there_takes_no_memory() {
        let mut bytes = Vec::new();
        u64::MAX.write(&mut bytes);
        assert_eq!(String::read(&mut &*bytes), None);
    }
}
