//! What outlives the process, and what never leaves it.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

use super::device::Device;
use super::stage::{PAGE, PASSWORD, START, Stage};
use crate::wire::{EnrolRequest, Enrolment};
use crate::{Clock, LoginConfig, LoginServer, OpenError};

async fn second(stage: &Stage) -> Result<LoginServer, OpenError> {
    let origin = format!("http://{}", stage.address);
    let config = LoginConfig::new(stage.data.path().join("login"), "example.org", origin);
    LoginServer::open(config, Clock::new(|| START)).await
}

#[tokio::test]
async fn a_restart_keeps_the_root_and_the_accounts() {
    let stage = Stage::new().await;
    stage.account("alice").await;
    let again = second(&stage).await.unwrap();
    assert_eq!(again.root(), stage.server.root());
    assert_eq!(again.overlay(), stage.server.overlay());
    assert!(again.try_password("alice", PASSWORD).await.unwrap());
}

#[tokio::test]
async fn r107_a_token_made_by_another_process_is_good_here() {
    let stage = Stage::new().await;
    let token = second(&stage)
        .await
        .unwrap()
        .enrolment_token(1, Duration::from_secs(60))
        .await
        .unwrap();
    let request = EnrolRequest {
        token,
        public_key: Device::new().public_key(),
        names: vec![PAGE.into()],
        quic: "[2001:db8::1]:4433".into(),
    };
    let answer = stage.browser().post("/enrol", None, &request).await;
    assert_eq!(
        answer.document::<Enrolment>().overlay,
        stage.server.overlay()
    );
}

#[tokio::test]
async fn a_root_that_is_not_the_keys_is_noticed() {
    let (stage, other) = (Stage::new().await, Stage::new().await);
    let root = |stage: &Stage| stage.data.path().join("login/root.der");
    std::fs::copy(root(&other), root(&stage)).unwrap();
    assert!(matches!(second(&stage).await, Err(OpenError::Authority(_))));
    std::fs::write(stage.data.path().join("login/root-key.pkcs8"), b"junk").unwrap();
    assert!(matches!(second(&stage).await, Err(OpenError::Authority(_))));
}

#[cfg(unix)]
#[tokio::test]
async fn the_root_key_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let stage = Stage::new().await;
    let mode = |name: &str| {
        std::fs::metadata(stage.data.path().join(name))
            .unwrap()
            .permissions()
            .mode()
    };
    assert_eq!(mode("login/root-key.pkcs8") & 0o777, 0o600);
    assert_eq!(mode("login") & 0o777, 0o700);
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn a52_no_secret_is_in_the_log_or_the_database() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    // for every thread: the database has its own
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let stage = Stage::new().await;
    let (mut alice, device) = (stage.account("alice").await, Device::new());
    let form = alice.get(&device.authorize()).await;
    let code = alice.submit("/authorize", &form, &[]).await.code();
    stage.redeem(&mut alice, &device, &code).await;
    let token = stage
        .server
        .enrolment_token(1, Duration::from_secs(60))
        .await
        .unwrap();

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        log.contains("account created") && log.contains("certificate issued"),
        "{log}"
    );
    let mut kept = log.into_bytes();
    for entry in std::fs::read_dir(stage.data.path().join("login")).unwrap() {
        kept.extend(std::fs::read(entry.unwrap().path()).unwrap());
    }
    let secrets = [PASSWORD, &code, &device.verifier, &token];
    for secret in secrets
        .into_iter()
        .chain(alice.cookies.values().map(String::as_str))
    {
        assert!(
            !kept
                .windows(secret.len())
                .any(|window| window == secret.as_bytes()),
            "{secret}"
        );
    }
}
