//! A program that a test starts and that ends with the test.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::{PATIENCE, until};

/// Becomes the program, and leaves somebody behind who waits for the end of what stdin brings and then kills the group.
const GUARD: &str =
    r#"exec 3<&0; (while read -r _; do :; done <&3; kill -s KILL 0) & exec "$@" 3<&- </dev/null"#;

/// A running program with everything that it starts, in a process group of its own; killed when dropped, and however else
/// this process ends.
#[derive(Debug)]
pub struct Process {
    child: Child,
    output: PathBuf,
}

impl Process {
    /// Starts the program; what it prints goes to the file `output`.
    ///
    /// # Errors
    ///
    /// When the file can't be written or the program can't be started.
    pub fn start(command: &Command, output: &Path) -> io::Result<Self> {
        let file = File::create(output)?;
        let mut guarded = Command::new("sh");
        guarded.args(["-c", GUARD, "sh"]).arg(command.get_program());
        guarded.args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => guarded.env(name, value),
                None => guarded.env_remove(name),
            };
        }
        if let Some(directory) = command.get_current_dir() {
            guarded.current_dir(directory);
        }
        let child = guarded
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()?;
        Ok(Self {
            child,
            output: output.to_owned(),
        })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What the program has printed so far.
    pub fn output(&self) -> String {
        std::fs::read(&self.output)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// What it says of itself behind the word `ready`, waited for: `relay-node dev` does.
    ///
    /// # Panics
    /// When it does not come.
    pub async fn ready(&self, what: &str) -> Value {
        until(what, PATIENCE, async || {
            let output = self.output();
            let line = output.lines().find_map(|line| line.strip_prefix("ready "));
            line.and_then(|line| serde_json::from_str(line).ok())
                .ok_or(output)
        })
        .await
    }

    /// Whether the program has ended.
    pub fn ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        signal("KILL", &format!("-{}", self.child.id()));
        let _ = self.child.wait();
    }
}

/// Whether a process, which was told to end, has given back its ports.
pub(crate) fn has_ended(id: u64) -> bool {
    // A process that nobody waited for is still listed, as a zombie; until its last thread has ended, it has its files.
    let process = PathBuf::from(format!("/proc/{id}"));
    let Ok(stat) = std::fs::read_to_string(process.join("stat")) else {
        return true;
    };
    let threads = std::fs::read_dir(process.join("task")).map_or(0, Iterator::count);
    let state = stat.rsplit_once(')').map_or("", |(_, state)| state);
    state.trim_start().starts_with('Z') && threads < 2
}

/// Sends a signal to a process, or with `-` before the number to a process group.
pub(crate) fn signal(name: &str, target: &str) {
    let mut kill = Command::new("kill");
    kill.args(["-s", name, "--", target]).stderr(Stdio::null());
    let _ = kill.status();
}

/// The processors' time that a process has taken; `self` is this one. None if it has ended.
pub(crate) fn processors_time(id: &str) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let (_, fields) = stat.rsplit_once(')').unwrap_or_default();
    // `utime` and `stime` are fields 14 and 15 of all, in hundredths of a second.
    let ticks = fields.split_ascii_whitespace().skip(11).take(2);
    let ticks = ticks.map(|field| field.parse::<u64>().unwrap_or_default());
    Duration::from_millis(10 * ticks.sum::<u64>())
}
