use std::fs::OpenOptions;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::{DevError, own_directory};
use crate::cli::Dev;
use crate::config::Origin;
use crate::crypto::entropy;

mod phones;

pub(super) use phones::Phones;

/// Where ports are chosen from. They lie below those that a system gives to whoever names none, so that nobody gets one by
/// chance before the part that it is meant for; and browsers refuse none of them.
const PORTS: Range<u16> = 10_240..32_256;
const TRIES: usize = 100;

/// Who listens where, and which files say so.
pub(super) struct Plan {
    pub(super) domain: String,
    pub(super) data: PathBuf,
    pub(super) pages: Vec<Origin>,
    pub(super) quic: Vec<SocketAddr>,
    pub(super) stun: Vec<SocketAddr>,
    pub(super) outside: Outside,
    pub(super) phones: Phones,
    pub(super) login: Origin,
    pub(super) login_config: PathBuf,
    pub(super) node_configs: Vec<PathBuf>,
    page: Option<PathBuf>,
    temporary: bool,
}

impl Plan {
    /// Finds ports for everything and makes the directory.
    pub(super) fn new(arguments: &Dev) -> Result<Self, DevError> {
        if !arguments.http.ip().is_loopback() {
            return Err(DevError::NotLoopback(arguments.http));
        }
        if let Some(turn) = arguments.turn
            && !turn.ip().is_loopback()
        {
            return Err(DevError::PublicTurn(turn));
        }
        if let Some(sip) = arguments.sip
            && !sip.ip().is_loopback()
        {
            return Err(DevError::PublicSip(sip));
        }
        let count = usize::from(arguments.super_nodes);
        let mut held = Held::default();
        let ports = Ports::choose(arguments.http, count, arguments.turn, &mut held)?;
        let data = match &arguments.data {
            Some(data) => absolute(data)?,
            None => own_directory(),
        };
        std::fs::create_dir_all(&data).map_err(|error| DevError::File(data.clone(), error))?;
        let outside = Outside::new(arguments, ports.tls, &data)?;
        let phones = Phones::new(arguments, count, &mut held, &data)?;
        let origin = |address: &SocketAddr| {
            let origin = format!("http://{address}").parse();
            origin.map_err(|error| DevError::System(format!("{error}")))
        };
        let page = arguments.page.as_deref().map(absolute).transpose()?;
        Ok(Self {
            domain: arguments.domain.to_ascii_lowercase(),
            pages: ports.http[..count]
                .iter()
                .map(origin)
                .collect::<Result<_, _>>()?,
            login: origin(&ports.http[count])?,
            quic: ports.quic,
            stun: ports.stun,
            outside,
            phones,
            login_config: data.join("login.toml"),
            node_configs: (1..=count)
                .map(|number| data.join(format!("node{number}.toml")))
                .collect(),
            data,
            page,
            temporary: arguments.data.is_none(),
        })
    }

    /// Writes the configuration of the login and bootstrap server.
    pub(super) fn write_login(&self) -> Result<(), DevError> {
        // On one machine everybody has the same address.
        let limits = "limits = { page = 60000, sign_in = 600, account = 600, create = 600, guest = 600, credential = 6000, phone = 60000 }";
        let text = format!(
            "[login]\ndata = {:?}\nlisten = \"{}\"\nurl = \"{}\"\ndomain = {:?}\norigins = {:?}\nphones = true\n{limits}\n\n\
             [bootstrap]\nlimit = 60000\n",
            self.data.join("login"),
            self.login.authority(),
            self.login,
            self.domain,
            self.by_name(),
        );
        write(&self.login_config, &text)
    }

