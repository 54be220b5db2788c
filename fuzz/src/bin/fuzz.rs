//! One target under libFuzzer. `FUZZ_TARGET` names it; the arguments are libFuzzer's. `cargo xtask fuzz` knows them.
//!
//! With `FUZZ_SEEDS` it writes the target's seeds into that directory and ends.

#![no_main]

use std::sync::OnceLock;

use fuzz::Target;

static TARGET: OnceLock<&'static Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(
    init: {
        let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
        let target = fuzz::find(&name).unwrap_or_else(|| panic!("FUZZ_TARGET={name} is no target"));
        if let Some(directory) = std::env::var_os("FUZZ_SEEDS") {
            for (number, seed) in fuzz::seeds(target).iter().enumerate() {
                let file = std::path::Path::new(&directory).join(format!("seed-{number}"));
                std::fs::write(file, seed).expect("the seed can be written");
            }
            std::process::exit(0);
        }
        TARGET.get_or_init(|| target);
    },
    |bytes: &[u8]| {
        if let Some(target) = TARGET.get() {
            (target.run)(bytes);
        }
    }
);
