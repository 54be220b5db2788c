use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;

const PAUSE: Duration = Duration::from_millis(50);
/// How long a test waits where nothing states a deadline: long enough for a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A network that `relay-node dev` started; it ends with this value.
pub(crate) struct Network {
    parent: Guard,
    pub(crate) ready: Value,
    directory: tempfile::TempDir,
}

/// A process that is killed when it is no longer needed.
pub(crate) struct Guard(Child);

/// A super node that joined a network on its own.
pub(crate) struct Joined {
    pub(crate) process: Guard,
    pub(crate) https: Http,
    pub(crate) websocket: String,
    /// The file with the authority that it is trusted by.
    pub(crate) authority: PathBuf,
    pub(crate) config: PathBuf,
}

/// Files of a TLS certificate for `localhost`.
pub(crate) struct TlsFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

pub(crate) fn relay_node(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_relay-node"));
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The super node that lies, with an honest one's configuration; `lie` is the file that says how.
fn evil(config: &str, lie: &Path) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_relay-node")).with_file_name("examples/evil");
    assert!(
        program.is_file(),
        "{} is not built: `cargo test --test evil` alone builds no examples, run `cargo build --workspace --examples` first",
        program.display()
    );
    let mut command = Command::new(program);
    command.arg(config).arg(lie).stdin(Stdio::null());
    command
}

pub(crate) trait SpawnGuarded {
    fn spawn_guarded(&mut self) -> Guard;
}

impl SpawnGuarded for Command {
    fn spawn_guarded(&mut self) -> Guard {
        Guard(
            self.stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        )
    }
}

