//! Against sockets of this machine; what the messages say is tested in `turn`.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;

use turn::{
    Algorithm, Builder, Class, Integrity, Key, Message, Method, Ports, Quota, Rate, Reach,
    RelayAddress, Relaying, TransactionId, attribute,
};

use super::*;

const LONG: Duration = Duration::from_secs(30);
const REALM: &str = "example.org";

struct Relay {
    _running: Running,
    address: SocketAddr,
    by_tcp: SocketAddr,
}

fn relay() -> Relay {
    let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = udp.local_addr().unwrap();
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let by_tcp = tcp.local_addr().unwrap();
    let place = RelayAddress {
        local: Ipv4Addr::LOCALHOST.into(),
        public: Ipv4Addr::LOCALHOST.into(),
    };
    let clock = Clock::start();
    let relaying = Relaying {
        realm: REALM.to_owned(),
        users: vec![("ann".to_owned(), "secret".to_owned())],
        tickets: None,
        wall: clock.wall_clock(),
        addresses: [Some(place), None],
        ports: Arc::new(Ports::new(40_000, 60_000)),
        reach: Reach {
            loopback: true,
            listening: vec![address],
            ..Reach::default()
        },
        quota: Quota {
            allocations: 100,
            bandwidth: 0,
        },
        allocations: 100,
    };
    let rate = Rate {
        per_second: 10_000,
        burst: 10_000,
    };
    let config = turn::Config {
        rate,
        relay: Some(relaying),
        ..turn::Config::default()
    };
    let listeners = Listeners {
        udp,
        tcp: Some(tcp),
        tls: None,
    };
    let running = start(listeners, config, clock).unwrap();
    Relay {
        _running: running,
        address,
        by_tcp,
    }
}

/// A client by UDP.
struct User {
    socket: UdpSocket,
    nonce: Vec<u8>,
    transactions: u8,
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    socket
}

fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 65_536];
    let length = socket.recv(&mut buffer).unwrap();
    buffer.truncate(length);
    buffer
}

impl User {
    fn new(relay: &Relay) -> Self {
        let socket = socket();
        socket.connect(relay.address).unwrap();
        let mut user = Self {
            socket,
            nonce: Vec::new(),
            transactions: 0,
        };
        let request = user.request(Method::ALLOCATE);
        user.socket.send(&request.finish()).unwrap();
        let answer = receive(&user.socket);
        user.nonce = Message::read(&answer)
            .unwrap()
            .attribute(attribute::NONCE)
            .unwrap()
            .to_vec();
        user
    }

    fn request(&mut self, method: Method) -> Builder {
        self.transactions += 1;
        Builder::new(
            Class::Request,
            method,
            TransactionId([self.transactions; 12]),
        )
    }

    /// Asks, and gives the value of an attribute of the success.
    fn ask(&mut self, request: Builder, wanted: u16) -> SocketAddr {
        let key = Key::long_term(Algorithm::Md5, b"ann", REALM, "secret");
        let request = request
            .attribute(attribute::USERNAME, b"ann")
            .attribute(attribute::REALM, REALM.as_bytes())
            .attribute(attribute::NONCE, &self.nonce)
            .integrity(Integrity::Sha1, &key);
        self.socket.send(&request.finish()).unwrap();
        let answer = receive(&self.socket);
        let message = Message::read(&answer).unwrap();
        assert_eq!(message.class(), Class::Success);
        let value = message
            .attribute(wanted)
            .and_then(|value| message.unmask(value));
        value.unwrap_or(([0, 0, 0, 0], 0).into())
    }

    fn allocate(&mut self) -> SocketAddr {
        let request = self
            .request(Method::ALLOCATE)
            .attribute(attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]);
        self.ask(request, attribute::XOR_RELAYED_ADDRESS)
    }

    fn bind(&mut self, channel: u16, peer: SocketAddr) {
        let number = [channel.to_be_bytes(), [0, 0]].concat();
        let request = self
            .request(Method::CHANNEL_BIND)
            .attribute(attribute::CHANNEL_NUMBER, &number);
        self.ask(request.xor_address(attribute::XOR_PEER_ADDRESS, peer), 0);
    }

    fn say(&self, channel: u16, data: &[u8]) {
        let length = (data.len() as u16).to_be_bytes();
        let message = [&channel.to_be_bytes(), &length, data].concat();
        self.socket.send(&message).unwrap();
    }
}

#[test]
fn r112_r122_an_address_is_told_and_the_server_ends_with_its_value() {
    let relay = relay();
    let client = socket();
    let request = Builder::new(Class::Request, Method::BINDING, TransactionId([1; 12])).finish();
    client.send_to(&request, relay.address).unwrap();
    let answer = receive(&client);
    let message = Message::read(&answer).unwrap();
    let seen = message
        .attribute(attribute::XOR_MAPPED_ADDRESS)
        .and_then(|value| message.unmask(value));
    assert_eq!(seen, Some(client.local_addr().unwrap()));
    let address = relay.address;
    drop(relay);
    assert!(UdpSocket::bind(address).is_ok());
}

