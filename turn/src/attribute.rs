//! Attribute types (RFC 8489 §18.3, RFC 8656 §18, RFC 6062 §6). Those below 0x8000 must be understood by the receiver.

/// The address of the client as the server sees it, unmasked (only in old clients' messages).
pub const MAPPED_ADDRESS: u16 = 0x0001;
/// The name of the credential.
pub const USERNAME: u16 = 0x0006;
/// HMAC-SHA1 over the message.
pub const MESSAGE_INTEGRITY: u16 = 0x0008;
/// Why a request failed.
pub const ERROR_CODE: u16 = 0x0009;
/// The attributes that made a request fail with 420.
pub const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
/// A number that stands for a peer.
pub const CHANNEL_NUMBER: u16 = 0x000c;
/// Seconds that an allocation lives.
pub const LIFETIME: u16 = 0x000d;
/// A peer's address, masked.
pub const XOR_PEER_ADDRESS: u16 = 0x0012;
/// What a peer sent, or shall get.
pub const DATA: u16 = 0x0013;
/// The domain of the credential.
pub const REALM: u16 = 0x0014;
/// What keeps a request from being replayed.
pub const NONCE: u16 = 0x0015;
/// The relayed address, masked.
pub const XOR_RELAYED_ADDRESS: u16 = 0x0016;
/// IPv4 or IPv6.
pub const REQUESTED_ADDRESS_FAMILY: u16 = 0x0017;
/// "The port shall be even", and perhaps "keep the next one".
pub const EVEN_PORT: u16 = 0x0018;
/// UDP or TCP between server and peers.
pub const REQUESTED_TRANSPORT: u16 = 0x0019;
/// "Do not let routers cut the packets".
pub const DONT_FRAGMENT: u16 = 0x001a;
/// HMAC-SHA256 over the message.
pub const MESSAGE_INTEGRITY_SHA256: u16 = 0x001c;
/// How the key is made of the password.
pub const PASSWORD_ALGORITHM: u16 = 0x001d;
/// The name of the credential, hashed.
pub const USERHASH: u16 = 0x001e;
/// The address of the client as the server sees it, masked by the cookie and the transaction id.
pub const XOR_MAPPED_ADDRESS: u16 = 0x0020;
/// Names a port that was kept.
pub const RESERVATION_TOKEN: u16 = 0x0022;
/// Names a TCP connection with a peer.
pub const CONNECTION_ID: u16 = 0x002a;
/// "A relayed address of this family, too".
pub const ADDITIONAL_ADDRESS_FAMILY: u16 = 0x8000;
/// Why there is no relayed address of a family.
pub const ADDRESS_ERROR_CODE: u16 = 0x8001;
/// The ways in which the server can make a key of a password.
pub const PASSWORD_ALGORITHMS: u16 = 0x8002;
/// What the network said of a packet to a peer.
pub const ICMP: u16 = 0x8004;
/// Names the program.
pub const SOFTWARE: u16 = 0x8022;
/// CRC-32 over the message.
pub const FINGERPRINT: u16 = 0x8028;
/// "Let me move to another address" (RFC 8016).
pub const MOBILITY_TICKET: u16 = 0x8030;
