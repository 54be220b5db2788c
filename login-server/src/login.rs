//! The login server itself: what is open, and which request goes where.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use credential::RevocationList;
use hyper::{Method, Request, Response, StatusCode, body::Bytes, header};

use crate::authority::Authority;
use crate::http::{self, Body, Call, Origin};
use crate::limit::{Class, Limiter, address};
use crate::password::Passwords;
use crate::store::{self, Revoke, Store, StoreError};
use crate::{Clock, ConfigFault, LoginConfig};

mod account;
mod authorize;
mod cors;
mod credentials;
mod enrol;
mod entry;
mod error;
mod grant;
mod phone;
mod proved;
mod router;
mod session;
mod sign_in;
#[cfg(test)]
pub(crate) mod tests;
mod trouble;

pub use error::{AccountError, OpenError, StorageError};

use trouble::{Trouble, retry_after};

/// A login server: certificate authority and accounts of one overlay.
#[derive(Debug)]
pub struct LoginServer {
    config: LoginConfig,
    origin: Origin,
    /// Page origins from the configuration.
    origins: Vec<Origin>,
    clock: Clock,
    authority: Authority,
    store: Store,
    passwords: Passwords,
    limiter: Limiter,
    /// When guests were last forgotten.
    swept: AtomicU64,
}

/// How long after a guest's end his name stays taken, in milliseconds.
const GUEST_REST: u64 = 30 * 24 * HOUR;
const HOUR: u64 = 60 * 60 * 1_000;

impl LoginServer {
    /// Opens the data directory, and makes root key, root certificate and database at the first start.
    ///
    /// # Errors
    /// What is wrong with the configuration, or which file can't be used.
    pub async fn open(config: LoginConfig, clock: Clock) -> Result<Self, OpenError> {
        config.check().map_err(OpenError::Config)?;
        let read = |text: &String| {
            Origin::read(text).ok_or_else(|| OpenError::Config(ConfigFault::Origin(text.clone())))
        };
        let origin = read(&config.origin)?;
        let origins = config.origins.iter().map(read).collect::<Result<_, _>>()?;
        private_directory(&config.data)
            .map_err(|error| OpenError::File(config.data.clone(), error))?;
        let authority = Authority::open(&config.data, clock.now())?;
        let store = Store::open(&config.data.join("accounts.sqlite"))
            .await
            .map_err(OpenError::Database)?;
        let passwords = Passwords::new();
        let limiter = Limiter::default();
        Ok(Self {
            config,
            origin,
            origins,
            clock,
            authority,
            store,
            passwords,
            limiter,
            swept: AtomicU64::new(0),
        })
    }

