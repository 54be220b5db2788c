//! The API of draft §9, as an ordinary node offers it.

use std::time::Duration;

use credential::{Instance, OverlayId};
use overlay::{
    GetError, OrdinaryEvent, PlaceError, Placement, Policy, Reading, Refused, SignedRecord, Writer,
};

use crate::world::{World, key};

const HOUR: u32 = 3_600;

fn world() -> World {
    World::with_super_nodes(21, 6)
}

#[test]
fn r005_r006_bytes_of_any_application_come_back_as_they_were_placed() {
    let mut world = world();
    let alice = world.user("alice", &[0, 1]);
    let bob = world.user("bob", &[2, 3]);
    let body: Vec<u8> = (0..16 * 1024).map(|at| (at * 7 % 256) as u8).collect();
    world.update(alice, key("chess game|17"), &body).unwrap();
    assert_eq!(world.bodies(bob, key("chess game|17")), Ok(vec![body]));
    world.update(alice, key("nothing"), b"").unwrap();
    assert_eq!(world.bodies(bob, key("nothing")), Ok(vec![Vec::new()]));
}

#[test]
fn r024_get_returns_all_records_or_those_of_one_owner() {
    let mut world = world();
    let alice = world.user("alice", &[0, 1]);
    let bob = world.user("bob", &[2, 3]);
    world.update(alice, key("shared"), b"from alice").unwrap();
    world.update(bob, key("shared"), b"from bob").unwrap();
    let both = vec![b"from alice".to_vec(), b"from bob".to_vec()];
    assert_eq!(world.bodies(bob, key("shared")), Ok(both));
    let overlay = world.overlay();
    let query = world.with_on(bob, |on, now| {
        let owner = Some("sip:alice@example.org");
        on.get(overlay, key("shared"), owner, Reading::Quick, now)
    });
    let records = world.got(bob, query).unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].body, b"from alice");
}

#[test]
fn r025_r026_add_stands_beside_and_never_changes() {
    let mut world = world();
    let alice = world.user("alice", &[0, 1]);
    let bob = world.user("bob", &[2, 3]);
    let lasting = Placement::lasting(HOUR);
    world.add(alice, key("k"), b"first", lasting).unwrap();
    let before = world.get(bob, key("k")).unwrap();
    assert_eq!(
        world.add(alice, key("k"), b"second", lasting),
        Err(PlaceError::Refused(Refused::Exists))
    );
    world.add(bob, key("k"), b"beside", lasting).unwrap();
    let after = world.get(bob, key("k")).unwrap();
    assert_eq!(after.len(), 2);
    assert!(after.contains(&before[0]), "byte for byte");
}

#[test]
fn r027_r030_r032_a_record_without_update_can_be_neither_updated_nor_removed() {
    let mut world = world();
    let alice = world.user("alice", &[0, 1]);
    let fixed = Placement {
        no_update: true,
        ..Placement::lasting(HOUR)
    };
    world.add(alice, key("k"), b"fixed", fixed).unwrap();
    let not_updatable = Err(PlaceError::Refused(Refused::NotUpdatable));
    assert_eq!(world.update(alice, key("k"), b"new"), not_updatable);
    assert_eq!(world.remove(alice, key("k"), None), not_updatable);
    let instance = Some(Instance([1; 16]));
    assert_eq!(world.remove(alice, key("k"), instance), not_updatable);
    assert_eq!(world.bodies(alice, key("k")), Ok(vec![b"fixed".to_vec()]));
}

#[test]
fn r028_update_creates_and_replaces() {
    let mut world = world();
    let alice = world.user("alice", &[0, 1]);
    let mut last = 0;
    for round in 0..4_u8 {
        let sequence = world.update(alice, key("k"), &[round]).unwrap();
        assert!(sequence > last, "strictly rising");
        last = sequence;
        assert_eq!(world.bodies(alice, key("k")), Ok(vec![vec![round]]));
    }
}

