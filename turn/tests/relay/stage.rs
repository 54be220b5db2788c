use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use machine::{Instant, Machine, WallClock};
use turn::{
    Algorithm, Builder, Class, Client, Config, Input, Integrity, Key, Message, Method, Output,
    Ports, Quota, Rate, Reach, RelayAddress, RelayId, Relaying, Secret, Server, StreamId,
    TransactionId, attribute,
};

pub(crate) const REALM: &str = "example.org";
pub(crate) const PORTS: (u16, u16) = (50_000, 50_199);
/// The date at the beginning.
pub(crate) const WALL: u64 = 1_790_000_000;
pub(crate) const UDP: &[u8] = &[17, 0, 0, 0];
pub(crate) const TCP: &[u8] = &[6, 0, 0, 0];

/// A server with a driver that opens every socket it is asked for.
pub(crate) struct Stage {
    pub(crate) server: Server,
    pub(crate) now: Instant,
    pub(crate) outputs: Vec<Output>,
    /// Addresses whose socket is open.
    pub(crate) sockets: HashMap<RelayId, SocketAddr>,
    /// Ports that another program has.
    pub(crate) taken: Vec<u16>,
    pub(crate) ports: Arc<Ports>,
    transactions: u64,
}

/// Somebody's credential with what the server has said of it.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) name: String,
    pub(crate) password: String,
    pub(crate) integrity: Integrity,
    pub(crate) algorithm: Option<Algorithm>,
    pub(crate) hashed: bool,
    pub(crate) nonce: Vec<u8>,
}

/// An answer, read.
#[derive(Debug)]
pub(crate) struct Answer(pub(crate) Vec<u8>);

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Appends XOR-PEER-ADDRESS as it stands: an IPv4 address in an IPv6 one stays there.
pub(crate) fn with_peer(request: Builder, peer: &str) -> Builder {
    let peer = address(peer);
    let SocketAddr::V6(v6) = peer else {
        return request.xor_address(attribute::XOR_PEER_ADDRESS, peer);
    };
    let mask = request.clone().finish()[4..20].to_vec();
    let port = peer.port() ^ (turn::MAGIC_COOKIE >> 16) as u16;
    let mut value = [&[0, 2][..], &port.to_be_bytes()].concat();
    value.extend(
        v6.ip()
            .octets()
            .iter()
            .zip(mask)
            .map(|(octet, mask)| octet ^ mask),
    );
    request.attribute(attribute::XOR_PEER_ADDRESS, &value)
}

pub(crate) fn client(port: u16) -> Client {
    Client::Datagram(SocketAddr::new("192.0.2.10".parse().unwrap(), port))
}

