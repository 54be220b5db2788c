//! The STUN and TURN server of a super node.

use std::net::{TcpListener, UdpSocket};
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::sync::watch;
use turn::{Ports, Quota, Rate, Relaying, Secret};

use super::NodeError;
use crate::clock::Clock;
use crate::config::SuperNode;
use crate::identity::{Identity, Vault};
use crate::stun::{self, Listeners, Running};
use crate::tls;

/// Takes the addresses of the server.
pub(super) fn listen(
    config: &SuperNode,
    node: Option<watch::Receiver<Arc<ServerConfig>>>,
) -> Result<Listeners, NodeError> {
    let mut address = config.stun();
    let failed = |what, address| move |error| NodeError::Listen(what, address, error);
    let udp = UdpSocket::bind(address).map_err(failed("STUN", address))?;
    let Some(relay) = &config.relay else {
        return Ok(Listeners {
            udp,
            tcp: None,
            tls: None,
        });
    };
    if let Ok(bound) = udp.local_addr() {
        address = bound;
    }
    let tcp = TcpListener::bind(address).map_err(failed("TURN by TCP", address))?;
    let own = match (&relay.certificate, &relay.key) {
        (Some(certificate), Some(key)) => {
            Some(tls::follow(certificate, key).map_err(NodeError::Tls)?)
        }
        (_, _) => node,
    };
    let tls = match (relay.tls, own) {
        (Some(address), Some(own)) => {
            let listener = TcpListener::bind(address).map_err(failed("TURN by TLS", address))?;
            Some((listener, own))
        }
        (_, _) => None,
    };
    Ok(Listeners {
        udp,
        tcp: Some(tcp),
        tls,
    })
}

/// What credentials for the node's own relay are made with, and its addresses; nothing if it does not relay.
pub(super) fn own(
    config: &SuperNode,
    vault: &Vault,
) -> Result<Option<(Secret, Vec<String>)>, NodeError> {
    if config.relay.is_none() {
        return Ok(None);
    }
    let secret = vault.relay_secret().map_err(NodeError::Identity)?;
    Ok(Some((Secret::new(secret), config.relay_urls())))
}

/// Starts the server.
pub(super) fn start(
    config: &SuperNode,
    vault: &Vault,
    identity: &Identity,
    listeners: Listeners,
    clock: Clock,
) -> Result<Running, NodeError> {
    let mut server = turn::Config::default();
    if let Some(relay) = &config.relay {
        let mut listening = vec![config.stun()];
        listening.extend(relay.tls);
        listening.push(config.listen);
        listening.push(config.quic());
        let places = relay.places(config.stun());
        server.rate = Rate {
            per_second: relay.rate,
            burst: relay.rate.saturating_mul(2),
        };
        server.relay = Some(Relaying {
            realm: identity.domain.clone(),
            users: relay.users.clone().into_iter().collect(),
            tickets: Some(Secret::new(
                vault.relay_secret().map_err(NodeError::Identity)?,
            )),
            wall: clock.wall_clock(),
            addresses: places,
            ports: Arc::new(Ports::new(relay.least_port, relay.most_port)),
            reach: relay.reach(places, listening),
            quota: Quota {
                allocations: relay.allocations_per_user,
                bandwidth: relay.bandwidth_per_user,
            },
            allocations: relay.allocations,
        });
    }
    stun::start(listeners, server, clock).map_err(NodeError::Relay)
}
