use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;

use super::page::{Page, plain};
use super::{Body, Origins, Service, websocket};
use crate::clock::Clock;
use crate::config::SuperNode;
use crate::direct::Door;
use crate::driver::Status;
use crate::identity::Identity;
use crate::naming::{self, Giver};
use crate::probe::{Prober, Refused};
use crate::sip::WebSockets;

const IDLE: Duration = Duration::from_secs(25);
/// The longest request for a probe, and how long it may take to arrive.
const PROBE: usize = 8 << 10;
const PATIENCE: Duration = Duration::from_secs(5);

/// What a super node serves over HTTP: the page, the WebSocket, and a few words about itself.
pub(crate) struct Site {
    pub(super) clock: Clock,
    pub(super) door: Door,
    pub(super) origins: watch::Receiver<Origins>,
    /// Somebody who is silent for this long gets a ping, and after as long again the end.
    pub(super) idle: Duration,
    /// Where WebSockets of programs outside go, if there is a SIP server.
    pub(crate) phones: Arc<OnceLock<WebSockets>>,
    prober: Prober,
    /// Who gives other super nodes what they need to name this node's relay.
    pub(crate) giver: Option<Arc<Giver>>,
    page: Page,
    status: watch::Receiver<Status>,
    about: Bytes,
    headers: Vec<(header::HeaderName, HeaderValue)>,
}

impl Site {
    pub(crate) fn new(
        config: &SuperNode,
        identity: &Identity,
        clock: Clock,
        origins: watch::Receiver<Origins>,
        status: watch::Receiver<Status>,
        door: Door,
        prober: Prober,
    ) -> Self {
        let secure = config.certificate.is_some();
        let bootstrap: Vec<_> = config.bootstrap().iter().map(ToString::to_string).collect();
        let about = serde_json::json!({
            "overlay": identity.anchor.overlay().to_string(),
            "domain": identity.domain,
            "login": config.login.as_ref().map(crate::config::Origin::as_str),
            "bootstrap": bootstrap,
            "node": identity.node.to_string(),
            "public_key": STANDARD.encode(identity.key.public().to_spki()),
        });
        Self {
            clock,
            door,
            origins,
            idle: IDLE,
            phones: Arc::default(),
            prober,
            giver: None,
            page: Page::new(config.page.clone()),
            status,
            about: about.to_string().into(),
            headers: security(config, secure),
        }
    }

    async fn route(&self, request: Request<Incoming>, from: SocketAddr) -> Response<Body> {
        let reading = matches!(*request.method(), Method::GET | Method::HEAD);
        match request.uri().path() {
            "/p2psip" => websocket::upgrade(self, request, from),
            "/probe" if request.method() == Method::POST => self.probe(request, from).await,
            "/relay" if request.method() == Method::POST => self.relay(request).await,
            _ if !reading => plain(
                StatusCode::METHOD_NOT_ALLOWED,
                "Only GET and HEAD are answered here.\n",
            ),
            "/healthz" => plain(StatusCode::OK, "ok\n"),
            "/readyz" => {
                let status = self.status.borrow();
                if status.joined {
                    plain(StatusCode::OK, "ready\n")
                } else {
                    plain(StatusCode::SERVICE_UNAVAILABLE, "joining the overlay\n")
                }
            }
            "/.well-known/partyline" => {
                let mut response = plain(StatusCode::OK, self.about.clone());
                let headers = response.headers_mut();
                headers.insert(
                    header::CONTENT_TYPE,
                    HeaderValue::from_static("application/json"),
                );
                // Nothing here is secret, and a page of another origin may look for its overlay.
                headers.insert(
                    header::ACCESS_CONTROL_ALLOW_ORIGIN,
                    HeaderValue::from_static("*"),
                );
                response
            }
            path => self.page.answer(path, request.headers()).await,
        }
    }
}