impl Guard {
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Network {
    pub(crate) fn start(super_nodes: usize) -> Self {
        Self::start_with(super_nodes, &[])
    }

    /// Starts a network whose parts all have these environment variables.
    pub(crate) fn start_with(super_nodes: usize, environment: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let count = super_nodes.to_string();
        let data = directory.path().to_str().unwrap();
        let mut child = relay_node(&[
            "dev",
            "--super-nodes",
            &count,
            "--http",
            "127.0.0.1:0",
            "--data",
            data,
        ])
        .envs(environment.iter().copied())
        .stderr(std::fs::File::create(directory.path().join("dev.log")).unwrap())
        .spawn()
        .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let parent = Guard(child);
        let ready = line
            .strip_prefix("ready ")
            .expect("the line `ready {json}`");
        Self {
            parent,
            ready: serde_json::from_str(ready).unwrap(),
            directory,
        }
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn parent(&self) -> u32 {
        self.parent.id()
    }

    /// Waits for the end of the parent.
    pub(crate) fn reap(&mut self) {
        self.parent.0.wait().unwrap();
    }

    pub(crate) fn pid(&self, index: usize) -> u32 {
        self.ready["super_nodes"][index]["pid"].as_u64().unwrap() as u32
    }

    pub(crate) fn page(&self, index: usize) -> Http {
        Http::at(self.ready["super_nodes"][index]["page"].as_str().unwrap())
    }

    /// The super nodes' addresses for ordinary nodes.
    pub(crate) fn websockets(&self) -> Vec<String> {
        let nodes = self.ready["super_nodes"].as_array().unwrap();
        let ws = |node: &Value| node["ws"].as_str().unwrap().to_owned();
        nodes.iter().map(ws).collect()
    }

    pub(crate) fn login(&self) -> String {
        self.ready["login"]["url"].as_str().unwrap().to_owned()
    }

    /// Kills a super node and starts one that lies from its configuration.
    pub(crate) fn corrupt(&self, index: usize, lie: &str) -> Guard {
        let pid = self.pid(index);
        kill(pid);
        wait_until_ended(pid);
        let file = self.directory().join(format!("lie{}", index + 1));
        std::fs::write(&file, lie).unwrap();
        let config = self.ready["super_nodes"][index]["config"].as_str().unwrap();
        let log = self.directory().join(format!("evil{}.log", index + 1));
        let mut evil = evil(config, &file);
        evil.stderr(std::fs::File::create(&log).unwrap());
        let guard = Guard(evil.spawn().unwrap());
        let page = self.page(index);
        let log = || std::fs::read_to_string(&log).unwrap();
        assert!(wait(|| page.is_ready()), "the evil node:\n{}", log());
        guard
    }

    pub(crate) fn log(&self, index: usize) -> String {
        let path = self.directory().join(format!("node{}.log", index + 1));
        std::fs::read_to_string(path).unwrap()
    }

    pub(crate) fn wait_for_log(&self, index: usize, wanted: &str) {
        self.wait_for_log_after(index, 0, wanted);
    }

    pub(crate) fn wait_for_log_after(&self, index: usize, start: usize, wanted: &str) {
        let seen = wait(|| self.log(index)[start..].contains(wanted));
        assert!(seen, "`{wanted}` is not in:\n{}", self.log(index));
    }

    /// Starts one more super node, from a file of ten lines, with TLS and an enrolment token.
    pub(crate) fn join_over_https(&self) -> Joined {
        let directory = self.directory();
        let tls = self.tls_files();
        let (page, quic, stun) = (free_tcp(), free_udp(), free_udp());
        let login = self.ready["login"]["config"].as_str().unwrap();
        let token = relay_node(&["token", "--config", login]).output().unwrap();
        let complaint = String::from_utf8_lossy(&token.stderr);
        assert!(token.status.success(), "{complaint}");
        let token_file = directory.join("token");
        std::fs::write(&token_file, token.stdout).unwrap();
        let config = directory.join("fourth.toml");
        let text = format!(
            "[super_node]\ndata = {:?}\nlisten = \"127.0.0.1:{page}\"\nurl = \"https://localhost:{page}\"\n\
             certificate = {:?}\nkey = {:?}\nlogin = {}\ntoken_file = {token_file:?}\n\
             quic = \"127.0.0.1:{quic}\"\nstun = \"127.0.0.1:{stun}\"\n",
            directory.join("fourth"),
            tls.certificate,
            tls.key,
            self.ready["login"]["url"],
        );
        assert_eq!(text.lines().count(), 10);
        std::fs::write(&config, text).unwrap();
        let process = relay_node(&["run", "--config", config.to_str().unwrap()]).spawn_guarded();
        let https = Http::over_tls("localhost", page, &tls.certificate);
        https.wait_until_ready();
        Joined {
            process,
            https,
            websocket: format!("wss://localhost:{page}/p2psip"),
            authority: tls.certificate,
            config,
        }
    }

    pub(crate) fn tls_files(&self) -> TlsFiles {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        let files = TlsFiles {
            certificate: self.directory().join("tls.pem"),
            key: self.directory().join("tls.key"),
        };
        std::fs::write(&files.certificate, certificate.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        files
    }
}

/// A place to send requests to.
pub(crate) struct Http {
    host: String,
    port: u16,
    trust: Option<PathBuf>,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: String,
    pub(crate) body: String,
}

impl Http {
    pub(crate) fn at(origin: &str) -> Self {
        let (host, port) = origin
            .strip_prefix("http://")
            .unwrap()
            .split_once(':')
            .unwrap();
        Self {
            host: host.to_owned(),
            port: port.parse().unwrap(),
            trust: None,
        }
    }

    pub(crate) fn over_tls(host: &str, port: u16, trust: &Path) -> Self {
        Self {
            host: host.to_owned(),
            port,
            trust: Some(trust.into()),
        }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.try_get(path).unwrap()
    }

    pub(crate) fn wait_until_ready(&self) {
        let ready = wait(|| self.is_ready());
        assert!(ready, "port {} is not ready", self.port);
    }

    fn is_ready(&self) -> bool {
        self.try_get("/readyz")
            .is_ok_and(|answer| answer.status == 200)
    }

    fn try_get(&self, path: &str) -> std::io::Result<Answer> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}:{}\r\nConnection: close\r\n\r\n",
            self.host, self.port
        );
        let mut answer = String::new();
        match &self.trust {
            None => {
                stream.write_all(request.as_bytes())?;
                stream.read_to_string(&mut answer)?;
            }
            Some(trust) => {
                let mut tls = tls(&self.host, trust);
                let mut stream = rustls::Stream::new(&mut tls, &mut stream);
                stream.write_all(request.as_bytes())?;
                // The server may end the connection without TLS's own goodbye.
                match stream.read_to_string(&mut answer) {
                    Err(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
                        return Err(error);
                    }
                    _ => {}
                }
            }
        }
        let (headers, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = headers
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        Ok(Answer {
            status: status.unwrap_or_default(),
            headers: headers.to_owned(),
            body: body.to_owned(),
        })
    }
}

fn tls(host: &str, trust: &Path) -> rustls::ClientConnection {
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(trust).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = host.to_owned().try_into().unwrap();
    rustls::ClientConnection::new(Arc::new(config), name).unwrap()
}

pub(crate) fn free_tcp() -> u16 {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

pub(crate) fn free_udp() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

/// Asks a STUN server; gives the address that this end has, and the one that the server sees.
pub(crate) fn stun(server: &str) -> (SocketAddr, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let mut request = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    request.extend([7; 12]);
    socket.send_to(&request, server).unwrap();
    let mut answer = [0; 64];
    let length = socket.recv(&mut answer).unwrap();
    assert_eq!((length, &answer[8..20]), (32, &[7; 12][..]));
    // XOR-MAPPED-ADDRESS: 2 bytes type, 2 length, 1 zero, 1 family, then port and address, masked by the cookie
    let port = u16::from_be_bytes([answer[26] ^ 0x21, answer[27] ^ 0x12]);
    let ip = [
        answer[28] ^ 0x21,
        answer[29] ^ 0x12,
        answer[30] ^ 0xa4,
        answer[31] ^ 0x42,
    ];
    (socket.local_addr().unwrap(), SocketAddr::from((ip, port)))
}

pub(crate) fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

pub(crate) fn kill(pid: u32) {
    signal("-KILL", pid);
}

pub(crate) fn terminate(pid: u32) {
    signal("-TERM", pid);
}

/// Waits until a process, which somebody has told to end, has given back its ports.
pub(crate) fn wait_until_ended(pid: u32) {
    let ended = || {
        // A process that nobody waited for is still listed, as a zombie; until its last thread has ended, it has its files.
        let process = PathBuf::from(format!("/proc/{pid}"));
        let stat = std::fs::read_to_string(process.join("stat"));
        let threads = std::fs::read_dir(process.join("task")).map_or(0, Iterator::count);
        stat.map_or(true, |stat| {
            let (_, state) = stat.rsplit_once(')').unwrap();
            state.trim_start().starts_with('Z') && threads < 2
        })
    };
    assert!(wait(ended), "process {pid} still runs");
}

fn signal(name: &str, pid: u32) {
    let sent = Command::new("kill")
        .args([name, &pid.to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}

fn wait(mut until: impl FnMut() -> bool) -> bool {
    for _ in 0..PATIENCE.as_millis() / PAUSE.as_millis() {
        if until() {
            return true;
        }
        std::thread::sleep(PAUSE);
    }
    until()
}
