use core::fmt;
use std::path::PathBuf;

use crate::ConfigFault;
use crate::store::StoreError;

/// Why a login server can't start.
#[derive(Debug)]
pub enum OpenError {
    /// The configuration can't work.
    Config(ConfigFault),
    /// A file of the data directory can't be read or written.
    File(PathBuf, std::io::Error),
    /// The root key or certificate in the data directory isn't one.
    Authority(&'static str),
    /// The database can't be opened or brought up to date.
    Database(String),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(fault) => fault.fmt(f),
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Authority(what) => f.write_str(what),
            Self::Database(what) => write!(f, "accounts database: {what}"),
        }
    }
}

impl std::error::Error for OpenError {}

/// The accounts database did not do what was asked.
#[derive(Debug)]
pub struct StorageError(StoreError);

impl From<StoreError> for StorageError {
    fn from(error: StoreError) -> Self {
        Self(error)
    }
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "accounts database: {}", self.0)
    }
}

impl std::error::Error for StorageError {}

/// Why the operator can't make an account.
#[derive(Debug)]
pub enum AccountError {
    /// The name can't be had; the sentence says why.
    Name(&'static str),
    /// The password can't be had; the sentence says why.
    Password(&'static str),
    /// Somebody has the name.
    Taken,
    /// Too many passwords are being hashed.
    Busy,
    /// The database can't keep it.
    Storage(StorageError),
}

impl fmt::Display for AccountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(sentence) | Self::Password(sentence) => f.write_str(sentence),
            Self::Taken => f.write_str("Somebody has this name already."),
            Self::Busy => f.write_str("Too many people are signing in right now."),
            Self::Storage(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for AccountError {}
