use alloc::format;
use alloc::string::String;
use core::net::SocketAddr;
use core::time::Duration;
use machine::{Instant, Rng};

use crate::integrity::{hmac_sha256, same};

/// What nonces begin with whose next four letters tell what the server can do (RFC 8489 §9.2).
const COOKIE: &str = "obMatJos2";
/// Base64 of 24 bits: bit 0, "Password algorithms"; bit 1, "Username anonymity". Bit 0 is the last one (erratum 6290).
const ALGORITHMS: &str = "AAAB";
const ALGORITHMS_AND_ANONYMITY: &str = "AAAD";
/// For how long a nonce is good. RFC 8656 §5 has it at one hour at most.
const LIFETIME: Duration = Duration::from_secs(3_600);

/// Makes and knows nonces, and keeps none: each is a time with a proof that it was made here for that address.
#[derive(Debug, Clone)]
pub(crate) struct Nonces {
    key: [u8; 32],
    features: &'static str,
}

impl Nonces {
    pub(crate) fn new(anonymity: bool, rng: &mut Rng) -> Self {
        Self {
            key: rng.bytes(),
            features: if anonymity {
                ALGORITHMS_AND_ANONYMITY
            } else {
                ALGORITHMS
            },
        }
    }

    pub(crate) fn make(&self, client: SocketAddr, now: Instant) -> String {
        self.of(client, now.since_epoch().as_secs())
    }

    pub(crate) fn is_fresh(&self, nonce: &[u8], client: SocketAddr, now: Instant) -> bool {
        let Some(text) = nonce.get(COOKIE.len() + 4..COOKIE.len() + 20) else {
            return false;
        };
        let seconds = core::str::from_utf8(text)
            .ok()
            .map(|text| u64::from_str_radix(text, 16));
        let Some(Ok(seconds)) = seconds else {
            return false;
        };
        let age = now.since_epoch().as_secs().checked_sub(seconds);
        age.is_some_and(|age| age <= LIFETIME.as_secs())
            && same(self.of(client, seconds).as_bytes(), nonce)
    }

    fn of(&self, client: SocketAddr, seconds: u64) -> String {
        let (ip, port) = match client {
            SocketAddr::V4(client) => (client.ip().to_ipv6_mapped(), client.port()),
            SocketAddr::V6(client) => (*client.ip(), client.port()),
        };
        let parts: [&[u8]; 4] = [
            &seconds.to_be_bytes(),
            &ip.octets(),
            &port.to_be_bytes(),
            self.features.as_bytes(),
        ];
        let sum = hmac_sha256(&self.key, &parts);
        let sum = sum[..12]
            .iter()
            .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        format!("{COOKIE}{}{seconds:016x}{sum}", self.features)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a30_a_nonce_is_good_for_its_client_and_its_hour_alone() {
        let nonces = Nonces::new(true, &mut Rng::new([1; 32]));
        let others = Nonces::new(true, &mut Rng::new([2; 32]));
        let client = "192.0.2.1:4000".parse().unwrap();
        let now = Instant::new(Duration::from_secs(10_000));
        let nonce = nonces.make(client, now);
        assert!(nonce.starts_with("obMatJos2AAAD"));
        let fresh = |nonce: &str, client: &str, after: u64| {
            let now = now + Duration::from_secs(after);
            nonces.is_fresh(nonce.as_bytes(), client.parse().unwrap(), now)
        };
        assert!(fresh(&nonce, "192.0.2.1:4000", 0) && fresh(&nonce, "192.0.2.1:4000", 3_600));
        assert!(fresh(&nonce, "[::ffff:192.0.2.1]:4000", 1));
        assert!(!fresh(&nonce, "192.0.2.1:4000", 3_601));
        assert!(!fresh(&nonce, "192.0.2.1:4001", 0) && !fresh(&nonce, "192.0.2.2:4000", 0));
        assert!(!fresh(&others.make(client, now), "192.0.2.1:4000", 0));
        assert!(!fresh(
            &nonces.make(client, now + Duration::from_secs(1)),
            "192.0.2.1:4000",
            0
        ));
        for at in 0..nonce.len() {
            let mut altered = nonce.clone().into_bytes();
            altered[at] ^= 1;
            assert!(!nonces.is_fresh(&altered, client, now), "{at}");
            assert!(!nonces.is_fresh(&nonce.as_bytes()[..at], client, now));
        }
    }
}
