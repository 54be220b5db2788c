//! The edge: who may send what, and where it goes.

use credential::{Instance, NodeId};
use sip::edge::{Action, Edge, Refusal, Source};
use sip::message::Name;
use sip::{FlowId, Message};

pub(crate) const INVITE: &str = concat!(
    "INVITE sip:bob@example.org;gr=urn:uuid:02020202-0202-0202-0202-020202020202 SIP/2.0\r\n",
    "Via: SIP/2.0/WSS a.invalid;branch=z9hG4bKfirst\r\n",
    "Route: <sip:0303030303030303030303030303030303030303.sn;lr>\r\n",
    "Max-Forwards: 70\r\n",
    "From: \"Alice\" <sip:alice@example.org>;tag=a1\r\n",
    "To: <sip:bob@example.org>\r\n",
    "Call-ID: call-1\r\n",
    "CSeq: 1 INVITE\r\n",
    "Content-Length: 0\r\n",
    "\r\n",
);

const ALICE: FlowId = FlowId(1);
const BOB: FlowId = FlowId(2);

fn node(number: u8) -> NodeId {
    NodeId([number; 20])
}

/// Super node 1 with alice.
fn edge_of_alice() -> Edge {
    let mut edge = Edge::new(node(1), [1; 16]);
    edge.flow_up(ALICE, "sip:alice@example.org", Instance([1; 16]), true);
    edge
}

/// Super node 3 with bob, and a user on flow 1.
pub(crate) fn edge_with_bob() -> Edge {
    let mut edge = Edge::new(node(3), [3; 16]);
    edge.flow_up(ALICE, "sip:alice@example.org", Instance([1; 16]), true);
    edge.flow_up(BOB, "sip:bob@example.org", Instance([2; 16]), false);
    edge
}

fn receive(edge: &mut Edge, source: Source, message: &str) -> (Result<(), Refusal>, Vec<Action>) {
    let mut actions = Vec::new();
    let result = edge.receive(source, message.as_bytes(), &mut actions);
    (result, actions)
}

fn text(action: &Action) -> String {
    let (Action::ToFlow { message, .. } | Action::ToSuperNode { message, .. }) = action;
    String::from_utf8(message.clone()).unwrap()
}

/// The status that went back on flow 1, for a request that was refused.
fn refused(edge: &mut Edge, source: Source, message: &str) -> (Refusal, Option<u16>) {
    let (result, actions) = receive(edge, source, message);
    let status = match &actions[..] {
        [] => None,
        [one] => Message::parse(text(one).into_bytes()).unwrap().status(),
        more => panic!("{more:?}"),
    };
    (result.unwrap_err(), status)
}

/// An INVITE on its way: what super node 1 sends to 3, and what that sends to bob.
fn through() -> (Edge, Edge, String, String) {
    let (mut one, mut three) = (edge_of_alice(), edge_with_bob());
    let (result, actions) = receive(&mut one, Source::Flow(ALICE), INVITE);
    assert_eq!(result, Ok(()));
    let [Action::ToSuperNode { node: to, .. }] = &actions[..] else {
        panic!("{actions:?}")
    };
    assert_eq!(*to, node(3));
    let between = text(&actions[0]);
    let (result, actions) = receive(&mut three, Source::SuperNode(node(1)), &between);
    assert_eq!(result, Ok(()));
    let [
        trying @ Action::ToSuperNode { node: back, .. },
        Action::ToFlow { flow, .. },
    ] = &actions[..]
    else {
        panic!("{actions:?}")
    };
    assert!(text(trying).starts_with("SIP/2.0 100 Trying\r\n"));
    assert_eq!((*back, *flow), (node(1), BOB));
    (one, three, between, text(&actions[1]))
}

fn response(request: &str, status: &str) -> String {
    let (_, rest) = request.split_once("\r\n").unwrap();
    let lines = rest
        .split_inclusive("\r\n")
        .filter(|line| !line.starts_with("Max-F"));
    format!("SIP/2.0 {status}\r\n{}", lines.collect::<String>())
}

#[test]
fn r054_request_goes_by_route_and_response_by_via() {
    let (mut one, mut three, between, arrived) = through();
    let message = Message::parse(arrived.clone().into_bytes()).unwrap();
    assert_eq!(message.list(Name::Via).count(), 3);
    assert_eq!(message.field(Name::Route), None, "its own Route popped");
    assert_eq!(message.field(Name::MaxForwards), Some("68"));
    assert!(between.contains("Route: <sip:0303"));

    let (result, actions) = receive(
        &mut three,
        Source::Flow(BOB),
        &response(&arrived, "180 Ringing"),
    );
    assert_eq!(result, Ok(()));
    let (result, actions) = receive(&mut one, Source::SuperNode(node(3)), &text(&actions[0]));
    assert_eq!(result, Ok(()));
    let [Action::ToFlow { flow: ALICE, .. }] = &actions[..] else {
        panic!("{actions:?}")
    };
    let back = Message::parse(text(&actions[0]).into_bytes()).unwrap();
    assert_eq!(
        back.list(Name::Via).collect::<Vec<_>>(),
        ["SIP/2.0/WSS a.invalid;branch=z9hG4bKfirst"]
    );
}

