use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use machine::Instant;

use super::{Algorithm, Parameters};
use crate::header::{quote, unquote};
use crate::message::Message;
use crate::text::{filled, joined};
use crate::{base64, siphash};

/// How long a nonce is good for.
const LIFETIME: Duration = Duration::from_secs(3600);
/// The most nonces the counts of which are remembered.
const REMEMBERED: usize = 1 << 18;
/// How far behind the highest count an unseen one may come (requests overtake each other in datagrams).
const WINDOW: u32 = 64;

/// Who asks for the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// A registrar or user agent: 401.
    Server,
    /// A proxy: 407.
    Proxy,
}

impl Door {
    /// The status of a challenge.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Server => 401,
            Self::Proxy => 407,
        }
    }

    /// The header of a challenge.
    #[must_use]
    pub const fn challenge(self) -> &'static str {
        match self {
            Self::Server => "WWW-Authenticate",
            Self::Proxy => "Proxy-Authenticate",
        }
    }

    /// The header of the answer.
    #[must_use]
    pub const fn answer(self) -> &'static str {
        match self {
            Self::Server => "Authorization",
            Self::Proxy => "Proxy-Authorization",
        }
    }
}

/// Challenges, and checks what comes back.
#[derive(Debug)]
pub struct Guard {
    realm: String,
    secret: [u8; 16],
    algorithms: &'static [Algorithm],
    next: u32,
    counts: BTreeMap<Nonce, Count>,
    /// Nonces up to this one were forgotten: they can't be told from replays.
    floor: Option<Nonce>,
}

/// What makes a nonce: when it was given, and which of those it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Nonce {
    given: Instant,
    number: u32,
}

/// The counts that came with a nonce: the highest one, and which of those below it.
#[derive(Debug, Clone, Copy)]
struct Count {
    highest: u32,
    below: u64,
}

/// Credentials that are worth looking up the user's secret for.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Who it says it is.
    pub user: String,
    /// Which of the user's secrets is needed.
    pub algorithm: Algorithm,
    nonce: Nonce,
    count: u32,
    tail: String,
    response: String,
}

/// Why there is no claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// There are no credentials for this realm: challenge.
    Missing,
    /// The nonce is not one of ours, or was: challenge, saying so.
    Stale,
    /// The credentials are not what was asked for: 400, with the sentence.
    Refused(&'static str),
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "user and password are needed",
            Self::Stale => "the nonce is too old",
            Self::Refused(sentence) => sentence,
        })
    }
}

/// What came of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the user.
    Granted,
    /// The secret is another one, or there is no such user: challenge again.
    Wrong,
    /// The request was here before, or the nonce is forgotten: challenge, saying that it is stale.
    Replayed,
}

impl Guard {
    /// Guards a realm, which is a domain's name. `secret` is drawn anew by every process; `md5` offers MD5 beside
    /// SHA-256, to phones that know nothing else.
    #[must_use]
    pub fn new(realm: &str, secret: [u8; 16], md5: bool) -> Self {
        let all: &[_] = &[Algorithm::Sha256, Algorithm::Md5];
        Self {
            realm: realm.into(),
            secret,
            algorithms: if md5 { all } else { &all[..1] },
            next: 0,
            counts: BTreeMap::new(),
            floor: None,
        }
    }

    /// The realm.
    #[must_use]
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// The header lines of a challenge, the preferred algorithm first (RFC 8760, section 2.4).
    pub fn challenge(&mut self, door: Door, stale: bool, now: Instant) -> String {
        let nonce = Nonce {
            given: now,
            number: self.next,
        };
        self.next = self.next.wrapping_add(1);
        let nonce = self.write(nonce);
        let mut lines = String::new();
        for algorithm in self.algorithms {
            lines += &filled(
                "%: Digest realm=%, nonce=\"%\", algorithm=%, qop=\"auth\"%\r\n",
                &[
                    door.challenge(),
                    &quote(&self.realm),
                    &nonce,
                    algorithm.as_str(),
                    if stale { ", stale=true" } else { "" },
                ],
            );
        }
        lines
    }

    /// Reads the credentials of a request for this realm. Those for other realms are somebody else's.
    ///
    /// # Errors
    /// There are none that are worth looking at.
    pub fn claim(&self, request: &Message, door: Door, now: Instant) -> Result<Claim, Denied> {
        let mut denied = Denied::Missing;
        for value in request.named(door.answer()) {
            let Some(parameters) = Parameters::read(value) else {
                let is_digest = value
                    .get(..6)
                    .is_some_and(|s| s.eq_ignore_ascii_case("digest"));
                if is_digest {
                    denied = Denied::Refused("malformed digest credentials");
                }
                continue;
            };
            let realm = parameters.find("realm").map(unquote);
            if realm.as_deref() != Some(&self.realm) {
                continue;
            }
            match self.read_claim(parameters, request, now) {
                Err(reason) => denied = reason,
                claim => return claim,
            }
        }
        Err(denied)
    }

