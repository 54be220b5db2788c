//! How many files this process, and those that it starts, may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit to `files`, or as far as the system allows.
///
/// # Panics
///
/// When it allows fewer.
pub(crate) fn raise(files: u64) {
    let before = getrlimit(Resource::Nofile);
    let enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= files);
    if enough(before.current) {
        return;
    }
    let maximum = if enough(before.maximum) {
        before.maximum
    } else {
        Some(files)
    };
    let wanted = Rlimit {
        current: Some(files),
        maximum,
    };
    setrlimit(Resource::Nofile, wanted).unwrap_or_else(|error| {
        panic!(
            "{files} open files are needed, {:?} are allowed: {error}",
            before.maximum
        )
    });
}
