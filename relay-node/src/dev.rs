//! `relay-node dev`: a whole network on this machine, each part a process of its own.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use login_server::LoginServer;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::cli::Dev;
use crate::client::Client;
use crate::clock::Clock;
use crate::config::{self, Origin};
use crate::crypto::entropy;
use crate::{login, tls};

mod child;
mod plan;

use child::Child;
use plan::Plan;

/// How long a part may take until it answers; the first start makes keys and a database.
const READY: Duration = Duration::from_secs(60);
const ASK_AGAIN: Duration = Duration::from_millis(50);
const ENDING: Duration = Duration::from_secs(3);

/// Why the network does not start.
#[derive(Debug)]
pub enum DevError {
    /// It would be reachable, in clear text, by other machines.
    NotLoopback(SocketAddr),
    /// A relay for tests would be reachable by other machines.
    PublicTurn(SocketAddr),
    /// SIP phones of other machines could register.
    PublicSip(SocketAddr),
    /// What is no user of the relay.
    TurnUser(String),
    /// A port can't be had.
    Port(SocketAddr, std::io::Error),
    /// Not enough ports above the first.
    Ports(SocketAddr),
    /// A file can't be written.
    File(PathBuf, std::io::Error),
    /// A configuration that was written can't be used.
    Config(config::ConfigError),
    /// The login server's data can't be made.
    Login(String),
    /// A part does not start; the last lines of its log.
    Child(String, String),
    /// The HTTP client or the signals can't be had.
    System(String),
}

impl fmt::Display for DevError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLoopback(address) => write!(
                f,
                "{address} can be reached from other machines, and dev speaks clear text: use 127.0.0.1, or `relay-node \
                 run` with TLS"
            ),
            Self::PublicTurn(address) => write!(
                f,
                "{address} can be reached from other machines, and --turn-user and --allow-loopback-peers would open this one \
                 to them: use --turn 127.0.0.1:3478, or `relay-node run` with [super_node.relay]"
            ),
            Self::PublicSip(address) => write!(
                f,
                "{address} can be reached from other machines, and this network is for trying things out: use \
                 --sip 127.0.0.1:5060, or `relay-node run` with [sip]"
            ),
            Self::TurnUser(_) => f.write_str("--turn-user is written NAME:PASSWORD"),
            Self::Port(address, error) if error.kind() == std::io::ErrorKind::AddrInUse => write!(
                f,
                "port {} is in use by another program: stop it or choose another first port with --http",
                address.port()
            ),
            Self::Port(address, error) => write!(f, "{address}: {error}"),
            Self::Ports(address) => {
                write!(f, "there are not enough ports above {}", address.port())
            }
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Config(error) => error.fmt(f),
            Self::Login(error) => write!(f, "login server: {error}"),
            Self::Child(name, log) => write!(f, "{name} did not start:\n{}", log.trim_end()),
            Self::System(error) => f.write_str(error),
        }
    }
}

impl std::error::Error for DevError {}

/// Runs the network until Ctrl-C or SIGTERM.
///
/// # Errors
/// What keeps it from starting.
pub async fn dev(arguments: &Dev) -> Result<(), DevError> {
    let mut terminate = system(signal(SignalKind::terminate()))?;
    let mut interrupt = system(signal(SignalKind::interrupt()))?;
    let turn = async {
        match arguments.http.port() {
            0 => turn(std::env::temp_dir().join("partyline-dev.lock")).await,
            _ => None,
        }
    };
    let turn = tokio::select! {
        turn = turn => turn,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    let plan = Plan::new(arguments)?;
    let mut network = tokio::select! {
        started = start(&plan) => started?,
        _ = terminate.recv() => {
            plan.clean();
            return Ok(());
        }
        _ = interrupt.recv() => {
            plan.clean();
            return Ok(());
        }
    };
    drop(turn);
    println!("ready {}", network.description);
    eprintln!("Partyline runs. Open a page, sign in and call somebody on another:");
    for page in &plan.pages {
        eprintln!("  {page}/");
    }
    eprintln!("Accounts: {}   Data: {}", plan.login, plan.data.display());
    eprintln!("Ctrl-C ends all of it.");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = network.watch() => eprintln!("every part has ended"),
    }
    network.end().await;
    plan.clean();
    Ok(())
}

/// Waits until no other network of this machine starts: a port that it has chosen is free until its part has started.
///
/// The turn ends with the value. Nothing depends on it where the file can't be had.
async fn turn(path: PathBuf) -> Option<File> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    let file = file.ok()?;
    while let Err(std::fs::TryLockError::WouldBlock) = file.try_lock() {
        sleep(ASK_AGAIN).await;
    }
    Some(file)
}

struct Network {
    children: Vec<Child>,
    description: Value,
}

