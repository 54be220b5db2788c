//! How many files a process may have open: each user is one, and most systems give a thousand to a program that does not
//! ask.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Takes as many as it may have, for this process and those that it starts. If that is less than `least`, raises what it
/// may have, too; root can.
///
/// # Errors
/// The system does not allow it.
pub fn raise(least: u64) -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.map(|maximum| maximum.max(least));
    let wanted = Rlimit {
        current: most,
        maximum: most,
    };
    Ok(setrlimit(Resource::Nofile, wanted)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_takes_what_it_may_have() {
        raise(0).unwrap();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
