//! The command line.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::{Args, Parser, Subcommand};
use credential::NodeId;
use login_server::LoginServer;
use tracing_subscriber::EnvFilter;

use crate::clock::Clock;
use crate::config::{self, Config};
use crate::{ca, dev, files, login, run};

/// The native node of Partyline: super node, login server and bootstrap server.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Plays the roles of a configuration file until SIGTERM or Ctrl-C.
    Run {
        /// The configuration file. Several, each of another overlay, make a node of them all.
        #[arg(long = "config", value_name = "FILE", required = true)]
        paths: Vec<PathBuf>,
        /// Overrides a key of the only file: section.key=value. May be repeated.
        #[arg(long = "set", value_name = "KEY=VALUE")]
        overrides: Vec<String>,
        /// End when stdin is closed.
        #[arg(long, hide = true)]
        child: bool,
    },
    /// Starts a whole network on this machine: super nodes, a login and a bootstrap server.
    Dev(Dev),
    /// Makes an enrolment token, with which an operator's node becomes a super node.
    Token {
        #[command(flatten)]
        file: File,
        /// How many nodes may enrol with it.
        #[arg(long, default_value_t = 1)]
        uses: u32,
        /// For how many hours it is good.
        #[arg(long, default_value_t = 24)]
        hours: u64,
    },
    /// Takes a super node's certificate back: the others refuse it from then on.
    Revoke {
        #[command(flatten)]
        file: File,
        /// The node's id, 40 hexadecimal digits.
        node: NodeId,
    },
    /// Acts as the overlay's authority by hand, where there is no login server.
    Ca {
        #[command(subcommand)]
        action: ca::Action,
    },
    /// Checks or explains configuration files.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Says whether a file can be used, and if not, why.
    Check {
        /// The configuration file.
        file: PathBuf,
    },
    /// Prints a file with every key and its meaning.
    Example,
}

#[derive(Debug, Args)]
struct File {
    /// The configuration file.
    #[arg(long = "config", value_name = "FILE")]
    path: PathBuf,
    /// Overrides a key: section.key=value. May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
}

/// Arguments of `dev`.
#[derive(Debug, Clone, Args)]
pub struct Dev {
    /// How many super nodes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub super_nodes: u16,
    /// Address of the first page; the others and the login server follow on the next ports. Port 0 chooses free ones.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub http: SocketAddr,
    /// Domain of the users.
    #[arg(long, default_value = "example.org")]
    pub domain: String,
    /// Directory to keep everything in; a temporary one, removed at the end, if not given.
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Directory of page files to serve in place of the built-in page.
    #[arg(long)]
    pub page: Option<PathBuf>,
    /// Address of the first node's STUN and TURN server, on loopback, for programs outside; port 0 chooses a free one.
    #[arg(long, value_name = "ADDR")]
    pub turn: Option<SocketAddr>,
    /// A user of that server who is no user of the overlay. May be repeated.
    #[arg(long, value_name = "NAME:PASSWORD", requires = "turn")]
    pub turn_user: Vec<String>,
    /// Lets relays reach programs on this machine.
    #[arg(long)]
    pub allow_loopback_peers: bool,
    /// Address of the first node for SIP phones, by UDP and TCP, on loopback; TLS is on the next port, each further node two ports
    /// on. Port 0 chooses free ones.
    #[arg(long, value_name = "ADDR")]
    pub sip: Option<SocketAddr>,
    /// Lets every program register as any user, without a password.
    #[arg(long, requires = "sip")]
    pub open_registrar: bool,
}

impl File {
    fn load(&self) -> anyhow::Result<Config> {
        Ok(config::load(&self.path, std::env::vars(), &self.overrides)?)
    }

    /// Opens the login server's data beside the server that may be running.
    async fn login_server(&self) -> anyhow::Result<LoginServer> {
        let section = self
            .load()?
            .login
            .ok_or_else(|| anyhow!("{} has no [login] section", self.path.display()))?;
        let clock = login::server_clock(Clock::start());
        Ok(LoginServer::open(section.served(), clock).await?)
    }
}

/// Runs the program.
#[must_use]
pub fn main(arguments: Arguments) -> ExitCode {
    let quiet = matches!(arguments.command, Command::Dev(_));
    log_to_stderr(quiet);
    match execute(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("relay-node: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Run {
            paths,
            overrides,
            child,
        } => {
            let configs = config::load_all(&paths, std::env::vars(), &overrides)?;
            if let Err(error) = files::raise(0) {
                tracing::warn!("no more open files to be had: {error}");
            }
            Ok(runtime()?.block_on(run::run(configs, child))?)
        }
        Command::Dev(arguments) => Ok(runtime()?.block_on(dev::dev(&arguments))?),
        Command::Token { file, uses, hours } => {
            let lifetime = Duration::from_secs(hours.saturating_mul(60 * 60));
            let token = runtime()?.block_on(async {
                let server = file.login_server().await?;
                anyhow::Ok(server.enrolment_token(uses, lifetime).await?)
            })?;
            println!("{token}");
            Ok(())
        }
        Command::Revoke { file, node } => runtime()?.block_on(async {
            let server = file.login_server().await?;
            if !server.revoke_super_node(node).await? {
                bail!("this login server has given no certificate to a super node {node}");
            }
            println!("revoked; the super nodes learn it within a minute");
            Ok(())
        }),
        Command::Ca { action } => {
            println!("{}", ca::act(&action, &Clock::start())?);
            Ok(())
        }
        Command::Config {
            command: ConfigCommand::Check { file },
        } => {
            config::load(&file, std::env::vars(), &[])?;
            println!("{} can be used", file.display());
            Ok(())
        }
        Command::Config {
            command: ConfigCommand::Example,
        } => {
            print!("{}", config::EXAMPLE);
            Ok(())
        }
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime can't start")
}

/// `PARTYLINE_LOG` chooses what is logged, in the form of `RUST_LOG`.
fn log_to_stderr(quiet: bool) {
    let usual = if quiet { "warn" } else { "info" };
    let filter = EnvFilter::try_from_env("PARTYLINE_LOG").unwrap_or_else(|_| EnvFilter::new(usual));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
}
