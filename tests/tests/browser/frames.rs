//! What a super node does with visitors who don't keep to the protocol.

use futures_util::{SinkExt, StreamExt};
use tests::{Network, readable, until};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

async fn knock(network: &Network, origin: &str) -> Result<Socket, Error> {
    let url = format!("{}/p2psip", network.page(0).replace("http", "ws"));
    let mut request = url.into_client_request()?;
    let headers = request.headers_mut();
    headers.insert("origin", origin.parse().expect("an origin"));
    headers.insert(
        "sec-websocket-protocol",
        "p2psip.1".parse().expect("a token"),
    );
    Ok(connect_async(request).await?.0)
}

/// The super node closes the connection, and nothing of it is left.
async fn is_shown_out(mut socket: Socket) {
    until(
        "the end of the connection",
        tests::PATIENCE,
        async || match socket.next().await {
            None | Some(Err(_) | Ok(Message::Close(_))) => Ok(()),
            Some(Ok(other)) => Err(other),
        },
    )
    .await;
}

#[tokio::test]
async fn a_foreign_origin_is_refused() {
    let network = Network::start(1).await;
    let Err(Error::Http(answer)) = knock(&network, "https://elsewhere.example").await else {
        panic!("a page from elsewhere got in");
    };
    assert_eq!(answer.status(), 403);
    assert!(knock(&network, &network.page(0)).await.is_ok());
}

#[tokio::test]
async fn malformed_and_oversized_frames_end_the_connection_only() {
    let network = Network::start(1).await;
    let origin = network.page(0);
    let overlay: Vec<u8> = (0..16)
        .map(|at| {
            u8::from_str_radix(&network.overlay()[2 * at..2 * at + 2], 16).expect("hexadecimal")
        })
        .collect();
    let mut envelope = vec![1];
    envelope.extend(&overlay);
    let other = [&[1][..], &[9; 16], &[0, 0]].concat();
    let hostile = [
        vec![],
        vec![0xff],
        other,
        [&envelope[..], &[0xee; 200]].concat(),
        [&envelope[..], &[0, 0xff, 0xff, 0xff, 0xff, 0xff]].concat(),
        vec![1; 70_000],
        vec![7; 1_000_000],
    ];
    for bytes in hostile {
        let mut socket = knock(&network, &origin).await.expect("a visitor gets in");
        // An oversized frame may be refused while it is still being sent.
        let _ = socket.send(Message::binary(bytes)).await;
        let _ = socket
            .send(Message::text("INVITE sip:x SIP/2.0\r\n\r\n"))
            .await;
        is_shown_out(socket).await;
    }
    assert!(
        readable(&format!("{origin}/readyz")).await,
        "{}",
        network.output()
    );
    assert!(
        !network.output().contains("panicked"),
        "{}",
        network.output()
    );
}