    /// Answers one request that came from `peer`.
    pub async fn handle<B>(&self, request: Request<B>, peer: SocketAddr) -> Response<Body>
    where
        B: hyper::body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let now = self.clock.now();
        let limit = self.config.limits.page;
        if let Err(wait) = self
            .limiter
            .count(Class::Page, address(peer.ip()), limit, now)
        {
            return http::too_many(wait);
        }
        let call = match Call::read(request, peer).await {
            Ok(call) => call,
            Err(unread) => return unread.answer(),
        };
        if call.host().is_none_or(|host| !self.origin.is_at(host)) {
            let sentence = format!("This server is at {}.", self.origin);
            return http::fault(StatusCode::MISDIRECTED_REQUEST, "misdirected", &sentence);
        }
        self.sweep(now).await;
        let response = match self.machine(&call, now).await {
            Some(response) => response,
            None => self.page(&call, now).await,
        };
        if self.origin.is_secure() {
            return http::with(
                response,
                header::STRICT_TRANSPORT_SECURITY,
                "max-age=31536000",
            );
        }
        response
    }

    /// Makes an enrolment token for super nodes: good for `uses` enrolments within `lifetime`. Only its hash is kept.
    ///
    /// # Errors
    /// When the database can't keep it.
    pub async fn enrolment_token(
        &self,
        uses: u32,
        lifetime: Duration,
    ) -> Result<String, StorageError> {
        let now = self.clock.now() as i64;
        let lifetime = i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX);
        let token = store::secret();
        let kept = self
            .store
            .keep_token(
                &store::hash(&token),
                uses.into(),
                now.saturating_add(lifetime),
                now,
            )
            .await;
        kept.map_err(StorageError::from)?;
        Ok(token)
    }

    /// Takes back a super node's certificates. False if no such node is in force.
    ///
    /// # Errors
    /// When the database can't keep it.
    pub async fn revoke_super_node(&self, node: credential::NodeId) -> Result<bool, StorageError> {
        let node = node.to_string();
        let whose = Revoke::SuperNode { node: &node };
        Ok(self
            .store
            .revoke(whose, &self.authority, self.clock.now() as i64)
            .await?
            > 0)
    }

    /// The revocation list in force; number 0 if nothing was ever revoked.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn revocations(&self) -> Result<RevocationList, StorageError> {
        Ok(self.revocation_list().await?)
    }

    /// The overlay's root certificate, DER.
    #[must_use]
    pub fn root(&self) -> &[u8] {
        self.authority.root()
    }

    /// The overlay's id in hex.
    #[must_use]
    pub fn overlay(&self) -> String {
        self.authority.overlay().to_string()
    }

    /// The domain of the users.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.config.domain
    }

    async fn revocation_list(&self) -> Result<RevocationList, StoreError> {
        // a list that was never changed is signed, too: readers make no exception
        let kept = self.store.revocations().await?;
        Ok(kept.unwrap_or_else(|| self.authority.revocations(0, 0, Vec::new())))
    }

    /// The machine endpoints; `None` if the address is a page's.
    async fn machine(&self, call: &Call, now: u64) -> Option<Response<Body>> {
        let post = call.method == Method::POST;
        match call.path.as_str() {
            "/token" | "/guest" | "/renew" | "/revoke" => {
                let origin = match self.admit_origin(call, now).await {
                    Ok(origin) => origin,
                    Err(response) => return Some(response),
                };
                if call.method == Method::OPTIONS {
                    return Some(cors::preflight(origin.as_ref()));
                }
                let answer = match call.path.as_str() {
                    _ if !post => Ok(http::wrong_method("POST, OPTIONS")),
                    "/token" => self.token(call, origin.as_ref(), now).await,
                    "/guest" => self.guest(call, now).await,
                    "/revoke" => self.revoke_device(call, now).await,
                    _ => self.renew(call, now).await,
                };
                Some(cors::allow(
                    answer.unwrap_or_else(Trouble::document),
                    origin.as_ref(),
                ))
            }
            "/enrol" | "/enrol/renew" | "/phone" => Some(match call.path.as_str() {
                _ if call.header(header::ORIGIN).is_some() => cors::refuse(),
                _ if !post => http::wrong_method("POST"),
                "/enrol" => self
                    .enrol(call, now)
                    .await
                    .unwrap_or_else(Trouble::document),
                "/phone" => self
                    .delegate(call, now)
                    .await
                    .unwrap_or_else(Trouble::document),
                _ => self
                    .renew_enrolment(call, now)
                    .await
                    .unwrap_or_else(Trouble::document),
            }),
            "/root" | "/revocations" => {
                let answer = match call.path.as_str() {
                    _ if !is_get(call) => http::wrong_method("GET"),
                    "/root" => http::bytes(
                        StatusCode::OK,
                        "application/pkix-cert",
                        self.root().to_vec(),
                    ),
                    _ => match self.revocation_list().await {
                        Ok(list) => {
                            http::bytes(StatusCode::OK, "application/octet-stream", list.to_bytes())
                        }
                        Err(error) => Trouble::Store(error).document(),
                    },
                };
                Some(http::with(answer, header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
            }
            _ => None,
        }
    }

    /// Counts a request that is limited beyond what every request is.
    fn limit(
        &self,
        class: Class,
        key: impl core::hash::Hash,
        per_minute: u32,
        now: u64,
    ) -> Result<(), Trouble> {
        self.limiter
            .count(class, key, per_minute, now)
            .map_err(Trouble::Wait)
    }

    /// Forgets guests whose time was over long ago, once an hour.
    async fn sweep(&self, now: u64) {
        let last = self.swept.load(Ordering::Relaxed);
        if now < last.saturating_add(HOUR)
            || self
                .swept
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_err()
        {
            return;
        }
        match self
            .store
            .forget_guests(now.saturating_sub(GUEST_REST) as i64)
            .await
        {
            Ok(0) => {}
            Ok(gone) => {
                tracing::info!(gone, "guests whose time was over a month ago are forgotten")
            }
            Err(error) => tracing::warn!(%error, "guests whose time is over stay in the database"),
        }
    }
}

/// Whether a request only reads. Who sends the answer leaves the body out for HEAD.
fn is_get(call: &Call) -> bool {
    call.method == Method::GET || call.method == Method::HEAD
}

#[cfg(unix)]
pub(crate) fn private_directory(path: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

#[cfg(not(unix))]
pub(crate) fn private_directory(path: &std::path::Path) -> std::io::Result<()> {
    std::fs::create_dir_all(path)
}
