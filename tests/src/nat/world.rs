//! The namespaces, and the rules of the routers in them.

use std::future::Future;
use std::path::PathBuf;

use super::{Nat, Place};
use crate::line::Namespace;
use crate::{Network, PATIENCE, Process, readable, start_node, until};

/// Where STUN and TURN are.
const SERVER: &str = "203.0.113.1";
/// What no router lets in.
const CLOSED: &str =
    "chain in { type filter hook input priority 0; iifname wan ct state new drop; }
    chain through { type filter hook forward priority 0; iifname wan ct state new drop; }";

/// The addresses of one of the two.
struct Side {
    /// That of his router.
    outer: &'static str,
    /// The network between that and the router at his home, without the last number.
    between: &'static str,
    /// His network, and in it the router at his home and his browser.
    network: &'static str,
    home: &'static str,
    host: &'static str,
    /// Another network of his home, without the last number.
    other: &'static str,
}

const SIDES: [Side; 2] = [
    Side {
        outer: "203.0.113.10",
        between: "100.64.0",
        network: "198.51.100.0/25",
        home: "198.51.100.1",
        host: "198.51.100.2",
        other: "198.51.101",
    },
    Side {
        outer: "203.0.113.20",
        between: "100.64.1",
        network: "198.51.100.128/25",
        home: "198.51.100.129",
        host: "198.51.100.130",
        other: "198.51.102",
    },
];

/// A server and two browsers' places, with two routers in front of each.
pub(super) struct World {
    routers: Vec<Namespace>,
    homes: Vec<Namespace>,
    hosts: Vec<Namespace>,
    pub(super) page: String,
    /// Whether the second home is at the first router.
    together: bool,
    server: Namespace,
    network: Network,
    _node: Process,
}

impl World {
    pub(super) fn make() -> Self {
        let here = runtime();
        let make = || here.block_on(Namespace::make(""));
        let server = make();
        server.run(&format!(
            "ip link set lo up
             ip link add name net type bridge forward_delay 0
             ip address add {SERVER}/24 dev net
             ip link set net up
             sysctl -qw net.ipv4.conf.all.route_localnet=1
             nft -f - <<'END'
             table ip page {{
               chain pre {{ type nat hook prerouting priority -100; ip daddr {SERVER} tcp dport != 3478 dnat to 127.0.0.1; }}
             }}
END"
        ));
        let (mut routers, mut homes, mut hosts) = (Vec::new(), Vec::new(), Vec::new());
        for (number, side) in SIDES.iter().enumerate() {
            let (router, home, host) = (make(), make(), make());
            router.run(&format!(
                "ip link set lo up
                 ip link add name wan type veth peer name wan{number} netns {}
                 ip link add name mid{number} type veth peer name wan netns {}
                 ip address add {}/24 dev wan
                 ip link set wan up
                 sysctl -qw net.ipv4.ip_forward=1",
                server.id(),
                home.id(),
                side.outer
            ));
            server.run(&format!("ip link set wan{number} master net up"));
            home.run(&format!(
                "ip link set lo up
                 ip link add name lan type veth peer name lan netns {id}
                 ip link add name other type veth peer name other netns {id}
                 ip address add {between}.2/24 dev wan
                 ip address add {home}/25 dev lan
                 ip address add {other}.1/24 dev other
                 for link in wan lan other; do ip link set $link up; done
                 ip route add default via {between}.1
                 sysctl -qw net.ipv4.ip_forward=1",
                id = host.id(),
                between = side.between,
                home = side.home,
                other = side.other
            ));
            host.run(&format!(
                "ip link set lo up
                 ip address add {}/25 dev lan
                 ip link set lan up
                 ip route add default via {}
                 sysctl -qw net.ipv4.conf.all.route_localnet=1",
                side.host, side.home
            ));
            routers.push(router);
            homes.push(home);
            hosts.push(host);
        }
        let (network, node) = server.inside(|| runtime().block_on(serve()));
        let page = network.page(0);
        let ports = [page.as_str(), network.login()].map(port).join(", ");
        for host in &hosts {
            host.run(&format!(
                "nft -f - <<'END'
                 table ip page {{
                   chain out {{ type nat hook output priority -100; ip daddr 127.0.0.1 tcp dport {{ {ports} }} dnat to {SERVER}; }}
                   chain post {{ type nat hook postrouting priority 100; ip daddr {SERVER} ip saddr 127.0.0.1 masquerade; }}
                 }}
END"
            ));
        }
        let world = Self {
            routers,
            homes,
            hosts,
            page,
            together: false,
            server,
            network,
            _node: node,
        };
        world.connect(0, 0);
        world.connect(1, 1);
        world
    }

