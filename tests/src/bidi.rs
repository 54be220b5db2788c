//! The two things that only WebDriver BiDi can do in Firefox: a script before the page's own, and the console.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::task::JoinHandle;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

/// A BiDi session beside the classic one.
#[derive(Debug)]
pub(crate) struct BiDi {
    console: Arc<Mutex<Vec<String>>>,
    reader: JoinHandle<()>,
}

impl BiDi {
    /// Connects, has `script` (a function without parameters) run before every page's scripts, and listens to the console.
    pub(crate) async fn start(url: &str, script: &str) -> Self {
        let (mut socket, _) = connect_async(url).await.expect("the driver speaks BiDi");
        let preload = (
            "script.addPreloadScript",
            json!({ "functionDeclaration": script }),
        );
        let listen = ("session.subscribe", json!({ "events": ["log.entryAdded"] }));
        for (id, (method, params)) in [preload, listen].into_iter().enumerate() {
            let command = json!({ "id": id, "method": method, "params": params });
            socket
                .send(Message::text(command.to_string()))
                .await
                .expect("a command leaves");
            let answer = loop {
                let frame = socket
                    .next()
                    .await
                    .expect("an answer")
                    .expect("a whole answer");
                let Ok(text) = frame.to_text() else { continue };
                let value: Value = serde_json::from_str(text).expect("JSON");
                if value["id"] == json!(id) {
                    break value;
                }
            };
            assert_eq!(answer["type"], "success", "{method}: {answer}");
        }
        let console = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&console);
        let reader = tokio::spawn(async move {
            while let Some(Ok(frame)) = socket.next().await {
                let entry = frame
                    .to_text()
                    .ok()
                    .and_then(|text| serde_json::from_str::<Value>(text).ok());
                let Some(entry) = entry.filter(|entry| entry["params"]["level"] == "error") else {
                    continue;
                };
                let text = entry["params"]["text"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned();
                kept.lock().expect("nobody panics with the lock").push(text);
            }
        });
        Self { console, reader }
    }

    /// The errors in the console since the last look.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.console.lock().expect("nobody panics with the lock"))
    }
}

impl Drop for BiDi {
    fn drop(&mut self) {
        self.reader.abort();
    }
}
