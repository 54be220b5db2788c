//! Servers of two domains that find each other by DNS.

use sip::message::Name;
use tempfile::TempDir;

use super::*;
use crate::testing::{Line, Zone};

/// Servers that don't run yet get their ports by this.
async fn free() -> [u16; 2] {
    let sockets = [
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
    ];
    sockets.map(|socket| socket.local_addr().unwrap().port())
}

async fn domain(
    name: &str,
    ports: [u16; 2],
    trust: &str,
    dns: &Zone,
    directory: &TempDir,
) -> RunningSip {
    let path = |file: &str| directory.path().join(file);
    let text = format!(
        "[sip]\ndomain = \"{name}\"\nlisten = \"127.0.0.1:{}\"\ntls = \"127.0.0.1:{}\"\nopen_registrar = true\n\
         dns = [\"{}\"]\ntrust = {:?}\ncertificate = {:?}\nkey = {:?}\n",
        ports[0],
        ports[1],
        dns.address,
        path(trust),
        path(&format!("{name}.pem")),
        path(&format!("{name}.key")),
    );
    let config = config::parse(Path::new("sip.toml"), &text, [], &[]).unwrap();
    start(config.sip.unwrap()).await.unwrap()
}

/// Writes the certificate of a domain's server.
fn certify(domain: &str, named: &str, directory: &TempDir) {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec![named.to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let path = |kind| directory.path().join(format!("{domain}.{kind}"));
    std::fs::write(path("pem"), certificate.pem()).unwrap();
    std::fs::write(path("key"), key.serialize_pem()).unwrap();
}

/// example.org, which is found by SRV records, and example.net, which is found by NAPTR and spoken to by TLS, with a certificate for
/// `named`.
async fn two(named: &str, directory: &TempDir) -> [RunningSip; 2] {
    let [org, net] = [free().await, free().await];
    let zone = Zone::serve(&[
        format!("_sip._udp.example.org SRV 10 0 {} sip.example.org", org[0]),
        "sip.example.org A 127.0.0.1".to_owned(),
        "example.net NAPTR 10 50 s SIPS+D2T _sips._tcp.example.net".to_owned(),
        "example.net NAPTR 20 50 s SIP+D2T _sip._tcp.elsewhere.example".to_owned(),
        format!(
            "_sips._tcp.example.net SRV 10 0 {} edge.example.net",
            net[1]
        ),
        "edge.example.net A 127.0.0.1".to_owned(),
    ])
    .await;
    certify("example.org", "example.org", directory);
    certify("example.net", named, directory);
    let servers = [
        domain("example.org", org, "example.net.pem", &zone, directory).await,
        domain("example.net", net, "example.org.pem", &zone, directory).await,
    ];
    // The zone lives as long as the servers ask it.
    std::mem::forget(zone);
    servers
}

#[tokio::test]
async fn r073_two_domains_find_each_other_by_dns_and_call() {
    let directory = tempfile::tempdir().unwrap();
    let servers = two("example.net", &directory).await;
    let mut alice = Line::registered("sip:alice@example.org", servers[0].listen).await;
    let mut bob = Line::registered("sip:bob@example.net", servers[1].listen).await;
    call(&mut alice, &mut bob, "TLS").await;
    call(&mut bob, &mut alice, "UDP").await;
    for server in servers {
        server.task.abort();
    }
}

/// A whole call, which the caller ends.
async fn call(caller: &mut Line, callee: &mut Line, transport: &str) {
    let mut dialog = caller.dialog(&callee.uri);
    caller.ask("INVITE", &mut dialog, "").await;
    let invite = callee.asked("INVITE").await;
    let between = invite.list(Name::Via).nth(1).unwrap();
    let wanted = format!("SIP/2.0/{transport} ");
    assert!(between.starts_with(&wanted), "{between}");
    callee.answer(&invite, 180, "").await;
    caller.answered(180, &mut dialog).await;
    callee.answer(&invite, 200, "").await;
    caller.answered(200, &mut dialog).await;
    caller.ask("ACK", &mut dialog, "").await;
    callee.asked("ACK").await;
    caller.ask("BYE", &mut dialog, "").await;
    let bye = callee.asked("BYE").await;
    callee.answer(&bye, 200, "").await;
    caller.answered(200, &mut dialog).await;
}

#[tokio::test]
async fn r073_a_server_whose_certificate_is_not_of_the_domain_gets_no_calls() {
    let directory = tempfile::tempdir().unwrap();
    // Trusted, and the name of the host that DNS says: not of the domain.
    let servers = two("edge.example.net", &directory).await;
    let mut alice = Line::registered("sip:alice@example.org", servers[0].listen).await;
    let bob = Line::registered("sip:bob@example.net", servers[1].listen).await;
    let mut dialog = alice.dialog("sip:bob@example.net");
    alice.ask("MESSAGE", &mut dialog, "").await;
    let refused = alice.answered(500, &mut dialog).await;
    let text = String::from_utf8_lossy(refused.as_bytes()).into_owned();
    assert!(text.contains("can't be reached"), "{text}");
    drop(bob);
    for server in servers {
        server.task.abort();
    }
}
