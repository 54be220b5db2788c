use machine::{Machine, Rng};
use turn::{Client, Input, Method, StreamId, attribute};

use crate::stage::{Login, Stage, UDP, client};

struct User {
    client: Client,
    login: Login,
    refreshed: u64,
}

/// A day of users who come, talk, go, crash, and lose their connections.
#[test]
fn a32_r116_after_a_day_of_crashes_ports_memory_and_quotas_are_as_before() {
    let mut stage = Stage::with(|relay| relay.quota.allocations = 150);
    let mut rng = Rng::new([4; 32]);
    let mut users: Vec<User> = Vec::new();
    let (mut made, mut streams, mut most) = (0, 0, 0);
    let day = 24 * 3_600;
    let mut time = 0;
    while time < day {
        stage.pass(30);
        time += 30;
        for _ in 0..rng.below(4) {
            let by_stream = rng.below(3) == 0;
            streams += u64::from(by_stream);
            made += 1;
            let client = if by_stream {
                stage.opened(streams)
            } else {
                client(1_024 + (made % 60_000) as u16)
            };
            let (name, password) = if rng.below(2) == 0 {
                ("ann", "secret")
            } else {
                ("bob", "sesame")
            };
            let login = stage.login(client, name, password);
            let mut request = stage
                .request(Method::ALLOCATE)
                .attribute(attribute::REQUESTED_TRANSPORT, UDP);
            if rng.below(3) == 0 {
                request = request.attribute(attribute::EVEN_PORT, &[0x80, 0, 0, 0]);
            }
            if stage.ask_as(&login, client, request).code() == 0 {
                stage.permit(
                    &login,
                    client,
                    &format!("198.51.100.{}:1", rng.below(250) + 1),
                );
                stage.bind(&login, client, 0x4000, "198.51.100.251:1");
                users.push(User {
                    client,
                    login,
                    refreshed: time,
                });
            }
        }
        users.retain_mut(|user| match rng.below(100) {
            // It crashes: the server hears nothing, or that its connection is gone.
            0 | 1 => {
                if let Client::Stream(stream) = user.client {
                    stage.feed(Input::Closed { stream });
                }
                false
            }
            2 | 3 => {
                stage.refresh(&user.login, user.client, 0);
                false
            }
            _ => {
                let due = time - user.refreshed >= 480;
                if due {
                    let fresh = stage.refresh(&user.login, user.client, 600);
                    if fresh.code() == 438 {
                        user.login.nonce = fresh.value(attribute::NONCE).unwrap();
                        assert_eq!(stage.refresh(&user.login, user.client, 600).code(), 0);
                    }
                    user.refreshed = time;
                }
                true
            }
        });
        assert!(stage.server.allocations() >= users.len());
        most = most.max(stage.server.allocations());
    }
    assert!(made > 3_000 && most > 50, "{made} {most}");
    for user in users {
        if let Client::Stream(StreamId(_)) = user.client {
            stage.refresh(&user.login, user.client, 0);
        }
    }
    stage.pass(601);
    stage.pass(61);
    assert_eq!(
        (stage.server.allocations(), stage.server.remembered()),
        (0, 0)
    );
    assert_eq!((stage.sockets.len(), stage.ports.taken()), (0, 0));
    while let Some(due) = stage.server.poll_timeout() {
        stage.now = due;
        stage.server.handle_timeout(due);
    }
    assert_eq!(stage.server.poll_output(), None);
}
