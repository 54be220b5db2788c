use std::sync::atomic::AtomicU64;

use futures_util::{SinkExt, StreamExt};
use p2psip::{LinkId, SuperNodeInput};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::*;
use crate::client::Client;
use crate::clock::Clock;
use crate::config::{Origin, SuperNode};
use crate::direct::Door;
use crate::driver::{Arrival, Status};
use crate::outlet::Outlet;
use crate::testing::{Overlay, PATIENCE};

/// Longer than anything else in these tests takes.
const IDLE: Duration = Duration::from_secs(2);

type Browser = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A super node's site without the machine behind it.
struct Stage {
    origin: Origin,
    arrivals: mpsc::Receiver<Arrival>,
    status: watch::Sender<Status>,
    _origins: watch::Sender<Origins>,
    directory: tempfile::TempDir,
}

/// Nobody asks for a probe here.
fn prober(identity: crate::identity::Identity) -> crate::probe::Prober {
    let list = credential::RevocationList::empty(identity.anchor.overlay());
    let client = Client::new(crate::tls::client(None).unwrap());
    let (identity, revocations) = (watch::channel(identity).1, watch::channel(list).1);
    crate::probe::Prober::new(Clock::start(), client, identity, revocations)
}

impl Stage {
    async fn new(secure: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (mut scheme, mut files, mut tls) = ("http", String::new(), None);
        if secure {
            let key = rcgen::KeyPair::generate().unwrap();
            let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()])
                .unwrap()
                .self_signed(&key)
                .unwrap();
            let (chain, secret) = (
                directory.path().join("tls.pem"),
                directory.path().join("tls.key"),
            );
            std::fs::write(&chain, certificate.pem()).unwrap();
            std::fs::write(&secret, key.serialize_pem()).unwrap();
            files = format!("certificate = {chain:?}\nkey = {secret:?}\n");
            tls = Some(crate::tls::follow(&chain, &secret).unwrap());
            scheme = "https";
        }
        let origin = format!("{scheme}://localhost:{}", address.port());
        let page = directory.path().join("page");
        std::fs::create_dir(&page).unwrap();
        std::fs::write(page.join("index.html"), "<!doctype html>").unwrap();
        let text = format!(
            "data = \"unused\"\nlisten = \"{address}\"\nurl = {origin:?}\nlogin = \"https://login.example.org\"\n\
             page = {page:?}\n{files}"
        );
        let config: SuperNode = toml::from_str(&text).unwrap();
        let identity = Overlay::new().await.super_node().await;
        let mut origins = Origins::new(vec![config.url.clone()]);
        origins.set_members(
            ["wss://sn2.example.org/p2psip"].into_iter(),
            machine::Instant::EPOCH,
        );
        let (origins, followed) = watch::channel(origins);
        let (status, known) = watch::channel(Status::default());
        let (arrivals, arriving) = mpsc::channel(64);
        let door = Door {
            arrivals,
            numbers: Arc::new(AtomicU64::new(1)),
            secure,
        };
        let mut site = Site::new(
            &config,
            &identity,
            Clock::start(),
            followed,
            known,
            door,
            prober(identity.clone()),
        );
        site.idle = IDLE;
        tokio::spawn(serve(listener, tls, Arc::new(site)));
        Self {
            origin: config.url,
            arrivals: arriving,
            status,
            _origins: origins,
            directory,
        }
    }

    async fn dial(&self, headers: &[(&'static str, &str)]) -> Result<Browser, Error> {
        let mut request = self.origin.websocket().into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let (browser, response) = tokio_tungstenite::connect_async(request).await?;
        assert_eq!(response.headers()["sec-websocket-protocol"], "p2psip.1");
        Ok(browser)
    }

    async fn browser(&mut self) -> (Browser, LinkId, Outlet<Message>) {
        let origin = self.origin.to_string();
        let headers = [("sec-websocket-protocol", "p2psip.1"), ("origin", &origin)];
        let browser = self.dial(&headers).await.unwrap();
        match self.next().await {
            Arrival::Associated { link, outlet, .. } => (browser, link, outlet),
            other => panic!("{other:?}"),
        }
    }

    async fn next(&mut self) -> Arrival {
        timeout(PATIENCE, self.arrivals.recv())
            .await
            .unwrap()
            .unwrap()
    }

    async fn fact(&mut self) -> SuperNodeInput {
        match self.next().await {
            Arrival::Fact(fact) => fact,
            other => panic!("{other:?}"),
        }
    }

    /// Sends a request as bytes and reads the whole answer.
    async fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.origin.port()))
            .await
            .unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut answer))
            .await
            .unwrap()
            .unwrap();
        answer
    }
}

