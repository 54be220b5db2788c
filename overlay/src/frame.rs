//! The envelope of every overlay message.
//!
//! ```text
//! version     1   1
//! overlay    16   the overlay that the message is for; another overlay's is dropped unread
//! message     n   postcard of the interface's enum; nothing may follow it
//! ```
//! At most [`MAX_FRAME`] bytes in all. The interfaces are [`association`](crate::association) (SN-ON, one WebSocket
//! binary message is one frame) and [`peer`](crate::peer) (SN-SN, each frame preceded by its length on the stream).

use alloc::vec::Vec;
use core::fmt;

use credential::OverlayId;

use crate::Wire;

/// The version that this crate speaks.
pub const VERSION: u8 = 1;

/// The largest frame, envelope included, in bytes.
pub const MAX_FRAME: usize = 64 * 1024;

const HEAD: usize = 1 + OverlayId::SIZE;

/// Why bytes are not a message of this overlay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FrameFault {
    /// More than [`MAX_FRAME`] bytes.
    TooLarge,
    /// Shorter than the envelope.
    TooShort,
    /// Another version.
    Version,
    /// Another overlay's.
    Overlay,
    /// The message can't be read.
    Malformed,
    /// Bytes follow the message.
    Trailing,
}

impl fmt::Display for FrameFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "frame too large",
            Self::TooShort => "frame too short",
            Self::Version => "frame of another version",
            Self::Overlay => "frame of another overlay",
            Self::Malformed => "malformed frame",
            Self::Trailing => "bytes after the message",
        })
    }
}

impl core::error::Error for FrameFault {}

/// Writes a message with its envelope.
pub fn encode<T: Wire>(overlay: OverlayId, message: &T) -> Vec<u8> {
    let mut frame = Vec::with_capacity(128);
    frame.push(VERSION);
    frame.extend_from_slice(&overlay.0);
    message.write(&mut frame);
    frame
}

/// Reads a message out of its envelope.
///
/// # Errors
/// The bytes are not exactly one message of this overlay.
pub fn decode<T: Wire>(overlay: OverlayId, frame: &[u8]) -> Result<T, FrameFault> {
    if frame.len() > MAX_FRAME {
        return Err(FrameFault::TooLarge);
    }
    let (head, mut rest) = frame.split_at_checked(HEAD).ok_or(FrameFault::TooShort)?;
    if head[0] != VERSION {
        return Err(FrameFault::Version);
    }
    if head[1..] != overlay.0 {
        return Err(FrameFault::Overlay);
    }
    let message = T::read(&mut rest).ok_or(FrameFault::Malformed)?;
    if !rest.is_empty() {
        return Err(FrameFault::Trailing);
    }
    Ok(message)
}

/// Says which overlay a frame is for, whoever's it is; `None` if it is no frame of this version.
#[must_use]
pub fn overlay(frame: &[u8]) -> Option<OverlayId> {
    let head = frame.get(..HEAD)?;
    if head[0] != VERSION {
        return None;
    }
    OverlayId::from_slice(&head[1..])
}
