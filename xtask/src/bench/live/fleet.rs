//! The nodes of one system: processes that take orders line by line.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::space::Space;
use super::systems::System;

/// Processes that end with this value.
pub(super) struct Fleet {
    nodes: Vec<Node>,
}

struct Node {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Fleet {
    /// Starts so many nodes and waits until each knows all others, or as many as it wants to.
    pub(super) fn start(system: &dyn System, space: &Space, count: u64) -> Result<Self> {
        let mut fleet = Self { nodes: Vec::new() };
        let mut names: Vec<String> = Vec::new();
        for index in 0..count {
            let command = system.command(space, index, names.first().map(String::as_str))?;
            let mut node = Node::start(command)?;
            let line = node.read()?;
            let name = line.strip_prefix("ready ").context("a node is not ready")?;
            names.push(name.to_owned());
            fleet.nodes.push(node);
        }
        for (index, node) in fleet.nodes.iter_mut().enumerate() {
            let others = names.iter().enumerate();
            let others = others.filter_map(|(other, name)| (other != index).then_some(name));
            let order = others.fold("join".to_owned(), |order, name| order + " " + name);
            writeln!(node.orders, "{order}")?;
        }
        for node in &mut fleet.nodes {
            let line = node.read()?;
            if line != "joined" {
                bail!("a node did not join: {line}");
            }
        }
        Ok(fleet)
    }

    /// Has a node do something, and gives its answer.
    pub(super) fn ask(&mut self, node: u64, order: &str) -> Result<String> {
        let node = usize::try_from(node)?;
        let node = self.nodes.get_mut(node).context("no such node")?;
        // In one piece, or the node would wake up twice.
        node.orders.write_all(format!("{order}\n").as_bytes())?;
        node.read()
    }

    /// What all threads of all processes have used so far.
    pub(super) fn processor_time(&self) -> Result<Duration> {
        let mut nanoseconds = 0;
        for node in &self.nodes {
            for thread in fs::read_dir(format!("/proc/{}/task", node.process.id()))? {
                // A thread may end just now.
                let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) else {
                    continue;
                };
                let used = text.split(' ').next().and_then(|used| used.parse().ok());
                nanoseconds += used.unwrap_or(0_u64);
            }
        }
        Ok(Duration::from_nanos(nanoseconds))
    }
}

impl Node {
    fn start(mut command: Command) -> Result<Self> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start a node")?;
        Ok(Self {
            orders: process.stdin.take().context("no input")?,
            answers: BufReader::new(process.stdout.take().context("no output")?),
            process,
        })
    }

    fn read(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            bail!("a node has ended");
        }
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
