//! Clients with an allocation and a channel.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use turn::{Algorithm, Builder, Class, Integrity, Key, Message, Method, TransactionId, attribute};

use super::server::{NAME, PASSWORD, REALM};

/// Clients that ask at a time.
const AT_ONCE: usize = 32;
/// How long an answer may take before it is asked again, and how often.
const PATIENCE: Duration = Duration::from_secs(2);
const TRIES: usize = 10;
/// The channel of every flow.
pub(super) const CHANNEL: u16 = 0x4000;
/// Room for what waits at one client.
const KEPT: usize = 1 << 20;

/// A client whose relayed address exchanges packets with the peer.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) client: UdpSocket,
    pub(super) relayed: SocketAddr,
    nonce: Vec<u8>,
}

/// Makes clients, an allocation for each, and a channel to the peer.
pub(super) fn open(server: SocketAddr, peer: &UdpSocket, count: usize) -> Vec<Flow> {
    let peer = peer.local_addr().expect("an address");
    let mut flows: Vec<Flow> = (0..count).map(|_| Flow::new(server)).collect();
    for some in flows.chunks_mut(AT_ONCE) {
        let asked = |_: &Flow| {
            Builder::new(Class::Request, Method::ALLOCATE, random())
                .attribute(attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0])
        };
        all(
            some,
            |flow| asked(flow).finish(),
            |flow, message| {
                flow.nonce = message
                    .attribute(attribute::NONCE)
                    .expect("a nonce")
                    .to_vec();
            },
        );
        all(
            some,
            |flow| flow.sign(asked(flow)),
            |flow, message| {
                let relayed = message
                    .attribute(attribute::XOR_RELAYED_ADDRESS)
                    .and_then(|value| message.unmask(value));
                flow.relayed = relayed.unwrap_or_else(|| panic!("no allocation: {message:?}"));
            },
        );
        let bind = |flow: &Flow| {
            let number = [CHANNEL.to_be_bytes(), [0, 0]].concat();
            let request = Builder::new(Class::Request, Method::CHANNEL_BIND, random())
                .attribute(attribute::CHANNEL_NUMBER, &number)
                .xor_address(attribute::XOR_PEER_ADDRESS, peer);
            flow.sign(request)
        };
        all(some, bind, |_, message| {
            assert_eq!(message.class(), Class::Success, "no channel: {message:?}");
        });
    }
    flows
}

/// Asks for all of them at a time, and takes the answers.
fn all(
    flows: &mut [Flow],
    request: impl Fn(&Flow) -> Vec<u8>,
    mut answered: impl FnMut(&mut Flow, &Message<'_>),
) {
    let requests: Vec<Vec<u8>> = flows.iter().map(request).collect();
    for (flow, request) in flows.iter().zip(&requests) {
        flow.client.send(request).expect("the request leaves");
    }
    for (flow, request) in flows.iter_mut().zip(&requests) {
        let mut buffer = [0; 2_048];
        let length = (0..TRIES).find_map(|_| {
            let received = flow.client.recv(&mut buffer).ok();
            if received.is_none() {
                let _ = flow.client.send(request);
            }
            received
        });
        let length = length.expect("the server answers");
        answered(flow, &Message::read(&buffer[..length]).expect("STUN"));
    }
}

fn random() -> TransactionId {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut id = [0; 12];
    id[..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    TransactionId(id)
}

impl Flow {
    fn new(server: SocketAddr) -> Self {
        let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        client.connect(server).expect("an address");
        client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let _ = rustix::net::sockopt::set_socket_recv_buffer_size_force(&client, KEPT);
        Self {
            client,
            relayed: server,
            nonce: Vec::new(),
        }
    }

    fn sign(&self, request: Builder) -> Vec<u8> {
        let key = Key::long_term(Algorithm::Md5, NAME.as_bytes(), REALM, PASSWORD);
        request
            .attribute(attribute::USERNAME, NAME.as_bytes())
            .attribute(attribute::REALM, REALM.as_bytes())
            .attribute(attribute::NONCE, &self.nonce)
            .integrity(Integrity::Sha1, &key)
            .finish()
    }
}
