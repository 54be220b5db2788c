use credential::RevocationList;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::*;
use crate::testing::{Meddler, Overlay, PATIENCE};

/// One super node's links and what they tell.
struct End {
    links: Links,
    events: mpsc::Receiver<LinkEvent>,
    node: NodeId,
    _identity: watch::Sender<Identity>,
    revocations: watch::Sender<RevocationList>,
}

impl End {
    fn new(identity: Identity) -> Self {
        let node = identity.node;
        let empty = RevocationList::empty(identity.anchor.overlay());
        let (identity, followed) = watch::channel(identity);
        let (revocations, revoked) = watch::channel(empty);
        let (events, told) = mpsc::channel(16);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let door = Door {
            arrivals: mpsc::channel(1).0,
            numbers: Arc::new(AtomicU64::new(1)),
            secure: true,
        };
        let links = Links::open(socket, Clock::start(), followed, revoked, events, door).unwrap();
        Self {
            links,
            events: told,
            node,
            _identity: identity,
            revocations,
        }
    }

    fn address(&self) -> String {
        self.links.endpoint.local_addr().unwrap().to_string()
    }

    async fn next(&mut self) -> LinkEvent {
        timeout(PATIENCE, self.events.recv())
            .await
            .unwrap()
            .unwrap()
    }

    async fn opened(&mut self) -> (LinkId, Certificate, PeerOutlet) {
        match self.next().await {
            LinkEvent::Opened {
                link,
                certificate,
                outlet,
            } => (link, Certificate::read(&certificate).unwrap(), outlet),
            other => panic!("no link: {other:?}"),
        }
    }

    async fn message(&mut self) -> (Kind, Vec<u8>) {
        match self.next().await {
            LinkEvent::Message { kind, message, .. } => (kind, message),
            other => panic!("no message: {other:?}"),
        }
    }

    /// Nothing is told of a link for as long as a handshake on loopback could need.
    async fn sees_no_link(&mut self) {
        let told = timeout(Duration::from_millis(700), self.events.recv()).await;
        assert!(told.is_err(), "{told:?}");
    }
}

