//! The database: identities, devices, certificates, sessions, codes, enrolment tokens, super nodes.
//!
//! The SQL is plain and every statement is a literal. What must happen at most once (a code, a token's use, a
//! renewal's time stamp) is one statement that says whether it happened.

use std::path::Path;
use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

mod certificate;
mod code;
mod device;
mod enrolment;
mod identity;
mod session;

pub(crate) use certificate::Revoke;
pub(crate) use code::Code;
pub(crate) use device::{Device, Enlist};
pub(crate) use enrolment::Member;
pub(crate) use identity::NameTaken;

/// Why the database did not do what was asked: it is broken or overloaded, not the request.
#[derive(Debug)]
pub(crate) struct StoreError(sqlx::Error);

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self(error)
    }
}

impl core::fmt::Display for StoreError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

/// The login server's database.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    pool: SqlitePool,
}

impl Store {
    /// Opens the database file, makes it if it isn't there, and brings its tables up to date.
    pub(crate) async fn open(file: &Path) -> Result<Self, String> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(5));
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            .acquire_timeout(Duration::from_secs(5))
            .connect_with(options)
            .await
            .map_err(|error| error.to_string())?;
        sqlx::migrate!()
            .run(&pool)
            .await
            .map_err(|error| error.to_string())?;
        Ok(Self { pool })
    }
}

/// A secret that is handed out once: 32 random bytes as base64url. Only its hash is kept.
pub(crate) fn secret() -> String {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    BASE64_URL_SAFE_NO_PAD.encode(random::<32>())
}

/// What is kept of a secret. The secret has 256 random bits, so one round of SHA-256 does.
pub(crate) fn hash(secret: &str) -> String {
    hex(ring::digest::digest(&ring::digest::SHA256, secret.as_bytes()).as_ref())
}

/// Random bytes from the operating system.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .expect("the operating system has random bytes");
    bytes
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(core::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}
