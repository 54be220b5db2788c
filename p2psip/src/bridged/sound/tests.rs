use super::*;

/// As Chromium offers.
const PAGE: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n\
    m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n\
    a=ice-ufrag:abcd\r\na=ice-pwd:aaaaaaaaaaaaaaaaaaaaaaaa\r\na=fingerprint:sha-256 AA:BB\r\na=setup:actpass\r\na=mid:0\r\n\
    a=sendrecv\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:63 red/48000/2\r\n\
    a=rtpmap:9 G722/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:13 CN/8000\r\n\
    a=rtpmap:110 telephone-event/48000\r\na=rtpmap:126 telephone-event/8000\r\n\
    m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=rtpmap:96 VP8/90000\r\na=recvonly\r\n";
/// As a desk phone answers, with numbers of its own.
const PHONE: &str = "v=0\r\no=- 7 7 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 101\r\n\
    a=rtpmap:101 telephone-event/8000/1\r\na=fmtp:101 0-15\r\na=ptime:20\r\n";

fn ice() -> Ice {
    Ice {
        place: "198.51.100.1:7000".parse().unwrap(),
        ufrag: "uf".into(),
        password: "pw".into(),
        fingerprint: alloc::format!("sha-256 {}00", "00:".repeat(31)),
    }
}

fn numbers(sound: &Sound) -> Vec<u8> {
    sound.codecs.iter().map(|codec| codec.number).collect()
}

#[test]
fn only_what_a_bridge_passes_on_is_offered_to_a_phone() {
    let page = Sound::read(PAGE).unwrap();
    assert_eq!(numbers(&page), [111, 9, 0, 8, 110, 126]);
    let offer = for_phone(
        &page,
        "198.51.100.1:6000".parse().unwrap(),
        Direction::Both,
        5,
        1,
    );
    assert!(
        offer.contains("m=audio 6000 RTP/AVP 111 9 0 8 110 126\r\n"),
        "{offer}"
    );
    assert!(offer.contains("c=IN IP4 198.51.100.1\r\n"), "{offer}");
    for foreign in ["ice", "fingerprint", "red", "video", "CN"] {
        assert!(!offer.contains(foreign), "{foreign} in {offer}");
    }
}

#[test]
fn a_page_is_answered_by_its_own_numbers_and_without_a_picture() {
    let (page, phone) = (Sound::read(PAGE).unwrap(), Sound::read(PHONE).unwrap());
    let common = page.common(&phone);
    assert_eq!(numbers(&common), [8, 126]);
    let answer = answer_for_page(&page, &common, &ice(), 5, 1);
    assert!(
        answer.contains("m=audio 7000 UDP/TLS/RTP/SAVPF 8 126\r\n"),
        "{answer}"
    );
    assert!(
        answer.contains("a=group:BUNDLE 0\r\n") && answer.contains("a=ice-lite\r\n"),
        "{answer}"
    );
    assert!(
        answer.contains("m=video 0 UDP/TLS/RTP/SAVPF 96\r\n") && answer.contains("a=mid:1\r\n"),
        "{answer}"
    );
    assert!(answer.contains("a=setup:passive\r\n"), "{answer}");
    let read = sip::sdp::Description::read(&answer).unwrap();
    assert_eq!(read.media().len(), 2);

    let (there, back) = (page.numbers(&phone), phone.numbers(&page));
    assert_eq!((there.turn(8), there.turn(126)), (Some(8), Some(101)));
    assert_eq!(
        (there.turn(111), there.turn(0)),
        (None, None),
        "the phone can't"
    );
    assert_eq!(
        (back.turn(8), back.turn(101), back.turn(0)),
        (Some(8), Some(126), None)
    );
}

#[test]
fn a_phone_offers_its_codecs_to_a_page() {
    let phone = Sound::read(PHONE).unwrap();
    assert_eq!(phone.place, Some("192.0.2.7:4000".parse().unwrap()));
    assert_eq!(phone.control, Some("192.0.2.7:4001".parse().unwrap()));
    let offer = offer_for_page(&phone, &ice(), 5);
    assert!(
        offer.contains("m=audio 7000 UDP/TLS/RTP/SAVPF 8 101\r\n"),
        "{offer}"
    );
    assert!(
        offer.contains("a=rtpmap:8 PCMA/8000\r\n") && offer.contains("a=setup:actpass\r\n"),
        "{offer}"
    );
    assert!(offer.contains("a=ptime:20\r\n"), "{offer}");
}

#[test]
fn a_page_that_has_no_candidate_yet_holds_nothing() {
    let page = Sound::read(PAGE).unwrap();
    assert_eq!(page.direction, Direction::Both);
    assert_eq!(page.place, None);
    let answer = answer_for_page(&page, &page, &ice(), 5, 1);
    assert!(answer.contains("a=sendrecv\r\n"), "{answer}");
}

#[test]
fn hold_is_read_in_both_its_forms() {
    let held = |more: &str| Sound::read(&PHONE.replace("a=ptime:20\r\n", more)).unwrap();
    let sendonly = held("a=sendonly\r\n");
    assert_eq!(sendonly.direction, Direction::SendOnly);
    assert!(!sendonly.direction.hears() && sendonly.place.is_some());
    assert_eq!(sendonly.direction.turned(), Direction::ReceiveOnly);
    let old = Sound::read(&PHONE.replace("c=IN IP4 192.0.2.7", "c=IN IP4 0.0.0.0")).unwrap();
    assert_eq!((old.direction, old.place), (Direction::SendOnly, None));
    assert_eq!(held("").direction, Direction::Both);
}

#[test]
fn what_is_no_description_of_sound_is_none() {
    for text in [
        "",
        "v=0\r\n",
        "m=audio\r\n",
        "m=audio x RTP/AVP 0\r\n",
        "v=0\r\nm=audio 0 RTP/AVP 0\r\n",
        "m=video 9 RTP/AVP 96\r\n",
    ] {
        assert!(Sound::read(text).is_none(), "{text}");
    }
    let events =
        Sound::read("v=0\r\nm=audio 9 RTP/AVP 101\r\na=rtpmap:101 telephone-event/8000\r\n")
            .unwrap();
    assert!(!events.has_voice(), "nobody talks by keys alone");
}

proptest::proptest! {
    #[test]
    fn whatever_comes_is_read_without_harm(text in "([a-z]=[ -~]{0,40}\r\n){0,30}") {
        if let Some(sound) = Sound::read(&text) {
            let _ = for_phone(&sound, ice().place, sound.direction, 1, 1);
            let answer = answer_for_page(&sound, &sound, &ice(), 1, 1);
            proptest::prop_assert!(answer.contains("m=audio 7000 "));
        }
    }
}
