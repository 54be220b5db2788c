//! The login server and the bootstrap server, as two independent HTTP roles.
//!
//! The login server is the overlay's certificate authority (draft §3, §5.4, §11.2): it knows accounts and passwords,
//! and gives a user, a guest or an operator's super node a short-lived certificate over that party's own public key.
//! Everybody verifies offline against the overlay's root, so nothing asks this server again until a certificate nears
//! its end.
//!
//! The bootstrap server (draft §5.1) is a list of super nodes that are reachable now. It takes no part in the overlay
//! and needs nothing but the overlay's root, by which it checks the reports.
//!
//! Neither opens a socket: whoever mounts them hands in requests and the peer's address, and injects the wall clock.
//!
//! ```no_run
//! # async fn mount(request: hyper::Request<hyper::body::Incoming>, peer: std::net::SocketAddr)
//! # -> Result<(), Box<dyn std::error::Error>> {
//! use login_server::{BootstrapConfig, BootstrapServer, Clock, LoginConfig, LoginServer};
//!
//! let clock = Clock::new(|| 1_795_400_000_000);
//! let config = LoginConfig::new("/var/lib/partyline", "example.org", "https://login.example.org");
//! let login = LoginServer::open(config, clock.clone()).await?;
//! let bootstrap = BootstrapServer::open(BootstrapConfig::default(), login.root(), clock)?;
//!
//! let response = match request.uri().path() {
//!     "/super-nodes" => bootstrap.handle(request, peer).await,
//!     _ => login.handle(request, peer).await,
//! };
//! # drop(response); Ok(()) }
//! ```

mod authority;
mod bootstrap;
mod clock;
mod config;
mod http;
mod limit;
mod login;
mod name;
mod offline;
mod page;
mod password;
mod proof;
mod store;
pub mod wire;

pub use bootstrap::{BootstrapConfig, BootstrapServer, RootFault};
pub use clock::Clock;
pub use config::{ConfigFault, Lifetimes, Limits, LoginConfig};
pub use http::Body;
pub use login::{AccountError, LoginServer, OpenError, StorageError};
pub use offline::{OfflineAuthority, OfflineError};