/// Status and sentence of a refused handshake.
fn refusal(refused: Result<Browser, Error>) -> (u16, String) {
    match refused {
        Err(Error::Http(response)) => {
            let sentence = response.body().clone().unwrap_or_default();
            (
                response.status().as_u16(),
                String::from_utf8(sentence).unwrap(),
            )
        }
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("accepted"),
    }
}

async fn close_code(browser: &mut Browser) -> u16 {
    loop {
        match timeout(PATIENCE, browser.next()).await.unwrap() {
            Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
            Some(Ok(_)) => {}
            other => panic!("no close frame: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a50_foreign_origin_is_refused_with_a_sentence() {
    let stage = Stage::new(false).await;
    for origin in [
        "https://evil.example",
        "null",
        "http://localhost:1",
        "https://sn2.example.org.evil.example",
    ] {
        let headers = [("sec-websocket-protocol", "p2psip.1"), ("origin", origin)];
        let (status, sentence) = refusal(stage.dial(&headers).await);
        assert_eq!(status, 403, "{origin}");
        assert!(sentence.contains("may not connect"), "{sentence}");
    }
    for origin in [stage.origin.as_str(), "https://sn2.example.org"] {
        let headers = [("sec-websocket-protocol", "p2psip.1"), ("origin", origin)];
        assert!(stage.dial(&headers).await.is_ok(), "{origin}");
    }
}

#[tokio::test]
async fn other_subprotocols_are_refused() {
    let stage = Stage::new(false).await;
    for offer in ["chat", "p2psip.2", "p2psip"] {
        let (status, sentence) = refusal(stage.dial(&[("sec-websocket-protocol", offer)]).await);
        assert_eq!(status, 400, "{offer}");
        assert!(sentence.contains("p2psip.1"), "{sentence}");
    }
    let (status, _) = refusal(stage.dial(&[]).await);
    assert_eq!(status, 400);
    assert!(
        stage
            .dial(&[("sec-websocket-protocol", "chat, p2psip.1")])
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn r098_messages_of_both_kinds_go_both_ways() {
    let mut stage = Stage::new(false).await;
    let (mut browser, link, outlet) = stage.browser().await;
    browser.send(Message::binary(vec![1, 2, 3])).await.unwrap();
    let bytes = vec![1, 2, 3];
    assert_eq!(stage.fact().await, SuperNodeInput::Frame { link, bytes });
    browser.send(Message::text("OPTIONS")).await.unwrap();
    let text = "OPTIONS".to_owned();
    assert_eq!(stage.fact().await, SuperNodeInput::Text { link, text });
    outlet.send(Message::text("200")).unwrap();
    assert_eq!(browser.next().await.unwrap().unwrap(), Message::text("200"));
    outlet.send(Message::binary(vec![9; 64 << 10])).unwrap();
    drop(outlet);
    assert_eq!(browser.next().await.unwrap().unwrap().len(), 64 << 10);
    assert_eq!(close_code(&mut browser).await, 1000);
    assert_eq!(stage.fact().await, SuperNodeInput::Closed { link });
}

#[tokio::test]
async fn a51_oversized_message_is_refused_whole_or_in_fragments() {
    let mut stage = Stage::new(false).await;
    let (mut browser, link, _outlet) = stage.browser().await;
    browser
        .send(Message::binary(vec![0; (64 << 10) + 1]))
        .await
        .unwrap();
    assert_eq!(stage.fact().await, SuperNodeInput::Closed { link });
    assert_eq!(close_code(&mut browser).await, 1009);

    use tokio_tungstenite::tungstenite::protocol::frame::Frame;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
    let (mut browser, link, _outlet) = stage.browser().await;
    for part in 0..3 {
        let kind = if part == 0 {
            Data::Binary
        } else {
            Data::Continue
        };
        let frame = Frame::message(vec![0; 30_000], OpCode::Data(kind), part == 2);
        browser.send(Message::Frame(frame)).await.unwrap();
    }
    assert_eq!(stage.fact().await, SuperNodeInput::Closed { link });
    assert_eq!(close_code(&mut browser).await, 1009);
}

#[tokio::test]
async fn a44_browser_that_does_not_read_is_cut() {
    let mut stage = Stage::new(false).await;
    let (mut browser, link, outlet) = stage.browser().await;
    // More than all buffers between here and there hold.
    let mut outlet = Some(outlet);
    for _ in 0..100_000 {
        let full = outlet
            .as_ref()
            .unwrap()
            .send(Message::binary(vec![0; 32 << 10]))
            .is_err();
        if full {
            outlet.take().unwrap().cut();
            break;
        }
        tokio::task::yield_now().await;
    }
    assert!(outlet.is_none(), "the queue never filled");
    // It reads again, too late.
    let closed = async {
        while let Some(Ok(message)) = browser.next().await {
            if let Message::Close(Some(frame)) = message {
                return Some(u16::from(frame.code));
            }
        }
        None
    };
    assert_eq!(timeout(PATIENCE, closed).await.unwrap(), Some(1008));
    assert_eq!(stage.fact().await, SuperNodeInput::Closed { link });
}

#[tokio::test]
async fn a51_silent_connection_is_asked_once_and_ended() {
    let mut stage = Stage::new(false).await;
    // One that answers pings stays, one that does not read at all goes.
    let (mut awake, _, _awake_outlet) = stage.browser().await;
    let (mut asleep, link, _outlet) = stage.browser().await;
    let pings = tokio::spawn(async move {
        let mut pings = 0;
        while let Ok(Some(Ok(message))) = timeout(PATIENCE, awake.next()).await {
            pings += usize::from(message.is_ping());
            if pings == 3 {
                break;
            }
        }
        pings
    });
    assert_eq!(stage.fact().await, SuperNodeInput::Closed { link });
    assert_eq!(close_code(&mut asleep).await, 1001);
    assert_eq!(pings.await.unwrap(), 3);
}

#[tokio::test]
async fn a36_what_is_no_handshake_gets_an_answer_in_words() {
    let stage = Stage::new(false).await;
    let plain = stage
        .raw("GET /p2psip HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await;
    assert!(plain.starts_with("HTTP/1.1 426 "), "{plain}");
    assert!(plain.contains("sec-websocket-version: 13"), "{plain}");
    let old = "GET /p2psip HTTP/1.1\r\nHost: a\r\nConnection: upgrade, close\r\nUpgrade: websocket\r\n\
               Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: AAAA\r\nSec-WebSocket-Protocol: p2psip.1\r\n\r\n";
    assert!(stage.raw(old).await.starts_with("HTTP/1.1 426 "));
    let post = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    assert!(stage.raw(post).await.starts_with("HTTP/1.1 405 "));
    let long = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
        "x".repeat(20_000)
    );
    assert!(stage.raw(&long).await.starts_with("HTTP/1.1 431 "));
    assert!(
        stage
            .raw("nonsense\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 400 ")
    );
}

#[tokio::test]
async fn a53_page_comes_with_the_headers_that_keep_it_to_itself() {
    let stage = Stage::new(false).await;
    let page = stage
        .raw("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await;
    assert!(
        page.contains("content-type: text/html; charset=utf-8"),
        "{page}"
    );
    assert!(page.contains("x-content-type-options: nosniff"), "{page}");
    let policy = page
        .lines()
        .find(|line| line.starts_with("content-security-policy"))
        .unwrap();
    for part in [
        "default-src 'self'",
        "script-src 'self' 'wasm-unsafe-eval'",
        "connect-src 'self' ws: wss: https://login.example.org;",
        "frame-ancestors 'none'",
        "object-src 'none'",
        "form-action 'self' https://login.example.org",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe-inline"), "{policy}");
    let missing = stage
        .raw("GET /../tls.key HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await;
    assert!(missing.starts_with("HTTP/1.1 404 "), "{missing}");
}

#[tokio::test]
async fn over_tls_clear_websockets_are_not_in_the_policy() {
    let stage = Stage::new(true).await;
    let client = crate::tls::client(Some(&stage.directory.path().join("tls.pem"))).unwrap();
    let client = Client::new(client);
    let about: serde_json::Value = client
        .read(&stage.origin, "/.well-known/partyline")
        .await
        .unwrap();
    assert_eq!(about["domain"], "example.org");
    assert_eq!(about["login"], "https://login.example.org");
    assert_eq!(about["bootstrap"][0], "https://login.example.org");
    assert_eq!(about["node"].as_str().unwrap().len(), 40);
    // Who does not know the authority does not get that far.
    let stranger = Client::new(crate::tls::client(None).unwrap());
    assert!(stranger.fetch(&stage.origin, "/healthz").await.is_err());
}

#[tokio::test]
async fn ready_once_joined_and_healthy_before() {
    let stage = Stage::new(false).await;
    let client = Client::new(crate::tls::client(None).unwrap());
    assert!(client.fetch(&stage.origin, "/healthz").await.is_ok());
    let waiting = client.fetch(&stage.origin, "/readyz").await.unwrap_err();
    assert!(waiting.to_string().contains("joining"), "{waiting}");
    stage.status.send_modify(|status| status.joined = true);
    assert!(client.fetch(&stage.origin, "/readyz").await.is_ok());
}
