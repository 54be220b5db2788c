//! The measuring gear itself, on two plain pages: what it hears and counts can be trusted elsewhere.

use serde_json::{Value, json};
use tests::{Kind, Page, Scratch, turn};

const HTML: &str = "<!doctype html><body data-state=ready><video id=remote autoplay playsinline></video>\
                    <script src=/call.js></script>";

const SCRIPT: &str = "
let peer;
async function start() {
  peer = new RTCPeerConnection();
  peer.ontrack = ({ streams }) => { document.getElementById('remote').srcObject = streams[0]; };
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
  for (const track of stream.getTracks()) peer.addTrack(track, stream);
}
async function gathered() {
  while (peer.iceGatheringState !== 'complete') await new Promise((next) => setTimeout(next, 20));
  return peer.localDescription.toJSON();
}
window.offer = async () => {
  await start();
  await peer.setLocalDescription(await peer.createOffer());
  return gathered();
};
window.accept = async (offer) => {
  await start();
  await peer.setRemoteDescription(offer);
  await peer.setLocalDescription(await peer.createAnswer());
  return gathered();
};
window.finish = (answer) => peer.setRemoteDescription(answer);
";

async fn step(page: &Page, function: &str, argument: Value) -> Value {
    let script = format!(
        "const done = arguments[1]; window.{function}(arguments[0]).then(done, (error) => done('failed: ' + error))"
    );
    let driver = &page.browser.driver;
    let answer = driver
        .execute_async(script, vec![argument])
        .await
        .expect("the script runs")
        .json()
        .clone();
    assert!(answer.as_str().is_none(), "{answer}");
    answer
}

async fn tones_cross(caller: Kind, callee: Kind) {
    let _turn = turn().await;
    let server = Scratch::start(&[("/", HTML), ("/call.js", SCRIPT), ("/favicon.ico", "")]).await;
    let (caller, callee) = tokio::join!(
        Page::open(caller, &server.origin, 440.0),
        Page::open(callee, &server.origin, 660.0)
    );
    let offer = step(&caller, "offer", Value::Null).await;
    let answer = step(&callee, "accept", offer).await;
    step(&caller, "finish", answer).await;

    caller.hears(&callee).await;
    callee.hears(&caller).await;
    caller.sees().await;
    callee.sees().await;
    caller.quiet(&[]).await;
    callee.quiet(&[]).await;
    tokio::join!(caller.quit(), callee.quit());
}

#[tokio::test]
async fn chromium_and_chromium_hear_each_other() {
    tones_cross(Kind::Chromium, Kind::Chromium).await;
}

#[tokio::test]
async fn chromium_and_firefox_hear_each_other() {
    tones_cross(Kind::Chromium, Kind::Firefox).await;
}

#[tokio::test]
async fn firefox_and_chromium_hear_each_other() {
    tones_cross(Kind::Firefox, Kind::Chromium).await;
}

#[tokio::test]
async fn errors_of_a_page_are_noticed() {
    let _turn = turn().await;
    let server = Scratch::start(&[
        ("/", "<!doctype html><script src=/bad.js></script>"),
        ("/bad.js", "nothing.here()"),
    ])
    .await;
    for kind in [Kind::Chromium, Kind::Firefox] {
        let page = Page::open(kind, &server.origin, 440.0).await;
        let problems = page.problems().await;
        assert!(
            problems
                .iter()
                .any(|problem| problem.contains("nothing is not defined")),
            "{problems:?}"
        );
        assert_eq!(
            page.run("return window.partylineTest.config.frequency", vec![])
                .await,
            json!(440)
        );
        page.quit().await;
    }
}
