//! The table, and the page and plots of a full run.

use std::fmt::Write as _;
use std::time::Duration;

use super::others;
use super::plot::{Panel, Series, plot};
use super::scenario::Outcome;
use super::traffic::NAMES;

pub(super) const HEADER: &str = "\
| members | median session | mean hops | first try | success | p50 get() | p99 | maintenance | records | memory |
|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|";

pub(super) fn row(outcome: &Outcome) -> String {
    let scenario = outcome.scenario;
    let share = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
    format!(
        "| {} | {} h | {:.3} | {:.2} % | {:.3} % | {:.0} ms | {:.0} ms | {:.1} B/s | {:.0} B/s | {:.0} KB |",
        scenario.members,
        scenario.hours,
        share(outcome.hops, outcome.searches),
        100.0 * share(outcome.right, outcome.searches),
        100.0 * share(outcome.found, outcome.lookups),
        outcome.percentile(0.5),
        outcome.percentile(0.99),
        outcome.sent.maintenance as f64 / outcome.time,
        outcome.sent.records as f64 / outcome.time,
        outcome.memory / 1_000.0,
    )
}

/// What a run says beside the table.
pub(super) fn details(outcome: &Outcome, took: Duration) -> String {
    let mut text = format!(
        "  {} runs, {} lookups, {:.0} changes a run, {} signatures checked, {:.1} M events, wrong entries {:.0} ppm, {:.0} s\n ",
        outcome.runs,
        outcome.lookups,
        outcome.changes as f64 / outcome.runs as f64,
        outcome.signatures,
        outcome.events as f64 / 1e6,
        outcome.stale,
        took.as_secs_f64(),
    );
    for (name, bytes) in NAMES.iter().zip(outcome.sent.kinds) {
        let rate = bytes as f64 / outcome.time;
        if rate >= 0.05 {
            let _ = write!(text, " {name} {rate:.1}");
        }
    }
    text
}

const PAGE: &str = "docs/overlay-measured.md";

const INTRODUCTION: &str = "\
# The overlay, measured

`cargo xtask bench overlay --full` runs the super nodes' and ordinary nodes' own state machines in virtual time and
writes this page. Round trips between super nodes are log-normal like those of the King measurements (median 156 ms,
mean 178 ms), always the same for the same two; to an ordinary node they are 30 ms. Every 200th packet is lost. QUIC
handshakes take their round trip, nobody is told of a crash, and a message to the dead is noticed after 2.5 s. As many
members come as go; of those that go half crash and half take their leave. Sixteen super nodes have the lookups of
10,000 ordinary nodes each that call once an hour; their links stay open, up to 4,096.

*First try*: the first answer with the record came from one of the three replicas asked first, not handed on.
*Success*: the ordinary node had the record within 10 s. *Maintenance*: bytes a second sent by a super node to keep the
table, with UDP and IP headers, acknowledgements and handshakes; what searches and records cost stands apart, and is
the lookups' share mostly. *Memory*: of the process, divided by the super nodes; they share what they know of each
member, so a table has 8 own bytes an entry.

";

/// Writes the page and its plots.
pub(super) fn write(outcomes: &[Outcome]) -> anyhow::Result<()> {
    let mut page = String::from(INTRODUCTION);
    let _ = writeln!(page, "{HEADER}");
    for outcome in outcomes {
        let _ = writeln!(page, "{}", row(outcome));
    }
    let mut sizes: Vec<usize> = outcomes
        .iter()
        .map(|outcome| outcome.scenario.members)
        .collect();
    sizes.dedup();
    let _ = writeln!(
        page,
        "\n## Beside Chord and Kademlia\n\nArithmetic on the same latencies, in `bench/src/overlay/others.rs`: a recursive \
         Chord lookup takes ½ log2 N + 1\nsingle trips over tables that are never wrong; an iterative Kademlia lookup asks \
         three contacts a round and waits a\nsecond for those that have gone.\n\n{}",
        others::table(&sizes)
    );
    for (name, panels) in plots(outcomes) {
        std::fs::write(format!("docs/overlay-{name}.svg"), plot(&panels))?;
        let _ = writeln!(page, "![{name}](overlay-{name}.svg)\n");
    }
    std::fs::write(PAGE, page.trim_end().to_owned() + "\n")?;
    Ok(())
}

type Reading = fn(&Outcome) -> f64;

/// One line for each session time over the members, and one for each size over the session time.
fn lines(outcomes: &[Outcome], name: &str, value: Reading, across_members: bool) -> Vec<Series> {
    let mut series: Vec<(u64, Series)> = Vec::new();
    for outcome in outcomes {
        let (members, hours) = (outcome.scenario.members as f64, outcome.scenario.hours);
        let (group, label, across) = if across_members {
            ((hours * 10.0) as u64, format!("{name}{hours} h"), members)
        } else {
            (members as u64, format!("{name}{members} members"), hours)
        };
        let point = (across, value(outcome));
        match series.iter_mut().find(|(known, _)| *known == group) {
            Some((_, series)) => series.points.push(point),
            None => series.push((
                group,
                Series {
                    name: label,
                    points: vec![point],
                },
            )),
        }
    }
    series.into_iter().map(|(_, series)| series).collect()
}

fn plots(outcomes: &[Outcome]) -> Vec<(&'static str, [Panel; 2])> {
    let panel = |title, across_members, series, bounds, logarithmic| Panel {
        title,
        across: if across_members {
            "members"
        } else {
            "median session, hours"
        },
        series,
        logarithmic,
        bounds,
    };
    let long: Vec<Outcome> = outcomes
        .iter()
        .filter(|outcome| outcome.scenario.hours > 20.0)
        .cloned()
        .collect();
    let mut latency = lines(&long, "p50, ", |outcome| outcome.percentile(0.5), true);
    latency.extend(lines(
        &long,
        "p99, ",
        |outcome| outcome.percentile(0.99),
        true,
    ));
    let sizes = || long.iter().map(|outcome| outcome.scenario.members);
    latency.push(Series {
        name: "Chord p50".into(),
        points: sizes()
            .map(|members| (members as f64, others::chord(members).0))
            .collect(),
    });
    latency.push(Series {
        name: "Kademlia p50, 24 h".into(),
        points: sizes()
            .map(|members| (members as f64, others::kademlia(members, 24.0).0))
            .collect(),
    });
    let success = |outcome: &Outcome| 100.0 * outcome.found as f64 / outcome.lookups.max(1) as f64;
    let bandwidth = |outcome: &Outcome| outcome.sent.maintenance as f64 / outcome.time;
    let slow = |outcome: &Outcome| outcome.percentile(0.99);
    let all = Some((99.9, 100.0));
    vec![
        (
            "latency",
            [
                panel("get() at the ordinary node, ms", true, latency, None, false),
                panel(
                    "p99 of get(), ms",
                    false,
                    lines(outcomes, "", slow, false),
                    None,
                    false,
                ),
            ],
        ),
        (
            "success",
            [
                panel(
                    "lookups that succeed, %",
                    true,
                    lines(outcomes, "", success, true),
                    all,
                    false,
                ),
                panel(
                    "lookups that succeed, %",
                    false,
                    lines(outcomes, "", success, false),
                    all,
                    false,
                ),
            ],
        ),
        (
            "bandwidth",
            [
                panel(
                    "maintenance, bytes/s sent",
                    true,
                    lines(outcomes, "", bandwidth, true),
                    None,
                    true,
                ),
                panel(
                    "maintenance, bytes/s sent",
                    false,
                    lines(outcomes, "", bandwidth, false),
                    None,
                    true,
                ),
            ],
        ),
    ]
}
