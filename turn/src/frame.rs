//! Where one message ends and the next begins on a stream (RFC 8489 §6.2.2, RFC 8656 §12.5).
//!
//! ```text
//! 00......  STUN: 20 bytes of header, length (bytes 2 and 3) of the rest, a multiple of 4
//! 01......  ChannelData: channel number, length of the data, data; on a stream padded to a multiple of 4
//! 1.......  nothing that belongs here
//! ```

use crate::message::{HEADER, MAGIC_COOKIE};

/// One message at the beginning of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Bytes of the message.
    pub length: usize,
    /// Bytes until the next one: the message and its padding.
    pub padded: usize,
}

/// The bytes are neither STUN nor ChannelData: nobody knows where the next message begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost;

/// Finds the end of the first message; nothing, while it has not all come.
///
/// # Errors
/// There is no message.
pub fn frame(bytes: &[u8]) -> Result<Option<Frame>, Lost> {
    let [first, _, l0, l1, ..] = *bytes else {
        return match bytes.first() {
            Some(first) if first & 0x80 != 0 => Err(Lost),
            Some(_) | None => Ok(None),
        };
    };
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    let found = match first >> 6 {
        0 => {
            let cookie = &MAGIC_COOKIE.to_be_bytes();
            let seen = &bytes[4..bytes.len().min(8)];
            if !length.is_multiple_of(4) || seen != &cookie[..seen.len()] {
                return Err(Lost);
            }
            Frame {
                length: HEADER + length,
                padded: HEADER + length,
            }
        }
        1 => Frame {
            length: 4 + length,
            padded: (4 + length).next_multiple_of(4),
        },
        _ => return Err(Lost),
    };
    Ok((found.padded <= bytes.len()).then_some(found))
}

/// The number and the data of a ChannelData message that is alone in its datagram.
#[must_use]
pub(crate) fn channel_data(bytes: &[u8]) -> Option<(u16, usize)> {
    let [n0, n1, l0, l1, ref data @ ..] = *bytes else {
        return None;
    };
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    // RFC 8656 §12.5: over UDP "the padding is not required but MAY be included".
    (n0 >> 6 == 1 && length <= data.len()).then_some((u16::from_be_bytes([n0, n1]), length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_found_when_all_has_come() {
        let stun = [0, 1, 0, 4, 0x21, 0x12, 0xa4, 0x42];
        assert_eq!(frame(&stun[..3]), Ok(None));
        assert_eq!(frame(&stun), Ok(None));
        let mut whole = stun.to_vec();
        whole.resize(24, 0);
        let both = Frame {
            length: 24,
            padded: 24,
        };
        assert_eq!(frame(&whole), Ok(Some(both)));
        let channel = [0x40, 1, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0, 9];
        assert_eq!(frame(&channel[..9]), Ok(None));
        assert_eq!(
            frame(&channel),
            Ok(Some(Frame {
                length: 9,
                padded: 12
            }))
        );
    }

    #[test]
    fn what_is_no_message_is_said_at_once() {
        assert_eq!(frame(&[0x80]), Err(Lost));
        assert_eq!(frame(&[0, 1, 0, 3, 0x21]), Err(Lost));
        assert_eq!(frame(&[0, 1, 0, 0, 0x21, 0x13]), Err(Lost));
        assert_eq!(frame(&[]), Ok(None));
    }

    #[test]
    fn data_must_lie_inside_the_datagram() {
        assert_eq!(
            channel_data(&[0x40, 0, 0, 2, 7, 7, 0, 0]),
            Some((0x4000, 2))
        );
        assert_eq!(channel_data(&[0x40, 0, 0, 2, 7]), None);
        assert_eq!(channel_data(&[0, 1, 0, 0]), None);
    }
}
