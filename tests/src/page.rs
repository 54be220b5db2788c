//! A browser with the page open, and what a user does there.

use crate::browser::{Browser, Kind};
use crate::instrument::{Heard, Instrument, Stats};
use crate::{PATIENCE, until};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use thirtyfour::prelude::*;

/// The password of every account that a test creates.
const PASSWORD: &str = "a long line of birds";

/// A user in front of a browser.
#[derive(Debug)]
pub struct Page {
    /// The browser.
    pub browser: Browser,
    /// The tone that this user's microphone hears.
    pub frequency: f64,
}

/// A name that no other test uses.
pub fn unique(name: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!(
        "{name}{}x{}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}

impl Page {
    /// Opens an address in a new browser whose microphone hears a tone.
    ///
    /// # Panics
    ///
    /// When the browser doesn't start or doesn't open the page.
    pub async fn open(kind: Kind, address: &str, frequency: f64) -> Self {
        Self::open_with(kind, address, Instrument::tone(frequency)).await
    }

    /// The same with other devices.
    ///
    /// # Panics
    ///
    /// When the browser doesn't start or doesn't open the page.
    pub async fn open_with(kind: Kind, address: &str, instrument: Instrument) -> Self {
        let browser = Browser::start(kind, instrument).await;
        let page = Self {
            browser,
            frequency: instrument.frequency,
        };
        page.go(address).await;
        page
    }

    /// Goes to an address in the same browser.
    ///
    /// # Panics
    ///
    /// When the browser can't open it.
    pub async fn go(&self, address: &str) {
        self.browser
            .driver
            .goto(address)
            .await
            .expect("the page opens");
    }

    /// Reloads the page.
    ///
    /// # Panics
    ///
    /// When the browser can't.
    pub async fn reload(&self) {
        self.browser
            .driver
            .refresh()
            .await
            .expect("the page reloads");
    }

    /// The page's state: `body[data-state]`.
    pub async fn state(&self) -> String {
        let state = self
            .run("return document.body?.dataset.state ?? ''", vec![])
            .await;
        state.as_str().unwrap_or_default().to_owned()
    }

    /// Waits for one of these states.
    ///
    /// # Panics
    ///
    /// When none of them comes.
    pub async fn reach(&self, states: &[&str]) {
        self.reach_within(states, PATIENCE).await;
    }

    /// Waits for one of these states for a time that is stated somewhere.
    ///
    /// # Panics
    ///
    /// When none of them comes in time; the message holds what the page and the console say.
    pub async fn reach_within(&self, states: &[&str], patience: Duration) {
        until(&format!("state {states:?}"), patience, async || {
            let state = self.state().await;
            if states.contains(&state.as_str()) {
                return Ok(());
            }
            Err((
                state,
                self.problems().await,
                self.text("#toast-text").await,
                self.text("#ended-sentence").await,
            ))
        })
        .await;
    }

    /// Becomes a guest; returns the address that the guest got.
    ///
    /// # Panics
    ///
    /// When the page does not become ready.
    pub async fn guest(&self) -> String {
        self.reach(&["signed-out"]).await;
        self.click("#guest").await;
        self.reach(&["ready"]).await;
        self.uri().await
    }

    /// Creates an account on the login server's own page; returns its address.
    ///
    /// # Panics
    ///
    /// When the page does not become ready.
    pub async fn create_account(&self, name: &str) -> String {
        self.reach(&["signed-out"]).await;
        self.click("#create-account").await;
        self.fill("input[name=repeat]", PASSWORD).await;
        self.credentials(name, PASSWORD).await;
        self.reach(&["ready"]).await;
        self.uri().await
    }

    /// Signs in to an account that [`Page::create_account`] made.
    ///
    /// # Panics
    ///
    /// When the page does not become ready.
    pub async fn sign_in(&self, name: &str) {
        self.reach(&["signed-out"]).await;
        self.click("#sign-in").await;
        self.credentials(name, PASSWORD).await;
        self.reach(&["ready"]).await;
    }

    /// Signs this page out.
    ///
    /// # Panics
    ///
    /// When the page does not say that it is signed out.
    pub async fn sign_out(&self) {
        self.click("#account-button").await;
        self.click("#sign-out").await;
        self.reach(&["signed-out"]).await;
    }

    /// Fills the form of the login server and sends it.
    ///
    /// # Panics
    ///
    /// When there is no such form.
    pub async fn credentials(&self, name: &str, password: &str) {
        self.fill("input[name=name]", name).await;
        self.fill("input[name=password]", password).await;
        self.click("form button[type=submit]").await;
    }

    /// Dials with video.
    ///
    /// # Panics
    ///
    /// When the page has no dial field.
    pub async fn dial(&self, target: &str) {
        self.fill("#dial", target).await;
        self.click("#call-video").await;
    }

    /// Answers the call that rings, with video.
    ///
    /// # Panics
    ///
    /// When nothing rings.
    pub async fn answer(&self) {
        self.reach(&["ringing"]).await;
        self.click("#answer").await;
    }

    /// Ends the call.
    ///
    /// # Panics
    ///
    /// When there is no call.
    pub async fn hang_up(&self) {
        self.click("#hang-up").await;
    }

    /// The own SIP address as the page shows it, without its scheme.
    pub async fn uri(&self) -> String {
        let uri = self.text("#own-uri").await;
        uri.strip_prefix("sip:").unwrap_or(&uri).to_owned()
    }

    /// Waits until the call has ended for this reason (`body[data-end]`) and the page tells it in these words.
    ///
    /// # Panics
    ///
    /// When it ends otherwise or not at all, or when the page says something else.
    pub async fn ends(&self, code: &str, words: &str) {
        self.ends_within(code, words, PATIENCE).await;
    }

    /// The same for an end that comes late.
    ///
    /// # Panics
    ///
    /// When it ends otherwise or not in time, or when the page says something else.
    pub async fn ends_within(&self, code: &str, words: &str, patience: Duration) {
        until(&format!("the end '{code}'"), patience, async || {
            let end = self.data("end").await;
            let sentence = self.text("#ended-sentence").await;
            if self.state().await == "ended" && end == code && sentence.contains(words) {
                return Ok(());
            }
            Err((self.state().await, end, sentence, self.problems().await))
        })
        .await;
    }

    /// From now on notes when the page first reaches each state, and when the user last clicked ([`Page::noted`]).
    pub async fn note(&self) {
        let script = "
            window.partylineNotes = {};
            const note = () => { partylineNotes[document.body.dataset.state] ??= Date.now(); };
            new MutationObserver(note).observe(document.body, { attributes: true, attributeFilter: ['data-state'] });
            addEventListener('click', () => { partylineNotes.click = Date.now(); }, true);";
        self.run(script, vec![]).await;
    }

    /// When the page reached a state, or when the user clicked (`click`), as time since 1970. The page itself looks at
    /// the clock: what a driver takes to tell of it doesn't count.
    ///
    /// # Panics
    ///
    /// When it has not happened since [`Page::note`].
    pub async fn noted(&self, what: &str) -> Duration {
        let script = "return window.partylineNotes?.[arguments[0]] ?? null";
        let value = self.run(script, vec![json!(what)]).await;
        let Some(milliseconds) = value.as_u64() else {
            panic!("nothing is noted of '{what}'");
        };
        Duration::from_millis(milliseconds)
    }

    /// What `body[data-..]` says under a name.
    pub async fn data(&self, name: &str) -> String {
        let value = self
            .run(
                "return document.body?.dataset[arguments[0]] ?? ''",
                vec![json!(name)],
            )
            .await;
        value.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until `body[data-..]` says this.
    ///
    /// # Panics
    ///
    /// When it doesn't in time.
    pub async fn shows(&self, name: &str, wanted: &str, patience: Duration) {
        until(&format!("data-{name} {wanted}"), patience, async || {
            let seen = self.data(name).await;
            if seen == wanted { Ok(()) } else { Err(seen) }
        })
        .await;
    }

    /// Waits until this page hears the other side's tone, and not its own.
    ///
    /// # Panics
    ///
    /// When it doesn't.
    pub async fn hears(&self, other: &Page) {
        until("the other side's tone", PATIENCE, async || {
            let heard = self.heard(&[other.frequency, self.frequency]).await;
            if heard
                .as_ref()
                .is_some_and(|heard| heard.is(other.frequency))
            {
                Ok(())
            } else {
                Err(heard)
            }
        })
        .await;
    }

    /// The sound that comes in now.
    pub async fn heard(&self, frequencies: &[f64]) -> Option<Heard> {
        let value = self
            .run(
                "return partylineTest.hear(arguments[0])",
                vec![json!(frequencies)],
            )
            .await;
        Heard::read(&value)
    }

    /// Waits until more of the other side's picture is decoded, over a direct pair of addresses.
    ///
    /// # Panics
    ///
    /// When the picture stands still or goes by a relay.
    pub async fn sees(&self) {
        let before = self.stats().await.map_or(0, |stats| stats.frames);
        let stats = until("more frames", PATIENCE, async || {
            let stats = self.stats().await;
            stats
                .clone()
                .filter(|stats| stats.frames > before + 10)
                .ok_or(stats)
        })
        .await;
        assert!(stats.direct(), "{stats:?}");
    }

    /// What the connection counts now.
    pub async fn stats(&self) -> Option<Stats> {
        let script =
            "const done = arguments[0]; partylineTest.stats().then(done, () => done(null))";
        let answer = self
            .browser
            .driver
            .execute_async(script, vec![])
            .await
            .ok()?;
        Stats::read(answer.json())
    }

    /// From now on notes how long no sound comes ([`Page::silence`]).
    pub async fn listen(&self) {
        self.run("partylineTest.listen()", vec![]).await;
    }

    /// The longest time in which no packet of sound came since [`Page::listen`].
    ///
    /// # Panics
    ///
    /// When the page has not listened.
    pub async fn silence(&self) -> Duration {
        let longest = self
            .run("return partylineTest.silence.longest", vec![])
            .await;
        Duration::from_millis(longest.as_u64().expect("the page has listened"))
    }

    /// Has only relays carry calls from now on, which hides this user's address.
    ///
    /// # Panics
    ///
    /// When the page does not offer it.
    pub async fn hide(&self) {
        let script = "document.querySelector('#open-settings').click();
            const check = document.querySelector('#relay-only');
            check.click();
            document.querySelector('#settings-close').click();
            return check.checked;";
        assert_eq!(self.run(script, vec![]).await, json!(true));
    }

    /// Whether any peer connection of this page has been given a description of the other side.
    pub async fn negotiated(&self) -> bool {
        let states = self.run("return partylineTest.states()", vec![]).await;
        states
            .as_array()
            .into_iter()
            .flatten()
            .any(|peer| peer["remote"] == json!(true))
    }

    /// The errors that nobody caught in this document.
    pub async fn problems(&self) -> Vec<String> {
        let problems = self
            .run("return window.partylineTest?.problems ?? []", vec![])
            .await;
        let list = problems.as_array().into_iter().flatten();
        list.filter_map(|problem| problem.as_str().map(str::to_owned))
            .collect()
    }

    /// Fails when the page or the console has an error that holds none of the `expected` words.
    ///
    /// # Panics
    ///
    /// With the errors.
    pub async fn quiet(&self, expected: &[&str]) {
        let mut errors = self.problems().await;
        errors.extend(self.browser.console_errors().await);
        errors.retain(|error| !expected.iter().any(|word| error.contains(word)));
        assert!(errors.is_empty(), "{errors:#?}");
    }

    /// The text of the first element that a selector finds, shown or not.
    pub async fn text(&self, selector: &str) -> String {
        let script = "return document.querySelector(arguments[0])?.textContent ?? ''";
        let text = self.run(script, vec![json!(selector)]).await;
        text.as_str().unwrap_or_default().trim().to_owned()
    }

    /// An attribute of the first element that a selector finds.
    pub async fn attribute(&self, selector: &str, name: &str) -> String {
        let script =
            "return document.querySelector(arguments[0])?.getAttribute(arguments[1]) ?? ''";
        let value = self.run(script, vec![json!(selector), json!(name)]).await;
        value.as_str().unwrap_or_default().to_owned()
    }

    /// Clicks an element as soon as a user could.
    ///
    /// # Panics
    ///
    /// When it can't be clicked.
    pub async fn click(&self, selector: &str) {
        until(&format!("{selector} to click"), PATIENCE, async || {
            let element = self
                .browser
                .driver
                .find(By::Css(selector))
                .await
                .map_err(|error| error.to_string())?;
            element.click().await.map_err(|error| error.to_string())
        })
        .await;
    }

    /// Types into a field.
    ///
    /// # Panics
    ///
    /// When there is no such field.
    pub async fn fill(&self, selector: &str, text: &str) {
        until(&format!("{selector} to fill"), PATIENCE, async || {
            let element = self
                .browser
                .driver
                .find(By::Css(selector))
                .await
                .map_err(|error| error.to_string())?;
            element.clear().await.map_err(|error| error.to_string())?;
            element
                .send_keys(text)
                .await
                .map_err(|error| error.to_string())
        })
        .await;
    }

    /// Runs a script in the page; nothing when the page is just changing.
    pub async fn run(&self, script: &str, arguments: Vec<Value>) -> Value {
        let answer = self.browser.driver.execute(script, arguments).await;
        answer.map_or(Value::Null, |answer| answer.json().clone())
    }

    /// Closes the browser.
    pub async fn quit(self) {
        self.browser.quit().await;
    }
}
