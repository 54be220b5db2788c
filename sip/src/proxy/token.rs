//! What a proxy writes into its Record-Route and Path and finds there again: the flow to the one side, sealed.
//!
//! ```text
//! kind (1 byte)  address (4 or 16)  port (2)  connection (8)  seal (8)         base64url, as the URI's user part
//! ```
//! A Record-Route's seal covers the Call-ID too: it proves that a request belongs to a dialog that went through here,
//! and serves for no other one.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use crate::{Peer, Transport, base64, siphash};

/// No flow: the URIs say where to go.
const NONE: u8 = 0xff;
/// The address is one of IPv6.
const SIX: u8 = 0x80;

/// What a token is good for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose<'a> {
    /// The dialogs with this Call-ID.
    Dialog(&'a str),
    /// Whatever is sent to a registered contact.
    Path,
}

pub(super) fn write(flow: Option<Peer>, purpose: Purpose<'_>, secret: &[u8; 16]) -> String {
    let mut bytes = Vec::with_capacity(40);
    match flow {
        None => bytes.push(NONE),
        Some(peer) => {
            let code = peer.transport.code();
            match peer.address.ip() {
                IpAddr::V4(ip) => {
                    bytes.push(code);
                    bytes.extend(ip.octets());
                }
                IpAddr::V6(ip) => {
                    bytes.push(code | SIX);
                    bytes.extend(ip.octets());
                }
            }
            bytes.extend(peer.address.port().to_be_bytes());
            bytes.extend(peer.connection.to_be_bytes());
        }
    }
    bytes.extend(seal(&bytes, purpose, secret));
    let mut text = String::with_capacity(56);
    base64::write_url(&bytes, &mut text);
    text
}

/// Reads a token: the flow it names, if any. `None` if it is not one of ours for this purpose.
pub(super) fn read(text: &str, purpose: Purpose<'_>, secret: &[u8; 16]) -> Option<Option<Peer>> {
    let bytes = base64::read_url(text)?;
    let (rest, sealed) = bytes.split_last_chunk::<8>()?;
    let expected = seal(rest, purpose, secret);
    if !siphash::same(&expected, sealed) {
        return None;
    }
    let (kind, rest) = rest.split_first()?;
    if *kind == NONE {
        return Some(None);
    }
    let (rest, connection) = rest.split_last_chunk::<8>()?;
    let (ip, port) = rest.split_last_chunk::<2>()?;
    let ip: IpAddr = if kind & SIX == 0 {
        <[u8; 4]>::try_from(ip).ok()?.into()
    } else {
        <[u8; 16]>::try_from(ip).ok()?.into()
    };
    Some(Some(Peer {
        transport: Transport::from_code(kind & !SIX)?,
        address: SocketAddr::new(ip, u16::from_be_bytes(*port)),
        connection: u64::from_be_bytes(*connection),
    }))
}

fn seal(bytes: &[u8], purpose: Purpose<'_>, secret: &[u8; 16]) -> [u8; 8] {
    let (kind, call) = match purpose {
        Purpose::Dialog(call) => (b"d", call),
        Purpose::Path => (b"p", ""),
    };
    siphash::hash(secret, &[kind, bytes, call.as_bytes()]).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a43_a_token_serves_for_its_dialog_only() {
        let secret = [3; 16];
        for address in ["192.0.2.1:5060", "[2001:db8::1]:5062"] {
            let peer = Peer {
                transport: Transport::Tls,
                address: address.parse().unwrap(),
                connection: 7,
            };
            for flow in [None, Some(peer)] {
                let token = write(flow, Purpose::Dialog("c"), &secret);
                assert_eq!(read(&token, Purpose::Dialog("c"), &secret), Some(flow));
                assert_eq!(read(&token, Purpose::Dialog("d"), &secret), None);
                assert_eq!(read(&token, Purpose::Path, &secret), None);
                assert_eq!(read(&token, Purpose::Dialog("c"), &[4; 16]), None);
                assert_eq!(read(&token[1..], Purpose::Dialog("c"), &secret), None);
            }
        }
    }
}
