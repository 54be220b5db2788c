use alloc::string::String;

use super::{Algorithm, Door, Parameters};
use crate::header::{quote, unquote};
use crate::message::Message;
use crate::text::filled;

/// A user's account at one realm. It answers no other realm's challenges, whoever sends them.
#[derive(Clone)]
pub struct Login {
    /// The realm.
    pub realm: String,
    /// The user.
    pub user: String,
    /// The password.
    pub password: String,
    /// Whether a challenge that knows MD5 only is answered.
    pub md5: bool,
}

impl core::fmt::Debug for Login {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Login({} at {})", self.user, self.realm)
    }
}

impl Login {
    /// Answers a 401 or 407 to a request with this method and Request-URI: the header line for the next try. `None` if
    /// nothing in it can be answered: another realm's challenge, an algorithm or `qop` that is not known.
    ///
    /// `cnonce` is a random text of the caller's, `count` how often the challenge's nonce was answered, this time
    /// included.
    #[must_use]
    pub fn answer(
        &self,
        response: &Message,
        [method, uri]: [&str; 2],
        cnonce: &str,
        count: u32,
    ) -> Option<String> {
        let door = match response.status()? {
            401 => Door::Server,
            407 => Door::Proxy,
            _ => return None,
        };
        let challenges = response.named(door.challenge());
        let mut challenges = challenges.filter_map(Parameters::read);
        challenges
            .find_map(|challenge| self.credentials(door, challenge, method, uri, cnonce, count))
    }

    fn credentials(
        &self,
        door: Door,
        challenge: Parameters<'_>,
        method: &str,
        uri: &str,
        cnonce: &str,
        count: u32,
    ) -> Option<String> {
        let realm = challenge.find("realm")?;
        if unquote(realm) != self.realm {
            return None;
        }
        let algorithm = Algorithm::read(challenge.find("algorithm"))?;
        if algorithm == Algorithm::Md5 && !self.md5 {
            return None;
        }
        let nonce = challenge.find("nonce")?;
        let secret = algorithm.secret(&self.user, &self.realm, &self.password);
        let action = algorithm.hash(&[method, uri]);
        let mut line = filled(
            "%: Digest username=%, realm=\"%\", nonce=\"%\", uri=%, algorithm=%",
            &[
                door.answer(),
                &quote(&self.user),
                realm,
                nonce,
                &quote(uri),
                algorithm.as_str(),
            ],
        );
        let answer = match challenge.find("qop") {
            Some(offered) => {
                let mut offers = offered.split(',');
                offers.find(|one| one.trim().eq_ignore_ascii_case("auth"))?;
                let count = alloc::format!("{count:08x}");
                line += &filled(", qop=auth, nc=%, cnonce=\"%\"", &[&count, cnonce]);
                algorithm.hash(&[&secret, nonce, &count, cnonce, "auth", &action])
            }
            // RFC 2069, which RFC 3261, section 22.4 keeps.
            None => algorithm.hash(&[&secret, nonce, &action]),
        };
        line += &filled(", response=\"%\"", &[&answer]);
        if let Some(opaque) = challenge.find("opaque") {
            line += &filled(", opaque=\"%\"", &[opaque]);
        }
        line += "\r\n";
        Some(line)
    }
}
