use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{self, ChildStdin, Command};
use tokio::time::timeout;

use super::DevError;

/// How much of a log is shown when a part does not start.
const LINES: usize = 15;

/// A process of this same program that plays the roles of one configuration file.
///
/// It ends when the pipe to its stdin is closed, however this process ends.
#[derive(Debug)]
pub(super) struct Child {
    name: String,
    pid: u32,
    process: process::Child,
    pipe: Option<ChildStdin>,
    log: PathBuf,
    told: bool,
}

impl Child {
    /// Starts a process; its log goes beside its configuration.
    pub(super) fn start(name: &str, config: &Path) -> Result<Self, DevError> {
        let log = config.with_extension("log");
        let file = File::create(&log).map_err(|error| DevError::File(log.clone(), error))?;
        let program = std::env::current_exe()
            .map_err(|error| DevError::System(format!("own program: {error}")))?;
        let mut process = Command::new(program)
            .args(["run", "--child", "--config"])
            .arg(config)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(file)
            // Ctrl-C is for the parent alone, which then lets its children leave.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| DevError::System(format!("{name}: {error}")))?;
        Ok(Self {
            name: name.to_owned(),
            pid: process.id().unwrap_or_default(),
            pipe: process.stdin.take(),
            process,
            log,
            told: false,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it has ended; and how, the first time that this is asked.
    pub(super) fn ended(&mut self) -> Option<Option<String>> {
        let status = self.process.try_wait().ok()??;
        let first = !self.told;
        self.told = true;
        Some(first.then(|| status.to_string()))
    }

    /// The end of its log.
    pub(super) fn log(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }

    /// Lets it leave, and kills it if it does not within `patience`.
    pub(super) async fn end(mut self, patience: Duration) {
        drop(self.pipe.take());
        if timeout(patience, self.process.wait()).await.is_err() {
            let _ = self.process.kill().await;
        }
    }
}