    /// The place of a browser.
    pub(super) fn host(&self, side: usize) -> &Namespace {
        &self.hosts[side]
    }

    /// Puts both browsers into a place.
    pub(super) fn set(&mut self, place: Place) {
        self.bring(!matches!(place, Place::Apart(_)));
        match place {
            Place::Apart(kinds) => {
                for (number, kind) in kinds.into_iter().enumerate() {
                    self.known(number, kind == Nat::Open);
                    let double = if kind == Nat::Double {
                        rules(Nat::Restricted, &SIDES[number])
                    } else {
                        String::new()
                    };
                    rule(&self.homes[number], &double);
                    rule(&self.routers[number], &rules(kind, &SIDES[number]));
                }
            }
            Place::OneNetwork => self.one_router(&rules(Nat::Restricted, &SIDES[0])),
            Place::OneRouter { hairpin } => {
                let apart = r#"chain apart { type filter hook forward priority 1;
                    iifname "mid*" oifname "mid*" ct status dnat accept; iifname "mid*" oifname "mid*" drop; }"#;
                let back = format!(
                    r#"map ports {{ type inet_service : ipv4_addr; flags dynamic; size 65535; }}
                    chain keep {{ type filter hook postrouting priority 0; oifname wan meta l4proto udp update @ports {{ udp sport : ip saddr }}; }}
                    chain pre {{ type nat hook prerouting priority -100; iifname "mid*" ip daddr {0} dnat to udp dport map @ports; }}
                    chain back {{ type nat hook postrouting priority 99; oifname "mid*" ct status dnat snat to {0}; }}"#,
                    SIDES[0].outer
                );
                let back = if hairpin { back.as_str() } else { "" };
                self.one_router(&format!(
                    "{}\n{apart}\n{back}",
                    rules(Nat::Restricted, &SIDES[0])
                ));
            }
        }
    }

    /// The addresses that tell where somebody is.
    pub(super) fn own_addresses(number: usize) -> [&'static str; 3] {
        let Side {
            host,
            outer,
            between,
            ..
        } = SIDES[number];
        [host, outer, between]
    }

    /// From now on counts what comes straight from the first one's router to the second one's.
    pub(super) fn count(&self) {
        let rules = format!(
            "chain seen {{ type filter hook prerouting priority -300; iifname wan ip saddr {} counter; }}",
            SIDES[0].outer
        );
        self.routers[1].run(&format!(
            "nft -f - <<'END'\ntable ip count {{}}\ndelete table ip count\ntable ip count {{\n{rules}\n}}\nEND"
        ));
    }

    /// Whether something came since [`World::count`].
    pub(super) fn counted(&self) -> bool {
        let file = self.network.data().join("counted");
        self.routers[1].run(&format!("nft list table ip count > {}", file.display()));
        let text = std::fs::read_to_string(&file).expect("nft's answer");
        assert!(text.contains("packets "), "{text}");
        !text.contains("packets 0 ")
    }

    fn one_router(&self, rules: &str) {
        for home in &self.homes {
            rule(home, "");
        }
        rule(&self.routers[0], rules);
    }

    /// Brings the second home to the first router, or back.
    fn bring(&mut self, together: bool) {
        if self.together == together {
            return;
        }
        self.together = together;
        let (from, to) = if together { (1, 0) } else { (0, 1) };
        let target = self.routers[to].id();
        self.routers[from].run(&format!("ip link set mid1 netns {target}"));
        self.connect(1, to);
        for number in [0, 1] {
            self.known(number, false);
        }
    }

    /// Has a router forward to a home.
    fn connect(&self, home: usize, router: usize) {
        let Side {
            between,
            network,
            other,
            ..
        } = &SIDES[home];
        self.routers[router].run(&format!(
            "ip address add {between}.1/24 dev mid{home}
             ip link set mid{home} up
             ip route replace {network} via {between}.2
             ip route replace {other}.0/24 via {between}.2"
        ));
    }

    /// Whether the others know the way to a network: nobody outside does for one that is behind a NAT.
    fn known(&self, number: usize, known: bool) {
        let Side { outer, network, .. } = &SIDES[number];
        let script = if known {
            format!("ip route replace {network} via {outer}")
        } else {
            format!("ip route delete {network} via {outer} 2>&1 || true")
        };
        self.server.run(&script);
        self.routers[1 - number].run(&script);
    }
}

