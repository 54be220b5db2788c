//! Where the built programs and the built page are.

use std::path::{Path, PathBuf};

/// The directory of the workspace.
pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate lies in the workspace")
}

/// A program that cargo has built in the profile of this one.
pub(crate) fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it is");
    // Tests lie in target/PROFILE/deps, programs beside it.
    let mut directories = test.ancestors().skip(1);
    let profile = directories.find(|directory| !directory.ends_with("deps"));
    let profile = profile.expect("it lies in target/PROFILE");
    let program = profile.join(name);
    assert!(
        program.is_file(),
        "{} is not built: run `cargo xtask test browser`",
        program.display()
    );
    program
}

/// The page as `cargo xtask web` builds it.
pub(crate) fn page() -> PathBuf {
    let dist = workspace().join("web/dist");
    assert!(
        dist.join("partyline").is_dir(),
        "web/dist is not built: run `cargo xtask web`"
    );
    dist
}
