//! Calls between two browsers behind routers of every kind, in network namespaces.
//!
//! ```text
//! Chromium 198.51.100.2   ── home ── router 203.0.113.10 ─┐
//!                                                         ├─ 203.0.113.1: super node with STUN and TURN
//! Chromium 198.51.100.130 ── home ── router 203.0.113.20 ─┘
//! ```
//!
//! The page comes from `127.0.0.1` in each browser's namespace, since browsers give a microphone to no other address without
//! TLS; what is sent there goes to the super node. STUN, TURN and media use the addresses above.

mod trials;
mod user;
mod world;

use std::fmt::Write as _;

use crate::artefacts::workspace;
pub use trials::hides;
use user::User;
use world::World;

/// How a router treats UDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nat {
    /// It only forwards.
    Open,
    /// One outer port for one inner one, whoever it sends to, and whoever sends to it gets in.
    FullCone,
    /// One outer port for one inner one; only those get in who were sent something, from the port that it was sent to.
    Restricted,
    /// The same twice, one router behind the other.
    Double,
    /// Another random outer port for each peer.
    Symmetric,
    /// It lets no UDP out.
    NoUdp,
}

/// Where the two are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Each behind a router of his own.
    Apart([Nat; 2]),
    /// Behind one router that keeps them apart. `hairpin`: what one sends to the router's outer address reaches the other.
    OneRouter { hairpin: bool },
    /// Behind one router, in one network.
    OneNetwork,
}

impl Nat {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Open, "open"),
        (Self::FullCone, "full cone"),
        (Self::Restricted, "port-restricted"),
        (Self::Double, "double"),
        (Self::Symmetric, "symmetric"),
        (Self::NoUdp, "no UDP"),
    ];

    fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    /// Whether it takes no packet of somebody who sends from another port than was foreseen.
    fn is_narrow(self) -> bool {
        matches!(self, Self::Restricted | Self::Double | Self::Symmetric)
    }
}

impl Place {
    fn all() -> Vec<Self> {
        let kinds = Nat::ALL.map(|(kind, _)| kind);
        let pairs = kinds.map(|caller| kinds.map(|callee| Self::Apart([caller, callee])));
        let together = [
            Self::OneNetwork,
            Self::OneRouter { hairpin: true },
            Self::OneRouter { hairpin: false },
        ];
        pairs.into_iter().flatten().chain(together).collect()
    }

    fn names(self) -> [&'static str; 2] {
        match self {
            Self::Apart(kinds) => kinds.map(Nat::name),
            Self::OneNetwork => ["one network"; 2],
            Self::OneRouter { hairpin: true } => ["one router, hairpin"; 2],
            Self::OneRouter { hairpin: false } => ["one router, no hairpin"; 2],
        }
    }

    /// How a call goes in theory.
    fn theory(self) -> &'static str {
        let relayed = match self {
            Self::Apart(kinds) if kinds.contains(&Nat::NoUdp) => true,
            Self::Apart([one, other]) => {
                (one == Nat::Symmetric && other.is_narrow())
                    || (other == Nat::Symmetric && one.is_narrow())
            }
            Self::OneNetwork => false,
            Self::OneRouter { hairpin } => !hairpin,
        };
        if relayed { "relayed" } else { "direct" }
    }
}

/// What was seen of one call.
struct Cell {
    place: Place,
    seen: Result<Call, String>,
}

struct Call {
    path: String,
    /// Milliseconds from the press on *answer* until both pages have media.
    first: f64,
    /// Kinds of the two addresses, as the caller sees them.
    addresses: [String; 2],
}

/// What stands before the table in `docs/nat.md`.
const HEAD: &str = "# Calls behind NATs

Two Chromiums with the page, each in a network namespace behind a router of its own, and a super node with STUN and TURN in a third
one. The routers are Linux with nftables: *open* only forwards; *full cone* keeps one outer port and lets everybody in; *port-restricted*
keeps one outer port and lets in whoever was sent something, from where it was sent to; *double* is that twice, one router behind the other; *symmetric*
takes another random port for each peer; *no UDP* lets TCP out alone. In *one network* both are behind one router and see each other; *one router* keeps
them apart, and with *hairpin* brings back in what one of them sends to its outer address.

*First media* is the time from the press on *answer* until both pages are in the call. Then each side heard the tone that the other side
played, and its picture went on. The kinds of address are those that the caller's browser told: `host` is the machine's own, `srflx` what a STUN server saw,
`prflx` what the other side saw, `relay` that of a relay.

Written by `cargo xtask bench nat --write`.

";

