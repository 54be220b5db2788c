//! A program outside that speaks SIP over WebSocket (RFC 7118), as JsSIP does.

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message as Frame};

use super::*;
use crate::testing::{Line, response};

type Socket =
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

async fn dial(url: &str) -> Result<Socket, tungstenite::Error> {
    let mut request = url.into_client_request().unwrap();
    let headers = request.headers_mut();
    headers.insert("sec-websocket-protocol", "sip".parse().unwrap());
    let (socket, response) = tokio_tungstenite::connect_async(request).await?;
    assert_eq!(response.headers()["sec-websocket-protocol"], "sip");
    Ok(socket)
}

async fn next(socket: &mut Socket) -> sip::Message {
    loop {
        let frame = tokio::time::timeout(PATIENCE, socket.next()).await;
        if let Frame::Text(text) = frame.expect("nothing comes").unwrap().unwrap() {
            return sip::Message::parse(text.as_str().into()).unwrap();
        }
    }
}

#[tokio::test]
async fn r076_a_program_registers_by_websocket_and_is_called_on_it() {
    let overlay = Offline::new();
    let mut node = overlay.super_node("1", &[]).await;
    sees(&mut node, 1).await;
    let url = node.config.url.websocket();
    let refused = dial(&url).await.err();
    assert!(
        matches!(&refused, Some(tungstenite::Error::Http(answer)) if answer.status() == 400),
        "no phones are served yet: {refused:?}"
    );
    let server = server("open_registrar = true").await;
    node.phones.set(server.websockets.clone()).unwrap();

    let mut carol = dial(&url).await.unwrap();
    let register = request(
        "REGISTER",
        "carol",
        "WS random.invalid",
        "Supported: path,gruu,outbound\r\nContact: <sip:x1@random.invalid;transport=ws>;reg-id=1;expires=600;\
         +sip.instance=\"<urn:uuid:8f8a1b2c-0000-4000-8000-000000000001>\"\r\n",
    );
    let register = register.replace("<sip:alice@", "<sip:carol@");
    carol.send(Frame::text("\r\n\r\n")).await.unwrap();
    carol.send(Frame::text(register)).await.unwrap();
    let answer = next(&mut carol).await;
    assert_eq!(answer.status(), Some(200), "the keep-alive is no message");

    let mut alice = Line::registered("sip:alice@example.org", server.listen).await;
    let mut dialog = alice.dialog("sip:carol@example.org");
    alice.ask("INVITE", &mut dialog, "").await;
    let invite = next(&mut carol).await;
    assert_eq!(invite.request_uri(), "sip:x1@random.invalid;transport=ws");
    let contact = "Contact: <sip:x1@random.invalid;transport=ws>\r\n";
    let ok = response(&invite, 200, "c", contact);
    // As bytes as well as text.
    carol.send(Frame::binary(ok)).await.unwrap();
    alice.answered(200, &mut dialog).await;
    // What follows finds its way to the WebSocket by the routes.
    for method in ["ACK", "BYE"] {
        alice.ask(method, &mut dialog, "").await;
        assert_eq!(next(&mut carol).await.method_text(), method);
    }
    server.task.abort();
}
