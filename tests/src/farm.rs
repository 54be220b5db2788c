//! Super nodes of one overlay that has no servers: each a process of its own, killed and started as a test likes.

use crate::process::{Process, has_ended, signal};
use crate::wait::PATIENCE;
use crate::{artefacts, until};
use credential::{NodeId, TrustAnchor};
use login_server::OfflineAuthority;
use relay_node::Clock;
use relay_node::ca::{self, Action, Issue, Whom};
use std::fmt::Write;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// How many super nodes a file names to join by.
const SEEDS: usize = 3;

const AUTHORITY: &str = "ca";

/// Super nodes and the authority that issued their certificates. They end with it.
#[derive(Debug)]
pub struct Farm {
    authority: OfflineAuthority,
    nodes: Vec<Member>,
    directory: TempDir,
}

/// One super node.
#[derive(Debug)]
pub struct Member {
    /// Its id.
    pub id: NodeId,
    /// Its address for ordinary nodes.
    pub url: String,
    directory: PathBuf,
    config: PathBuf,
    within: Vec<String>,
    process: Option<Process>,
    /// How often it was started.
    starts: u32,
}

/// Where a super node is to be.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its IPv4 address, where other super nodes reach it.
    pub address: String,
    /// Whether ordinary nodes reach it by TLS, as `localhost`.
    pub secure: bool,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            address: "127.0.0.1".to_owned(),
            secure: false,
        }
    }
}

impl Farm {
    /// Starts super nodes on this machine and waits until each of them sees all the others.
    ///
    /// # Panics
    ///
    /// When they don't come up.
    pub async fn start(count: usize) -> Self {
        Self::start_at(&vec![Place::default(); count], &[]).await
    }

    /// Starts a super node at each of these places, with lines for the files of all of them, such as `storage = 16`.
    ///
    /// # Panics
    ///
    /// When they don't come up.
    pub async fn start_at(places: &[Place], lines: &[String]) -> Self {
        let mut farm = Self::prepare(places, lines);
        farm.run_all().await;
        farm
    }

    /// Starts all that don't run, and waits until each of them sees all the others.
    ///
    /// # Panics
    ///
    /// When they don't come up.
    pub async fn run_all(&mut self) {
        for number in 0..self.nodes.len() {
            if self.nodes[number].process.is_none() {
                self.run(number);
            }
            if number == 0 {
                // Those who join by it shall not find that they are alone.
                self.sees(0, None).await;
            }
        }
        self.all_see(self.nodes.len()).await;
    }

    /// The same without starting any.
    ///
    /// # Panics
    ///
    /// When the system gives no directory or no ports.
    pub fn prepare(places: &[Place], lines: &[String]) -> Self {
        let directory = TempDir::with_prefix("partyline-farm-").expect("a temporary directory");
        let ca = directory.path().join(AUTHORITY);
        let clock = Clock::start();
        let authority =
            OfflineAuthority::make(&ca, "example.org", clock.wall()).expect("a new authority");
        let mut farm = Self {
            authority,
            nodes: Vec::new(),
            directory,
        };
        let mut seeds: Vec<String> = Vec::new();
        for (number, place) in places.iter().enumerate() {
            let member = farm.member(number, place, &mut seeds, lines, &clock);
            farm.nodes.push(member);
        }
        farm
    }

    fn member(
        &self,
        number: usize,
        place: &Place,
        seeds: &mut Vec<String>,
        lines: &[String],
        clock: &Clock,
    ) -> Member {
        let directory = self.directory.path().join(format!("node{}", number + 1));
        let issue = Issue {
            ca: self.authority_directory(),
            out: directory.clone(),
            public_key: None,
            days: 30,
        };
        let whom = Whom::SuperNode(issue);
        let said = ca::act(&Action::Issue { whom }, clock).expect("a certificate");
        let id = said.rsplit(' ').next().and_then(|id| id.parse().ok());
        let id = id.expect("the command says the node's id");
        let (page, quic) = (free_tcp(), free_udp());
        let address = &place.address;
        let (origin, url) = if place.secure {
            let host = format!("localhost:{page}");
            (format!("https://{host}"), format!("wss://{host}/p2psip"))
        } else {
            let host = format!("127.0.0.1:{page}");
            (format!("http://{host}"), format!("ws://{host}/p2psip"))
        };
        let mut text = format!(
            "[super_node]\ndata = {directory:?}\nlisten = \"127.0.0.1:{page}\"\nurl = \"{origin}\"\n\
             quic = \"{address}:{quic}\"\nquic_public = \"{address}:{quic}\"\nstun = \"127.0.0.1:0\"\nseeds = {seeds:?}\n"
        );
        if place.secure {
            let (certificate, key) = self.tls();
            let _ = writeln!(text, "certificate = {certificate:?}\nkey = {key:?}");
        }
        for line in lines {
            let _ = writeln!(text, "{line}");
        }
        if seeds.len() < SEEDS {
            seeds.push(format!("{id}@{address}:{quic}"));
        }
        let config = directory.with_extension("toml");
        std::fs::write(&config, text).expect("the directory is ours");
        Member {
            id,
            url,
            directory,
            config,
            within: Vec::new(),
            process: None,
            starts: 0,
        }
    }

