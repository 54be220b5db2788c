//! A network of its own for the processes of one system: a loopback interface and nothing else.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::shell;

/// The network exists as long as this value: a process that does nothing holds it.
pub(super) struct Space {
    holder: Child,
    own_user: bool,
}

impl Space {
    pub(super) fn open() -> Result<Self> {
        let root = shell::read(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
        let mut command = Command::new("unshare");
        if !root {
            command.args(["--user", "--map-root-user"]);
        }
        command.args([
            "--net",
            "sh",
            "-c",
            "ip link set lo up && echo up && exec cat",
        ]);
        let mut holder = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start unshare")?;
        let output = holder.stdout.take().context("no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        if line.trim() != "up" {
            bail!("this system gives no network namespace; as root it does");
        }
        Ok(Self {
            holder,
            own_user: !root,
        })
    }

    /// A command that runs a program inside.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.holder.id().to_string(), "--net"]);
        if self.own_user {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.arg("--").arg(program);
        command
    }

    /// How many bytes went over the interface, headers included.
    pub(super) fn bytes(&self) -> Result<u64> {
        let file = format!("/proc/{}/net/dev", self.holder.id());
        let table = std::fs::read_to_string(&file)?;
        let counters = table
            .lines()
            .find_map(|line| line.trim_start().strip_prefix("lo:"))
            .context("no loopback interface")?;
        let received = counters.split_whitespace().next();
        received
            .and_then(|bytes| bytes.parse().ok())
            .with_context(|| format!("{file} has no counters"))
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
