//! What can be shown only where each of the two has a network of his own.

use super::user::User;
use super::world::World;
use super::{Nat, Place, call};

/// Nothing that a page sends tells where its user is once he hides, and nothing comes from there, neither when he calls nor
/// when he is called.
///
/// # Panics
/// When something does, or this process may not make network namespaces.
pub fn hides() {
    let (world, mut users) = begin();
    // What is looked for is there as long as he does not hide.
    assert_eq!(
        with_calls(&world, &mut users),
        Ok(("direct".into(), true, true))
    );
    users[0].hide().expect("the page offers it");
    assert_eq!(
        with_calls(&world, &mut users),
        Ok(("relayed".into(), false, false))
    );
}

/// Has each call the other. Tells by which path, whether the first one's addresses were in what his page sent, and whether
/// the other one's router saw packets from there.
fn with_calls(world: &World, users: &mut [User; 2]) -> Result<(String, bool, bool), String> {
    world.count();
    let mut paths = Vec::new();
    let mut sent = String::new();
    for turn in 0..2 {
        // The first one calls, then he is called.
        paths.push(call(users)?.path);
        sent += &users[turn].sent()?;
        users.swap(0, 1);
    }
    assert!(
        sent.contains("a=fingerprint") && sent.contains(" typ "),
        "{sent}"
    );
    assert_eq!(paths[0], paths[1]);
    let told = World::own_addresses(0)
        .iter()
        .any(|address| sent.contains(address));
    Ok((paths.remove(0), told, world.counted()))
}

fn begin() -> (World, [User; 2]) {
    let mut world = World::make();
    let users = [0, 1].map(|side| User::start(&world, side));
    world.set(Place::Apart([Nat::Restricted, Nat::Restricted]));
    (world, users)
}
