//! A tiny web server for files that only a test needs.

use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Serves files from memory on a free port of this machine, with the page's own content policy.
#[derive(Debug)]
pub struct Scratch {
    /// Where it is, without a slash at the end.
    pub origin: String,
    server: JoinHandle<()>,
}

impl Scratch {
    /// Starts the server with pairs of path and content.
    ///
    /// # Panics
    ///
    /// When no port is free.
    pub async fn start(files: &[(&'static str, &'static str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port is free");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let files: Arc<BTreeMap<_, _>> = Arc::new(files.iter().copied().collect());
        let server = tokio::spawn(async move {
            // Browsers open connections ahead of need: one that is silent must not hold up the others.
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, Arc::clone(&files)));
            }
        });
        Self {
            origin: format!("http://{address}"),
            server,
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(mut socket: TcpStream, files: Arc<BTreeMap<&'static str, &'static str>>) {
    let mut request = [0; 4096];
    let length = socket.read(&mut request).await.unwrap_or(0);
    let request = String::from_utf8_lossy(&request[..length]).into_owned();
    let path = request.split(' ').nth(1).unwrap_or("/");
    let answer = match files.get(path) {
        Some(content) => page(path, content),
        None => {
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned()
        }
    };
    let _ = socket.write_all(answer.as_bytes()).await;
}

fn page(path: &str, content: &str) -> String {
    let kind = if path.ends_with(".js") {
        "text/javascript"
    } else {
        "text/html"
    };
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\
         content-security-policy: default-src 'self'; media-src 'self' blob:\r\n\r\n{content}",
        content.len()
    )
}
