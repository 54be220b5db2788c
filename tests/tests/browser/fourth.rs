//! A fourth super node, started by hand from a short file, serves a caller over HTTPS.

use crate::stage::Stage;
use std::fmt::Write as _;
use std::fs;
use std::net::{TcpListener, UdpSocket};
use tests::{Browser, Instrument, Kind, Page, start_node, unique, until};

pub(crate) fn tcp_port() -> u16 {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    socket.local_addr().expect("an address").port()
}

pub(crate) fn udp_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    socket.local_addr().expect("an address").port()
}

#[tokio::test]
async fn r123_a_fourth_node_from_ten_lines_serves_a_caller_over_https() {
    let stage = Stage::set(Kind::Chromium, Kind::Chromium).await;
    let directory = stage.network.data().join("fourth");
    fs::create_dir_all(&directory).expect("a directory");
    let tls = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    fs::write(directory.join("tls.pem"), tls.cert.pem()).expect("a file");
    fs::write(directory.join("tls.key"), tls.signing_key.serialize_pem()).expect("a file");
    fs::write(directory.join("token"), stage.network.token()).expect("a file");

    let address = format!("https://localhost:{}", tcp_port());
    let port = address.rsplit(':').next().expect("a port").to_owned();
    let at = |file: &str| directory.join(file).display().to_string();
    let mut config = String::from("[super_node]\n");
    let lines = [
        ("data", at("data")),
        ("listen", format!("127.0.0.1:{port}")),
        ("url", address.clone()),
        ("certificate", at("tls.pem")),
        ("key", at("tls.key")),
        ("login", stage.network.login().to_owned()),
        ("token_file", at("token")),
        ("quic", format!("127.0.0.1:{}", udp_port())),
        ("stun", format!("127.0.0.1:{}", udp_port())),
        (
            "page",
            concat!(env!("CARGO_MANIFEST_DIR"), "/../web/dist").to_owned(),
        ),
    ];
    for (key, value) in &lines {
        writeln!(config, "{key} = {value:?}").expect("a string takes all");
    }
    let file = directory.join("fourth.toml");
    fs::write(&file, config).expect("a file");
    let node = start_node(&file);
    until("the fourth node", tests::PATIENCE, async || {
        tokio::net::TcpStream::connect(format!("127.0.0.1:{port}"))
            .await
            .map_err(|_| node.output())
    })
    .await;

    let trusting = ["--ignore-certificate-errors"];
    let browser = Browser::start_with(Kind::Chromium, Instrument::tone(880.0), &trusting).await;
    let carol = Page {
        browser,
        frequency: 880.0,
    };
    until("the page over HTTPS", tests::PATIENCE, async || {
        carol.go(&address).await;
        if carol.state().await.is_empty() {
            Err(node.output())
        } else {
            Ok(())
        }
    })
    .await;
    carol.create_account(&unique("carol")).await;
    carol.dial(&stage.bob_name).await;
    stage.bob.answer().await;
    carol.hears(&stage.bob).await;
    stage.bob.hears(&carol).await;
    assert!(carol.run("return location.protocol", vec![]).await == "https:");
    carol.hang_up().await;
    stage.bob.ends("hung-up", "The call has ended").await;
    carol.quit().await;
    stage.close(&[]).await;
}