    /// Writes the configurations of the super nodes.
    pub(super) fn write_nodes(&self, token: &str) -> Result<(), DevError> {
        for (index, path) in self.node_configs.iter().enumerate() {
            let page = self
                .page
                .as_ref()
                .map(|page| format!("page = {page:?}\n"))
                .unwrap_or_default();
            let text = format!(
                "[super_node]\ndata = {:?}\nlisten = \"{}\"\nurl = \"{}\"\norigins = {:?}\nother_urls = {:?}\nlogin = \"{}\"\ntoken = {token:?}\n\
                 quic = \"{}\"\nstun = \"{}\"\n{page}{}{}",
                self.data.join(format!("node{}", index + 1)),
                self.pages[index].authority(),
                self.pages[index],
                self.by_name(),
                &self.by_name()[index..=index],
                self.login,
                self.quic[index],
                self.stun[index],
                self.outside.section(index),
                self.phones.section(index),
            );
            write(path, &text)?;
        }
        Ok(())
    }

    /// Removes the directory if it was only for this run.
    pub(super) fn clean(&self) {
        if self.temporary {
            let _ = std::fs::remove_dir_all(&self.data);
        }
    }

    /// The same pages as `localhost`, which is what people type.
    fn by_name(&self) -> Vec<String> {
        self.pages
            .iter()
            .map(|page| format!("http://localhost:{}", page.port()))
            .collect()
    }
}

/// An address for each part.
struct Ports {
    /// The pages, then the login server.
    http: Vec<SocketAddr>,
    quic: Vec<SocketAddr>,
    stun: Vec<SocketAddr>,
    /// TURN over TLS at the first node.
    tls: Option<SocketAddr>,
}

impl Ports {
    /// Makes sure that every port is free, by having them all for a moment.
    ///
    /// From a first port on: pages and login server over TCP, QUIC at the same numbers over UDP, and STUN and TURN behind
    /// them, over both.
    fn choose(
        first: SocketAddr,
        count: usize,
        turn: Option<SocketAddr>,
        held: &mut Held,
    ) -> Result<Self, DevError> {
        let nth = |index: usize| match first.port() {
            0 => Ok(first),
            port => u16::try_from(usize::from(port) + index)
                .map(|port| SocketAddr::new(first.ip(), port))
                .map_err(|_| DevError::Ports(first)),
        };
        let mut ports = Self {
            http: Vec::new(),
            quic: Vec::new(),
            stun: Vec::new(),
            tls: None,
        };
        if let Some(turn) = turn {
            ports.tls = Some(held.tcp(SocketAddr::new(turn.ip(), 0))?);
        }
        for index in 0..=count {
            ports.http.push(held.tcp(nth(index)?)?);
        }
        for index in 0..count {
            ports.quic.push(held.udp(nth(index)?)?);
        }
        for index in 0..count {
            let address = match turn {
                Some(turn) if index == 0 => turn,
                _ => nth(count + 1 + index)?,
            };
            ports.stun.push(held.both(address)?);
        }
        Ok(ports)
    }
}

/// What programs outside may use of the first node's relay.
#[derive(Debug, Clone, Default)]
pub(super) struct Outside {
    pub(super) users: Vec<(String, String)>,
    pub(super) loopback_peers: bool,
    /// Where it speaks TLS, with the certificate that it made.
    pub(super) tls: Option<(SocketAddr, PathBuf)>,
}

impl Outside {
    fn new(arguments: &Dev, tls: Option<SocketAddr>, data: &Path) -> Result<Self, DevError> {
        let mut users = Vec::new();
        for user in &arguments.turn_user {
            let (name, password) = user
                .split_once(':')
                .filter(|(name, password)| !name.is_empty() && !password.is_empty())
                .ok_or_else(|| DevError::TurnUser(user.clone()))?;
            users.push((name.to_owned(), password.to_owned()));
        }
        let tls = match tls {
            Some(address) => Some((address, certify("turn", address, data)?)),
            None => None,
        };
        Ok(Self {
            users,
            loopback_peers: arguments.allow_loopback_peers,
            tls,
        })
    }

    /// The section of the node with this index.
    fn section(&self, index: usize) -> String {
        // Peers on this machine are all that there are.
        if self.tls.is_none() && !self.loopback_peers {
            return String::new();
        }
        let mut text = format!(
            "[super_node.relay]\nloopback_peers = {}\nrate = 1000000\n",
            self.loopback_peers
        );
        if index == 0 {
            if let Some((address, certificate)) = &self.tls {
                let key = certificate.with_extension("key");
                text +=
                    &format!("tls = \"{address}\"\ncertificate = {certificate:?}\nkey = {key:?}\n");
                text += "allocations_per_user = 10000\nbandwidth_per_user = 0\n";
            }
            if !self.users.is_empty() {
                text += "[super_node.relay.users]\n";
            }
            for (name, password) in &self.users {
                text += &format!("{name:?} = {password:?}\n");
            }
        }
        text
    }
}

