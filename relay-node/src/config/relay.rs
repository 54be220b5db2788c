use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::PathBuf;

use serde::Deserialize;
use turn::{Range, Reach, RelayAddress};

use super::{ConfigError, SuperNode};

/// `[super_node.relay]`: users who can't reach each other send their media through this node (TURN), at the address of
/// `stun`, by UDP and TCP.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Relay {
    /// Addresses of this machine that are given to users, one of each family at most; that of `stun`, if not given, or the
    /// one by which this machine reaches others.
    pub addresses: Vec<IpAddr>,
    /// The same as others see them, where a router translates them.
    pub public: Vec<IpAddr>,
    /// First of the ports that are given to users.
    pub least_port: u16,
    /// Last of them.
    pub most_port: u16,
    /// TCP address for users who speak TLS; none, if not given.
    pub tls: Option<SocketAddr>,
    /// File with the TLS certificate chain (PEM) for `tls`; the node's, if not given.
    pub certificate: Option<PathBuf>,
    /// File with the key of that certificate (PEM).
    pub key: Option<PathBuf>,
    /// Private ranges that may be reached, where the whole overlay lives in one private network.
    pub realm: Vec<String>,
    /// Whether programs on this machine may be reached: for tests, on loopback alone.
    pub loopback_peers: bool,
    /// Users who are no users of the overlay, with their passwords.
    pub users: BTreeMap<String, String>,
    /// Allocations that one user may have at once.
    pub allocations_per_user: u32,
    /// Bytes a second that one user may send and get; 0 for no bound.
    pub bandwidth_per_user: u64,
    /// Allocations that there may be at once.
    pub allocations: usize,
    /// Answers a second to one address that has shown no credential.
    pub rate: u32,
}

impl Default for Relay {
    fn default() -> Self {
        let quota = turn::Quota::default();
        Self {
            addresses: Vec::new(),
            public: Vec::new(),
            least_port: 49_152,
            most_port: 65_535,
            tls: None,
            certificate: None,
            key: None,
            realm: Vec::new(),
            loopback_peers: false,
            users: BTreeMap::new(),
            allocations_per_user: quota.allocations,
            bandwidth_per_user: quota.bandwidth,
            allocations: 10_000,
            rate: turn::Rate::default().per_second,
        }
    }
}

impl Relay {
    /// Checks what the types can't say.
    pub(super) fn check(&self, node: &SuperNode) -> Result<(), ConfigError> {
        let fault = |words: String| Err(ConfigError::Relay(words));
        if self.least_port > self.most_port || self.least_port < 1_024 {
            return fault(format!(
                "ports {} to {} are no range above 1023",
                self.least_port, self.most_port
            ));
        }
        if let Some(text) = self
            .realm
            .iter()
            .find(|text| text.parse::<Range>().is_err())
        {
            return fault(format!(
                "`realm` has {text:?}: write ranges like \"10.0.0.0/8\""
            ));
        }
        let pair = (&self.certificate, &self.key);
        if matches!(pair, (Some(_), None) | (None, Some(_))) {
            return fault(
                "only one of `certificate` and `key` is named: TLS needs both files".to_owned(),
            );
        }
        if self.tls.is_some() && self.certificate.is_none() && node.certificate.is_none() {
            return fault("`tls` needs a `certificate` and its `key`".to_owned());
        }
        let stun = node.stun();
        let public = [Some(stun), self.tls]
            .into_iter()
            .flatten()
            .find(|address| !address.ip().is_loopback());
        let public = public.map(|address| address.ip()).or(self
            .addresses
            .iter()
            .copied()
            .find(|ip| !ip.is_loopback()));
        if let (true, Some(ip)) = (self.loopback_peers, public) {
            return fault(format!(
                "`loopback_peers` would open this machine's own services to everybody at {ip}: it is for 127.0.0.1"
            ));
        }
        for v6 in [false, true] {
            let many = |list: &[IpAddr]| list.iter().filter(|ip| ip.is_ipv6() == v6).count();
            if many(&self.addresses) > 1 || many(&self.public) > 1 {
                return fault(
                    "`addresses` and `public` have one address of each family at most".to_owned(),
                );
            }
        }
        if self.allocations_per_user == 0 || self.allocations == 0 {
            return fault("nobody could have an allocation: `allocations` and `allocations_per_user` are 1 or more".to_owned());
        }
        Ok(())
    }

    /// Where relayed addresses are, by family.
    pub(crate) fn places(&self, stun: SocketAddr) -> [Option<RelayAddress>; 2] {
        [false, true].map(|v6| {
            let of_family = |list: &[IpAddr]| list.iter().copied().find(|ip| ip.is_ipv6() == v6);
            let local = if self.addresses.is_empty() {
                let listening = stun.ip();
                let own =
                    (listening.is_ipv6() == v6 && !listening.is_unspecified()).then_some(listening);
                own.or_else(|| listening.is_unspecified().then(|| outward(v6)).flatten())
            } else {
                of_family(&self.addresses)
            }?;
            let public = of_family(&self.public).unwrap_or(local);
            Some(RelayAddress { local, public })
        })
    }

