//! The node's own key, and signatures by ring, on threads of their own.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use credential::{PublicKey, Sign, Signature, Signed, Verified, Verify};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    UnparsedPublicKey,
};
use tokio::sync::mpsc;

/// Jobs that one worker may have waiting.
const QUEUE: usize = 512;

/// A P-256 key with which this node signs. Clones share it.
#[derive(Debug, Clone)]
pub struct Key {
    pair: Arc<EcdsaKeyPair>,
    pkcs8: Arc<[u8]>,
}

/// The bytes are no P-256 key in PKCS#8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoKey;

impl Key {
    /// Makes a new key from the system's entropy.
    ///
    /// # Panics
    /// If the system has no entropy to give.
    #[must_use]
    pub fn generate() -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
            .expect("the system gives entropy");
        Self::read(pkcs8.as_ref()).expect("ring reads what it wrote")
    }

    /// Reads a key from PKCS#8, in DER.
    ///
    /// # Errors
    /// The bytes are something else.
    pub fn read(pkcs8: &[u8]) -> Result<Self, NoKey> {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &random)
            .map_err(|_| NoKey)?;
        Ok(Self {
            pair: Arc::new(pair),
            pkcs8: pkcs8.into(),
        })
    }

    /// The key as PKCS#8, in DER. Secret.
    #[must_use]
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The public half.
    ///
    /// # Panics
    /// Never: ring's point is uncompressed.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey::from_point(self.pair.public_key().as_ref())
            .expect("ring's point is uncompressed")
    }

    /// Signs a message: ECDSA over its SHA-256.
    ///
    /// # Panics
    /// If the system has no entropy to give.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Signature {
        let signature = self
            .pair
            .sign(&SystemRandom::new(), message)
            .expect("the system gives entropy");
        Signature(
            signature
                .as_ref()
                .try_into()
                .expect("r and s have 32 bytes each"),
        )
    }
}

/// Says whether a key signed a message.
#[must_use]
pub fn verify(key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.to_point())
        .verify(message, &signature.0)
        .is_ok()
}

/// Draws bytes from the system's entropy.
///
/// # Panics
/// If the system has none to give.
#[must_use]
pub fn entropy<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    ring::rand::SecureRandom::fill(&SystemRandom::new(), &mut bytes)
        .expect("the system gives entropy");
    bytes
}

/// Cryptography that a machine asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// Sign with the node's key.
    Sign(Sign),
    /// Check a signature.
    Verify(Verify),
}

/// What came of a [`Work`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// The signature.
    Signed(Signed),
    /// Whether the signature holds.
    Verified(Verified),
}

impl Work {
    fn run(self, key: &Key) -> Done {
        match self {
            Self::Sign(sign) => Done::Signed(Signed {
                job: sign.job,
                signature: key.sign(&sign.message),
            }),
            Self::Verify(job) => Done::Verified(Verified {
                job: job.job,
                valid: verify(&job.key, &job.message, &job.signature),
            }),
        }
    }
}

/// Threads that sign and verify.
#[derive(Debug)]
pub struct Workers {
    queues: Vec<SyncSender<Work>>,
    next: usize,
    key: Key,
}

impl Workers {
    /// Starts `count` threads, which end with the returned value. Answers go to `done`.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub fn start(count: usize, key: &Key, done: &mpsc::Sender<Done>) -> std::io::Result<Self> {
        let queues = (0..count.max(1))
            .map(|index| {
                let (queue, work) = sync_channel(QUEUE);
                let (key, done) = (key.clone(), done.clone());
                std::thread::Builder::new()
                    .name(format!("crypto-{index}"))
                    .spawn(move || serve(&work, &key, &done))?;
                Ok(queue)
            })
            .collect::<std::io::Result<_>>()?;
        Ok(Self {
            queues,
            next: 0,
            key: key.clone(),
        })
    }

    /// Does work on the caller's own thread.
    #[must_use]
    pub fn at_once(&self, work: Work) -> Done {
        work.run(&self.key)
    }

    /// Hands work to a thread, or gives it back when all have enough to do.
    #[must_use]
    pub fn submit(&mut self, mut work: Work) -> Option<Work> {
        for _ in 0..self.queues.len() {
            self.next = (self.next + 1) % self.queues.len();
            match self.queues[self.next].try_send(work) {
                Ok(()) => return None,
                Err(TrySendError::Full(back) | TrySendError::Disconnected(back)) => work = back,
            }
        }
        Some(work)
    }
}

fn serve(work: &Receiver<Work>, key: &Key, done: &mpsc::Sender<Done>) {
    while let Ok(job) = work.recv() {
        if done.blocking_send(job.run(key)).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use credential::Job;

    #[test]
    fn signature_holds_for_its_message_and_key_alone() {
        let (key, other) = (Key::generate(), Key::generate());
        let signature = key.sign(b"message");
        assert!(verify(&key.public(), b"message", &signature));
        assert!(!verify(&key.public(), b"massage", &signature));
        assert!(!verify(&other.public(), b"message", &signature));
        let again = Key::read(key.pkcs8()).unwrap();
        assert_eq!(again.public(), key.public());
        assert_eq!(Key::read(b"nonsense").unwrap_err(), NoKey);
    }

    #[tokio::test]
    async fn workers_answer_every_job() {
        let key = Key::generate();
        let (done, mut answers) = mpsc::channel(64);
        let mut workers = Workers::start(2, &key, &done).unwrap();
        for job in 0..40 {
            let sign = Sign {
                job: Job(job),
                message: vec![job as u8],
            };
            assert_eq!(workers.submit(Work::Sign(sign)), None);
        }
        let mut jobs = Vec::new();
        for _ in 0..40 {
            let Some(Done::Signed(signed)) = answers.recv().await else {
                panic!("no signature");
            };
            assert!(verify(
                &key.public(),
                &[signed.job.0 as u8],
                &signed.signature
            ));
            jobs.push(signed.job.0);
        }
        jobs.sort_unstable();
        assert_eq!(jobs, (0..40).collect::<Vec<_>>());
    }
}