/// Makes a certificate that signs itself.
fn certify(name: &str, address: SocketAddr, data: &Path) -> Result<PathBuf, DevError> {
    let system = |error: rcgen::Error| DevError::System(error.to_string());
    let pair = rcgen::KeyPair::generate().map_err(system)?;
    let names = vec!["localhost".to_owned(), address.ip().to_string()];
    let params = rcgen::CertificateParams::new(names).map_err(system)?;
    let path = data.join(format!("{name}.pem"));
    write(&path, &params.self_signed(&pair).map_err(system)?.pem())?;
    write(&path.with_extension("key"), &pair.serialize_pem())?;
    Ok(path)
}

#[derive(Default)]
struct Held {
    tcp: Vec<TcpListener>,
    udp: Vec<UdpSocket>,
}

impl Held {
    fn tcp(&mut self, address: SocketAddr) -> Result<SocketAddr, DevError> {
        let port = |error| DevError::Port(address, error);
        let socket = bind(address, TcpListener::bind).map_err(port)?;
        let bound = socket.local_addr().map_err(port)?;
        self.tcp.push(socket);
        Ok(bound)
    }

    /// A port that is free for both.
    fn both(&mut self, address: SocketAddr) -> Result<SocketAddr, DevError> {
        for _ in 0..TRIES {
            let bound = self.udp(address)?;
            match self.tcp(bound) {
                Err(DevError::Port(..)) if address.port() == 0 => {}
                result => return result,
            }
        }
        Err(DevError::Ports(address))
    }

    /// Two ports that follow each other: the first free for both, the second for TCP.
    fn neighbours(&mut self, address: SocketAddr) -> Result<(SocketAddr, SocketAddr), DevError> {
        for _ in 0..TRIES {
            let first = self.both(address)?;
            let port = first.port().saturating_add(1);
            if let Ok(second) = self.tcp(SocketAddr::new(address.ip(), port)) {
                return Ok((first, second));
            }
        }
        Err(DevError::Ports(address))
    }

    fn udp(&mut self, address: SocketAddr) -> Result<SocketAddr, DevError> {
        let port = |error| DevError::Port(address, error);
        let socket = bind(address, UdpSocket::bind).map_err(port)?;
        let bound = socket.local_addr().map_err(port)?;
        self.udp.push(socket);
        Ok(bound)
    }
}

/// Binds to an address, or for port 0 to a free port of [`PORTS`].
fn bind<S>(address: SocketAddr, bind: fn(SocketAddr) -> io::Result<S>) -> io::Result<S> {
    if address.port() != 0 {
        return bind(address);
    }
    for _ in 0..TRIES {
        let chosen = u16::from_be_bytes(entropy()) % (PORTS.end - PORTS.start);
        match bind(SocketAddr::new(address.ip(), PORTS.start + chosen)) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            bound => return bound,
        }
    }
    bind(address)
}

fn absolute(path: &Path) -> Result<PathBuf, DevError> {
    std::path::absolute(path).map_err(|error| DevError::File(path.into(), error))
}

