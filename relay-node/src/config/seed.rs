use std::fmt;
use std::str::FromStr;

use credential::NodeId;
use serde::Deserialize;

/// A super node to join by, as `id@host:port`: its node id, and the address of its `quic`.
///
/// Whoever answers there must prove that it is this node; being named gives it no trust.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct SeedAddress {
    /// Its id.
    pub node: NodeId,
    /// Where it is dialled, `host:port`.
    pub quic: String,
}

/// The text is no [`SeedAddress`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoSeed(String);

impl FromStr for SeedAddress {
    type Err = NoSeed;

    fn from_str(text: &str) -> Result<Self, NoSeed> {
        let wrong = || NoSeed(text.to_owned());
        let (node, quic) = text.split_once('@').ok_or_else(wrong)?;
        let (host, port) = quic.rsplit_once(':').ok_or_else(wrong)?;
        let port: u16 = port.parse().map_err(|_| wrong())?;
        if host.is_empty() || port == 0 || host.contains(['/', ' ', '@']) {
            return Err(wrong());
        }
        Ok(Self {
            node: node.parse().map_err(|_| wrong())?,
            quic: quic.to_owned(),
        })
    }
}

impl TryFrom<String> for SeedAddress {
    type Error = NoSeed;

    fn try_from(text: String) -> Result<Self, NoSeed> {
        text.parse()
    }
}

impl fmt::Display for SeedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.node, self.quic)
    }
}

impl fmt::Display for NoSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is no super node's address: write id@host:port, with the 40 hexadecimal digits of its node id",
            self.0
        )
    }
}

impl std::error::Error for NoSeed {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_and_address_are_read_and_anything_less_is_refused() {
        let id = "00112233445566778899aabbccddeeff00112233";
        let seed: SeedAddress = format!("{id}@sn1.example.net:4433").parse().unwrap();
        assert_eq!(seed.quic, "sn1.example.net:4433");
        assert_eq!(seed.to_string(), format!("{id}@sn1.example.net:4433"));
        assert!(
            format!("{id}@[2001:db8::1]:4433")
                .parse::<SeedAddress>()
                .is_ok()
        );
        for text in [
            "",
            id,
            "sn1.example.net:4433",
            "12@a:1",
            &format!("{id}@a"),
            &format!("{id}@a:0"),
        ] {
            let refused = text.parse::<SeedAddress>().unwrap_err().to_string();
            assert!(refused.contains("id@host:port"), "{refused}");
        }
    }
}
