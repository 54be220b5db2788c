use turn::{Client, ConnectionId, Input, Method, Output, RelayId, StreamId, attribute};

use crate::stage::{Login, Stage, TCP, address};

const PEER: &str = "198.51.100.1:80";

fn allocated(stage: &mut Stage) -> (Client, Login, RelayId) {
    let client = stage.opened(1);
    let login = stage.ann(client);
    let request = stage
        .request(Method::ALLOCATE)
        .attribute(attribute::REQUESTED_TRANSPORT, TCP);
    let public = stage
        .ask_as(&login, client, request)
        .address(attribute::XOR_RELAYED_ADDRESS)
        .unwrap();
    (client, login, stage.relay(public))
}

fn connect(stage: &mut Stage, login: &Login, client: Client) -> Option<u16> {
    let request = stage
        .request(Method::CONNECT)
        .xor_address(attribute::XOR_PEER_ADDRESS, address(PEER));
    stage
        .ask(client, login.seal(request))
        .map(|answer| answer.code())
}

fn dialled(stage: &Stage) -> ConnectionId {
    let dial = stage.outputs.iter().find_map(|output| match output {
        Output::Dial {
            connection, peer, ..
        } if *peer == address(PEER) => Some(*connection),
        _ => None,
    });
    dial.unwrap()
}

fn bind(stage: &mut Stage, client: Client, name: (&str, &str), id: u32) -> u16 {
    let login = stage.login(client, name.0, name.1);
    let request = stage
        .request(Method::CONNECTION_BIND)
        .attribute(attribute::CONNECTION_ID, &id.to_be_bytes());
    stage.ask_as(&login, client, request).code()
}

const ANN: (&str, &str) = ("ann", "secret");

#[test]
fn a_connection_to_a_peer_is_opened_and_joined() {
    let mut stage = Stage::new();
    let (client, login, _) = allocated(&mut stage);
    assert_eq!(connect(&mut stage, &login, client), None);
    let connection = dialled(&stage);
    assert_eq!(connect(&mut stage, &login, client), Some(446));
    stage.feed(Input::Dialled { connection });
    let answer = stage.heard(client).unwrap();
    assert_eq!(
        answer.value(attribute::CONNECTION_ID).unwrap(),
        connection.0.to_be_bytes()
    );
    let data = stage.opened(2);
    assert_eq!(bind(&mut stage, data, ("bob", "sesame"), connection.0), 441);
    let login = stage.ann(data);
    let request = stage
        .request(Method::CONNECTION_BIND)
        .attribute(attribute::CONNECTION_ID, &connection.0.to_be_bytes());
    let mut bytes = login.seal(request);
    bytes.extend(b"GET /");
    assert_eq!(stage.ask(data, bytes).unwrap().code(), 0);
    let join = Output::Join {
        stream: StreamId(2),
        connection,
        bytes: b"GET /".to_vec(),
    };
    assert!(stage.outputs.contains(&join));
    let third = stage.opened(3);
    assert_eq!(bind(&mut stage, third, ANN, connection.0), 400);
    // A joined pair outlives any idle time, and ends with its allocation.
    stage.pass(300);
    stage.outputs.clear();
    let login = stage.ann(client);
    stage.outputs.clear();
    let request = stage
        .request(Method::REFRESH)
        .attribute(attribute::LIFETIME, &[0; 4]);
    stage.send(client, login.seal(request));
    assert!(stage.outputs.contains(&Output::HangUp { connection }));
}

#[test]
fn a_connection_that_does_not_come_is_said() {
    let mut stage = Stage::new();
    let (client, login, _) = allocated(&mut stage);
    assert_eq!(connect(&mut stage, &login, client), None);
    let connection = dialled(&stage);
    stage.feed(Input::DialFailed { connection });
    assert_eq!(stage.heard(client).unwrap().code(), 447);
    // Or by its time.
    assert_eq!(connect(&mut stage, &login, client), None);
    let connection = dialled(&stage);
    stage.pass(31);
    assert_eq!(stage.heard(client).unwrap().code(), 447);
    assert!(stage.outputs.contains(&Output::HangUp { connection }));
    // One that comes late is not kept.
    stage.outputs.clear();
    stage.feed(Input::Dialled { connection });
    assert_eq!(stage.outputs, [Output::HangUp { connection }]);
}

#[test]
fn a_peer_that_is_permitted_may_call_and_no_other() {
    let mut stage = Stage::new();
    let (client, login, relay) = allocated(&mut stage);
    stage.outputs.clear();
    stage.feed(Input::Knocked {
        relay,
        knock: 7,
        from: address(PEER),
    });
    assert_eq!(stage.outputs, [Output::Refuse { knock: 7 }]);
    assert_eq!(stage.permit(&login, client, PEER), 0);
    stage.feed(Input::Knocked {
        relay,
        knock: 8,
        from: address(PEER),
    });
    let Some(Output::Accept {
        knock: 8,
        connection,
    }) = stage.outputs.first().cloned()
    else {
        panic!("{:?}", stage.outputs);
    };
    let attempt = stage.heard(client).unwrap();
    assert_eq!(attempt.message().method(), Method::CONNECTION_ATTEMPT);
    assert_eq!(
        attempt.address(attribute::XOR_PEER_ADDRESS),
        Some(address(PEER))
    );
    assert_eq!(
        attempt.value(attribute::CONNECTION_ID).unwrap(),
        connection.0.to_be_bytes()
    );
    // Nobody takes it: it is closed.
    stage.outputs.clear();
    stage.pass(31);
    assert!(stage.outputs.contains(&Output::HangUp { connection }));
    let data = stage.opened(2);
    assert_eq!(bind(&mut stage, data, ANN, connection.0), 400);
}

#[test]
fn the_end_of_the_control_connection_ends_all() {
    let mut stage = Stage::new();
    let (client, login, relay) = allocated(&mut stage);
    assert_eq!(stage.permit(&login, client, PEER), 0);
    for knock in 0..70 {
        let from = format!("198.51.100.1:{}", 1_000 + knock);
        stage.feed(Input::Knocked {
            relay,
            knock,
            from: address(&from),
        });
    }
    let refused = stage
        .outputs
        .iter()
        .filter(|output| matches!(output, Output::Refuse { .. }))
        .count();
    assert_eq!(refused, 6);
    stage.feed(Input::Closed {
        stream: StreamId(1),
    });
    let hung_up = stage
        .outputs
        .iter()
        .filter(|output| matches!(output, Output::HangUp { .. }))
        .count();
    assert_eq!(
        (hung_up, stage.server.remembered(), stage.ports.taken()),
        (64, 0, 0)
    );
    stage.pass(31);
    assert_eq!(stage.server.remembered(), 0);
}
