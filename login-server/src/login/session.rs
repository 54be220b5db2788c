//! A browser's session with this server, and the token that ties a form to it.
//!
//! The cookie is 256 random bits, `HttpOnly`, `SameSite=Strict` and, over TLS, `Secure` with the `__Host-` prefix.
//! A browser has one before anybody signs in, so that the sign-in form is tied to it, too. Signing in replaces it.
//! The form token is a hash of the cookie: nobody who can't read the cookie can know it, and it doesn't tell the cookie.

use ring::digest::{SHA256, digest};

use crate::http::{Call, Origin};
use crate::store::{self, Store, StoreError};

/// The cookie that came with a request, or a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Session {
    cookie: String,
    /// Whether the browser has to be given the cookie.
    fresh: bool,
    /// Who is signed in.
    owner: Option<String>,
}

impl Session {
    /// Finds the session of a request.
    pub(super) async fn of(
        call: &Call,
        origin: &Origin,
        store: &Store,
        now: u64,
        idle: u64,
    ) -> Result<Self, StoreError> {
        let stale = now.saturating_sub(idle * 1_000);
        match call.cookie(&name(origin)).filter(|cookie| is_ours(cookie)) {
            Some(cookie) => {
                let owner = store
                    .session(&store::hash(cookie), now as i64, stale as i64)
                    .await?;
                Ok(Self {
                    cookie: cookie.into(),
                    fresh: false,
                    owner,
                })
            }
            None => Ok(Self::new(None)),
        }
    }

    /// A new session, which the store doesn't know yet.
    pub(super) fn new(owner: Option<String>) -> Self {
        Self {
            cookie: store::secret(),
            fresh: true,
            owner,
        }
    }

    /// Who is signed in.
    pub(super) fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    /// What the store knows the session by.
    pub(super) fn hash(&self) -> String {
        store::hash(&self.cookie)
    }

    /// The token that this session's forms carry.
    pub(super) fn token(&self) -> String {
        let text = format!("partyline form 1\n{}", self.cookie);
        store::hex(digest(&SHA256, text.as_bytes()).as_ref())
    }

    /// Whether a form was made for this session.
    pub(super) fn made(&self, token: &str) -> bool {
        same(self.token().as_bytes(), token.as_bytes())
    }

    /// The `Set-Cookie` that the browser needs, if any.
    pub(super) fn set_cookie(&self, origin: &Origin) -> Option<String> {
        let secure = if origin.is_secure() { "; Secure" } else { "" };
        let (name, cookie) = (name(origin), &self.cookie);
        self.fresh
            .then(|| format!("{name}={cookie}; Path=/; HttpOnly; SameSite=Strict{secure}"))
    }
}

/// The cookie of a browser in which somebody has signed in before. It grants nothing: passwords tried with it are
/// counted apart, so that strangers who try passwords can't keep the account's owner out.
pub(super) struct Known(String);

/// How long a browser is known after it was last used, in seconds.
pub(super) const KNOWN: u64 = 365 * 24 * 60 * 60;

impl Known {
    pub(super) fn of(call: &Call, origin: &Origin) -> Option<Self> {
        let cookie = call.cookie(&known_name(origin))?;
        is_ours(cookie).then(|| Self(cookie.into()))
    }

    pub(super) fn new() -> Self {
        Self(store::secret())
    }

    /// What the store knows the browser by.
    pub(super) fn hash(&self) -> String {
        store::hash(&self.0)
    }

    pub(super) fn set_cookie(&self, origin: &Origin) -> String {
        let secure = if origin.is_secure() { "; Secure" } else { "" };
        let name = known_name(origin);
        format!(
            "{name}={}; Path=/; Max-Age={KNOWN}; HttpOnly; SameSite=Strict{secure}",
            self.0
        )
    }
}

fn known_name(origin: &Origin) -> String {
    format!("{}-known", name(origin))
}

/// Cookies know no ports: on loopback, where several servers share a host, the port is in the name.
fn name(origin: &Origin) -> String {
    if origin.is_secure() {
        return "__Host-partyline".into();
    }
    let port = origin
        .authority()
        .rsplit(':')
        .next()
        .filter(|port| port.parse::<u16>().is_ok());
    format!("partyline-{}", port.unwrap_or("80"))
}

fn is_ours(cookie: &str) -> bool {
    cookie.len() == 43
        && cookie
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// Compares in a time that doesn't tell where the difference is.
fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}
