//! Digest authentication (RFC 7616 and RFC 8760, as RFC 3261, section 22 uses them).
//!
//! ```text
//! client                                        server
//!   REGISTER ------------------------------------->
//!   <----- 401, WWW-Authenticate: Digest realm, nonce, algorithm=SHA-256, qop="auth"
//!   REGISTER, Authorization: Digest nonce, nc, cnonce, response ---->  Guard::claim: realm, nonce, grammar
//!                                                                      the user's secret is looked up
//!                                                                      Guard::check: response, nc
//! ```
//! A challenge costs the server nothing to remember: the [`Guard`] reads a nonce's time out of it and knows it by its
//! seal. It remembers only the counts of nonces that were answered with the right secret. `auth-int`, `-sess`
//! algorithms, `userhash` and answers without `qop` are not offered and are refused by name.

use alloc::string::String;

use md5::Md5;
use sha2::Sha256;

use crate::header::{cut, cut_blank, elements};
use crate::text::hex;

mod guard;
mod login;

pub use guard::{Claim, Denied, Door, Guard, Verdict};
pub use login::Login;

/// The hash of a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256 (RFC 8760).
    Sha256,
    /// MD5, for phones that know nothing else. It is offered and answered only where somebody chose so.
    Md5,
}

impl Algorithm {
    /// The value of the algorithm parameter.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA-256",
            Self::Md5 => "MD5",
        }
    }

    /// Reads the algorithm parameter, which means MD5 where it is missing.
    fn read(text: Option<&str>) -> Option<Self> {
        let text = text.unwrap_or("MD5");
        let mut all = [Self::Sha256, Self::Md5].into_iter();
        all.find(|one| text.eq_ignore_ascii_case(one.as_str()))
    }

    /// What a server keeps of a password: `H(user ":" realm ":" password)`, which serves for this realm only.
    #[must_use]
    pub fn secret(self, user: &str, realm: &str, password: &str) -> String {
        self.hash(&[user, realm, password])
    }

    /// The hash of the parts with colons between them, in lower-case digits.
    fn hash(self, parts: &[&str]) -> String {
        match self {
            Self::Sha256 => hash::<Sha256>(parts),
            Self::Md5 => hash::<Md5>(parts),
        }
    }
}

fn hash<H: sha2::Digest>(parts: &[&str]) -> String {
    let mut hasher = H::new();
    for (place, part) in parts.iter().enumerate() {
        hasher.update(if place == 0 { "" } else { ":" });
        hasher.update(part);
    }
    let mut text = String::with_capacity(64);
    hex(&mut text, &hasher.finalize(), "");
    text.make_ascii_lowercase();
    text
}

/// The parameters of a challenge or of credentials with the scheme Digest.
#[derive(Debug, Clone, Copy)]
struct Parameters<'a>(&'a str);

impl<'a> Parameters<'a> {
    /// Reads a header's value. `None` if the scheme is another one, or the parameters break the grammar.
    fn read(value: &'a str) -> Option<Self> {
        let (scheme, rest) = cut_blank(value)?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return None;
        }
        let names = || elements(rest).map(|one| cut(one, '='));
        for (place, pair) in names().enumerate() {
            let (name, value) = pair?;
            let quotes = value.bytes().filter(|b| *b == b'"').count();
            let sound = quotes == 0 || quotes >= 2 && value.len() >= 2 && inside(value).is_some();
            let twice = names()
                .take(place)
                .flatten()
                .any(|(other, _)| other.eq_ignore_ascii_case(name));
            if name.is_empty() || value.is_empty() || !sound || twice || place > MOST {
                return None;
            }
        }
        Some(Self(rest))
    }

    /// A parameter's value without the quotes around it.
    fn find(self, name: &str) -> Option<&'a str> {
        let mut all = elements(self.0).filter_map(|one| cut(one, '='));
        let (_, value) = all.find(|(found, _)| found.eq_ignore_ascii_case(name))?;
        Some(inside(value).unwrap_or(value))
    }
}

/// The most parameters that are read.
const MOST: usize = 24;

fn inside(value: &str) -> Option<&str> {
    value.strip_prefix('"')?.strip_suffix('"')
}
