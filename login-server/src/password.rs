//! Passwords: which are accepted, and their hashes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

use crate::store::random;

/// Fewest characters of a password.
pub(crate) const SHORTEST: usize = 10;
/// Most bytes of a password: hashing a longer one would only cost time.
const LONGEST: usize = 256;

/// Passwords that are tried first by those who try passwords; only such as pass the other rules.
const COMMON: &str = include_str!("password/common.txt");

/// Why a password can't be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PasswordFault {
    Short,
    Long,
    Common,
    Name,
}

impl PasswordFault {
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Self::Short => "A password has at least 10 characters.",
            Self::Long => "A password has at most 256 characters.",
            Self::Common => {
                "This is one of the passwords that are tried first. Choose another one."
            }
            Self::Name => "The password is too much like the name. Choose another one.",
        }
    }
}

/// Says whether a password may become that of the user `name`.
pub(crate) fn check(password: &str, name: &str) -> Result<(), PasswordFault> {
    if password.chars().count() < SHORTEST {
        return Err(PasswordFault::Short);
    }
    if password.len() > LONGEST {
        return Err(PasswordFault::Long);
    }
    let lower = password.to_lowercase();
    let bare = lower.trim_matches(|c: char| !c.is_alphabetic());
    if COMMON.lines().any(|common| common == lower) || is_monotonous(&lower) {
        return Err(PasswordFault::Common);
    }
    if !name.is_empty() && (bare == name || bare == name.repeat(2)) {
        return Err(PasswordFault::Name);
    }
    Ok(())
}

/// Few different characters, or all of them in a row as on the keyboard's digits or in the alphabet.
fn is_monotonous(password: &str) -> bool {
    let mut seen: Vec<u32> = password.chars().map(u32::from).collect();
    // on the keyboard, 0 comes after 9
    let follows = |a: u32, b: u32| b == a + 1 || (a, b) == (u32::from('9'), u32::from('0'));
    let rising = seen.windows(2).all(|pair| follows(pair[0], pair[1]));
    let falling = seen.windows(2).all(|pair| follows(pair[1], pair[0]));
    seen.sort_unstable();
    seen.dedup();
    seen.len() < 4 || rising || falling
}

/// Too many passwords wait to be hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Busy;

/// Hashes passwords off the async threads, a few at once.
///
/// argon2id with 19 MiB, 2 passes and one lane: the first choice of OWASP's password storage cheat sheet.
#[derive(Debug)]
pub(crate) struct Passwords {
    turns: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// The hash of 256 random bits that nobody knows. Stands in for the hash of a user who isn't there, so that an
    /// unknown name costs what a known one costs.
    nobody: String,
    hashed: AtomicU64,
}

/// Hashes at once: bounds memory to 76 MiB.
const AT_ONCE: usize = 4;
/// Requests that may wait for their turn: about three seconds' work.
const WAITING: usize = 64;

impl Passwords {
    pub(crate) fn new() -> Self {
        let nobody = hash(&crate::store::secret());
        Self {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            waiting: Arc::new(Semaphore::new(WAITING)),
            nobody,
            hashed: AtomicU64::new(0),
        }
    }

    /// The hash of a new password, in PHC form.
    pub(crate) async fn hash(&self, password: String) -> Result<String, Busy> {
        self.work(move || hash(&password)).await
    }

    /// Whether the password is the one behind `known`; takes as long when nothing is known.
    pub(crate) async fn verify(
        &self,
        password: String,
        known: Option<String>,
    ) -> Result<bool, Busy> {
        let against = known.unwrap_or_else(|| self.nobody.clone());
        self.work(move || verify(&password, &against)).await
    }

    /// How many hashes were computed so far.
    #[cfg(test)]
    pub(crate) fn hashed(&self) -> u64 {
        self.hashed.load(Ordering::Relaxed)
    }

    async fn work<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let _place = self.waiting.clone().try_acquire_owned().map_err(|_| Busy)?;
        let turn = self.turns.clone().acquire_owned().await.map_err(|_| Busy)?;
        self.hashed.fetch_add(1, Ordering::Relaxed);
        tokio::task::spawn_blocking(move || {
            let done = job();
            // only now: the request may be gone, the memory isn't
            drop(turn);
            done
        })
        .await
        .map_err(|_| Busy)
    }
}

fn argon2() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::default())
}

fn hash(password: &str) -> String {
    let salt = SaltString::encode_b64(&random::<16>()).expect("16 bytes are a salt");
    argon2()
        .hash_password(password.as_bytes(), &salt)
        .expect("the parameters are argon2's defaults")
        .to_string()
}

fn verify(password: &str, known: &str) -> bool {
    // an over-long password can't be anybody's, but takes as long
    let password = password.get(..LONGEST).unwrap_or(password);
    PasswordHash::new(known).is_ok_and(|known| {
        argon2()
            .verify_password(password.as_bytes(), &known)
            .is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_passwords_are_refused() {
        for (password, fault) in [
            ("short", PasswordFault::Short),
            ("ninechars", PasswordFault::Short),
            (&*"x1y2".repeat(65), PasswordFault::Long),
            ("password123", PasswordFault::Common),
            ("Password123", PasswordFault::Common),
            ("1234567890", PasswordFault::Common),
            ("0987654321", PasswordFault::Common),
            ("aaaaaaaaaaaa", PasswordFault::Common),
            ("abababababab", PasswordFault::Common),
            ("abcdefghijklm", PasswordFault::Common),
            ("alexandria", PasswordFault::Name),
            ("Alexandria2026!", PasswordFault::Name),
        ] {
            assert_eq!(check(password, "alexandria"), Err(fault), "{password}");
        }
        assert_eq!(check("correct horse battery", "alexandria"), Ok(()));
        assert_eq!(check("zehn zeichen ä", "alexandria"), Ok(()));
    }

    #[test]
    fn the_list_holds_nothing_that_another_rule_refuses() {
        for common in COMMON.lines() {
            assert!(common.chars().count() >= SHORTEST, "{common}");
            assert_eq!(common, common.to_lowercase());
        }
    }

    #[test]
    fn hashes_are_argon2id_with_the_recommended_cost() {
        let known = hash("correct horse battery");
        assert!(
            known.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{known}"
        );
        assert!(verify("correct horse battery", &known));
        assert!(!verify("correct horse batterz", &known));
        assert!(!verify("correct horse battery", "no hash"));
    }
}
