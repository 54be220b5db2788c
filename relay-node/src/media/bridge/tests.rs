//! A page and a phone on either side of a bridge, in virtual time, and strangers beside them.

use std::sync::Arc;

use bytes::BytesMut;
use p2psip::Numbers;
use rtc_dtls::config::{ClientAuthType, ConfigBuilder, HandshakeConfig};
use rtc_dtls::crypto::Certificate;
use rtc_dtls::endpoint::Endpoint;
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc_shared::TransportProtocol;
use rtc_srtp::config::{Config, LABEL_EXTRACTOR_DTLS_SRTP};
use rtc_srtp::context::Context;
use rtc_srtp::protection_profile::ProtectionProfile;
use stun_types::attribute::Username;
use stun_types::message::{
    BINDING, IntegrityAlgorithm, Message, MessageWrite as _, MessageWriteExt as _, MessageWriteVec,
    ShortTermCredentials,
};

use super::super::secured::fingerprint;
use super::*;
use crate::clock::Clock;

const PHONE: &str = "192.0.2.7:4000";
const PAGE: &str = "203.0.113.5:50000";
const STRANGER: &str = "198.51.100.66:6666";

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// The page's side.
struct Page {
    client: Endpoint,
    config: Arc<HandshakeConfig>,
    print: String,
    keys: Option<(Context, Context)>,
}

struct Scene {
    bridge: Bridge,
    ice: Ice,
    page: Page,
    epoch: std::time::Instant,
    now: Instant,
}

impl Scene {
    fn new() -> Self {
        let keys = Keys::generate().unwrap();
        let ice = Ice {
            place: at("198.51.100.1:7000"),
            ufrag: "near".into(),
            password: "a password of ICE".into(),
            fingerprint: keys.fingerprint().into(),
        };
        let epoch = Clock::start().epoch();
        let now = Instant::EPOCH;
        Self {
            bridge: Bridge::new(&ice, keys, epoch, now),
            ice,
            page: Page::new(),
            epoch,
            now,
        }
    }

    /// Both sides are in the call and have said a word.
    fn connected() -> Self {
        let mut scene = Self::new();
        scene.plan(&scene.page.print.clone());
        scene.check(PAGE, "a password of ICE");
        scene.handshake();
        assert!(scene.page.keys.is_some());
        scene
    }

    fn plan(&mut self, print: &str) {
        let plan = Plan {
            page: vec![sip::Fingerprint::read(print).unwrap()],
            to_phone: Numbers::kept([0, 101]),
            to_page: Numbers::kept([0, 101]),
            rtp: Some(at(PHONE)),
            rtcp: Some(at("192.0.2.7:4001")),
            hears: true,
        };
        let hosts = vec!["192.0.2.99".parse().unwrap()];
        self.input(Input::Connect { plan, hosts });
    }

    fn input(&mut self, input: Input) -> Vec<Output> {
        self.bridge.handle_input(input, self.now);
        std::iter::from_fn(|| self.bridge.poll_output()).collect()
    }

    /// A check of ICE from an address.
    fn check(&mut self, from: &str, password: &str) -> Vec<Output> {
        let credentials = ShortTermCredentials::new(password.into()).into();
        let mut request = Message::builder_request(BINDING, MessageWriteVec::new());
        let name = format!("{}:far", self.ice.ufrag);
        request
            .add_attribute(&Username::new(&name).unwrap())
            .unwrap();
        request
            .add_message_integrity(&credentials, IntegrityAlgorithm::Sha1)
            .unwrap();
        request.add_fingerprint().unwrap();
        let (from, bytes) = (at(from), request.finish());
        self.input(Input::Page { from, bytes })
    }

    fn page_said(&mut self, from: &str, bytes: Vec<u8>) -> Vec<Output> {
        let from = at(from);
        self.input(Input::Page { from, bytes })
    }

    fn phone_said(&mut self, from: &str, bytes: Vec<u8>) -> Vec<Output> {
        let from = at(from);
        self.input(Input::Rtp { from, bytes })
    }

    fn handshake(&mut self) {
        let there = self.epoch + self.now.since_epoch();
        let config = self.page.config.clone();
        self.page
            .client
            .connect(there, self.ice.place, config, None)
            .unwrap();
        for _ in 0..32 {
            let mut moved = false;
            while let Some(sent) = self.page.client.poll_transmit() {
                moved = true;
                for output in self.page_said(PAGE, sent.message.to_vec()) {
                    let Output::Page { to, bytes } = output else {
                        panic!("{output:?}")
                    };
                    assert_eq!(to, at(PAGE));
                    let bytes = BytesMut::from(&bytes[..]);
                    let read = self.page.client.read(there, self.ice.place, None, bytes);
                    read.unwrap();
                }
            }
            if !moved {
                break;
            }
        }
        self.page.take_keys(self.ice.place);
    }
}