    /// A TLS certificate for `localhost`, which is its own authority, and its key.
    fn tls(&self) -> (PathBuf, PathBuf) {
        let (certificate, key) = (self.trust(), self.directory.path().join("tls.key"));
        if !certificate.exists() {
            let pair = rcgen::KeyPair::generate().expect("the system gives entropy");
            let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]);
            let made = params.and_then(|params| params.self_signed(&pair));
            let made = made.expect("a name that a certificate can have");
            std::fs::write(&key, pair.serialize_pem()).expect("the directory is ours");
            std::fs::write(&certificate, made.pem()).expect("the directory is ours");
        }
        (certificate, key)
    }

    /// The certificate of those that are reached by TLS.
    pub fn trust(&self) -> PathBuf {
        self.directory.path().join("tls.pem")
    }

    /// From now on a super node is started by this program, which becomes it, with these arguments before its own.
    pub fn within(&mut self, number: usize, program: Vec<String>) {
        self.nodes[number].within = program;
    }

    /// Starts a super node.
    ///
    /// # Panics
    ///
    /// When the program can't be started.
    pub fn run(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        let program = artefacts::program("relay-node");
        let mut command = match node.within.split_first() {
            None => Command::new(program),
            Some((first, more)) => {
                let mut command = Command::new(first);
                command.args(more).arg(program);
                command
            }
        };
        command.args(["run", "--config"]).arg(&node.config);
        node.starts += 1;
        let process = Process::start(&command, &node.log());
        node.process = Some(process.expect("relay-node starts"));
    }

    /// Ends a super node at once, as a crash would, and has it gone when this returns.
    ///
    /// # Panics
    ///
    /// When it does not run.
    pub fn kill(&mut self, number: usize) {
        let running = self.nodes[number].process.take();
        drop(running.expect("it runs"));
    }

    /// Tells a super node to leave, as an operator does.
    ///
    /// # Panics
    ///
    /// When it does not run.
    pub fn terminate(&self, number: usize) {
        let running = self.nodes[number].process.as_ref();
        signal("TERM", &running.expect("it runs").id().to_string());
    }

    /// Waits until a super node has left that was told to.
    pub async fn ended(&mut self, number: usize) {
        let id = self.nodes[number].process.as_ref().map(Process::id);
        until("the end of a super node", PATIENCE, async || {
            let ended = id.is_none_or(|id| has_ended(id.into()));
            ended
                .then_some(())
                .ok_or_else(|| self.nodes[number].output())
        })
        .await;
        self.nodes[number].process = None;
    }

    /// The super nodes.
    pub fn nodes(&self) -> &[Member] {
        &self.nodes
    }

    /// The numbers of those that run.
    pub fn running(&self) -> impl Iterator<Item = usize> {
        let nodes = self.nodes.iter().enumerate();
        nodes.filter_map(|(number, node)| node.process.is_some().then_some(number))
    }

    /// The addresses for ordinary nodes of those that run.
    pub fn urls(&self) -> Vec<String> {
        let urls = self.running().map(|number| self.nodes[number].url.clone());
        urls.collect()
    }

    /// Waits until each super node that runs says that there are so many.
    pub async fn all_see(&self, members: usize) {
        for number in self.running() {
            self.sees(number, Some(members)).await;
        }
    }

    /// Waits until a super node says that there are so many, or says anything of them.
    async fn sees(&self, number: usize, wanted: Option<usize>) {
        until("a ring", PATIENCE, async || {
            match self.nodes[number].members() {
                Some(members) if wanted.is_none_or(|wanted| wanted == members) => Ok(()),
                Some(_) | None => Err(self.nodes[number].output()),
            }
        })
        .await;
    }

    /// Whom the overlay trusts.
    ///
    /// # Panics
    ///
    /// Never: the authority can read its own root.
    pub fn anchor(&self) -> TrustAnchor {
        TrustAnchor::read(self.authority.root()).expect("the authority's own root")
    }

    /// Where the authority has its files.
    pub fn authority_directory(&self) -> PathBuf {
        self.directory.path().join(AUTHORITY)
    }

    /// Issues the certificates of users.
    pub fn authority(&self) -> &OfflineAuthority {
        &self.authority
    }
}

impl Member {
    /// Everything that it has printed since it was started last.
    pub fn output(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// How many members it has said last that there are.
    pub fn members(&self) -> Option<usize> {
        let output = self.output();
        let mut words = output.split_ascii_whitespace().rev();
        words.find_map(|word| word.strip_prefix("members=")?.parse().ok())
    }

    /// Its `data`.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Its process.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    fn log(&self) -> PathBuf {
        self.config.with_extension(format!("{}.log", self.starts))
    }
}

fn free_tcp() -> u16 {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    socket.local_addr().expect("it is bound").port()
}

fn free_udp() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    socket.local_addr().expect("it is bound").port()
}