/// Dials `to` and says how that ended: the refusal comes as a failed dial, or as a link that closes at once.
async fn is_refused(from: &mut End, node: NodeId, address: String) {
    from.links.dial(node, address);
    match from.next().await {
        LinkEvent::DialFailed { node: failed } => assert_eq!(failed, node),
        LinkEvent::Opened { .. } => match from.next().await {
            LinkEvent::Closed { .. } => {}
            other => panic!("the link stands: {other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn super_nodes_of_one_overlay_exchange_messages_of_both_kinds() {
    let overlay = Overlay::new().await;
    let mut a = End::new(overlay.super_node().await);
    let mut b = End::new(overlay.super_node().await);
    a.links.dial(b.node, b.address());
    let (_, certificate, to_b) = a.opened().await;
    assert_eq!(certificate.node(), Some(b.node));
    let (_, certificate, to_a) = b.opened().await;
    assert_eq!(certificate.node(), Some(a.node));
    to_b.send(Kind::Overlay, vec![1; 60_000]).unwrap();
    assert_eq!(b.message().await, (Kind::Overlay, vec![1; 60_000]));
    to_b.send(Kind::Sip, b"INVITE".to_vec()).unwrap();
    assert_eq!(b.message().await, (Kind::Sip, b"INVITE".to_vec()));
    to_a.send(Kind::Sip, Vec::new()).unwrap();
    assert_eq!(a.message().await, (Kind::Sip, Vec::new()));
}

#[tokio::test]
async fn what_was_sent_before_the_end_arrives() {
    let overlay = Overlay::new().await;
    let mut a = End::new(overlay.super_node().await);
    let mut b = End::new(overlay.super_node().await);
    a.links.dial(b.node, b.address());
    let (link, _, to_b) = a.opened().await;
    let (_, _, _to_a) = b.opened().await;
    for number in 0..100 {
        to_b.send(Kind::Overlay, vec![number]).unwrap();
    }
    drop(to_b);
    for number in 0..100 {
        assert_eq!(b.message().await, (Kind::Overlay, vec![number]));
    }
    assert!(matches!(b.next().await, LinkEvent::Closed { .. }));
    assert!(matches!(a.next().await, LinkEvent::Closed { link: closed } if closed == link));
}

#[tokio::test]
async fn a05_r124_user_certificate_makes_no_link() {
    let overlay = Overlay::new().await;
    let mut user = End::new(overlay.user_as_super_node().await);
    let mut honest = End::new(overlay.super_node().await);
    is_refused(&mut user, honest.node, honest.address()).await;
    honest.sees_no_link().await;
    // And a user who poses as the super node that is dialled.
    is_refused(&mut honest, user.node, user.address()).await;
    user.sees_no_link().await;
}

#[tokio::test]
async fn a02_r018_certificate_of_another_overlay_makes_no_link() {
    let (ours, theirs) = (Overlay::new().await, Overlay::new().await);
    let mut honest = End::new(ours.super_node().await);
    let mut stranger = theirs.super_node().await;
    // The stranger trusts us; it is we who must not trust him.
    stranger.anchor = ours.super_node().await.anchor;
    let mut stranger = End::new(stranger);
    is_refused(&mut stranger, honest.node, honest.address()).await;
    honest.sees_no_link().await;
    is_refused(&mut honest, stranger.node, stranger.address()).await;
    stranger.sees_no_link().await;
}

#[tokio::test]
async fn a03_self_signed_certificate_makes_no_link() {
    let overlay = Overlay::new().await;
    let mut honest = End::new(overlay.super_node().await);
    let key = rcgen::KeyPair::generate().unwrap();
    let signed = rcgen::CertificateParams::new(vec![honest.node.host()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let provider = crate::tls::provider();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(overlay.server.root().to_vec().into()).unwrap();
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(
            vec![signed.der().clone()],
            rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .unwrap();
    config.alpn_protocols = vec![b"partyline-sn/1".to_vec()];
    let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(config).unwrap();
    let endpoint = Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let connection = endpoint
        .connect_with(
            quinn::ClientConfig::new(Arc::new(crypto)),
            honest.address().parse().unwrap(),
            &honest.node.host(),
        )
        .unwrap()
        .await;
    if let Ok(connection) = connection {
        let closed = timeout(PATIENCE, connection.closed()).await.unwrap();
        assert!(closed.to_string().contains("certificate"), "{closed}");
    }
    honest.sees_no_link().await;
}

#[tokio::test]
async fn another_super_node_than_the_one_dialled_makes_no_link() {
    let overlay = Overlay::new().await;
    let mut a = End::new(overlay.super_node().await);
    let b = End::new(overlay.super_node().await);
    let c = overlay.super_node().await;
    a.links.dial(c.node, b.address());
    assert!(matches!(a.next().await, LinkEvent::DialFailed { node } if node == c.node));
}

#[tokio::test]
async fn a02_r094_revoked_super_node_makes_no_link() {
    let overlay = Overlay::new().await;
    let mut revoked = End::new(overlay.super_node().await);
    let mut honest = End::new(overlay.super_node().await);
    let list = overlay.revoke(revoked.node).await;
    honest.revocations.send_replace(list);
    is_refused(&mut revoked, honest.node, honest.address()).await;
    honest.sees_no_link().await;
    is_refused(&mut honest, revoked.node, revoked.address()).await;
}

#[tokio::test]
async fn a09_oversized_message_ends_the_link() {
    let overlay = Overlay::new().await;
    let rogue = End::new(overlay.super_node().await);
    let mut honest = End::new(overlay.super_node().await);
    let (connection, _, (mut overlay_stream, _sip)) = rogue
        .links
        .connect(honest.node, &honest.address())
        .await
        .unwrap();
    let (_, _, _outlet) = honest.opened().await;
    overlay_stream
        .send
        .write_all(&(stream::LARGEST as u32 + 1).to_be_bytes())
        .await
        .unwrap();
    assert!(matches!(honest.next().await, LinkEvent::Closed { .. }));
    timeout(PATIENCE, connection.closed()).await.unwrap();
}

#[tokio::test]
async fn dead_address_fails_within_seconds() {
    let overlay = Overlay::new().await;
    let mut a = End::new(overlay.super_node().await);
    let node = overlay.super_node().await.node;
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    a.links.dial(node, socket.local_addr().unwrap().to_string());
    assert!(matches!(a.next().await, LinkEvent::DialFailed { node: failed } if failed == node));
}

#[tokio::test]
async fn a09_r109_r110_who_stands_between_super_nodes_reads_and_alters_nothing() {
    const SECRET: &[u8] = b"sip:alice@example.org calls";
    let overlay = Overlay::new().await;
    let mut a = End::new(overlay.super_node().await);
    let mut b = End::new(overlay.super_node().await);
    let (meddler, way) = Meddler::before(b.address(), SECRET).await;
    a.links.dial(b.node, way.to_string());
    let (_, _, to_b) = a.opened().await;
    let (_, _, to_a) = b.opened().await;
    for number in 0..60_u8 {
        let message = [SECRET, &[number; 900]].concat();
        to_b.send(Kind::Sip, message.clone()).unwrap();
        assert_eq!(b.message().await, (Kind::Sip, message.clone()));
        to_a.send(Kind::Overlay, message.clone()).unwrap();
        assert_eq!(a.message().await, (Kind::Overlay, message));
    }
    assert!(meddler.altered.load(Ordering::Relaxed) > 10);
    assert_eq!(meddler.read.load(Ordering::Relaxed), 0);
}