async fn start(plan: &Plan) -> Result<Network, DevError> {
    let client = tls::client(None).map_err(|error| DevError::System(error.to_string()))?;
    let client = Client::new(client);
    plan.write_login()?;
    let token = token(&plan.login_config).await?;
    plan.write_nodes(&token)?;

    let mut login = Child::start("the login server", &plan.login_config)?;
    ready(&mut login, &client, &plan.login).await?;
    let login_pid = login.pid();
    let mut children = vec![login];
    // The first node makes the overlay; the others join it.
    let mut first = node(plan, 0)?;
    ready(&mut first, &client, &plan.pages[0]).await?;
    children.push(first);
    let mut joining = JoinSet::new();
    for index in 1..plan.pages.len() {
        let (mut child, client, page) = (
            node(plan, index)?,
            client.clone(),
            plan.pages[index].clone(),
        );
        joining.spawn(async move {
            ready(&mut child, &client, &page).await?;
            Ok::<_, DevError>((index, child))
        });
    }
    let mut joined = Vec::new();
    while let Some(result) = joining.join_next().await {
        joined.push(system(result)??);
    }
    joined.sort_by_key(|(index, _)| *index);
    children.extend(joined.into_iter().map(|(_, child)| child));

    let mut super_nodes = Vec::new();
    let mut about = Value::Null;
    for (index, child) in children.iter().skip(1).enumerate() {
        let page = &plan.pages[index];
        about = client
            .read(page, "/.well-known/partyline")
            .await
            .map_err(|error| DevError::System(format!("{page} {error}")))?;
        let mut described = json!({
            "node": about["node"],
            "pid": child.pid(),
            "page": page.as_str(),
            "ws": page.websocket(),
            "quic": plan.quic[index].to_string(),
            "stun": plan.stun[index].to_string(),
            "config": plan.node_configs[index],
        });
        if let Some(sip) = plan.phones.description(index) {
            described["sip"] = sip;
        }
        super_nodes.push(described);
    }
    let mut description = json!({
        "domain": plan.domain,
        "overlay": about["overlay"],
        "login": { "url": plan.login.as_str(), "pid": login_pid, "config": plan.login_config },
        "bootstrap": { "url": plan.login.as_str() },
        "super_nodes": super_nodes,
    });
    if let Some((tls, certificate)) = &plan.outside.tls {
        let turn = plan.stun[0];
        description["turn"] = json!({
            "address": turn.to_string(),
            "urls": [format!("turn:{turn}"), format!("turn:{turn}?transport=tcp"), format!("turns:{tls}?transport=tcp")],
            "tls": tls.to_string(),
            "certificate": certificate,
            "realm": plan.domain,
            "users": plan.outside.users.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        });
    }
    Ok(Network {
        children,
        description,
    })
}

impl Network {
    /// Tells of every part that ends; returns when none is left.
    async fn watch(&mut self) {
        loop {
            let mut alive = 0;
            for child in &mut self.children {
                match child.ended() {
                    None => alive += 1,
                    Some(Some(how)) => {
                        eprintln!("{} ended ({how}); the others go on", child.name())
                    }
                    Some(None) => {}
                }
            }
            if alive == 0 {
                return;
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// Lets every part leave, and kills those that don't.
    async fn end(self) {
        let mut ending = JoinSet::new();
        for child in self.children {
            ending.spawn(child.end(ENDING));
        }
        while ending.join_next().await.is_some() {}
    }
}

fn node(plan: &Plan, index: usize) -> Result<Child, DevError> {
    let name = format!("super node {} ({})", index + 1, plan.pages[index]);
    Child::start(&name, &plan.node_configs[index])
}

/// Waits until a part says that it is ready.
async fn ready(child: &mut Child, client: &Client, at: &Origin) -> Result<(), DevError> {
    let asking = async {
        loop {
            if client.fetch(at, "/readyz").await.is_ok() {
                return Ok(());
            }
            if child.ended().is_some() {
                return Err(DevError::Child(child.name().to_owned(), child.log()));
            }
            sleep(ASK_AGAIN).await;
        }
    };
    match timeout(READY, asking).await {
        Ok(result) => result,
        Err(_) => Err(DevError::Child(
            child.name().to_owned(),
            format!(
                "no answer within {} seconds\n{}",
                READY.as_secs(),
                child.log()
            ),
        )),
    }
}

/// Makes the root key and the database before the login server starts, and a token for the nodes.
async fn token(login_config: &Path) -> Result<String, DevError> {
    let config = config::load(login_config, [], &[]).map_err(DevError::Config)?;
    let section = config
        .login
        .ok_or_else(|| DevError::Login("no [login] section".to_owned()))?;
    let clock = login::server_clock(Clock::start());
    let server = LoginServer::open(section.served(), clock)
        .await
        .map_err(|error| DevError::Login(error.to_string()))?;
    server
        .enrolment_token(256, Duration::from_secs(24 * 60 * 60))
        .await
        .map_err(|error| DevError::Login(error.to_string()))
}

fn system<T>(result: Result<T, impl fmt::Display>) -> Result<T, DevError> {
    result.map_err(|error| DevError::System(error.to_string()))
}

/// A directory of this run's own, for when none is named.
fn own_directory() -> PathBuf {
    let name: String = entropy::<6>()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    std::env::temp_dir().join(format!("partyline-dev-{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_network_at_a_time_chooses_ports() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let first = turn(path.clone()).await.unwrap();
        let second = turn(path.clone());
        tokio::pin!(second);
        let early = timeout(Duration::from_millis(200), &mut second).await;
        assert!(early.is_err(), "two have the turn");
        drop(first);
        assert!(second.await.is_some());
        assert!(turn(directory.path().join("no/such/file")).await.is_none());
    }
}
