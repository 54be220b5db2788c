//! A P2P UA as a program: the same machine that the browser runs, driven by a WebSocket of tokio.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use credential::{Certificate, TrustAnchor, Verified};
use futures_util::{SinkExt, StreamExt};
use login_server::wire::{Credential, GuestRequest};
use machine::{Instant, Machine};
use p2psip::{CallId, Config, Contact, Event, Input, LinkId, Output, Peer};
use relay_node::client::Client;
use relay_node::crypto::{Key, entropy, verify};
use relay_node::{Clock, tls};
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{sleep_until, timeout};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

/// How long it waits for an event where nothing states a deadline: long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A guest's phone.
pub(crate) struct Phone {
    pub(crate) name: String,
    pub(crate) peer: Peer,
    fingerprint: String,
    /// How many associations it has, and how many it will keep.
    associations: usize,
    wanted: usize,
    key: Key,
    clock: Clock,
    links: HashMap<LinkId, mpsc::Sender<Message>>,
    inputs: mpsc::Receiver<Input>,
    input: mpsc::Sender<Input>,
    events: VecDeque<Event>,
    trust: Option<Arc<ClientConfig>>,
}

type Socket = WebSocketStream<Box<dyn Duplex>>;

trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

impl Phone {
    /// Signs in as a guest and associates with the super nodes at `websockets`, the best first.
    pub(crate) async fn new(login: &str, websockets: &[&str]) -> Self {
        let (key, clock) = (Key::generate(), Clock::start());
        let client = Client::new(tls::client(None).unwrap());
        let mut uuid: String = entropy::<16>()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        for dash in [20, 16, 12, 8] {
            uuid.insert(dash, '-');
        }
        let request = GuestRequest {
            public_key: STANDARD.encode(key.public().to_spki()),
            instance: uuid,
            name: None,
        };
        let login = login.parse().unwrap();
        let given: Credential = client.post(&login, "/guest", &request).await.unwrap();
        let decode = |text: &str| STANDARD.decode(text).unwrap();
        let contact = |url: &&str| Contact {
            node: None,
            url: (*url).to_owned(),
        };
        let config = Config {
            anchor: TrustAnchor::read(&decode(&given.root)).unwrap(),
            certificate: Certificate::read(&decode(&given.certificate)).unwrap(),
            name: None,
            super_nodes: websockets.iter().map(contact).collect(),
            revocations: None,
            seed: entropy(),
            wall: clock.wall_clock(),
        };
        let (input, inputs) = mpsc::channel(256);
        let octets: Vec<_> = entropy::<32>()
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect();
        Self {
            name: given.name,
            peer: Peer::new(config, clock.now()),
            fingerprint: format!("sha-256 {}", octets.join(":")),
            associations: 0,
            wanted: websockets.len().min(2),
            key,
            clock,
            links: HashMap::new(),
            inputs,
            input,
            events: VecDeque::new(),
            trust: None,
        }
    }

    /// Accepts these certificate authorities (PEM) of super nodes.
    pub(crate) fn trust(&mut self, authorities: &Path) {
        self.trust = Some(tls::client(Some(authorities)).unwrap());
    }

    /// Becomes callable, by two associations if there are two super nodes.
    pub(crate) async fn online(&mut self) {
        while self.associations < self.wanted {
            self.until(|event| matches!(event, Event::Associations { .. }))
                .await;
        }
        let fingerprint = self.fingerprint.clone();
        self.act(|peer, now| peer.go_online(&fingerprint, now));
        self.until(|event| matches!(event, Event::Online)).await;
    }

    pub(crate) async fn call(&mut self, whom: &str) -> CallId {
        let call = self.act(|peer, now| peer.call(whom, now));
        let sdp = self.sdp();
        self.act(|peer, now| peer.offer(call, &sdp, now));
        call
    }