/// What makes a router be of this kind.
fn rules(kind: Nat, Side { outer, host, .. }: &Side) -> String {
    let behind = |how: &str| {
        format!("chain post {{ type nat hook postrouting priority 100; oifname wan {how}; }}")
    };
    match kind {
        Nat::Open => String::new(),
        Nat::FullCone => format!(
            "{}\nchain pre {{ type nat hook prerouting priority -100; iifname wan meta l4proto udp dnat to {host}; }}",
            behind(&format!("snat to {outer}"))
        ),
        Nat::Restricted | Nat::Double => format!("{}\n{CLOSED}", behind("masquerade")),
        Nat::Symmetric => format!("{}\n{CLOSED}", behind("masquerade fully-random")),
        Nat::NoUdp => {
            let none = "chain none { type filter hook forward priority 1; meta l4proto udp drop; }";
            format!("{}\n{CLOSED}\n{none}", behind("masquerade"))
        }
    }
}

fn rule(router: &Namespace, rules: &str) {
    router.run(&format!(
        "nft flush ruleset\nnft -f - <<'END'\ntable ip nat {{\n{rules}\n}}\nEND"
    ));
}

/// A network of one super node, whose STUN and TURN are where the browsers reach them.
async fn serve() -> (Network, Process) {
    let network = Network::start(1).await;
    network.kill(0);
    let node = network.super_nodes().remove(0);
    let text = std::fs::read_to_string(&node.config).expect("the node's file");
    let mut lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("stun ="))
        .collect();
    let stun = format!("stun = \"{SERVER}:3478\"\nstun_public = \"{SERVER}:3478\"");
    let head = lines
        .iter()
        .position(|line| *line == "[super_node]")
        .expect("a super node");
    lines.insert(head + 1, &stun);
    lines.push("[super_node.relay]\n");
    let config: PathBuf = node.config.with_extension("nat.toml");
    std::fs::write(&config, lines.join("\n")).expect("the network's directory is ours");
    let process = until("the super node", PATIENCE, async || {
        let process = start_node(&config);
        let up = tokio::time::timeout(PATIENCE / 6, async {
            while !readable(&format!("{}/readyz", node.page)).await {
                tokio::time::sleep(PATIENCE / 600).await;
            }
        });
        up.await.map_err(|_| process.output())?;
        Ok::<_, String>(process)
    })
    .await;
    (network, process)
}

fn port(address: &str) -> &str {
    address.rsplit(':').next().unwrap_or_default()
}

/// A runtime for one thread.
pub(super) fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime")
}

impl Namespace {
    /// Does something with sockets in the namespace.
    fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let enter = self.enter();
        let done = std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                enter();
                work()
            });
            thread.join()
        });
        done.expect("it works there, too")
    }
}

/// Waits in a runtime of one thread.
pub(super) fn wait<T>(future: impl Future<Output = T>) -> T {
    runtime().block_on(future)
}