pub(crate) fn relaying(ports: &Arc<Ports>) -> Relaying {
    let place = |local: &str, public: &str| {
        Some(RelayAddress {
            local: local.parse().unwrap(),
            public: public.parse().unwrap(),
        })
    };
    Relaying {
        realm: REALM.to_owned(),
        users: vec![
            ("ann".to_owned(), "secret".to_owned()),
            ("bob".to_owned(), "sesame".to_owned()),
        ],
        tickets: None,
        wall: WallClock::new(WALL * 1_000),
        addresses: [
            place("10.0.0.5", "203.0.113.5"),
            place("2a00::5", "2a00::5"),
        ],
        ports: ports.clone(),
        reach: Reach {
            own: ["10.0.0.5", "203.0.113.5", "2a00::5"]
                .map(|ip| ip.parse().unwrap())
                .to_vec(),
            listening: vec![address("203.0.113.5:3478")],
            ..Reach::default()
        },
        quota: Quota {
            allocations: 10,
            bandwidth: 0,
        },
        allocations: 1_000,
    }
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Relaying)) -> Self {
        let ports = Arc::new(Ports::new(PORTS.0, PORTS.1));
        let mut relay = relaying(&ports);
        change(&mut relay);
        let rate = Rate {
            per_second: 100_000,
            burst: 100_000,
        };
        let config = Config {
            rate,
            relay: Some(relay),
            ..Config::default()
        };
        Self {
            server: Server::new(config, [5; 32]),
            now: Instant::new(Duration::from_secs(100)),
            outputs: Vec::new(),
            sockets: HashMap::new(),
            taken: Vec::new(),
            ports,
            transactions: 0,
        }
    }

    pub(crate) fn with_tickets(secret: [u8; 32]) -> Self {
        Self::with(|relay| relay.tickets = Some(Secret::new(secret)))
    }

    pub(crate) fn feed(&mut self, input: Input) {
        self.server.handle_input(input, self.now);
        self.drive();
    }

    pub(crate) fn pass(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
        self.server.handle_timeout(self.now);
        self.drive();
    }

    fn drive(&mut self) {
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Bind { relay, address, .. } => {
                    let taken = self.taken.contains(&address.port());
                    let answer = if taken {
                        Input::BindFailed { relay }
                    } else {
                        Input::Bound { relay }
                    };
                    if !taken {
                        assert!(self.sockets.insert(relay, address).is_none(), "two sockets");
                    }
                    self.server.handle_input(answer, self.now);
                }
                Output::Unbind { relay } => drop(self.sockets.remove(&relay)),
                other => self.outputs.push(other),
            }
        }
    }

    pub(crate) fn request(&mut self, method: Method) -> Builder {
        self.transactions += 1;
        let mut id = [0; 12];
        id[4..].copy_from_slice(&self.transactions.to_be_bytes());
        Builder::new(Class::Request, method, TransactionId(id))
    }

    pub(crate) fn send(&mut self, client: Client, bytes: Vec<u8>) {
        self.feed(match client {
            Client::Datagram(from) => Input::Datagram { from, bytes },
            Client::Stream(stream) => Input::Bytes { stream, bytes },
        });
    }

    /// Sends a message and gives what the client hears at once.
    pub(crate) fn ask(&mut self, client: Client, bytes: Vec<u8>) -> Option<Answer> {
        self.outputs.clear();
        self.send(client, bytes);
        self.heard(client)
    }

    /// What a client has heard, the oldest first.
    pub(crate) fn heard(&mut self, client: Client) -> Option<Answer> {
        let at = self.outputs.iter().position(|output| match output {
            Output::Send { to, .. } => Client::Datagram(*to) == client,
            Output::Write { stream, .. } => Client::Stream(*stream) == client,
            _ => false,
        })?;
        match self.outputs.remove(at) {
            Output::Send { bytes, .. } | Output::Write { bytes, .. } => Some(Answer(bytes)),
            _ => None,
        }
    }

    pub(crate) fn login(&mut self, client: Client, name: &str, password: &str) -> Login {
        let request = self
            .request(Method::ALLOCATE)
            .attribute(attribute::REQUESTED_TRANSPORT, UDP);
        let challenge = self.ask(client, request.finish()).unwrap();
        assert_eq!(challenge.code(), 401);
        Login {
            name: name.to_owned(),
            password: password.to_owned(),
            integrity: Integrity::Sha1,
            algorithm: None,
            hashed: false,
            nonce: challenge.value(attribute::NONCE).unwrap(),
        }
    }

    pub(crate) fn ann(&mut self, client: Client) -> Login {
        self.login(client, "ann", "secret")
    }

    /// Asks with a credential; the answer must be proved, if it is not about the credential.
    pub(crate) fn ask_as(&mut self, login: &Login, client: Client, request: Builder) -> Answer {
        let answer = self.ask(client, login.seal(request)).unwrap();
        if !matches!(answer.code(), 401 | 438) && answer.message().integrity().is_some() {
            assert!(answer.message().is_proved(login.integrity, &login.key()));
        }
        answer
    }

    pub(crate) fn allocate(&mut self, login: &Login, client: Client) -> SocketAddr {
        let request = self
            .request(Method::ALLOCATE)
            .attribute(attribute::REQUESTED_TRANSPORT, UDP);
        let answer = self.ask_as(login, client, request);
        assert_eq!(answer.code(), 0);
        answer.address(attribute::XOR_RELAYED_ADDRESS).unwrap()
    }

    pub(crate) fn refresh(&mut self, login: &Login, client: Client, seconds: u32) -> Answer {
        let request = self
            .request(Method::REFRESH)
            .attribute(attribute::LIFETIME, &seconds.to_be_bytes());
        self.ask_as(login, client, request)
    }

    pub(crate) fn permit(&mut self, login: &Login, client: Client, peer: &str) -> u16 {
        let request = with_peer(self.request(Method::CREATE_PERMISSION), peer);
        self.ask_as(login, client, request).code()
    }

    pub(crate) fn bind(&mut self, login: &Login, client: Client, channel: u16, peer: &str) -> u16 {
        let request = self.request(Method::CHANNEL_BIND).attribute(
            attribute::CHANNEL_NUMBER,
            &[channel.to_be_bytes(), [0, 0]].concat(),
        );
        self.ask_as(login, client, with_peer(request, peer)).code()
    }

    /// The relayed address as the driver knows it.
    pub(crate) fn relay(&self, public: SocketAddr) -> RelayId {
        let found = self
            .sockets
            .iter()
            .find(|(_, local)| local.port() == public.port());
        *found.unwrap().0
    }

    pub(crate) fn opened(&mut self, stream: u64) -> Client {
        let stream = StreamId(stream);
        self.feed(Input::Opened {
            stream,
            from: address("198.51.100.9:777"),
        });
        Client::Stream(stream)
    }
}

impl Login {
    pub(crate) fn key(&self) -> Key {
        let algorithm = self.algorithm.unwrap_or(Algorithm::Md5);
        Key::long_term(algorithm, self.name.as_bytes(), REALM, &self.password)
    }

    pub(crate) fn seal(&self, request: Builder) -> Vec<u8> {
        let request = if self.hashed {
            request.attribute(attribute::USERHASH, &turn::user_hash(&self.name, REALM))
        } else {
            request.attribute(attribute::USERNAME, self.name.as_bytes())
        };
        let request = request
            .attribute(attribute::REALM, REALM.as_bytes())
            .attribute(attribute::NONCE, &self.nonce);
        let request = match self.algorithm {
            None => request,
            Some(algorithm) => {
                let number = if algorithm == Algorithm::Md5 { 1 } else { 2 };
                request
                    .attribute(attribute::PASSWORD_ALGORITHMS, &Algorithm::LIST)
                    .attribute(attribute::PASSWORD_ALGORITHM, &[0, number, 0, 0])
            }
        };
        request
            .integrity(self.integrity, &self.key())
            .finish_with_fingerprint()
    }
}

impl Answer {
    pub(crate) fn message(&self) -> Message<'_> {
        Message::read(&self.0).unwrap()
    }

    /// The error code; 0 for success.
    pub(crate) fn code(&self) -> u16 {
        match self.message().attribute(attribute::ERROR_CODE) {
            Some([_, _, class, number, ..]) => u16::from(*class) * 100 + u16::from(*number),
            _ => {
                assert_eq!(self.message().class(), Class::Success);
                0
            }
        }
    }

    pub(crate) fn value(&self, kind: u16) -> Option<Vec<u8>> {
        self.message().attribute(kind).map(<[u8]>::to_vec)
    }

    pub(crate) fn address(&self, kind: u16) -> Option<SocketAddr> {
        let value = self.value(kind)?;
        self.message().unmask(&value)
    }
}