impl Page {
    fn new() -> Self {
        let provider = rtc_crypto::default_provider().unwrap();
        let names = vec!["page.invalid".to_owned()];
        let certificate = Certificate::generate_self_signed(names, provider.crypto()).unwrap();
        let print = fingerprint(&certificate.certificate[0]);
        let config = ConfigBuilder::default()
            .with_crypto_provider(provider)
            .with_certificates(vec![certificate])
            .with_client_auth(ClientAuthType::RequireAnyClientCert)
            .with_insecure_skip_verify(true)
            .with_srtp_protection_profiles(vec![SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80])
            .build(true, None)
            .unwrap();
        Self {
            client: Endpoint::new(at(PAGE), TransportProtocol::UDP, None),
            config: Arc::new(config),
            print,
            keys: None,
        }
    }

    fn take_keys(&mut self, server: SocketAddr) {
        let Some(state) = self.client.get_connection_state(server) else {
            return;
        };
        let profile = ProtectionProfile::Aes128CmHmacSha1_80;
        let mut config = Config {
            profile,
            ..Config::default()
        };
        let length = config.keying_material_len();
        let Ok(material) = state.export_keying_material(LABEL_EXTRACTOR_DTLS_SRTP, &[], length)
        else {
            return;
        };
        config
            .set_session_keys_from_keying_material(material.as_ref(), true)
            .unwrap();
        let provider = rtc_crypto::default_provider().unwrap();
        let context = |key: &[u8], salt: &[u8]| {
            Context::new(key, salt, profile, None, None, provider.crypto()).unwrap()
        };
        let keys = &config.keys;
        self.keys = Some((
            context(&keys.local_master_key, &keys.local_master_salt),
            context(&keys.remote_master_key, &keys.remote_master_salt),
        ));
    }

    fn seal(&mut self, packet: &[u8]) -> Vec<u8> {
        let (near, _) = self.keys.as_mut().unwrap();
        near.encrypt_rtp(packet).unwrap().to_vec()
    }

    fn open(&mut self, packet: &[u8]) -> Vec<u8> {
        let (_, far) = self.keys.as_mut().unwrap();
        far.decrypt_rtp(packet).unwrap().to_vec()
    }
}

/// An RTP packet.
fn packet(number: u16, payload: u8, source: u32, word: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80, payload];
    bytes.extend(number.to_be_bytes());
    bytes.extend([0, 0, 0, 160]);
    bytes.extend(source.to_be_bytes());
    bytes.extend(word);
    bytes
}

#[test]
fn sound_passes_both_ways_as_it_is() {
    let mut scene = Scene::connected();
    let word = packet(1, 0, 7, b"hello");
    let sealed = scene.page.seal(&word);
    let out = scene.page_said(PAGE, sealed.clone());
    let (to, bytes) = (at(PHONE), word);
    assert_eq!(out, [Output::Rtp { to, bytes }]);
    assert_eq!(scene.page_said(PAGE, sealed), [], "a replay");
    // What the phone can't is not sent to it.
    let opus = scene.page.seal(&packet(2, 111, 7, b"opus"));
    assert_eq!(scene.page_said(PAGE, opus), []);

    let word = packet(9, 101, 8, b"key 5");
    let out = scene.phone_said(PHONE, word.clone());
    let [Output::Page { to, bytes }] = &out[..] else {
        panic!("{out:?}")
    };
    assert_eq!((*to, scene.page.open(bytes)), (at(PAGE), word));
}

#[test]
fn a47_a_stray_packet_is_never_learnt_and_never_relayed() {
    let mut scene = Scene::connected();
    // Before the phone has said a word, and after.
    for number in 0..2 {
        let stray = packet(number, 0, 666, b"inject");
        assert_eq!(scene.phone_said(STRANGER, stray.clone()), []);
        assert_eq!(
            scene.phone_said("192.0.2.7:4002", stray.clone()),
            [],
            "its host alone"
        );
        assert_eq!(scene.page_said(STRANGER, stray), []);
        let sealed = scene.page.seal(&packet(10 + number, 0, 7, b"to the phone"));
        let out = scene.page_said(PAGE, sealed);
        assert!(
            matches!(&out[..], [Output::Rtp { to, .. }] if *to == at(PHONE)),
            "{out:?}"
        );
        assert_eq!(
            scene.phone_said(PHONE, packet(number, 0, 8, b"word")).len(),
            1
        );
    }
    // A page's packet, seen on the way, sent on by a stranger.
    let sealed = scene.page.seal(&packet(20, 0, 7, b"replayed"));
    assert_eq!(scene.page_said(STRANGER, sealed), []);
}