#[test]
fn r054_cancel_and_ack_of_a_refusal_have_the_branch_of_their_invite() {
    let (mut one, _, between, _) = through();
    for method in ["CANCEL", "ACK"] {
        let request = INVITE.replace("INVITE", method);
        let (_, actions) = receive(&mut one, Source::Flow(ALICE), &request);
        let via = |text: &str| {
            text.lines()
                .find(|line| line.starts_with("Via"))
                .unwrap()
                .to_string()
        };
        assert_eq!(via(&text(&actions[0])), via(&between));
    }
}

#[test]
fn a42_from_must_be_the_user_of_the_flow() {
    for from in [
        "sip:bob@example.org",
        "sip:alice@example.com",
        "sip:alicE@example.org",
        "sip:example.org",
        "tel:1",
        "sip:alice@example.org:5060",
    ] {
        for method in ["INVITE", "BYE", "MESSAGE"] {
            let request = INVITE
                .replace("sip:alice@example.org", from)
                .replace("INVITE", method);
            assert_eq!(
                refused(&mut edge_of_alice(), Source::Flow(ALICE), &request),
                (Refusal::ForeignFrom, Some(403)),
                "{from}"
            );
        }
    }
    let same = INVITE.replace("sip:alice@example.org", "sip:%61lice@EXAMPLE.org;x=1");
    assert_eq!(
        receive(&mut edge_of_alice(), Source::Flow(ALICE), &same).0,
        Ok(())
    );
}

#[test]
fn a45_loops_and_long_ways_end() {
    let (mut one, _, between, arrived) = through();
    let again = between.replace("Route: <sip:0303", "Route: <sip:0101");
    assert_eq!(
        refused(&mut one, Source::SuperNode(node(3)), &again),
        (Refusal::Loop, Some(482))
    );
    let spent = INVITE.replace("Max-Forwards: 70", "Max-Forwards: 0");
    assert_eq!(
        refused(&mut edge_of_alice(), Source::Flow(ALICE), &spent),
        (Refusal::TooManyHops, Some(483))
    );
    let none = INVITE.replace("Max-Forwards: 70\r\n", "");
    let (_, actions) = receive(&mut edge_of_alice(), Source::Flow(ALICE), &none);
    assert!(text(&actions[0]).contains("Max-Forwards: 69\r\n"));
    // Another super node's user can't have this one send to a third.
    let third = between.replace(
        "<sip:0303",
        "<sip:0303030303030303030303030303030303030303.sn;lr>, <sip:0505",
    );
    let third = third.replace("05050303", "05050505");
    assert_eq!(
        refused(&mut edge_with_bob(), Source::SuperNode(node(1)), &third).0,
        Refusal::NoRoute
    );
    drop(arrived);
}

#[test]
fn r054_refusals_name_what_is_wrong() {
    let mut edge = edge_with_bob();
    let alone = INVITE.replace(
        "Route: <sip:0303030303030303030303030303030303030303.sn;lr>\r\n",
        "",
    );
    assert_eq!(
        receive(&mut edge, Source::Flow(ALICE), &alone).0,
        Ok(()),
        "a user of the same super node"
    );
    let gone = alone.replace("uuid:0202", "uuid:0909");
    assert_eq!(
        refused(&mut edge, Source::Flow(ALICE), &gone),
        (Refusal::FlowFailed, Some(430))
    );
    let somebody = alone.replace(";gr=urn:uuid:02020202-0202-0202-0202-020202020202", "");
    assert_eq!(
        refused(&mut edge, Source::Flow(ALICE), &somebody),
        (Refusal::NoRoute, Some(404))
    );
    let foreign = INVITE.replace(
        "0303030303030303030303030303030303030303.sn",
        "proxy.example.com",
    );
    assert_eq!(
        refused(&mut edge, Source::Flow(ALICE), &foreign),
        (Refusal::NoRoute, Some(404))
    );
    let bad = INVITE.replace("Content-Length: 0", "Content-Length: 7");
    assert_eq!(
        refused(&mut edge, Source::Flow(ALICE), &bad),
        (Refusal::Malformed, Some(400))
    );
    let version = INVITE.replace("SIP/2.0\r\nVia", "SIP/4.0\r\nVia");
    assert_eq!(
        refused(&mut edge, Source::Flow(ALICE), &version),
        (Refusal::Malformed, Some(505))
    );
    assert_eq!(
        refused(&mut edge, Source::Flow(FlowId(9)), INVITE),
        (Refusal::UnknownFlow, None)
    );
    let (_, actions) = receive(&mut edge, Source::Flow(ALICE), &bad);
    assert!(text(&actions[0]).contains("\r\nWarning: 399 0303030303030303030303030303030303030303.sn \"Content-Length does not fit the body\"\r\n"));
    let ack = gone.replace("INVITE", "ACK");
    assert_eq!(
        refused(&mut edge, Source::Flow(ALICE), &ack),
        (Refusal::FlowFailed, None),
        "never an answer to an ACK"
    );
}