#[test]
fn r028_updates_of_one_millisecond_rise_too() {
    let mut world = world();
    let alice = world.user("alice", &[0, 1]);
    let overlay = world.overlay();
    let queries: Vec<_> = (0..3_u8)
        .map(|round| {
            world.with_on(alice, |on, now| {
                let body = vec![round];
                on.update(overlay, key("k"), body, Placement::lasting(HOUR), now)
            })
        })
        .collect();
    // The replicas take them in any order; the last one wins.
    for query in queries {
        let _ = world.placed(alice, query);
    }
    assert_eq!(world.bodies(alice, key("k")), Ok(vec![vec![2]]));
}

#[test]
fn r031_remove_takes_only_ones_own_records() {
    let mut world = world();
    let alice = world.user("alice", &[0, 1]);
    let laptop = world.authority.user("sip:alice@example.org", 77);
    let laptop = world.add_ordinary(laptop, &[3, 4]);
    assert!(world.associated(laptop, 2));
    let bob = world.user("bob", &[2, 3]);
    for (who, body) in [(alice, b"phone "), (laptop, b"laptop"), (bob, b"of bob")] {
        world.update(who, key("k"), body).unwrap();
    }
    world
        .remove(alice, key("k"), Some(Instance([1; 16])))
        .unwrap();
    let left = vec![b"laptop".to_vec(), b"of bob".to_vec()];
    assert_eq!(world.bodies(bob, key("k")), Ok(left));
    world.remove(alice, key("k"), None).unwrap();
    assert_eq!(world.bodies(bob, key("k")), Ok(vec![b"of bob".to_vec()]));
    let nothing = Err(PlaceError::Refused(Refused::NotFound));
    assert_eq!(world.remove(alice, key("k"), None), nothing);
    assert_eq!(world.remove(alice, key("never"), None), nothing);
    world.remove(bob, key("k"), None).unwrap();
    assert_eq!(world.get(alice, key("k")), Err(GetError::Gone));
    world.update(alice, key("k"), b"back").unwrap();
    assert_eq!(world.bodies(bob, key("k")), Ok(vec![b"back".to_vec()]));
}

#[test]
fn r033_another_overlay_is_an_error() {
    let mut world = world();
    let alice = world.user("alice", &[0, 1]);
    let other = OverlayId([9; 16]);
    let place = |world: &mut World, which: u8| {
        let query = world.with_on(alice, |on, now| {
            let (k, lasting) = (key("k"), Placement::lasting(HOUR));
            match which {
                0 => on.add(other, k, Vec::new(), lasting, now),
                1 => on.update(other, k, Vec::new(), lasting, now),
                _ => on.remove(other, k, None, now),
            }
        });
        world.placed(alice, query)
    };
    for which in 0..3 {
        let refused = place(&mut world, which);
        assert_eq!(refused, Err(PlaceError::NotAMember(other)));
    }
    let query = world.with_on(alice, |on, now| {
        on.get(other, key("k"), None, Reading::Quick, now)
    });
    assert_eq!(world.got(alice, query), Err(GetError::NotAMember(other)));
}

#[test]
fn r034_the_owners_policy_is_enforced() {
    let mut world = world();
    let phone = world.user("alice", &[0, 1]);
    let laptop = world.authority.user("sip:alice@example.org", 77);
    let laptop = world.add_ordinary(laptop, &[3, 4]);
    assert!(world.associated(laptop, 2));
    let with = |update, remove| Placement {
        policy: Policy { update, remove },
        ..Placement::lasting(HOUR)
    };
    let forbidden = Err(PlaceError::Refused(Refused::Policy));

    let sealed = with(Writer::Nobody, Writer::Nobody);
    world.add(phone, key("sealed"), b"1", sealed).unwrap();
    assert_eq!(world.update(phone, key("sealed"), b"2"), forbidden);
    assert_eq!(world.remove(phone, key("sealed"), None), forbidden);

    let private = with(Writer::Instance, Writer::Instance);
    world.add(phone, key("private"), b"1", private).unwrap();
    assert!(world.remove(laptop, key("private"), None).is_err());
    let one = Some(Instance([1; 16]));
    assert_eq!(world.remove(laptop, key("private"), one), forbidden);
    world.update(phone, key("private"), b"2").unwrap();

    let shared = with(Writer::Instance, Writer::Owner);
    world.add(phone, key("shared"), b"1", shared).unwrap();
    world.remove(laptop, key("shared"), one).unwrap();
    assert_eq!(world.get(phone, key("shared")), Err(GetError::Gone));
}