/// Lets every kind call every kind, and gives the table; a word restricts it to pairs that have it in a name.
///
/// # Errors
/// The words of the command line mean nothing, or a call did not connect.
///
/// # Panics
/// When this process may not make network namespaces, or the super node does not start.
pub fn run(words: &[String]) -> Result<String, String> {
    let (flags, words): (Vec<&String>, Vec<&String>) =
        words.iter().partition(|word| word.starts_with('-'));
    if flags.iter().any(|flag| *flag != "--write") {
        return Err("usage: nat_bench [--write] [NAME]".to_owned());
    }
    let wanted = |place: &Place| {
        let named = |word: &&String| place.names().contains(&word.as_str());
        words.is_empty() || words.iter().any(named)
    };
    let places: Vec<Place> = Place::all().into_iter().filter(wanted).collect();
    let cells = cells(&places);
    let table = table(&cells);
    if !flags.is_empty() {
        let page = workspace().join("docs/nat.md");
        std::fs::write(page, format!("{HEAD}{table}")).map_err(|error| error.to_string())?;
    }
    Ok(table)
}

/// Tries a direct call, one that has to be relayed, and one by TCP.
///
/// # Panics
/// When one does not go as theory says, or this process may not make network namespaces.
pub fn check() {
    let places = [
        Place::Apart([Nat::Restricted, Nat::Restricted]),
        Place::Apart([Nat::Symmetric, Nat::Restricted]),
        Place::Apart([Nat::FullCone, Nat::NoUdp]),
    ];
    for cell in cells(&places) {
        let path = cell.seen.as_ref().map(|call| call.path.as_str());
        assert_eq!(path, Ok(cell.place.theory()), "{}", cell.row());
    }
}

fn cells(places: &[Place]) -> Vec<Cell> {
    let mut world = World::make();
    let mut users = [0, 1].map(|side| User::start(&world, side));
    let mut cells = Vec::new();
    for &place in places {
        world.set(place);
        let seen = call(&mut users);
        let cell = Cell { place, seen };
        eprintln!("{}", cell.row());
        cells.push(cell);
    }
    cells
}

fn call(users: &mut [User; 2]) -> Result<Call, String> {
    let mut names = Vec::new();
    for user in users.iter_mut() {
        names.push(user.renew()?);
    }
    let [caller, callee] = users;
    caller.dial(&names[1])?;
    let pressed = callee.answer()?;
    let in_call = [caller.in_call()?, callee.in_call()?];
    caller.hears(callee.frequency)?;
    callee.hears(caller.frequency)?;
    caller.sees()?;
    callee.sees()?;
    let path = caller.path()?;
    let addresses = caller.addresses()?;
    caller.hang_up()?;
    Ok(Call {
        path,
        first: in_call[0].max(in_call[1]) - pressed,
        addresses,
    })
}

impl Cell {
    fn row(&self) -> String {
        let [one, other] = self.place.names();
        let theory = self.place.theory();
        match &self.seen {
            Ok(call) => {
                let [local, remote] = &call.addresses;
                format!(
                    "| {one} | {other} | {theory} | {} | {:.0} ms | {local}, {remote} |",
                    call.path, call.first
                )
            }
            Err(what) => format!("| {one} | {other} | {theory} | **failed**: {what} | | |"),
        }
    }
}

fn table(cells: &[Cell]) -> String {
    let calls: Vec<(&Cell, &Call)> = cells
        .iter()
        .filter_map(|cell| Some((cell, cell.seen.as_ref().ok()?)))
        .collect();
    let expected = calls
        .iter()
        .filter(|(cell, call)| call.path == cell.place.theory())
        .count();
    let mut text = String::from(
        "| caller | callee | theory | seen | first media | addresses of the caller and of the callee |\n|---|---|---|---|---|---|\n",
    );
    for cell in cells {
        let _ = writeln!(text, "{}", cell.row());
    }
    let _ = writeln!(
        text,
        "\n{} of {} calls connected, with sound and picture both ways; {expected} as theory allows.",
        calls.len(),
        cells.len()
    );
    for path in ["direct", "relayed"] {
        let of_path = calls.iter().filter(|(_, call)| call.path == path);
        let mut times: Vec<f64> = of_path.map(|(_, call)| call.first).collect();
        times.sort_by(f64::total_cmp);
        if let (Some(middle), Some(last)) = (times.get(times.len() / 2), times.last()) {
            let _ = writeln!(
                text,
                "First media of the {} {path} calls: median {middle:.0} ms, at most {last:.0} ms.",
                times.len()
            );
        }
    }
    text
}
