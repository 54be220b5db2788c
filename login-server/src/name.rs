//! Which names users may have, and how guests are named.

use crate::store::random;

/// What a guest's name begins with; no user's does.
pub(crate) const GUEST: &str = "guest-";

/// The rules, as the page says them.
pub(crate) const RULES: &str = "2 to 32 characters: letters a to z, digits, and single dots, hyphens or underscores \
     between them. It begins with a letter.";

/// Why a name can't be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NameFault {
    Empty,
    Length,
    Characters,
    Start,
    Punctuation,
    Reserved,
}

impl NameFault {
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Self::Empty => "Choose a name.",
            Self::Length => "A name has 2 to 32 characters.",
            Self::Characters => {
                "A name has letters from a to z, digits, dots, hyphens and underscores, and nothing else."
            }
            Self::Start => "A name begins with a letter.",
            Self::Punctuation => {
                "A dot, hyphen or underscore stands between letters or digits: not twice in a row and not at the end."
            }
            Self::Reserved => {
                "This name is kept for the people who run the network. Choose another one."
            }
        }
    }
}

/// Names under which a stranger could pass for the operator or for a part of the network (RFC 2142 among them).
const RESERVED: [&str; 36] = [
    "abuse",
    "admin",
    "administrator",
    "anonymous",
    "billing",
    "bootstrap",
    "emergency",
    "guest",
    "guests",
    "help",
    "hostmaster",
    "info",
    "login",
    "mailer-daemon",
    "me",
    "moderator",
    "no-reply",
    "nobody",
    "noc",
    "noreply",
    "official",
    "operator",
    "partyline",
    "police",
    "postmaster",
    "registrar",
    "root",
    "security",
    "sip",
    "staff",
    "super-node",
    "support",
    "system",
    "team",
    "usenet",
    "webmaster",
];

/// Reads the name that somebody wants or signs in with: blanks around it and capitals don't matter, nor does
/// `@domain` behind it.
pub(crate) fn tidy(typed: &str, domain: &str) -> String {
    let name = typed.trim().to_ascii_lowercase();
    let name = name.strip_prefix("sip:").unwrap_or(&name);
    match name
        .strip_suffix(domain)
        .and_then(|name| name.strip_suffix('@'))
    {
        Some(name) => name.into(),
        None => name.into(),
    }
}

/// Says whether a tidy name may become a user's.
pub(crate) fn check(name: &str) -> Result<(), NameFault> {
    let bytes = name.as_bytes();
    let [first, .., last] = bytes else {
        return Err(if bytes.is_empty() {
            NameFault::Empty
        } else {
            NameFault::Length
        });
    };
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if !bytes
        .iter()
        .all(|byte| plain(*byte) || b"._-".contains(byte))
    {
        return Err(NameFault::Characters);
    }
    if bytes.len() > 32 {
        return Err(NameFault::Length);
    }
    if !first.is_ascii_lowercase() {
        return Err(NameFault::Start);
    }
    if !plain(*last)
        || bytes
            .windows(2)
            .any(|pair| !plain(pair[0]) && !plain(pair[1]))
    {
        return Err(NameFault::Punctuation);
    }
    if RESERVED.contains(&name) || name.starts_with(GUEST) {
        return Err(NameFault::Reserved);
    }
    Ok(())
}

/// Makes up a guest's name: `guest-7kq2m`, or `guest-ann-7kq2m` for somebody who wants to be called Ann.
pub(crate) fn guest(wish: Option<&str>) -> String {
    // no vowels and nothing that looks like something else: the name is read aloud
    const LETTERS: [u8; 28] = *b"bcdfghjkmnpqrstvwxz123456789";
    let mark: String = random::<5>()
        .map(|byte| char::from(LETTERS[usize::from(byte) % LETTERS.len()]))
        .iter()
        .collect();
    let wish: String = wish
        .unwrap_or_default()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(16)
        .map(|letter| letter.to_ascii_lowercase())
        .collect();
    if wish.is_empty() {
        format!("{GUEST}{mark}")
    } else {
        format!("{GUEST}{wish}-{mark}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_stated_rules() {
        for good in ["al", "alice", "alice.b", "a-1_b.c", "x2", &"a".repeat(32)] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, fault) in [
            ("", NameFault::Empty),
            ("a", NameFault::Length),
            (&*"a".repeat(33), NameFault::Length),
            ("Alice", NameFault::Characters),
            ("al ice", NameFault::Characters),
            ("al@ice", NameFault::Characters),
            ("zoë", NameFault::Characters),
            ("<script>", NameFault::Characters),
            ("al;ice", NameFault::Characters),
            ("1alice", NameFault::Start),
            (".alice", NameFault::Start),
            ("alice.", NameFault::Punctuation),
            ("al..ice", NameFault::Punctuation),
            ("al-_ice", NameFault::Punctuation),
            ("admin", NameFault::Reserved),
            ("guest-7kq2m", NameFault::Reserved),
        ] {
            assert_eq!(check(bad), Err(fault), "{bad}");
        }
        assert!(RESERVED.is_sorted(), "easier to read");
    }

    #[test]
    fn a_name_is_found_in_what_people_type() {
        for typed in [
            "alice",
            " Alice ",
            "alice@example.org",
            "sip:alice@example.org",
        ] {
            assert_eq!(tidy(typed, "example.org"), "alice", "{typed}");
        }
        assert_eq!(
            tidy("alice@elsewhere.org", "example.org"),
            "alice@elsewhere.org"
        );
    }

    #[test]
    fn guests_have_names_that_no_user_can_have() {
        for wish in [
            None,
            Some("Ann"),
            Some("<b>"),
            Some("admin"),
            Some(&*"x".repeat(99)),
        ] {
            let name = guest(wish);
            assert_eq!(check(&name), Err(NameFault::Reserved), "{name}");
        }
        assert!(guest(Some("Ann B.")).starts_with("guest-annb-"));
        assert_ne!(guest(None), guest(None));
    }
}
