//! Somebody in front of a browser in a namespace. The browser is driven by a thread that is in the namespace, too.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};

use super::world::{World, runtime, wait};
use crate::{Kind, PATIENCE, Page};

/// Everybody's tone.
const TONES: [f64; 2] = [440.0, 660.0];
/// How often it is looked.
const PAUSE: Duration = Duration::from_millis(50);

/// What he is to do.
enum Order {
    Renew,
    Dial(String),
    Answer,
    InCall,
    Hear(f64),
    See,
    Hide,
    Sent,
    Path,
    Addresses,
    HangUp,
}

type Reply = Result<String, String>;

/// One of the two.
pub(super) struct User {
    pub(super) frequency: f64,
    orders: mpsc::Sender<(Order, oneshot::Sender<Reply>)>,
}

impl User {
    pub(super) fn start(world: &World, side: usize) -> Self {
        let (orders, mut taken) = mpsc::channel::<(Order, oneshot::Sender<Reply>)>(1);
        let enter = world.host(side).enter();
        let (address, frequency) = (world.page.clone(), TONES[side]);
        std::thread::spawn(move || {
            enter();
            runtime().block_on(async {
                let page = Page::open(Kind::Chromium, &address, frequency).await;
                page.guest().await;
                while let Some((order, reply)) = taken.recv().await {
                    let _ = reply.send(obey(&page, order).await);
                }
                page.quit().await;
            });
        });
        Self { frequency, orders }
    }

    fn order(&mut self, order: Order) -> Reply {
        wait(async {
            let (reply, answer) = oneshot::channel();
            let given = self.orders.send((order, reply)).await;
            given.map_err(|_| "the browser is gone".to_owned())?;
            answer.await.map_err(|_| "the browser is gone".to_owned())?
        })
    }

    /// Opens the page anew, and gives the name that he is called by.
    pub(super) fn renew(&mut self) -> Reply {
        self.order(Order::Renew)
    }

    pub(super) fn dial(&mut self, name: &str) -> Result<(), String> {
        self.order(Order::Dial(name.to_owned())).map(drop)
    }

    /// Answers, and says when, in milliseconds since 1970.
    pub(super) fn answer(&mut self) -> Result<f64, String> {
        number(&self.order(Order::Answer)?)
    }

    /// Waits for media, and says when they came.
    pub(super) fn in_call(&mut self) -> Result<f64, String> {
        number(&self.order(Order::InCall)?)
    }

    pub(super) fn hears(&mut self, frequency: f64) -> Result<(), String> {
        self.order(Order::Hear(frequency)).map(drop)
    }

    /// Waits until the other's picture goes on.
    pub(super) fn sees(&mut self) -> Result<(), String> {
        self.order(Order::See).map(drop)
    }

    pub(super) fn hide(&mut self) -> Result<(), String> {
        self.order(Order::Hide).map(drop)
    }

    /// All that the page sent to super nodes since it was asked last.
    pub(super) fn sent(&mut self) -> Reply {
        self.order(Order::Sent)
    }

    pub(super) fn path(&mut self) -> Reply {
        self.order(Order::Path)
    }

    pub(super) fn addresses(&mut self) -> Result<[String; 2], String> {
        let both = self.order(Order::Addresses)?;
        let (local, remote) = both.split_once(' ').ok_or("no addresses")?;
        Ok([local.to_owned(), remote.to_owned()])
    }

    pub(super) fn hang_up(&mut self) -> Result<(), String> {
        self.order(Order::HangUp).map(drop)
    }
}

fn number(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| format!("no time: {text}"))
}

async fn obey(page: &Page, order: Order) -> Reply {
    match order {
        Order::Renew => {
            page.reload().await;
            state(page, "ready").await?;
            page.note().await;
            Ok(page.uri().await)
        }
        Order::Dial(name) => {
            page.dial(&name).await;
            Ok(String::new())
        }
        Order::Answer => {
            state(page, "ringing").await?;
            page.click("#answer").await;
            Ok(page.noted("click").await.as_millis().to_string())
        }
        Order::InCall => {
            state(page, "in-call").await?;
            Ok(page.noted("in-call").await.as_millis().to_string())
        }
        Order::Hear(frequency) => {
            let tones = [frequency, page.frequency];
            let heard = async || {
                let heard = page.heard(&tones).await;
                heard.is_some_and(|heard| heard.is(frequency))
            };
            patiently("the other's tone", heard).await
        }
        Order::See => {
            let frames = async || page.stats().await.map_or(0, |stats| stats.frames);
            let before = frames().await;
            patiently("picture", async || frames().await > before + 10).await
        }
        Order::Hide => {
            page.hide().await;
            Ok(String::new())
        }
        Order::Sent => {
            let script = "return partylineTest.sent.splice(0).join(' ')";
            let sent = page.run(script, vec![]).await;
            Ok(sent.as_str().unwrap_or_default().to_owned())
        }
        Order::Path => {
            patiently("a path", async || !page.data("path").await.is_empty()).await?;
            Ok(page.data("path").await)
        }
        Order::Addresses => match page.stats().await {
            Some(stats) => Ok(format!("{} {}", stats.local, stats.remote)),
            None => Err("no connection".to_owned()),
        },
        Order::HangUp => {
            page.hang_up().await;
            state(page, "ended").await
        }
    }
}

async fn state(page: &Page, wanted: &str) -> Reply {
    let mut seen = String::new();
    let reached = patiently(wanted, async || {
        seen = page.state().await;
        seen == wanted || seen == "ended"
    });
    let _ = reached.await;
    if seen == wanted {
        return Ok(seen);
    }
    let end = page.text("#ended-sentence").await;
    Err(format!(
        "no {wanted}, but {seen} ({} {end})",
        page.data("end").await
    ))
}

async fn patiently(what: &str, mut look: impl AsyncFnMut() -> bool) -> Reply {
    let end = Instant::now() + PATIENCE;
    while !look().await {
        if Instant::now() > end {
            return Err(format!("no {what}"));
        }
        sleep(PAUSE).await;
    }
    Ok(String::new())
}
