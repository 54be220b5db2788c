//! Headless browsers with their drivers.

use crate::bidi::BiDi;
use crate::instrument::Instrument;
use crate::process::Process;
use crate::{PATIENCE, until};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use thirtyfour::prelude::*;

/// Which browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Debian's Chromium with chromedriver.
    Chromium,
    /// Firefox ESR with geckodriver.
    Firefox,
}

/// A headless browser with an empty profile, and the driver that steers it.
#[derive(Debug)]
pub struct Browser {
    /// Which one it is.
    pub kind: Kind,
    // Dropped before `driver`, which would wait two minutes for a browser that has stopped to answer.
    _process: Process,
    /// The steering wheel.
    pub driver: WebDriver,
    bidi: Option<BiDi>,
    _files: TempDir,
}

impl Browser {
    /// Starts a browser whose pages get the tone and picture of `instrument` for microphone and camera.
    ///
    /// # Panics
    ///
    /// When the browser or its driver is missing or doesn't start.
    pub async fn start(kind: Kind, instrument: Instrument) -> Self {
        Self::start_with(kind, instrument, &[]).await
    }

    /// The same with more arguments for the browser.
    ///
    /// # Panics
    ///
    /// When the browser or its driver is missing or doesn't start.
    pub async fn start_with(kind: Kind, instrument: Instrument, arguments: &[&str]) -> Self {
        let files = TempDir::with_prefix("partyline-browser-").expect("a temporary directory");
        let mut command = kind.driver();
        command
            .env("TMPDIR", files.path())
            .env("HOME", files.path());
        let log = files.path().join("driver.log");
        let start = || Process::start(&command, &log).expect("the driver starts");
        let mut process = start();
        let port = until("the driver's port", PATIENCE, async || {
            let output = process.output();
            if kind.port(&output).is_none() && process.ended() {
                // chromedriver takes a port that is free for IPv6 and ends when somebody has it for IPv4.
                process = start();
            }
            kind.port(&output).ok_or(output)
        })
        .await;
        let url = format!("http://127.0.0.1:{port}");
        let wish = kind.capabilities(files.path(), arguments);
        let driver = until("the browser", PATIENCE, async || {
            WebDriver::new(&url, wish.clone())
                .await
                .map_err(|error| format!("{error}\n{}", process.output()))
        })
        .await;
        let script = instrument.script();
        let bidi = match kind {
            Kind::Chromium => {
                let source = json!({ "source": format!("({script})()") });
                let cdp = driver.cdp();
                let _: Value = cdp
                    .send_raw("Page.addScriptToEvaluateOnNewDocument", source)
                    .await
                    .expect("Chromium takes the script");
                None
            }
            Kind::Firefox => {
                let capabilities = driver.handle().capabilities();
                let socket = capabilities.get("webSocketUrl").and_then(Value::as_str);
                Some(BiDi::start(socket.expect("geckodriver offers BiDi"), &script).await)
            }
        };
        Self {
            kind,
            driver,
            bidi,
            _process: process,
            _files: files,
        }
    }

    /// The errors in the console since the last look.
    ///
    /// # Panics
    ///
    /// When the driver doesn't answer.
    pub async fn console_errors(&self) -> Vec<String> {
        if let Some(bidi) = &self.bidi {
            return bidi.take();
        }
        let log = self.driver.browser_log().await.expect("the console's log");
        let severe = log.into_iter().filter(|entry| entry.level == "SEVERE");
        severe.map(|entry| entry.message).collect()
    }

    /// Closes the browser in an orderly way; dropping it kills it.
    pub async fn quit(self) {
        let _ = self.driver.clone().quit().await;
    }
}

impl Kind {
    /// The driver, which takes a port that is free and tells which.
    fn driver(self) -> Command {
        match self {
            Self::Chromium => {
                let mut command = Command::new("chromedriver");
                command.arg("--port=0");
                command
            }
            Self::Firefox => {
                let mut command = Command::new(geckodriver());
                command.args(["--port", "0", "--websocket-port", "0"]);
                command
            }
        }
    }

    fn port(self, output: &str) -> Option<u16> {
        let words = match self {
            Self::Chromium => "was started successfully on port ",
            Self::Firefox => "Listening on 127.0.0.1:",
        };
        let (_, rest) = output.split_once(words)?;
        // The line may not be whole yet.
        let (number, _) = rest.split_once(['.', '\n'])?;
        number.trim().parse().ok()
    }

    fn capabilities(self, files: &Path, arguments: &[&str]) -> Capabilities {
        let wish = match self {
            Self::Chromium => {
                let mut list: Vec<String> = CHROMIUM
                    .iter()
                    .chain(arguments)
                    .map(|&text| text.to_owned())
                    .collect();
                list.push(format!(
                    "--user-data-dir={}",
                    files.join("profile").display()
                ));
                json!({
                    "browserName": "chrome",
                    "goog:chromeOptions": { "binary": chromium(), "args": list },
                    "goog:loggingPrefs": { "browser": "ALL" },
                })
            }
            Self::Firefox => {
                let list: Vec<&str> = ["-headless"].iter().chain(arguments).copied().collect();
                let preferences: serde_json::Map<String, Value> = FIREFOX
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), preference(value)))
                    .collect();
                json!({
                    "browserName": "firefox",
                    "webSocketUrl": true,
                    "acceptInsecureCerts": true,
                    "moz:firefoxOptions": { "args": list, "prefs": preferences },
                })
            }
        };
        serde_json::from_value(wish).expect("an object")
    }
}

const CHROMIUM: &[&str] = &[
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--allow-loopback-in-peer-connection",
    "--window-size=1100,900",
    "--lang=en-US",
];

const FIREFOX: &[(&str, &str)] = &[
    // Without a sound device Firefox never starts an AudioContext: this gives it one.
    ("media.cubeb.force_mock_context", "true"),
    ("media.navigator.streams.fake", "true"),
    ("media.navigator.permission.disabled", "true"),
    ("media.peerconnection.ice.loopback", "true"),
    ("media.peerconnection.ice.obfuscate_host_addresses", "false"),
    ("media.autoplay.default", "0"),
    ("media.autoplay.blocking_policy", "0"),
    ("media.autoplay.block-webaudio", "false"),
    ("app.update.disabledForTesting", "true"),
    ("datareporting.policy.dataSubmissionEnabled", "false"),
    ("browser.shell.checkDefaultBrowser", "false"),
    ("media.gmp-manager.updateEnabled", "false"),
];

fn preference(text: &str) -> Value {
    serde_json::from_str(text).expect("a preference is a literal")
}

/// Debian's Chromium, or else whatever Chrome there is.
fn chromium() -> PathBuf {
    ["chromium", "google-chrome"]
        .iter()
        .find_map(|name| find(name))
        .expect("Chromium is installed")
}

/// The driver of Firefox: named by the environment, in `PATH`, or where `cargo xtask test` builds it.
fn geckodriver() -> PathBuf {
    let named = std::env::var_os("GECKODRIVER").map(PathBuf::from);
    let cached = || {
        Some(
            PathBuf::from(std::env::var_os("HOME")?).join(".cache/partyline/tools/bin/geckodriver"),
        )
    };
    named
        .or_else(|| find("geckodriver"))
        .or_else(cached)
        .expect("geckodriver is installed")
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|file| file.is_file())
}
