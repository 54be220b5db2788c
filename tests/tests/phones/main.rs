//! SIP phones of another project, and pages: they register, call each other, and hear each other.

use tests::Kind::{self, Chromium};
use tests::{Network, PATIENCE, Page, Phone, PhonePlace, unique, until};
use tokio::sync::SemaphorePermit;

/// A network, a page in it, and a phone that is registered at its first super node.
struct Scene {
    network: Network,
    page: Page,
    name: String,
    phone: Phone,
    user: String,
    _turn: SemaphorePermit<'static>,
}

impl Scene {
    async fn set(kind: Kind, transport: &str, codec: &str) -> Self {
        let turn = tests::turn().await;
        let network = Network::start_with_phones(2).await;
        // The page is at the other super node than the phone.
        let page = Page::open(kind, &network.page(1), 440.0).await;
        let name = unique("alice");
        page.create_account(&name).await;
        let user = unique("desk");
        let registrar = network.registrar(0, transport);
        let place = PhonePlace {
            user: &user,
            registrar: &registrar,
            transport,
            codec,
        };
        let phone = Phone::start(place, 1000.0).await;
        network.has_line(0, &user).await;
        Self {
            network,
            page,
            name,
            phone,
            user,
            _turn: turn,
        }
    }

    /// The page calls, the phone answers.
    async fn page_calls(&self) {
        self.page.dial(&self.user).await;
        self.phone.says("Incoming call").await;
        self.phone.tell("accept", "");
        self.page.reach(&["in-call"]).await;
    }

    /// The phone calls, the page answers.
    async fn phone_calls(&self) {
        let uri = format!("sip:{}@example.org", self.name);
        self.phone.tell("dial", &uri);
        self.page.answer().await;
        self.page.reach(&["in-call"]).await;
    }

    /// Each hears the other's tone.
    async fn sound(&self) {
        let (page, phone) = (&self.page, &self.phone);
        phone.hears(page.frequency, phone.frequency).await;
        until("the page hears the phone", PATIENCE, async || {
            let heard = page.heard(&[phone.frequency, page.frequency]).await;
            match &heard {
                Some(heard) if heard.is(phone.frequency) => Ok(()),
                _ => Err(format!("{heard:?}, {:?}", page.stats().await)),
            }
        })
        .await;
    }

    async fn says_not_end_to_end(&self, badge: &str) {
        let text = self.page.text(badge).await;
        assert_eq!(text.trim(), "Not end to end");
    }

    async fn close(self) {
        self.page.quiet(&[]).await;
        self.page.quit().await;
        drop(self.phone);
        drop(self.network);
    }
}

#[tokio::test]
async fn r057_r077_r079_chromium_calls_a_phone_by_udp_and_each_hears_the_other() {
    let scene = Scene::set(Chromium, "udp", "pcmu").await;
    scene.page_calls().await;
    scene.sound().await;
    scene.says_not_end_to_end("#peer-verified").await;
    scene.page.hang_up().await;
    scene.phone.says("session closed").await;
    scene.close().await;
}

#[tokio::test]
async fn r057_chromium_calls_a_phone_by_tls_and_each_hears_the_other() {
    let scene = Scene::set(Chromium, "tls", "pcma").await;
    scene.page_calls().await;
    scene.sound().await;
    scene.says_not_end_to_end("#peer-verified").await;
    scene.phone.tell("hangup", "");
    scene.page.ends("hung-up", "The call has ended").await;
    scene.close().await;
}

#[tokio::test]
async fn r080_a_phone_by_tcp_calls_chromium_and_each_hears_the_other() {
    let scene = Scene::set(Chromium, "tcp", "opus/48000/2").await;
    scene.phone_calls().await;
    scene.sound().await;
    scene.says_not_end_to_end("#peer-verified").await;
    scene.phone.tell("hangup", "");
    scene.page.ends("hung-up", "The call has ended").await;
    scene.close().await;
}

#[tokio::test]
async fn r058_two_phones_of_one_user_ring_together_and_stop_together() {
    let scene = Scene::set(Chromium, "udp", "G722/16000/1").await;
    let registrar = scene.network.registrar(0, "tcp");
    let place = PhonePlace {
        user: &scene.user,
        registrar: &registrar,
        transport: "tcp",
        codec: "pcma",
    };
    let second = Phone::start(place, 1500.0).await;
    scene.page.dial(&scene.user).await;
    scene.phone.says("Incoming call").await;
    second.says("Incoming call").await;
    scene.phone.tell("accept", "");
    scene.page.reach(&["in-call"]).await;
    scene.sound().await;
    second.says("session closed").await;
    // Keys that are pressed at the page arrive at the phone that has the call.
    let pressed = "const [peer] = partylineTest.peers.filter((one) => one.connectionState === 'connected'); \
                   peer.getSenders()[0].dtmf.insertDTMF('5', 200); return true;";
    scene.page.run(pressed, Vec::new()).await;
    scene.phone.says("received event: '5'").await;
    scene.page.hang_up().await;
    scene.close().await;
}

#[tokio::test]
async fn r070_r077_r079_phones_at_two_super_nodes_call_each_other_by_their_certified_records() {
    let turn = tests::turn().await;
    let network = Network::start_with_phones(2).await;
    let mut phones = Vec::new();
    for (number, frequency) in [(0, 700.0), (1, 1100.0)] {
        let user = unique("desk");
        let registrar = network.registrar(number, "udp");
        let place = PhonePlace {
            user: &user,
            registrar: &registrar,
            transport: "udp",
            codec: "pcmu",
        };
        let phone = Phone::start(place, frequency).await;
        network.has_line(number, &user).await;
        phones.push((user, phone));
    }
    let [(_, alice), (bob_name, bob)] = &phones[..] else {
        unreachable!()
    };
    alice.tell("dial", &format!("sip:{bob_name}@example.org"));
    bob.says("Incoming call").await;
    bob.tell("accept", "");
    alice.hears(bob.frequency, alice.frequency).await;
    bob.hears(alice.frequency, bob.frequency).await;
    alice.tell("hangup", "");
    bob.says("session closed").await;
    drop(turn);
}