#[test]
fn a47_a_phone_behind_a_nat_is_learnt_once_by_the_host_of_its_sip() {
    let mut scene = Scene::connected();
    let (home, other) = ("192.0.2.99:1111", "192.0.2.99:2222");
    assert_eq!(scene.phone_said(home, packet(1, 0, 8, b"word")).len(), 1);
    assert_eq!(scene.phone_said(other, packet(2, 0, 8, b"word")), []);
    assert_eq!(scene.phone_said(PHONE, packet(3, 0, 8, b"word")), []);
    let sealed = scene.page.seal(&packet(1, 0, 7, b"to the phone"));
    let out = scene.page_said(PAGE, sealed);
    assert!(
        matches!(&out[..], [Output::Rtp { to, .. }] if *to == at(home)),
        "{out:?}"
    );
}

#[test]
fn a48_nobody_begins_the_handshake_who_does_not_know_the_password() {
    let mut scene = Scene::new();
    scene.plan(&scene.page.print.clone());
    let mut stranger = Page::new();
    let there = scene.epoch;
    let config = stranger.config.clone();
    stranger
        .client
        .connect(there, scene.ice.place, config, None)
        .unwrap();
    let hello = stranger.client.poll_transmit().unwrap().message.to_vec();
    assert_eq!(scene.page_said(STRANGER, hello.clone()), []);
    assert_eq!(scene.check(STRANGER, "another password"), []);
    assert_eq!(scene.page_said(STRANGER, hello.clone()), []);
    assert_eq!(scene.check(PAGE, "a password of ICE").len(), 1);
    assert_eq!(scene.page_said(STRANGER, hello), []);
    scene.handshake();
    let sealed = scene.page.seal(&packet(1, 0, 7, b"hello"));
    assert_eq!(
        scene.page_said(PAGE, sealed).len(),
        1,
        "the page is in the call"
    );
}

#[test]
fn a10_a_page_with_another_certificate_than_the_signed_one_hears_nothing() {
    let mut scene = Scene::new();
    scene.plan(&Page::new().print);
    scene.check(PAGE, "a password of ICE");
    scene.handshake();
    let sealed = scene.page.seal(&packet(1, 0, 7, b"hello"));
    assert_eq!(scene.page_said(PAGE, sealed), []);
    assert_eq!(scene.phone_said(PHONE, packet(1, 0, 8, b"secret")), []);
}

#[test]
fn a49_ten_thousand_bad_packets_leave_the_call_alive() {
    let mut scene = Scene::connected();
    let sealed = scene.page.seal(&packet(1, 0, 7, b"hello"));
    assert_eq!(scene.page_said(PAGE, sealed).len(), 1);
    for number in 0..10_000u32 {
        // From the page's own address, each of another source, some that of the page.
        let source = if number % 2 == 0 { 7 } else { number };
        let bad = packet(number as u16, 0, source, b"sixteen bytes, and no tag");
        assert_eq!(scene.page_said(PAGE, bad), []);
        let control = packet(number as u16, 200, source, b"control");
        assert_eq!(scene.page_said(PAGE, control), []);
    }
    let sealed = scene.page.seal(&packet(2, 0, 7, b"still there"));
    assert_eq!(scene.page_said(PAGE, sealed).len(), 1);
    assert_eq!(scene.phone_said(PHONE, packet(1, 0, 8, b"word")).len(), 1);
}

#[test]
fn a_page_that_says_nothing_any_more_is_given_up() {
    let mut scene = Scene::connected();
    scene.now = scene.now + Duration::from_secs(29);
    assert_eq!(scene.check(PAGE, "a password of ICE").len(), 1);
    scene.now = scene.now + Duration::from_secs(29);
    scene.bridge.handle_timeout(scene.now);
    assert_eq!(scene.bridge.poll_output(), None);
    scene.now = scene.now + Duration::from_secs(2);
    assert!(scene.bridge.poll_timeout().unwrap() <= scene.now);
    scene.bridge.handle_timeout(scene.now);
    assert_eq!(scene.bridge.poll_output(), Some(Output::Lost));
}

#[test]
fn a_phone_that_holds_the_call_hears_nothing() {
    let mut scene = Scene::connected();
    let mut plan = scene.bridge.plan.clone().unwrap();
    plan.hears = false;
    let hosts = Vec::new();
    scene.input(Input::Connect { plan, hosts });
    let sealed = scene.page.seal(&packet(1, 0, 7, b"hello"));
    assert_eq!(scene.page_said(PAGE, sealed), []);
    let music = scene.phone_said(PHONE, packet(1, 0, 8, b"music"));
    assert_eq!(music.len(), 1, "it may play music all the same");
}