    fn read_claim(
        &self,
        parameters: Parameters<'_>,
        request: &Message,
        now: Instant,
    ) -> Result<Claim, Denied> {
        let find = |name| parameters.find(name);
        let need = |name, sentence| find(name).ok_or(Denied::Refused(sentence));
        let algorithm = Algorithm::read(find("algorithm"))
            .filter(|algorithm| self.algorithms.contains(algorithm))
            .ok_or(Denied::Refused("the digest's algorithm was not offered"))?;
        let qop = need("qop", "the digest has no qop; auth was offered")?;
        if !qop.eq_ignore_ascii_case("auth") {
            return Err(Denied::Refused(
                "the digest's qop was not offered; auth was",
            ));
        }
        let user = need("username", "the digest names no user")?;
        let uri = need("uri", "the digest names no URI")?;
        if !is_for(uri, request.request_uri()) {
            return Err(Denied::Refused("the digest is for another Request-URI"));
        }
        let response = need("response", "the digest has no response")?;
        let cnonce = need("cnonce", "the digest has no cnonce")?;
        let nc = need("nc", "the digest has no nonce count")?;
        let count = (nc.len() == 8).then(|| u32::from_str_radix(nc, 16).ok());
        let count = count
            .flatten()
            .filter(|count| *count > 0 && !nc.starts_with('+'));
        let count = count.ok_or(Denied::Refused("the digest's nonce count is not 8 digits"))?;
        let text = need("nonce", "the digest has no nonce")?;
        let nonce = self.read(text).filter(|nonce| self.is_good(*nonce, now));
        let nonce = nonce.ok_or(Denied::Stale)?;
        let action = algorithm.hash(&[request.method_text(), uri]);
        Ok(Claim {
            user: unquote(user),
            algorithm,
            nonce,
            count,
            tail: joined(&[text, ":", nc, ":", cnonce, ":", qop, ":", &action]),
            response: response.into(),
        })
    }

    /// Checks a claim with the user's [`secret`](Algorithm::secret) for the claim's algorithm, `None` where there is no such
    /// user, which nobody sees from outside.
    pub fn check(&mut self, claim: &Claim, secret: Option<&str>, now: Instant) -> Verdict {
        let expected = claim
            .algorithm
            .hash(&[secret.unwrap_or("nobody"), &claim.tail]);
        let right = siphash::same(expected.as_bytes(), claim.response.as_bytes());
        if !right || secret.is_none() {
            return Verdict::Wrong;
        }
        if !self.is_good(claim.nonce, now) {
            return Verdict::Replayed;
        }
        self.forget(now);
        let new = Count {
            highest: 0,
            below: 0,
        };
        let count = self.counts.entry(claim.nonce).or_insert(new);
        if count.take(claim.count) {
            Verdict::Granted
        } else {
            Verdict::Replayed
        }
    }

    fn is_good(&self, nonce: Nonce, now: Instant) -> bool {
        let young = nonce.given <= now && now < nonce.given + LIFETIME;
        young && self.floor.is_none_or(|floor| nonce > floor)
    }

    /// Makes room for one more nonce.
    fn forget(&mut self, now: Instant) {
        while let Some(first) = self.counts.first_entry() {
            let nonce = *first.key();
            let old = nonce.given + LIFETIME <= now;
            if !old && self.counts.len() < REMEMBERED {
                return;
            }
            self.counts.pop_first();
            self.floor = Some(nonce);
        }
    }

    fn write(&self, nonce: Nonce) -> String {
        let mut bytes = nonce.bytes();
        bytes.extend(self.seal(&bytes));
        let mut text = String::with_capacity(40);
        base64::write_url(&bytes, &mut text);
        text
    }

    fn read(&self, text: &str) -> Option<Nonce> {
        let bytes = base64::read_url(text)?;
        let (rest, seal) = bytes.split_last_chunk::<16>()?;
        if !siphash::same(&self.seal(rest), seal) {
            return None;
        }
        let (given, number) = rest.split_first_chunk::<8>()?;
        Some(Nonce {
            given: Instant::EPOCH + Duration::from_millis(u64::from_be_bytes(*given)),
            number: u32::from_be_bytes(number.try_into().ok()?),
        })
    }