    /// Which peers users may reach.
    pub(crate) fn reach(
        &self,
        places: [Option<RelayAddress>; 2],
        listening: Vec<SocketAddr>,
    ) -> Reach {
        let mut own: Vec<IpAddr> = places
            .iter()
            .flatten()
            .flat_map(|place| [place.local, place.public])
            .collect();
        own.extend(
            listening
                .iter()
                .map(SocketAddr::ip)
                .filter(|ip| !ip.is_unspecified()),
        );
        own.sort_unstable();
        own.dedup();
        let everywhere = listening
            .iter()
            .filter(|address| address.ip().is_unspecified());
        let more: Vec<_> = everywhere
            .flat_map(|address| own.iter().map(|ip| SocketAddr::new(*ip, address.port())))
            .collect();
        Reach {
            realm: self
                .realm
                .iter()
                .filter_map(|text| text.parse().ok())
                .collect(),
            loopback: self.loopback_peers,
            listening: listening.into_iter().chain(more).collect(),
            own,
        }
    }
}

/// The address of this machine from which others are reached. Nothing is sent.
fn outward(v6: bool) -> Option<IpAddr> {
    let (any, somewhere) = if v6 {
        ("[::]:0", "[2001:db8::1]:9")
    } else {
        ("0.0.0.0:0", "192.0.2.1:9")
    };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(somewhere).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::parse;

    fn node(stun: &str, relay: &str) -> Result<SuperNode, String> {
        let text = format!(
            "[super_node]\ndata = \"/tmp/x\"\nlisten = \"127.0.0.1:1\"\nurl = \"http://127.0.0.1:1\"\nstun = \"{stun}\"\n\
             [super_node.relay]\n{relay}\n"
        );
        let config =
            parse(Path::new("node.toml"), &text, [], &[]).map_err(|error| error.to_string())?;
        Ok(config.super_node.unwrap())
    }

    #[test]
    fn r122_what_can_not_work_is_said() {
        for (stun, relay, word) in [
            (
                "127.0.0.1:3478",
                "least_port = 60000\nmost_port = 50000",
                "60000 to 50000",
            ),
            ("127.0.0.1:3478", "least_port = 80", "80 to 65535"),
            ("127.0.0.1:3478", "realm = [\"10.0.0.0\"]", "10.0.0.0/8"),
            (
                "127.0.0.1:3478",
                "tls = \"127.0.0.1:5349\"",
                "`certificate`",
            ),
            ("127.0.0.1:3478", "key = \"/tmp/key\"", "only one"),
            ("0.0.0.0:3478", "loopback_peers = true", "0.0.0.0"),
            ("203.0.113.5:3478", "loopback_peers = true", "203.0.113.5"),
            (
                "127.0.0.1:3478",
                "loopback_peers = true\naddresses = [\"203.0.113.5\"]",
                "203.0.113.5",
            ),
            (
                "127.0.0.1:3478",
                "addresses = [\"203.0.113.5\", \"203.0.113.6\"]",
                "one address",
            ),
            ("127.0.0.1:3478", "allocations = 0", "nobody"),
            ("127.0.0.1:3478", "port = 1", "port"),
        ] {
            let refused = node(stun, relay).unwrap_err();
            assert!(refused.contains(word), "{relay}: {refused}");
        }
        assert!(node("127.0.0.1:3478", "loopback_peers = true").is_ok());
    }

    #[test]
    fn r122_relayed_addresses_are_those_named_or_that_of_the_server() {
        let places = |stun: &str, relay: &str| {
            let node = node(stun, relay).unwrap();
            node.relay.unwrap().places(node.stun.unwrap())
        };
        let place = |local: &str, public: &str| {
            Some(RelayAddress {
                local: local.parse().unwrap(),
                public: public.parse().unwrap(),
            })
        };
        assert_eq!(
            places("203.0.113.5:3478", ""),
            [place("203.0.113.5", "203.0.113.5"), None]
        );
        let behind = "addresses = [\"10.0.0.5\"]\npublic = [\"203.0.113.5\"]";
        assert_eq!(
            places("0.0.0.0:3478", behind),
            [place("10.0.0.5", "203.0.113.5"), None]
        );
        let both = "addresses = [\"203.0.113.5\", \"2a00::5\"]";
        assert_eq!(
            places("[::]:3478", both),
            [
                place("203.0.113.5", "203.0.113.5"),
                place("2a00::5", "2a00::5")
            ]
        );
    }

    #[test]
    fn a28_r122_the_servers_own_ports_are_never_peers() {
        let node = node(
            "0.0.0.0:3478",
            "addresses = [\"203.0.113.5\"]\nrealm = [\"10.0.0.0/8\"]",
        )
        .unwrap();
        let relay = node.relay.unwrap();
        let listening = vec!["0.0.0.0:3478".parse().unwrap()];
        let reach = relay.reach(relay.places("0.0.0.0:3478".parse().unwrap()), listening);
        assert_eq!(reach.own, ["203.0.113.5".parse::<IpAddr>().unwrap()]);
        assert!(
            reach
                .listening
                .contains(&"203.0.113.5:3478".parse().unwrap())
        );
        assert_eq!(reach.realm.len(), 1);
    }
}