/// Writes a file for its owner alone: those of the nodes hold a token.
fn write(path: &Path, text: &str) -> Result<(), DevError> {
    let writing = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(text.as_bytes())
    };
    writing().map_err(|error| DevError::File(path.into(), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(http: &str) -> Dev {
        Dev {
            super_nodes: 2,
            http: http.parse().unwrap(),
            domain: "example.org".to_owned(),
            data: None,
            page: None,
            turn: None,
            turn_user: Vec::new(),
            allow_loopback_peers: false,
            sip: None,
            open_registrar: false,
        }
    }

    #[test]
    fn r076_phones_register_on_loopback_alone_at_every_node() {
        let mut arguments = arguments("127.0.0.1:0");
        arguments.sip = Some("0.0.0.0:5060".parse().unwrap());
        let refused = Plan::new(&arguments).err().unwrap();
        assert!(refused.to_string().contains("--sip 127.0.0.1"), "{refused}");
        arguments.sip = Some("127.0.0.1:0".parse().unwrap());
        arguments.open_registrar = true;
        let plan = Plan::new(&arguments).unwrap();
        plan.write_nodes("a token").unwrap();
        for (index, path) in plan.node_configs.iter().enumerate() {
            let sip = crate::config::load(path, [], &[]).unwrap().sip.unwrap();
            assert!(sip.open_registrar);
            assert_eq!(sip.tls().port(), sip.listen.port() + 1, "on the next port");
            let told = plan.phones.description(index).unwrap();
            assert_eq!(told["address"], sip.listen.to_string());
            assert!(crate::tls::server(&sip.certificate.unwrap(), &sip.key.unwrap()).is_ok());
        }
        plan.clean();
    }

    #[test]
    fn r113_a_relay_for_programs_outside_is_for_loopback_alone() {
        let with = |turn: &str, user: &str| {
            let mut arguments = arguments("127.0.0.1:0");
            arguments.turn = Some(turn.parse().unwrap());
            arguments.turn_user = vec![user.to_owned()];
            arguments.allow_loopback_peers = true;
            Plan::new(&arguments)
        };
        for address in ["0.0.0.0:0", "192.0.2.1:3478", "[::]:3478"] {
            let refused = with(address, "ann:secret").err().unwrap().to_string();
            assert!(refused.contains("127.0.0.1"), "{refused}");
        }
        for user in ["ann", ":secret", "ann:"] {
            let refused = with("127.0.0.1:0", user).err().unwrap().to_string();
            assert!(refused.contains("NAME:PASSWORD"), "{refused}");
        }
        let plan = with("127.0.0.1:0", "ann:se:cret").unwrap();
        plan.write_nodes("a token").unwrap();
        let relays = plan.node_configs.iter().map(|path| {
            let config = crate::config::load(path, [], &[]).unwrap();
            config.super_node.unwrap().relay.unwrap()
        });
        let relays: Vec<_> = relays.collect();
        assert_eq!(relays[0].users["ann"], "se:cret");
        assert!(relays[0].tls.is_some() && relays[1].tls.is_none());
        assert!(relays[1].users.is_empty() && relays[1].loopback_peers);
        plan.clean();
    }

    #[test]
    fn clear_text_is_for_loopback_alone() {
        let refused = Plan::new(&arguments("0.0.0.0:0")).err().unwrap();
        assert!(refused.to_string().contains("clear text"), "{refused}");
    }

    #[test]
    fn port_in_use_is_said_in_words() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let refused = Plan::new(&arguments(&address)).err().unwrap();
        assert!(
            refused.to_string().contains("in use by another program"),
            "{refused}"
        );
    }

    #[test]
    fn chosen_ports_are_none_that_others_get_by_chance() {
        let ports = Ports::choose(
            "127.0.0.1:0".parse().unwrap(),
            9,
            None,
            &mut Held::default(),
        )
        .unwrap();
        let all = [ports.http, ports.quic, ports.stun].concat();
        assert_eq!(all.len(), 28);
        assert!(all.iter().all(|address| PORTS.contains(&address.port())));
    }

    #[test]
    fn what_is_written_can_be_loaded() {
        let plan = Plan::new(&arguments("127.0.0.1:0")).unwrap();
        plan.write_login().unwrap();
        plan.write_nodes("a token").unwrap();
        let login = crate::config::load(&plan.login_config, [], &[]).unwrap();
        assert_eq!(login.login.unwrap().domain, "example.org");
        for (index, path) in plan.node_configs.iter().enumerate() {
            let node = crate::config::load(path, [], &[])
                .unwrap()
                .super_node
                .unwrap();
            assert_eq!(node.url, plan.pages[index]);
            assert_eq!(node.quic(), plan.quic[index]);
        }
        plan.clean();
        assert!(!plan.data.exists());
    }
}