    fn seal(&self, bytes: &[u8]) -> [u8; 16] {
        let half = |side: u8| siphash::hash(&self.secret, &[&[side], self.realm.as_bytes(), bytes]);
        (u128::from(half(0)) << 64 | u128::from(half(1))).to_be_bytes()
    }
}

impl Nonce {
    fn bytes(self) -> Vec<u8> {
        let given = self.given.since_epoch().as_millis() as u64;
        let mut bytes = Vec::with_capacity(28);
        bytes.extend(given.to_be_bytes());
        bytes.extend(self.number.to_be_bytes());
        bytes
    }
}

impl Count {
    /// Takes a count that must not have been here before.
    fn take(&mut self, count: u32) -> bool {
        if count > self.highest {
            let ahead = count - self.highest;
            self.below = self.below.checked_shl(ahead).unwrap_or(0);
            if self.highest > 0 && ahead <= WINDOW {
                self.below |= 1 << (ahead - 1);
            }
            self.highest = count;
            return true;
        }
        let behind = self.highest - count;
        if behind == 0 || behind > WINDOW || self.below >> (behind - 1) & 1 == 1 {
            return false;
        }
        self.below |= 1 << (behind - 1);
        true
    }
}

/// Says whether a digest's URI is that of the request: user and host; phones differ about ports and parameters.
fn is_for(uri: &str, request_uri: &str) -> bool {
    let place = |uri: &str| crate::Uri::read(uri).map(|uri| uri.address_of_record());
    uri == request_uri || place(uri).is_ok_and(|one| Ok(one) == place(request_uri))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_comes_once_however_they_overtake_each_other() {
        let mut count = Count {
            highest: 0,
            below: 0,
        };
        for (nc, fresh) in [
            (1, true),
            (1, false),
            (3, true),
            (2, true),
            (2, false),
            (3, false),
            (1, false),
            (67, true),
            (3, false),
            (4, true),
            (2, false),
            (66, true),
            (66, false),
            (u32::MAX, true),
            (67, false),
            (u32::MAX, false),
            (u32::MAX - 64, true),
            (u32::MAX - 64, false),
            (u32::MAX - 65, false),
        ] {
            assert_eq!(count.take(nc), fresh, "{nc}");
        }
    }

    const NOW: Instant = Instant::EPOCH;

    /// A guard, and a claim that answers its first challenge, for whoever has this for a secret.
    fn claimed(secret: &str) -> (Guard, Message, Claim) {
        let mut guard = Guard::new("example.org", [7; 16], false);
        let challenge = guard.challenge(Door::Server, false, NOW);
        let (_, nonce) = challenge.split_once("nonce=\"").unwrap();
        let (nonce, _) = nonce.split_once('"').unwrap();
        let request = |response: &str| {
            let text = alloc::format!(
                "REGISTER sip:example.org SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@example.org>;tag=1\r\n\
                 To: <sip:a@example.org>\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\nAuthorization: Digest username=\"a\", \
                 realm=\"example.org\", nonce=\"{nonce}\", uri=\"sip:example.org\", response=\"{response}\", algorithm=SHA-256, \
                 cnonce=\"c\", qop=auth, nc=00000001\r\nContent-Length: 0\r\n\r\n"
            );
            Message::parse(text.into_bytes()).unwrap()
        };
        let claim = guard.claim(&request("?"), Door::Server, NOW).unwrap();
        let request = request(&claim.algorithm.hash(&[secret, &claim.tail]));
        let claim = guard.claim(&request, Door::Server, NOW).unwrap();
        (guard, request, claim)
    }

    #[test]
    fn a43_a_nonce_that_is_forgotten_does_not_serve_again() {
        let (mut guard, request, claim) = claimed("secret");
        assert_eq!(guard.check(&claim, Some("secret"), NOW), Verdict::Granted);
        let later = |number| Nonce { given: NOW, number };
        for number in 1..REMEMBERED as u32 {
            let count = Count {
                highest: 1,
                below: 0,
            };
            guard.counts.insert(later(number), count);
        }
        assert_eq!(guard.counts.len(), REMEMBERED);
        guard.forget(NOW);
        assert!(!guard.counts.contains_key(&later(0)));
        let again = guard.claim(&request, Door::Server, NOW);
        assert_eq!(again.err(), Some(Denied::Stale));
        let again = guard.check(&claim, Some("secret"), NOW);
        assert_eq!(again, Verdict::Replayed);
    }

    #[test]
    fn a43_whom_nobody_knows_no_password_lets_in() {
        let (mut guard, _, claim) = claimed("nobody");
        assert_eq!(guard.check(&claim, None, NOW), Verdict::Wrong);
    }
}
