use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{DevError, Held, certify};
use crate::cli::Dev;

/// Where SIP phones may register: at every node.
#[derive(Debug, Clone, Default)]
pub(crate) struct Phones {
    nodes: Vec<Node>,
    domain: String,
    open: bool,
}

#[derive(Debug, Clone)]
struct Node {
    /// UDP and TCP.
    listen: SocketAddr,
    /// The next port.
    tls: SocketAddr,
    certificate: PathBuf,
}

impl Phones {
    /// Holds the ports of `count` nodes: the first at the address that was asked for, each further one two ports on.
    pub(super) fn new(
        arguments: &Dev,
        count: usize,
        held: &mut Held,
        data: &Path,
    ) -> Result<Self, DevError> {
        let Some(first) = arguments.sip else {
            return Ok(Self::default());
        };
        let mut nodes = Vec::new();
        for index in 0..count {
            let (listen, tls) = match first.port() {
                0 => held.neighbours(first)?,
                port => {
                    let port = usize::from(port) + 2 * index;
                    let nth = |port: usize| {
                        let port = u16::try_from(port).map_err(|_| DevError::Ports(first))?;
                        Ok(SocketAddr::new(first.ip(), port))
                    };
                    (held.both(nth(port)?)?, held.tcp(nth(port + 1)?)?)
                }
            };
            let name = format!("sip{}", index + 1);
            let certificate = certify(&name, listen, data)?;
            nodes.push(Node {
                listen,
                tls,
                certificate,
            });
        }
        Ok(Self {
            nodes,
            domain: arguments.domain.to_ascii_lowercase(),
            open: arguments.open_registrar,
        })
    }

    /// The section of the node with this index.
    pub(super) fn section(&self, index: usize) -> String {
        let Some(node) = self.nodes.get(index) else {
            return String::new();
        };
        format!(
            "[sip]\ndomain = {:?}\nlisten = \"{}\"\ntls = \"{}\"\ncertificate = {:?}\nkey = {:?}\nopen_registrar = {}\n",
            self.domain,
            node.listen,
            node.tls,
            node.certificate,
            node.certificate.with_extension("key"),
            self.open
        )
    }

    /// What the `ready` line says about the node with this index.
    pub(crate) fn description(&self, index: usize) -> Option<Value> {
        let node = self.nodes.get(index)?;
        Some(json!({
            "address": node.listen.to_string(),
            "tls": node.tls.to_string(),
            "certificate": node.certificate,
            "domain": self.domain,
            "open": self.open,
        }))
    }
}