impl Site {
    /// Tries to reach whoever asks, so that he may become a super node.
    async fn probe(&self, request: Request<Incoming>, from: SocketAddr) -> Response<Body> {
        let body = Limited::new(request.into_body(), PROBE).collect();
        let Ok(Ok(body)) = timeout(PATIENCE, body).await else {
            return plain(StatusCode::BAD_REQUEST, "That is no request for a probe.\n");
        };
        let (status, text) = match self.prober.answer(&body.to_bytes(), from.ip()).await {
            Ok(found) => match serde_json::to_vec(&found) {
                Ok(text) => (StatusCode::OK, text),
                Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, Vec::new()),
            },
            Err(Refused::Busy) => (StatusCode::TOO_MANY_REQUESTS, in_words(&Refused::Busy)),
            Err(Refused::Form) => (StatusCode::BAD_REQUEST, in_words(&Refused::Form)),
            Err(refused) => (StatusCode::FORBIDDEN, in_words(&refused)),
        };
        plain(status, text)
    }
}

impl Site {
    /// Gives a super node what it needs to name this node's relay.
    async fn relay(&self, request: Request<Incoming>) -> Response<Body> {
        let body = Limited::new(request.into_body(), PROBE).collect();
        let Ok(Ok(body)) = timeout(PATIENCE, body).await else {
            return plain(StatusCode::BAD_REQUEST, "That is no request for a relay.\n");
        };
        let given = match &self.giver {
            Some(giver) => giver.answer(&body.to_bytes()),
            None => Err(naming::Refused::NoRelay),
        };
        let status = match &given {
            Ok(_) => StatusCode::OK,
            Err(naming::Refused::NoRelay) => StatusCode::NOT_FOUND,
            Err(naming::Refused::Form) => StatusCode::BAD_REQUEST,
            Err(_) => StatusCode::FORBIDDEN,
        };
        match given {
            Ok(given) => plain(status, serde_json::to_vec(&given).unwrap_or_default()),
            Err(refused) => plain(status, format!("{refused}\n")),
        }
    }
}

fn in_words(refused: &Refused) -> Vec<u8> {
    format!("{refused}\n").into_bytes()
}

impl Service for Site {
    async fn answer(&self, request: Request<Incoming>, from: SocketAddr) -> Response<Body> {
        let mut response = self.route(request, from).await;
        for (name, value) in &self.headers {
            response.headers_mut().insert(name, value.clone());
        }
        response
    }

    fn load(&self) -> u8 {
        self.status.borrow().load
    }

    async fn associate(&self, stream: TlsStream<TcpStream>) {
        let (receive, send) = tokio::io::split(stream);
        self.door.serve(receive, send).await;
    }
}

/// The headers that keep the page to itself.
fn security(config: &SuperNode, secure: bool) -> Vec<(header::HeaderName, HeaderValue)> {
    let clear = if secure { "" } else { " ws:" };
    let mut servers: Vec<_> = config.bootstrap();
    if let Some(login) = &config.login {
        servers.retain(|server| server != login);
        servers.insert(0, login.clone());
    }
    let servers: Vec<_> = servers.iter().map(|server| format!(" {server}")).collect();
    let login = config.login.as_ref().map(|login| format!(" {login}"));
    let policy = format!(
        "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'{clear} wss:{}; \
         img-src 'self' data: blob:; media-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'; \
         form-action 'self'{}; object-src 'none'",
        servers.concat(),
        login.unwrap_or_default()
    );
    let mut headers = vec![
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("same-origin"),
        ),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (
            header::HeaderName::from_static("permissions-policy"),
            HeaderValue::from_static(
                "camera=(self), microphone=(self), geolocation=(), payment=(), usb=()",
            ),
        ),
        (
            header::HeaderName::from_static("cross-origin-opener-policy"),
            HeaderValue::from_static("same-origin"),
        ),
    ];
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.push((header::CONTENT_SECURITY_POLICY, policy));
    }
    if secure {
        headers.push((
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000"),
        ));
    }
    headers
}
