//! Credentials for a time, which a super node gives out and the server checks without having heard of them.
//!
//! ```text
//! server's secret ──HMAC(issuer, period)──► issuing key ──HMAC(user name)──► password
//!                 ──HMAC("names")─────────► naming key  ──HMAC(identity)───► pseudonym in the user name
//! user name: <end of the period, seconds since 1970>:<issuer, 40 hex>:<pseudonym, 24 hex>
//! ```
//!
//! The server gives both keys to each other super node that asks by an authenticated link. With them the other makes
//! tickets for its ordinary nodes, and neither has to remember or to tell anything. A key is good for tickets of one
//! issuer in one period, so whoever is expelled can soon make no more. The pseudonym is the same whoever issues the
//! ticket, so that quotas count persons; who listens on the wire learns no name.

use alloc::format;
use alloc::string::{String, ToString};

use crate::integrity::hmac_sha256;

/// Seconds that an issuing key is good for.
pub const PERIOD: u64 = 7 * 86_400;
/// Seconds after its end that a ticket still keeps what was allocated with it: a call may be long.
const GRACE: u64 = 43_200;

/// The secret of a server.
#[derive(Clone)]
pub struct Secret([u8; 32]);

/// What an issuer makes tickets with, until the end of its period.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuingKey {
    /// Names the issuer.
    pub issuer: [u8; 20],
    /// Seconds since 1970 when the tickets end.
    pub expires: u64,
    /// Makes passwords.
    pub key: [u8; 32],
    /// Makes pseudonyms.
    pub names: [u8; 32],
}

/// A user name with its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Ticket {
    /// USERNAME.
    pub username: String,
    /// What the key is made of.
    pub password: String,
}

/// What is written in a ticket's user name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) expires: u64,
    pub(crate) pseudonym: String,
    pub(crate) password: String,
}

impl Secret {
    /// Takes bytes that nobody else knows.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// What an issuer needs now, `at` seconds after 1970: its tickets live for a period at least, as long as the certificate
    /// of whoever gets one.
    #[must_use]
    pub fn issuing_key(&self, issuer: [u8; 20], at: u64) -> IssuingKey {
        let expires = (at / PERIOD + 2) * PERIOD;
        IssuingKey {
            issuer,
            expires,
            key: self.key(issuer, expires),
            names: hmac_sha256(&self.0, &[b"names"]),
        }
    }

    fn key(&self, issuer: [u8; 20], expires: u64) -> [u8; 32] {
        hmac_sha256(&self.0, &[b"issue", &issuer, &expires.to_be_bytes()])
    }

    /// What a user name claims, with the password that proves it.
    pub(crate) fn read(&self, username: &str) -> Option<Claim> {
        let mut parts = username.split(':');
        let (expires, issuer, pseudonym) = (parts.next()?, parts.next()?, parts.next()?);
        let expires: u64 = expires.parse().ok()?;
        let issuer = from_hex(issuer)?;
        if parts.next().is_some() || pseudonym.len() != 24 {
            return None;
        }
        Some(Claim {
            expires,
            pseudonym: pseudonym.to_string(),
            password: password(&self.key(issuer, expires), username),
        })
    }
}

impl IssuingKey {
    /// Makes the ticket of somebody.
    #[must_use]
    pub fn issue(&self, identity: &str) -> Ticket {
        let issuer = hex(&self.issuer);
        let pseudonym = hex(&hmac_sha256(&self.names, &[identity.as_bytes()])[..12]);
        let username = format!("{}:{issuer}:{pseudonym}", self.expires);
        Ticket {
            password: password(&self.key, &username),
            username,
        }
    }
}

impl Claim {
    /// Whether it is good for something new, `at` seconds after 1970.
    pub(crate) fn is_good(&self, at: u64) -> bool {
        // No later than any key that is given out now: one that ends later was never given.
        at < self.expires && self.expires <= at + 2 * PERIOD
    }

