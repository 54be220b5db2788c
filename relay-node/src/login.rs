//! The roles login server and bootstrap server: mounts what the crate `login-server` serves.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use login_server::{BootstrapServer, LoginServer};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::config::{Bootstrap, Login};
use crate::http::{self, Body, Service};
use crate::node::in_words;
use crate::tls::{self, TlsError};

const REVOCATIONS: Duration = Duration::from_secs(20);

/// Why a login or bootstrap server does not start.
#[derive(Debug)]
pub enum LoginError {
    /// A TLS file can't be used.
    Tls(TlsError),
    /// The address can't be listened on.
    Listen(SocketAddr, std::io::Error),
    /// The login server's data can't be used.
    Open(login_server::OpenError),
    /// The root certificate's file can't be read.
    RootFile(PathBuf, std::io::Error),
    /// The root certificate isn't one.
    Root(login_server::RootFault),
}

impl fmt::Display for LoginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls(error) => error.fmt(f),
            Self::Listen(address, error) => {
                write!(
                    f,
                    "the server can't listen on {address}: {}",
                    in_words(error)
                )
            }
            Self::Open(error) => write!(f, "login server: {error}"),
            Self::RootFile(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Root(error) => write!(f, "bootstrap server: {error}"),
        }
    }
}

impl std::error::Error for LoginError {}

/// What answers at one address.
struct Servers {
    login: Option<LoginServer>,
    bootstrap: Option<BootstrapServer>,
}

impl Service for Servers {
    async fn answer(&self, request: Request<Incoming>, from: SocketAddr) -> Response<Body> {
        match (request.uri().path(), &self.bootstrap, &self.login) {
            ("/healthz" | "/readyz", _, _) => words(StatusCode::OK, "ready\n"),
            ("/super-nodes", Some(bootstrap), _) => bootstrap.handle(request, from).await,
            (_, _, Some(login)) => login.handle(request, from).await,
            (_, _, None) => words(
                StatusCode::NOT_FOUND,
                "Nothing is served at this address.\n",
            ),
        }
    }
}

/// The login server's clock, which is this node's.
#[must_use]
pub fn server_clock(clock: Clock) -> login_server::Clock {
    login_server::Clock::new(move || clock.wall())
}

/// Starts the login server, and the bootstrap server with it unless that has an address of its own.
///
/// # Errors
/// What keeps it from starting, in words for its operator.
pub async fn start(
    login: Option<&Login>,
    bootstrap: Option<&Bootstrap>,
) -> Result<Vec<JoinHandle<()>>, LoginError> {
    let clock = server_clock(Clock::start());
    let mut tasks = Vec::new();
    let mut alone = bootstrap;
    if let Some(config) = login {
        let listener = listen(config.listen).await?;
        let server = LoginServer::open(config.served(), clock.clone())
            .await
            .map_err(LoginError::Open)?;
        let together = bootstrap.filter(|bootstrap| bootstrap.listen.is_none());
        let beside = together
            .map(|bootstrap| {
                BootstrapServer::open(bootstrap.served(), server.root(), clock.clone())
            })
            .transpose()
            .map_err(LoginError::Root)?;
        tracing::info!(url = %config.url, overlay = server.overlay(), bootstrap = beside.is_some(), "login server");
        if together.is_some() {
            alone = None;
        }
        if let Some(config) = alone {
            let root = server.root().to_vec();
            tasks.push(bootstrap_alone(config, Some(root), clock.clone()).await?);
            alone = None;
        }
        let tls = tls_of(&config.certificate, &config.key)?;
        let servers = Arc::new(Servers {
            login: Some(server),
            bootstrap: beside,
        });
        tasks.push(tokio::spawn(follow_revocations(servers.clone())));
        tasks.push(tokio::spawn(http::serve(listener, tls, servers)));
    }
    if let Some(config) = alone {
        tasks.push(bootstrap_alone(config, None, clock).await?);
    }
    Ok(tasks)
}

/// A bootstrap server beside the login server lists no node whose certificate was taken back.
async fn follow_revocations(servers: Arc<Servers>) {
    let (Some(login), Some(bootstrap)) = (&servers.login, &servers.bootstrap) else {
        return;
    };
    loop {
        match login.revocations().await {
            Ok(list) => drop(bootstrap.take_revocations(&list.to_bytes())),
            Err(error) => tracing::warn!("revocations: {error}"),
        }
        tokio::time::sleep(REVOCATIONS).await;
    }
}

async fn bootstrap_alone(
    config: &Bootstrap,
    root: Option<Vec<u8>>,
    clock: login_server::Clock,
) -> Result<JoinHandle<()>, LoginError> {
    let root = match (&config.root, root) {
        (Some(path), _) => {
            std::fs::read(path).map_err(|error| LoginError::RootFile(path.clone(), error))?
        }
        (None, Some(root)) => root,
        (None, None) => Vec::new(),
    };
    let address = config
        .listen
        .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
    let listener = listen(address).await?;
    let tls = tls_of(&config.certificate, &config.key)?;
    let server = BootstrapServer::open(config.served(), &root, clock).map_err(LoginError::Root)?;
    tracing::info!(listen = %address, "bootstrap server");
    let servers = Servers {
        login: None,
        bootstrap: Some(server),
    };
    Ok(tokio::spawn(http::serve(listener, tls, Arc::new(servers))))
}

async fn listen(address: SocketAddr) -> Result<TcpListener, LoginError> {
    TcpListener::bind(address)
        .await
        .map_err(|error| LoginError::Listen(address, error))
}

fn tls_of(
    certificate: &Option<PathBuf>,
    key: &Option<PathBuf>,
) -> Result<Option<watch::Receiver<Arc<rustls::ServerConfig>>>, LoginError> {
    match (certificate, key) {
        (Some(certificate), Some(key)) => tls::follow(certificate, key)
            .map(Some)
            .map_err(LoginError::Tls),
        (_, _) => Ok(None),
    }
}

fn words(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
}