#[test]
fn r113_data_of_every_size_pass_both_ways_and_in_order() {
    let relay = relay();
    let (mut user, peer) = (User::new(&relay), socket());
    let relayed = user.allocate();
    user.bind(0x4000, peer.local_addr().unwrap());
    for size in [0, 1, 3, 172, 1_200, 9_000] {
        let data = vec![size as u8; size];
        user.say(0x4000, &data);
        assert_eq!(receive(&peer), data);
        peer.send_to(&data, relayed).unwrap();
        let heard = receive(&user.socket);
        assert_eq!((&heard[..2], &heard[4..]), (&[0x40, 0][..], &data[..]));
    }
    // Many at once: whatever the kernel puts together and takes apart, each arrives as it was.
    for number in 0..100_u8 {
        let size = if number % 10 == 9 { 50 } else { 200 };
        user.say(0x4000, &vec![number; size]);
        peer.send_to(&vec![number; size], relayed).unwrap();
    }
    for number in 0..100_u8 {
        let size = if number % 10 == 9 { 50 } else { 200 };
        assert_eq!(receive(&peer), vec![number; size]);
        assert_eq!(receive(&user.socket)[4..], vec![number; size]);
    }
}

#[test]
fn r113_two_users_of_one_relay_hear_each_other() {
    let relay = relay();
    let (mut ann, mut bob) = (User::new(&relay), User::new(&relay));
    let (anns, bobs) = (ann.allocate(), bob.allocate());
    ann.bind(0x4001, bobs);
    bob.bind(0x4002, anns);
    ann.say(0x4001, b"hello bob");
    assert_eq!(receive(&bob.socket)[4..], *b"hello bob");
    bob.say(0x4002, b"hello ann");
    assert_eq!(receive(&ann.socket)[4..], *b"hello ann");
}

#[test]
fn a28_the_servers_own_port_is_no_peer() {
    let relay = relay();
    let mut user = User::new(&relay);
    user.allocate();
    let request = user
        .request(Method::CREATE_PERMISSION)
        .xor_address(attribute::XOR_PEER_ADDRESS, relay.address);
    let key = Key::long_term(Algorithm::Md5, b"ann", REALM, "secret");
    let request = request
        .attribute(attribute::USERNAME, b"ann")
        .attribute(attribute::REALM, REALM.as_bytes())
        .attribute(attribute::NONCE, &user.nonce)
        .integrity(Integrity::Sha1, &key);
    user.socket.send(&request.finish()).unwrap();
    let answer = receive(&user.socket);
    assert_eq!(
        Message::read(&answer)
            .unwrap()
            .attribute(attribute::ERROR_CODE)
            .unwrap()[2..4],
        [4, 3]
    );
}

#[test]
fn r113_messages_pass_by_tcp_and_what_is_none_ends_the_connection() {
    let relay = relay();
    let mut stream = TcpStream::connect(relay.by_tcp).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    let request = Builder::new(Class::Request, Method::BINDING, TransactionId([1; 12])).finish();
    for byte in &request {
        stream.write_all(&[*byte]).unwrap();
    }
    let mut answer = [0; 32];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(Message::read(&answer).unwrap().class(), Class::Success);
    stream.write_all(&[0xff; 4]).unwrap();
    assert_eq!(stream.read(&mut answer).unwrap(), 0);
}

#[test]
fn r113_a_user_hears_that_nobody_listens_at_the_peers_port_and_loses_nothing_for_others() {
    let relay = relay();
    let (mut user, peer) = (User::new(&relay), socket());
    user.allocate();
    let nobody = socket().local_addr().unwrap();
    user.bind(0x4000, nobody);
    user.bind(0x4001, peer.local_addr().unwrap());
    user.say(0x4000, b"is anybody there?");
    let heard = receive(&user.socket);
    let message = Message::read(&heard).unwrap();
    assert_eq!(message.method(), Method::DATA);
    // Destination unreachable, port unreachable.
    assert_eq!(
        message.attribute(attribute::ICMP),
        Some(&[0, 0, 3, 3, 0, 0, 0, 0][..])
    );
    let seen = message
        .attribute(attribute::XOR_PEER_ADDRESS)
        .and_then(|value| message.unmask(value));
    assert_eq!(seen, Some(nobody));
    for number in 0..50 {
        user.say(0x4000, b"is anybody there?");
        user.say(0x4001, &[number]);
        assert_eq!(receive(&peer), [number]);
    }
}

#[test]
fn r113_a_few_packets_at_a_pace_arrive_soon_though_they_are_gathered() {
    let relay = relay();
    let (mut user, peer) = (User::new(&relay), socket());
    user.allocate();
    user.bind(0x4000, peer.local_addr().unwrap());
    // Each is sent when the last has come: with any of them forgotten, the next one would never leave.
    for number in 0..1_000_u32 {
        user.say(0x4000, &number.to_be_bytes());
        assert_eq!(receive(&peer), number.to_be_bytes());
    }
}
