//! TCP connections to elsewhere, through an HTTP proxy if there is one (RFC 9110 §9.3.6).

use std::io::{Error, ErrorKind};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::config::Proxy;

/// The longest answer of a proxy.
const LARGEST: usize = 8 << 10;

/// Connects to a host, which may be an IPv6 address in brackets.
pub(crate) async fn connect(
    host: &str,
    port: u16,
    proxy: Option<&Proxy>,
) -> Result<TcpStream, Error> {
    let stream = match proxy {
        None => TcpStream::connect((host.trim_matches(['[', ']']), port)).await?,
        Some(proxy) => through(proxy, &format!("{host}:{port}")).await?,
    };
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

async fn through(proxy: &Proxy, target: &str) -> Result<TcpStream, Error> {
    let mut stream = TcpStream::connect(&*proxy.address).await.map_err(|error| {
        Error::new(
            error.kind(),
            format!("the proxy {}: {error}", proxy.address),
        )
    })?;
    let authorization = match &proxy.authorization {
        Some(secret) => format!("Proxy-Authorization: {}\r\n", secret.reveal()),
        None => String::new(),
    };
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{authorization}\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    // One byte at a time: what follows the answer belongs to the tunnel.
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() == LARGEST {
            return Err(refused(proxy, "an endless answer"));
        }
        answer.push(stream.read_u8().await?);
    }
    let answer = String::from_utf8_lossy(&answer);
    let line = answer.lines().next().unwrap_or_default();
    let mut words = line.split(' ');
    let version = words.next().unwrap_or_default();
    let status = words.next().unwrap_or_default();
    if version.starts_with("HTTP/1.") && status.len() == 3 && status.starts_with('2') {
        return Ok(stream);
    }
    Err(refused(proxy, line))
}

fn refused(proxy: &Proxy, answer: &str) -> Error {
    let answer: String = answer.chars().take(100).collect();
    let text = format!("the proxy {} does not let through: {answer}", proxy.address);
    Error::new(ErrorKind::ConnectionRefused, text)
}

#[cfg(test)]
pub(crate) mod tests {
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;

    use super::*;

    /// A proxy that leads every tunnel on, and tells whither.
    pub(crate) async fn proxy(answer: &'static str) -> (Proxy, mpsc::Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (told, tunnels) = mpsc::channel(64);
        tokio::spawn(async move {
            while let Ok((mut inner, _)) = listener.accept().await {
                let told = told.clone();
                tokio::spawn(async move {
                    let mut request = Vec::new();
                    while !request.ends_with(b"\r\n\r\n") {
                        request.push(inner.read_u8().await.unwrap());
                    }
                    let request = String::from_utf8(request).unwrap();
                    let target = request.split(' ').nth(1).unwrap().to_owned();
                    let _ = told.send(request).await;
                    inner.write_all(answer.as_bytes()).await.unwrap();
                    if answer.starts_with("HTTP/1.1 200") {
                        let mut outer = TcpStream::connect(&*target).await.unwrap();
                        let _ = tokio::io::copy_bidirectional(&mut inner, &mut outer).await;
                    }
                });
            }
        });
        let text = format!("http://me:hunter2@{address}");
        (text.parse().unwrap(), tunnels)
    }

    #[tokio::test]
    async fn r098_a_proxy_leads_to_the_host_that_it_is_asked_for() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = server.local_addr().unwrap().port();
        let (proxy, mut tunnels) = proxy("HTTP/1.1 200 Connected\r\nVia: 1.1 p\r\n\r\n").await;
        let mut stream = connect("127.0.0.1", port, Some(&proxy)).await.unwrap();
        let request = tunnels.recv().await.unwrap();
        assert!(request.starts_with(&format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\n")));
        assert!(request.contains("\r\nProxy-Authorization: Basic bWU6aHVudGVyMg==\r\n"));
        let (mut other, _) = server.accept().await.unwrap();
        stream.write_all(b"ping").await.unwrap();
        let mut arrived = [0; 4];
        other.read_exact(&mut arrived).await.unwrap();
        assert_eq!(&arrived, b"ping");
    }

    #[tokio::test]
    async fn r098_a_proxy_that_refuses_is_named_with_its_answer() {
        let (proxy, _tunnels) = proxy("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await;
        let refused = connect("127.0.0.1", 9, Some(&proxy)).await.unwrap_err();
        assert!(refused.to_string().contains("407"), "{refused}");
        assert!(refused.to_string().contains(&proxy.address), "{refused}");
    }
}