#[test]
fn r036_a_record_ends_everywhere_with_its_lifetime() {
    let mut world = world();
    let alice = world.user("alice", &[0, 1]);
    world
        .add(alice, key("k"), b"short", Placement::lasting(30))
        .unwrap();
    world.network.run_for(Duration::from_secs(28));
    assert_eq!(world.bodies(alice, key("k")), Ok(vec![b"short".to_vec()]));
    world.network.run_for(Duration::from_secs(2));
    assert_eq!(world.get(alice, key("k")), Err(GetError::NotFound));
    world.network.run_for(Duration::from_secs(30));
    let stored = world
        .super_nodes
        .iter()
        .map(|&node| world.sn(node).machine.stored());
    assert_eq!(stored.sum::<usize>(), 0, "replicas have dropped it, too");
    assert!(world.complaints(alice).is_empty());
}

#[test]
fn what_is_too_large_or_too_long_is_refused_at_once() {
    let mut world = world();
    let alice = world.user("alice", &[0, 1]);
    let body = vec![0; 16 * 1024 + 1];
    assert_eq!(
        world.update(alice, key("k"), &body),
        Err(PlaceError::TooLarge)
    );
    for lifetime in [0, 24 * HOUR + 1, u32::MAX] {
        let placement = Placement::lasting(lifetime);
        let refused = world.add(alice, key("k"), b"", placement);
        assert_eq!(refused, Err(PlaceError::Lifetime));
    }
}

#[test]
fn r011_calls_wait_for_an_association_and_end_without_one() {
    let mut world = World::new(22);
    let alice = world.authority.user("sip:alice@example.org", 1);
    let alice = world.add_ordinary(alice, &[0]);
    let overlay = world.overlay();
    let query = world.with_on(alice, |on, now| {
        on.get(overlay, key("k"), None, Reading::Quick, now)
    });
    let only = world.add_super_node();
    assert_eq!(world.got(alice, query), Err(GetError::NotFound));
    world.network.kill(only);
    world.network.run_for(Duration::from_secs(1));
    assert_eq!(world.get(alice, key("k")), Err(GetError::NoSuperNode));
    assert_eq!(
        world.update(alice, key("k"), b""),
        Err(PlaceError::NoSuperNode)
    );
}

#[test]
fn first_valid_answer_comes_at_once_and_the_newest_last() {
    let mut world = world();
    let alice = world.user("alice", &[0, 1]);
    let bob = world.user("bob", &[2, 3]);
    world.update(alice, key("k"), b"here").unwrap();
    let overlay = world.overlay();
    let before = world.on(bob).events.len();
    let query = world.with_on(bob, |on, now| {
        on.get(overlay, key("k"), None, Reading::Newest, now)
    });
    world.got(bob, query).unwrap();
    let told: Vec<(Vec<SignedRecord>, bool)> = world.on(bob).events[before..]
        .iter()
        .filter_map(|event| match event {
            OrdinaryEvent::Records { records, last, .. } => Some((records.clone(), *last)),
            _ => None,
        })
        .collect();
    assert!(told.len() >= 2, "{}", told.len());
    assert!(!told[0].1 && told[told.len() - 1].1);
}
