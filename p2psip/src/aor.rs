use alloc::string::String;
use core::fmt;

use overlay::Key;
use sip::Uri;

/// A user's address of record, normalised: user part unescaped, host in lower case, no scheme, port or parameters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Aor {
    uri: String,
    name: String,
}

impl Aor {
    /// Takes the address of record out of a `sip:` or `sips:` URI; `None` if it is no URI of a user.
    #[must_use]
    pub fn read(uri: &str) -> Option<Self> {
        let uri = Uri::read(uri).ok()?;
        let (user, host) = (uri.user(), uri.host());
        if user.is_empty() || host.is_empty() || user.chars().any(char::is_control) {
            return None;
        }
        Some(Self {
            uri: uri.address_of_record(),
            name: sip::joined(&[user, "@", host]),
        })
    }

    /// The address of somebody who has none.
    pub(crate) const fn nobody() -> Self {
        Self {
            uri: String::new(),
            name: String::new(),
        }
    }

    /// Reads what a person types: `Bob`, `bob@example.org` or a whole URI. A bare name belongs to `domain`.
    ///
    /// What is typed without a scheme is taken in lower case, since that is how the login server writes names.
    #[must_use]
    pub fn typed(text: &str, domain: &str) -> Option<Self> {
        let text = text.trim();
        if text.starts_with("sip:") || text.starts_with("sips:") {
            return Self::read(text);
        }
        if text.contains(char::is_whitespace) {
            return None;
        }
        let text = text.to_ascii_lowercase();
        if text.contains('@') {
            Self::read(&sip::joined(&["sip:", &text]))
        } else {
            Self::read(&sip::joined(&["sip:", &text, "@", domain]))
        }
    }

    /// The URI that certificates carry, `sip:alice@example.org`.
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// The instance part of the resource name, `alice@example.org`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The domain.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.name.rsplit_once('@').map_or("", |(_, domain)| domain)
    }

    /// Where the user's location is stored: the hash of `user location|alice@example.org`.
    #[must_use]
    pub fn key(&self) -> Key {
        Key::of(sip::joined(&["user location|", &self.name]).as_bytes())
    }
}

impl fmt::Display for Aor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for Aor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Where the location of a domain's proxy is stored: the hash of `proxy location|example.org`.
#[must_use]
pub fn proxy_key(domain: &str) -> Key {
    let domain = domain.to_ascii_lowercase();
    Key::of(sip::joined(&["proxy location|", &domain]).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;
    use alloc::vec;

    #[test]
    fn r042_uris_of_one_user_have_one_key() {
        let alice = Aor::read("sip:alice@example.org").unwrap();
        assert_eq!(alice.name(), "alice@example.org");
        assert_eq!(alice.domain(), "example.org");
        for same in [
            "sip:alice@EXAMPLE.org",
            "sips:alice@example.org",
            "sip:alice@example.org:5060",
            "sip:alice@example.org;transport=ws",
            "sip:alice@example.org;gr=urn:uuid:00010203-0405-0607-0809-0a0b0c0d0e0f",
            "sip:%61lice@example.org?subject=x",
        ] {
            assert_eq!(Aor::read(same).unwrap().key(), alice.key(), "{same}");
        }
        for other in ["sip:Alice@example.org", "sip:alice@example.com"] {
            assert_ne!(Aor::read(other).unwrap().key(), alice.key(), "{other}");
        }
    }

    #[test]
    fn r042_keys_are_the_documented_vectors() {
        for (uri, key) in [
            (
                "sip:alice@example.org",
                "948ab814d0394ca9c2aa99294be0d6a74f159c5a",
            ),
            (
                "sip:user@example.com",
                "1e4e7869b5bbb07ae414b6eeb98f934ffeb9faf4",
            ),
        ] {
            assert_eq!(Aor::read(uri).unwrap().key().to_string(), key);
        }
        assert_eq!(proxy_key("Example.com"), proxy_key("example.com"));
        assert_eq!(
            proxy_key("example.com").to_string(),
            "f8ccdaba359a19d62e402b13772b192f2414f1a7"
        );
    }

    #[test]
    fn r043_keys_of_users_spread_evenly() {
        let mut buckets = vec![0_u32; 256];
        for number in 0..100_000_u32 {
            let aor = Aor::read(&format!("sip:u{number}@example.org")).unwrap();
            buckets[usize::from(aor.key().0[7])] += 1;
        }
        let expected = 100_000.0 / 256.0;
        let chi: f64 = buckets
            .iter()
            .map(|&count| (f64::from(count) - expected).powi(2) / expected)
            .sum();
        assert!(chi < 330.5, "255 degrees of freedom, 0.1 %: {chi}");
    }

    #[test]
    fn typed_names_belong_to_the_own_domain() {
        let typed = |text| Aor::typed(text, "example.org").map(|aor| aor.to_string());
        let bob = Some("bob@example.org".to_string());
        for text in ["bob", " Bob ", "bob@example.org", "sip:bob@Example.org"] {
            assert_eq!(typed(text), bob, "{text}");
        }
        for bad in [
            "",
            " ",
            "bob smith",
            "@example.org",
            "bob@",
            "sip:",
            "a\u{0}b",
            "a@b@c",
        ] {
            assert_eq!(typed(bad), None, "{bad}");
        }
    }
}
