use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a configuration can't be used.
#[derive(Debug)]
pub enum ConfigError {
    /// The file can't be read.
    File(PathBuf, std::io::Error),
    /// The text isn't TOML, or a key is unknown, missing or of the wrong kind; the message shows the line.
    Text(PathBuf, String),
    /// An override of the environment or of a flag can't be used.
    Override(String, String),
    /// No section.
    NoRole,
    /// A role would speak clear text to other machines.
    ClearText(&'static str, SocketAddr),
    /// A certificate without its key, or the reverse.
    HalfTls(&'static str),
    /// Both `token` and `token_file`.
    TwoTokens,
    /// Two files of one node keep things in one directory.
    SharedDirectory(PathBuf),
    /// Overrides, and several files that they could be for.
    OverridesForSeveral,
    /// No room for records, or more than there can be.
    Storage(usize),
    /// Less for keeping up with the others than any node needs.
    Maintenance(u32),
    /// Fewer others than a node must know.
    Table(usize),
    /// A token without a login server to show it to.
    TokenForNobody,
    /// A promotion without the node that is promoted, or without what it becomes.
    PromotionOfNobody,
    /// An ordinary node that may use no transport.
    NoTransport,
    /// An ordinary node that may look for super nodes nowhere.
    NoSource,
    /// A bootstrap server of its own needs an address and the overlay's root.
    BootstrapAlone,
    /// A value of `[super_node.relay]`, in words.
    Relay(String),
    /// A registrar that believes everybody would be reachable by other machines.
    OpenRegistrar(SocketAddr),
    /// A SIP server that can't say where it is.
    SipHost(SocketAddr),
    /// A domain of a SIP server without the overlay that it is in.
    SipOverlay(String),
    /// A location server that is no SIP URI.
    LocationServer(String),
    /// A value of `[login]`.
    Login(login_server::ConfigFault),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, error) => write!(f, "{} can't be read: {error}", path.display()),
            Self::Text(path, message) => write!(
                f,
                "{}: {}\nCorrect or remove that; `relay-node config example` shows every key.",
                path.display(),
                message.trim_end()
            ),
            Self::Override(name, message) => write!(
                f,
                "{name}: {}\nCorrect or remove that; `relay-node config example` shows every key.",
                message.trim_end()
            ),
            Self::NoRole => f.write_str(
                "no role: the file needs at least one of the sections [ordinary_node], [super_node], [sip], [login], [bootstrap]",
            ),
            Self::ClearText(role, listen) => write!(
                f,
                "[{role}] would serve clear text at {listen}, which other machines can reach: name a TLS `certificate` \
                 and its `key`, or listen on 127.0.0.1"
            ),
            Self::HalfTls(role) => write!(
                f,
                "[{role}] names only one of `certificate` and `key`: TLS needs both files"
            ),
            Self::TwoTokens => {
                f.write_str("[super_node] has both `token` and `token_file`: keep one of them")
            }
            Self::SharedDirectory(path) => write!(
                f,
                "two files have {} as `data`: each overlay needs a directory of its own, or their credentials would mix",
                path.display()
            ),
            Self::OverridesForSeveral => f.write_str(
                "--set does not say which of the files it is for: write the key into that file, or name one --config only",
            ),
            Self::Storage(mib) => write!(
                f,
                "[super_node] can't reserve {mib} MiB for records: `storage` is from 1 to 65536"
            ),
            Self::Maintenance(bytes) => write!(
                f,
                "[super_node] can't keep up with the others for {bytes} bytes a second: `maintenance` is 50 or more"
            ),
            Self::Table(members) => write!(
                f,
                "[super_node] can't do with {members} other super nodes: `table` is 100 or more"
            ),
            Self::TokenForNobody => f.write_str(
                "[super_node] has an enrolment token but no `login` server to show it to: name the server, or remove the \
                 token and have the certificate issued by `relay-node ca issue super-node`",
            ),
            Self::PromotionOfNobody => f.write_str(
                "[promotion] makes the super node of [super_node] out of the node of [ordinary_node]: the file needs both \
                 sections",
            ),
            Self::NoTransport => f.write_str(
                "[ordinary_node] has no way to reach super nodes: `transports` is empty, or names only \"quic\", which can't \
                 pass a `proxy`",
            ),
            Self::NoSource => f.write_str(
                "[ordinary_node] has nowhere to look for super nodes: name `seeds`, a `bootstrap` or a `login` server, or \
                 leave `multicast` on",
            ),
            Self::BootstrapAlone => f.write_str(
                "[bootstrap] without [login] needs its own `listen` address and the overlay's `root` certificate file",
            ),
            Self::Relay(words) => write!(f, "[super_node.relay]: {words}"),
            Self::OpenRegistrar(listen) => write!(
                f,
                "[sip] would take anybody for any user at {listen}, which other machines can reach: leave `open_registrar` \
                 off and name `users`, or listen on 127.0.0.1"
            ),
            Self::SipHost(listen) => write!(
                f,
                "[sip] listens on every address ({listen}) and can't tell others which one to use: name the `host`"
            ),
            Self::SipOverlay(domain) => write!(
                f,
                "[sip.domains] names no overlay for {domain}: write its identifier, 32 hexadecimal digits"
            ),
            Self::LocationServer(text) => write!(
                f,
                "[sip] has the `location_server` {text:?}, which is no SIP URI like sip:registrar.example.org:5060"
            ),
            Self::Login(fault) => write!(f, "[login]: {fault}"),
        }
    }
}

impl std::error::Error for ConfigError {}