    /// Whether it keeps what there is.
    pub(crate) fn keeps(expires: u64, at: u64) -> bool {
        at < expires.saturating_add(GRACE)
    }
}

impl core::fmt::Debug for Secret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl core::fmt::Debug for IssuingKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "IssuingKey(until {})", self.expires)
    }
}

impl core::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Ticket({})", self.username)
    }
}

fn password(key: &[u8; 32], username: &str) -> String {
    hex(&hmac_sha256(key, &[username.as_bytes()])[..20])
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn from_hex(text: &str) -> Option<[u8; 20]> {
    let digits = text.as_bytes();
    let mut bytes = [0; 20];
    if digits.len() != 40 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_790_000_000;

    #[test]
    fn r113_a_server_knows_the_tickets_that_others_make_with_its_keys() {
        let secret = Secret::new([7; 32]);
        let keys = [[1; 20], [2; 20]].map(|issuer| secret.issuing_key(issuer, NOW));
        let tickets = [
            keys[0].issue("sip:alice@example.org"),
            keys[1].issue("sip:alice@example.org"),
        ];
        assert_ne!(tickets[0].password, tickets[1].password);
        let claims = [0, 1].map(|at| secret.read(&tickets[at].username).unwrap());
        for (claim, ticket) in claims.iter().zip(&tickets) {
            assert!(ticket.username.len() <= 508 && !ticket.username.contains("alice"));
            assert_eq!(claim.password, ticket.password);
            assert!(claim.is_good(NOW) && claim.is_good(NOW + PERIOD - 1));
            assert!(!claim.is_good(claim.expires));
        }
        // One person has one quota, whoever gave the ticket; another person has another.
        assert_eq!(claims[0].pseudonym, claims[1].pseudonym);
        let other = secret
            .read(&keys[0].issue("sip:bob@example.org").username)
            .unwrap();
        assert_ne!(other.pseudonym, claims[0].pseudonym);
        // Another server has other passwords for the same names.
        let elsewhere = Secret::new([8; 32]).read(&tickets[0].username).unwrap();
        assert_ne!(elsewhere.password, tickets[0].password);
    }

    #[test]
    fn r116_a_key_makes_no_ticket_for_another_time_or_issuer() {
        let secret = Secret::new([7; 32]);
        let honest = secret.issuing_key([1; 20], NOW);
        for (issuer, expires) in [
            ([2; 20], honest.expires),
            ([1; 20], honest.expires + PERIOD),
        ] {
            let forged = IssuingKey {
                issuer,
                expires,
                ..honest.clone()
            }
            .issue("x");
            let claim = secret.read(&forged.username).unwrap();
            assert_ne!(claim.password, forged.password);
        }
        assert!(
            !secret
                .read(&format!(
                    "{}:{}:{}",
                    NOW + 3 * PERIOD,
                    "00".repeat(20),
                    "0".repeat(24)
                ))
                .unwrap()
                .is_good(NOW)
        );
    }

    #[test]
    fn a33_hostile_user_names_are_none() {
        let secret = Secret::new([7; 32]);
        let good = secret.issuing_key([1; 20], NOW).issue("x").username;
        assert!(secret.read(&good).is_some());
        for name in [
            "",
            ":",
            "::",
            ":::",
            "1:2:3",
            "x",
            &good[1..].replace(':', ";"),
            &format!("{good}:"),
            &format!("{good}0"),
        ] {
            assert!(secret.read(name).is_none(), "{name}");
        }
        assert!(
            secret
                .read(&format!(
                    "{}:{}:{}",
                    u64::MAX,
                    "é".repeat(20),
                    "0".repeat(24)
                ))
                .is_none()
        );
        let latest = format!("{}:{}:{}", u64::MAX, "00".repeat(20), "0".repeat(24));
        assert!(!secret.read(&latest).unwrap().is_good(NOW));
    }
}