    pub(crate) async fn incoming(&mut self) -> (CallId, String) {
        match self
            .until(|event| matches!(event, Event::Incoming { .. }))
            .await
        {
            Event::Incoming { call, caller, .. } => (call, caller.uri),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn sdp(&self) -> String {
        let fingerprint = &self.fingerprint;
        format!(
            "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
             m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n\
             a=ice-ufrag:ufrg\r\na=ice-pwd:passwordpasswordpassword\r\na=ice-options:trickle\r\n\
             a=fingerprint:{fingerprint}\r\na=setup:actpass\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\n\
             a=rtpmap:111 opus/48000/2\r\n"
        )
    }

    pub(crate) fn act<T>(&mut self, act: impl FnOnce(&mut Peer, Instant) -> T) -> T {
        let result = act(&mut self.peer, self.clock.now());
        self.pump();
        result
    }

    /// Runs until an event, and drops those before it.
    pub(crate) async fn until(&mut self, wanted: impl Fn(&Event) -> bool) -> Event {
        let mut seen = Vec::new();
        let running = async {
            self.pump();
            loop {
                while let Some(event) = self.events.pop_front() {
                    if wanted(&event) {
                        return event;
                    }
                    seen.push(event);
                }
                self.step().await;
            }
        };
        match timeout(PATIENCE, running).await {
            Ok(event) => event,
            Err(_) => panic!("{} waits in vain; seen: {seen:#?}", self.name),
        }
    }

    /// Runs for as long as another part of the test takes.
    pub(crate) async fn during<T>(&mut self, other: impl Future<Output = T>) -> T {
        tokio::pin!(other);
        loop {
            tokio::select! {
                result = &mut other => return result,
                () = self.step() => {}
            }
        }
    }

    /// Runs for a while.
    pub(crate) async fn pause(&mut self, length: Duration) {
        self.during(tokio::time::sleep(length)).await;
    }

    /// Signs off.
    pub(crate) async fn offline(&mut self) {
        self.act(Peer::go_offline);
        self.until(|event| matches!(event, Event::Offline)).await;
    }

    /// Takes another key for the media, as a browser does whose certificate was renewed.
    pub(crate) fn change_fingerprint(&mut self) {
        self.fingerprint = format!("sha-256 {}", ["77"; 32].join(":"));
    }

    /// Says that nothing rang so far and nothing does for a while.
    pub(crate) async fn sees_no_call(&mut self) {
        self.pause(Duration::from_secs(2)).await;
        let rang = |event: &&Event| matches!(event, Event::Incoming { .. });
        assert_eq!(self.events.iter().find(rang), None);
    }

    async fn step(&mut self) {
        let due = self.peer.poll_timeout();
        let deadline = self.clock.deadline(due.unwrap_or(Instant::EPOCH));
        tokio::select! {
            Some(input) = self.inputs.recv() => self.peer.handle_input(input, self.clock.now()),
            () = sleep_until(deadline), if due.is_some() => self.peer.handle_timeout(self.clock.now()),
        }
        self.pump();
    }

    fn pump(&mut self) {
        while let Some(output) = self.peer.poll_output() {
            let now = self.clock.now();
            match output {
                Output::Dial { link, url } => {
                    let (sender, receiver) = mpsc::channel(256);
                    self.links.insert(link, sender);
                    let (input, trust) = (self.input.clone(), self.trust.clone());
                    tokio::spawn(serve(link, url, receiver, input, trust));
                }
                Output::Close { link } => drop(self.links.remove(&link)),
                Output::Frame { link, bytes } => self.send(link, Message::binary(bytes)),
                Output::Text { link, text } => self.send(link, Message::text(text)),
                Output::Sign(sign) => {
                    let signature = self.key.sign(&sign.message);
                    let job = sign.job;
                    let signed = credential::Signed { job, signature };
                    self.peer.handle_input(Input::Signed(signed), now);
                }
                Output::Verify(check) => {
                    let valid = verify(&check.key, &check.message, &check.signature);
                    let job = check.job;
                    self.peer
                        .handle_input(Input::Verified(Verified { job, valid }), now);
                }
                Output::Event(event) => {
                    if let Event::Associations { up } = event {
                        self.associations = up;
                    }
                    self.events.push_back(event);
                }
            }
        }
    }

    fn send(&self, link: LinkId, message: Message) {
        if let Some(sender) = self.links.get(&link) {
            let _ = sender.try_send(message);
        }
    }
}

/// Dials a super node, over TLS if its address says so.
async fn dial(url: String, trust: Option<Arc<ClientConfig>>) -> Result<Socket, Error> {
    let mut request = url.clone().into_client_request()?;
    let protocol = "p2psip.1".parse().unwrap();
    request
        .headers_mut()
        .insert("sec-websocket-protocol", protocol);
    let (host, port) = (
        request.uri().host().unwrap().to_owned(),
        request.uri().port_u16().unwrap(),
    );
    let tcp = TcpStream::connect(("127.0.0.1", port)).await?;
    let stream: Box<dyn Duplex> = match trust.filter(|_| url.starts_with("wss:")) {
        Some(trust) => {
            let name = host.try_into().unwrap();
            Box::new(TlsConnector::from(trust).connect(name, tcp).await?)
        }
        None => Box::new(tcp),
    };
    Ok(tokio_tungstenite::client_async(request, stream).await?.0)
}

async fn serve(
    link: LinkId,
    url: String,
    mut out: mpsc::Receiver<Message>,
    input: mpsc::Sender<Input>,
    trust: Option<Arc<ClientConfig>>,
) {
    if let Ok(mut socket) = dial(url, trust).await {
        let _ = input.send(Input::Opened { link }).await;
        loop {
            let arrived = tokio::select! {
                message = out.recv() => {
                    let Some(message) = message else {
                        let _ = socket.close(None).await;
                        return;
                    };
                    if socket.send(message).await.is_ok() {
                        continue;
                    }
                    break;
                }
                arrived = socket.next() => arrived,
            };
            let told = match arrived {
                Some(Ok(Message::Binary(bytes))) => Input::Frame {
                    link,
                    bytes: bytes.into(),
                },
                Some(Ok(Message::Text(text))) => Input::Text {
                    link,
                    text: text.as_str().to_owned(),
                },
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
            };
            let _ = input.send(told).await;
        }
    }
    let _ = input.send(Input::Closed { link }).await;
}
