//! Two network namespaces and a line between them that can be cut: datagrams vanish on it as they do on the Internet, and
//! nobody is told.
//!
//! ```text
//! left 10.99.0.1 -- bridge near -- cut or not -- bridge far -- 10.99.0.2 right
//! ```

use crate::process::Process;
use crate::{PATIENCE, Place, until};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

const CUT: &str = "ip link set cut down";
const HEAL: &str = "ip link set cut up";

/// The line and the namespaces at its ends; nothing of it is left when this is dropped.
#[derive(Debug)]
pub struct Line {
    ends: [Namespace; 2],
    middle: Namespace,
}

/// One end of the line.
#[derive(Debug)]
pub struct Namespace {
    /// Its address on the line.
    address: String,
    /// A program that only has the namespace: it vanishes with it.
    holder: Process,
    _directory: TempDir,
}

impl Line {
    /// Lays the line.
    ///
    /// # Panics
    ///
    /// When this process may not: that takes root, or the capability CAP_SYS_ADMIN.
    pub async fn lay() -> Self {
        let left = Namespace::make("10.99.0.1").await;
        let right = Namespace::make("10.99.0.2").await;
        let middle = Namespace::make("").await;
        let [first, second] = [&left, &right].map(|end| end.holder.id());
        middle.run(&format!(
            "ip link add name near type bridge forward_delay 0
             ip link add name far type bridge forward_delay 0
             ip link add name cut type veth peer name cut2
             ip link add name left type veth peer name line netns {first}
             ip link add name right type veth peer name line netns {second}
             for port in cut left; do ip link set $port master near up; done
             for port in cut2 right; do ip link set $port master far up; done
             for bridge in near far; do ip link set $bridge up; done"
        ));
        let ends = [left, right];
        for end in &ends {
            let address = &end.address;
            end.run(&format!(
                "ip link set lo up
                 ip address add {address}/24 dev line
                 ip link set line up"
            ));
        }
        Self { ends, middle }
    }

    /// The two ends.
    pub fn ends(&self) -> &[Namespace; 2] {
        &self.ends
    }

    /// Nothing goes through any more.
    pub fn cut(&self) {
        self.middle.run(CUT);
    }

    /// All goes through again.
    pub fn heal(&self) {
        self.middle.run(HEAL);
    }
}

impl Namespace {
    pub(crate) async fn make(address: &str) -> Self {
        let directory =
            TempDir::with_prefix("partyline-namespace-").expect("a temporary directory");
        let mut command = Command::new("unshare");
        command.args(["--net", "sleep", "infinity"]);
        let output = directory.path().join("holder.log");
        let mut holder = Process::start(&command, &output).expect("a shell");
        let (own, its) = (Path::new("/proc/self/ns/net").to_owned(), file(&holder));
        until("a network namespace", PATIENCE, async || {
            assert!(
                !holder.ended(),
                "no network namespace can be made; it takes util-linux and root (or CAP_SYS_ADMIN): {}",
                holder.output()
            );
            match (own.read_link(), its.read_link()) {
                (Ok(own), Ok(its)) if own != its => Ok(()),
                (own, its) => Err((own, its)),
            }
        })
        .await;
        Self {
            address: address.to_owned(),
            holder,
            _directory: directory,
        }
    }

    /// A super node's place in it.
    pub fn place(&self) -> Place {
        Place {
            address: self.address.clone(),
            ..Place::default()
        }
    }

    /// Starts a program in it.
    pub fn within(&self) -> Vec<String> {
        let network = format!("--net={}", self.file().display());
        vec!["nsenter".to_owned(), network]
    }

    /// What runs on this runtime opens its sockets in the namespace.
    ///
    /// # Panics
    ///
    /// When the system gives no thread.
    pub fn runtime(&self) -> Runtime {
        let enter = self.enter();
        let mut builder = Builder::new_multi_thread();
        builder
            .worker_threads(1)
            .enable_all()
            .on_thread_start(enter);
        builder.build().expect("a runtime")
    }

    /// Brings a thread into it.
    pub(crate) fn enter(&self) -> impl Fn() + Send + Sync + 'static {
        let file = self.file();
        move || {
            let namespace = File::open(&file).expect("the namespace is there");
            let network = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(namespace.as_fd(), network).expect("root may enter it");
        }
    }

    /// The process that holds it.
    pub(crate) fn id(&self) -> u32 {
        self.holder.id()
    }

    fn file(&self) -> PathBuf {
        file(&self.holder)
    }

    /// Runs a shell's script in it.
    pub(crate) fn run(&self, script: &str) {
        let within = self.within();
        let mut command = Command::new(&within[0]);
        let output = command
            .args(&within[1..])
            .args(["sh", "-ec", script])
            .output();
        let output = output.expect("util-linux has nsenter");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said} in: {script}");
    }
}

fn file(holder: &Process) -> PathBuf {
    PathBuf::from(format!("/proc/{}/ns/net", holder.id()))
}
