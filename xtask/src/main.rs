//! The project's own commands: build the page, start a network on this machine, run every check, measure.
//!
//! It keeps few dependencies, because a newcomer waits for them before anything else happens.

mod bench;
mod fuzz;
mod run;
mod shell;
mod test;
mod tools;
mod web;
mod workspace;

use std::process::ExitCode;
use web::module::Purpose;

const USAGE: &str = "\
usage: cargo xtask <command>

  run [--super-nodes N] [--http ADDRESS:PORT] [--domain NAME]
                    build everything, start N super nodes (3) with a login and a bootstrap
                    server on this machine, print where to open the page; Ctrl-C ends it
  web [--debug]     build the page and the browser node into web/dist; with --debug, a defect
                    of the node says on the console where it is
  test [PART..]     run every check, or only the named parts:
                    fmt layers web clippy build unit browser
  fuzz [TARGET..] [--seconds N]
                    throw spoilt bytes at every parser, or at the named ones, N seconds (60)
                    each, under libFuzzer; needs a C++ compiler
  bench sip [--rounds N] [--rate N] [--calls N]
                    registrations and calls at our SIP server and at Kamailio on this machine, by
                    SIPp: the processor time of each; N rounds (3), calls a second (250), calls (5,000)
  bench size        how large the page's code is, beside JsSIP, and what each crate costs
  bench overlay [--full] [--members N] [--hours H] [--seeds N] [--minutes N]
                    the overlay in virtual time: hops, latency, success, bandwidth; --full takes
                    long and writes docs/overlay-measured.md
  bench faults [crash] [split] [restart] [--ordinary N]
                    real super nodes killed, split in halves and overrun, in full; splitting takes root
  bench associations [N]
                    what N (10,000) idle associations cost a super node in memory
  bench call [-n N] [--trace]
                    how long a caller waits, beside JsSIP with Kamailio on this machine;
                    --trace shows step by step where the time goes
  bench nat [--write] [NAME]
                    calls between two Chromiums behind every kind of NAT, in network
                    namespaces; --write writes docs/nat.md
  bench turn [few] [calls] [many] [saturated] [bulk] [--rounds N] [--seconds N]
                    what relaying a packet costs, beside coturn on this machine
  bench overlay-live [-n N]
                    what storing and finding a record costs among 30 real super nodes, beside
                    libp2p's Kademlia and OpenDHT on this machine; N rounds (5) of 300 each
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["run", rest @ ..] => run::run(rest),
        ["web"] => web::build(Purpose::Serving).map(|_| ()),
        ["web", "--debug"] => web::build(Purpose::Debugging).map(|_| ()),
        ["test", parts @ ..] => test::run(parts),
        ["fuzz", rest @ ..] => fuzz::run(rest),
        ["bench", "sip", arguments @ ..] => bench::sip(arguments),
        ["bench", "size"] => bench::size(),
        ["bench", "overlay", rest @ ..] => bench::overlay(rest),
        ["bench", "faults", rest @ ..] => bench::faults(rest),
        ["bench", "associations", rest @ ..] => bench::associations(rest),
        ["bench", "turn", rest @ ..] => bench::turn(rest),
        ["bench", "nat", rest @ ..] => bench::nat(rest),
        ["bench", "call", rest @ ..] => bench::call(rest),
        ["bench", "overlay-live", rest @ ..] => bench::overlay_live(rest),
        ["help" | "--help" | "-h"] | [] => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        [other, ..] => {
            eprintln!("cargo xtask has no command '{other}'\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}
