use alloc::vec::Vec;

use super::*;

fn at(milliseconds: u64) -> Instant {
    Instant::new(Duration::from_millis(milliseconds))
}

/// Lets a machine run to its end and says what was due when, in milliseconds.
fn run(mut next: impl FnMut() -> Option<(Instant, Due)>) -> Vec<(u64, Due)> {
    let mut all = Vec::new();
    while let Some((when, due)) = next() {
        all.push((when.since_epoch().as_millis() as u64, due));
        if due != Due::Again {
            break;
        }
    }
    all
}

fn client(machine: &mut Client) -> Vec<(u64, Due)> {
    run(|| {
        let when = machine.poll_timeout()?;
        Some((when, machine.handle_timeout(when)?))
    })
}

fn server(machine: &mut Server) -> Vec<(u64, Due)> {
    run(|| {
        let when = machine.poll_timeout()?;
        Some((when, machine.handle_timeout(when)?))
    })
}

fn again(times: &[u64]) -> Vec<(u64, Due)> {
    times.iter().map(|time| (*time, Due::Again)).collect()
}

#[test]
fn r054_timer_a_doubles_until_timer_b() {
    let mut machine = Client::new(Kind::Invite, false, at(0));
    let mut expected = again(&[500, 1500, 3500, 7500, 15_500, 31_500]);
    expected.push((32_000, Due::TimedOut));
    assert_eq!(client(&mut machine), expected);
    let mut machine = Client::new(Kind::Invite, true, at(0));
    assert_eq!(client(&mut machine), [(32_000, Due::TimedOut)]);
}

#[test]
fn r054_timer_e_doubles_up_to_t2_until_timer_f() {
    let mut machine = Client::new(Kind::Other, false, at(0));
    let mut expected = again(&[
        500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500,
    ]);
    expected.push((32_000, Due::TimedOut));
    assert_eq!(client(&mut machine), expected);
    let mut machine = Client::new(Kind::Other, false, at(0));
    assert_eq!(machine.handle_timeout(at(500)), Some(Due::Again));
    assert!(machine.receive(100, at(600)).pass);
    assert_eq!(machine.handle_timeout(at(1500)), Some(Due::Again));
    assert_eq!(
        machine.poll_timeout(),
        Some(at(5500)),
        "in Proceeding the interval is T2"
    );
}

#[test]
fn r054_invite_client_waits_for_its_user_once_proceeding() {
    let mut machine = Client::new(Kind::Invite, false, at(0));
    assert_eq!(
        machine.receive(180, at(100)),
        Received {
            pass: true,
            acknowledge: false
        }
    );
    assert_eq!(machine.poll_timeout(), None);
    assert_eq!(
        machine.receive(486, at(9000)),
        Received {
            pass: true,
            acknowledge: true
        }
    );
    assert_eq!(
        machine.receive(486, at(9500)),
        Received {
            pass: false,
            acknowledge: true
        }
    );
    assert_eq!(
        machine.receive(200, at(9600)),
        Received {
            pass: false,
            acknowledge: false
        }
    );
    assert_eq!(client(&mut machine), [(41_000, Due::Over)], "timer D");
}

#[test]
fn r054_invite_client_passes_every_2xx_while_accepted() {
    let mut machine = Client::new(Kind::Invite, true, at(0));
    assert!(machine.receive(200, at(100)).pass);
    assert!(machine.receive(200, at(600)).pass);
    assert!(!machine.receive(180, at(700)).pass);
    assert_eq!(
        machine.receive(486, at(800)),
        Received {
            pass: false,
            acknowledge: false
        }
    );
    assert_eq!(client(&mut machine), [(32_100, Due::Over)], "timer M");
}

#[test]
fn r054_other_client_absorbs_repetitions() {
    let mut machine = Client::new(Kind::Other, false, at(0));
    assert!(machine.receive(200, at(100)).pass);
    assert!(!machine.receive(200, at(200)).pass);
    assert_eq!(client(&mut machine), [(5100, Due::Over)], "timer K");
    let mut machine = Client::new(Kind::Other, true, at(0));
    machine.receive(200, at(100));
    assert_eq!(client(&mut machine), [(100, Due::Over)]);
}

#[test]
fn r054_invite_server_repeats_a_refusal_until_acknowledged() {
    let mut machine = Server::new(Kind::Invite, false);
    assert!(machine.respond(180, at(0)));
    assert!(machine.receive_again());
    assert!(machine.respond(486, at(0)));
    assert!(!machine.respond(200, at(1)), "one final response only");
    let mut copy = machine.clone();
    let mut expected = again(&[
        500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500,
    ]);
    expected.push((32_000, Due::TimedOut));
    assert_eq!(server(&mut copy), expected, "timers G and H");
    assert!(machine.acknowledge(at(700)));
    assert!(machine.acknowledge(at(800)), "another copy of the ACK");
    assert!(!machine.receive_again());
    assert_eq!(server(&mut machine), [(5700, Due::Over)], "timer I");
}

#[test]
fn r054_invite_server_hands_acks_of_a_2xx_on() {
    let mut machine = Server::new(Kind::Invite, true);
    assert!(machine.respond(200, at(0)));
    assert!(machine.respond(200, at(500)));
    assert!(!machine.respond(486, at(600)));
    assert!(!machine.acknowledge(at(700)));
    assert!(!machine.receive_again(), "a copy of the INVITE is absorbed");
    assert_eq!(server(&mut machine), [(32_000, Due::Over)], "timer L");
}

#[test]
fn r054_other_server_keeps_its_answer_for_copies() {
    let mut machine = Server::new(Kind::Other, false);
    assert!(machine.receive_again());
    assert!(machine.respond(200, at(100)));
    assert!(machine.receive_again());
    assert!(!machine.respond(500, at(200)));
    assert_eq!(server(&mut machine), [(32_100, Due::Over)], "timer J");
    let mut machine = Server::new(Kind::Other, true);
    machine.respond(200, at(100));
    assert_eq!(server(&mut machine), [(100, Due::Over)]);
}