#[test]
fn r011_a_newer_flow_of_the_device_takes_over() {
    let mut edge = edge_with_bob();
    edge.flow_up(FlowId(7), "sip:bob@example.org", Instance([2; 16]), true);
    edge.flow_down(BOB);
    let (_, actions) = receive(&mut edge, Source::Flow(ALICE), INVITE);
    assert!(matches!(
        actions[..],
        [
            _,
            Action::ToFlow {
                flow: FlowId(7),
                ..
            }
        ]
    ));
    edge.flow_down(FlowId(7));
    assert_eq!(
        refused(&mut edge, Source::Flow(ALICE), INVITE),
        (Refusal::FlowFailed, Some(430))
    );
}

#[test]
fn r011_unreachable_super_node_answers_503() {
    let (mut one, _, between, _) = through();
    let mut actions = Vec::new();
    one.undeliverable(between.as_bytes(), &mut actions);
    let [Action::ToFlow { flow: ALICE, .. }] = &actions[..] else {
        panic!("{actions:?}")
    };
    let answer = Message::parse(text(&actions[0]).into_bytes()).unwrap();
    assert_eq!(
        (answer.status(), answer.list(Name::Via).count()),
        (Some(503), 1)
    );
    actions.clear();
    one.undeliverable(between.replace("INVITE", "ACK").as_bytes(), &mut actions);
    one.undeliverable(response(&between, "200 OK").as_bytes(), &mut actions);
    assert_eq!(actions, [], "no answer to an ACK or a response");
}

#[test]
fn r011_response_by_another_super_node_is_handed_to_the_one_in_its_via() {
    let (_, mut three, _, arrived) = through();
    let mut four = Edge::new(node(4), [4; 16]);
    four.flow_up(BOB, "sip:bob@example.org", Instance([2; 16]), true);
    let (result, actions) = receive(&mut four, Source::Flow(BOB), &response(&arrived, "200 OK"));
    assert_eq!(result, Ok(()));
    let [Action::ToSuperNode { node: to, .. }] = &actions[..] else {
        panic!("{actions:?}")
    };
    assert_eq!(*to, node(3));
    let handed = text(&actions[0]);
    assert_eq!(
        refused(&mut four, Source::SuperNode(node(1)), &handed),
        (Refusal::StrayResponse, None),
        "once"
    );
    let (result, actions) = receive(&mut three, Source::SuperNode(node(4)), &handed);
    assert_eq!(result, Ok(()));
    assert!(matches!(&actions[..], [Action::ToSuperNode { node: to, .. }] if *to == node(1)));
}

/// A response reaches a flow only with a token that this node wrote for this very request.
#[test]
fn a10_tokens_cannot_be_forged_moved_or_replayed() {
    let (_, mut three, _, arrived) = through();
    let good = response(&arrived, "200 OK");
    assert_eq!(receive(&mut three, Source::Flow(BOB), &good).0, Ok(()));
    for bad in [
        good.replace("Call-ID: call-1", "Call-ID: call-2"),
        good.replace("CSeq: 1 ", "CSeq: 2 "),
    ] {
        assert_eq!(
            refused(&mut three, Source::Flow(BOB), &bad),
            (Refusal::StrayResponse, None)
        );
    }
    let at = good.find("z9hG4bK").unwrap() + 7;
    let end = at + good[at..].find("\r\n").unwrap();
    for place in at..end {
        for letter in ["A", "b", "-"] {
            let mut bad = good.clone();
            if &bad[place..=place] == letter {
                continue;
            }
            bad.replace_range(place..=place, letter);
            assert_eq!(
                refused(&mut three, Source::Flow(BOB), &bad),
                (Refusal::StrayResponse, None),
                "{bad}"
            );
        }
    }
    let mut restarted = Edge::new(node(3), [4; 16]);
    restarted.flow_up(BOB, "sip:bob@example.org", Instance([2; 16]), true);
    assert_eq!(
        refused(&mut restarted, Source::Flow(BOB), &good),
        (Refusal::StrayResponse, None)
    );
}
