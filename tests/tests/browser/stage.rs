//! What most tests begin with: a network, two users at two super nodes, a call.

use tests::{EvilNode, Kind, Network, Page, unique};
use tokio::sync::SemaphorePermit;

/// Two users who are signed in at different super nodes.
pub(crate) struct Stage {
    pub(crate) network: Network,
    pub(crate) alice: Page,
    pub(crate) bob: Page,
    /// The name that Bob is called by.
    pub(crate) bob_name: String,
    turn: Option<SemaphorePermit<'static>>,
}

impl Stage {
    /// Alice at the first of three super nodes and Bob at the second one, each with an account.
    pub(crate) async fn set(alice: Kind, bob: Kind) -> Self {
        let turn = tests::turn().await;
        let network = Network::start(3).await;
        let (first, second) = (network.page(0), network.page(1));
        Self::people(turn, network, (alice, &first), (bob, &second)).await
    }

    /// The same in a network whose super nodes relay.
    pub(crate) async fn set_with_relays(alice: Kind, bob: Kind) -> Self {
        let turn = tests::turn().await;
        let network = Network::start_relaying(3).await;
        let (first, second) = (network.page(0), network.page(1));
        Self::people(turn, network, (alice, &first), (bob, &second)).await
    }

    /// Alice and Bob at the only super node, which lies.
    pub(crate) async fn set_at_evil_node() -> (Self, EvilNode) {
        let turn = tests::turn().await;
        let network = Network::start(1).await;
        let evil = network.corrupt(0).await;
        let page = network.page(0);
        let stage = Self::people(
            turn,
            network,
            (Kind::Chromium, &page),
            (Kind::Chromium, &page),
        )
        .await;
        (stage, evil)
    }

    async fn people(
        turn: SemaphorePermit<'static>,
        network: Network,
        alice: (Kind, &str),
        bob: (Kind, &str),
    ) -> Self {
        let bob_name = unique("bob");
        let (alice, bob) = tokio::join!(
            async {
                let page = Page::open(alice.0, alice.1, 440.0).await;
                page.create_account(&unique("alice")).await;
                page
            },
            async {
                let page = Page::open(bob.0, bob.1, 660.0).await;
                page.create_account(&bob_name).await;
                page
            }
        );
        Self {
            network,
            alice,
            bob,
            bob_name,
            turn: Some(turn),
        }
    }

    /// Alice calls, Bob answers, both are in the call.
    pub(crate) async fn connect(&self) {
        self.alice.dial(&self.bob_name).await;
        self.bob.answer().await;
        self.alice.reach(&["in-call"]).await;
        self.bob.reach(&["in-call"]).await;
    }

    /// Has other tests go on beside this one, which only waits for a time to pass.
    pub(crate) fn let_others(&mut self) {
        self.turn = None;
    }

    /// Nothing went wrong in either page; closes both.
    pub(crate) async fn close(self, expected: &[&str]) {
        self.alice.quiet(expected).await;
        self.bob.quiet(expected).await;
        tokio::join!(self.alice.quit(), self.bob.quit());
    }
}
