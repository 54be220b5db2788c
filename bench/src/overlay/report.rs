//! The table, and the page and plots of a full run.

use std::fmt::Write as _;
use std::time::Duration;

use super::others;
use super::plot::{Panel, Series, plot};
use super::scenario::Outcome;
use super::traffic::NAMES;

pub(super) const HEADER: &str = "\
| members | median session | mean hops | first try | success | p50 get() | p99 | maintenance | records | memory | measured |
|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|";

/// A line of the table, as it is printed and as it is read back from the page.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    members: usize,
    hours: f64,
    /// Mean hops, per cent right at first, per cent found, two percentiles in ms, two rates in B/s, KB.
    values: [f64; 8],
    measured: String,
}

const PLACES: [(usize, &str); 8] = [
    (3, ""),
    (2, " %"),
    (3, " %"),
    (0, " ms"),
    (0, " ms"),
    (1, " B/s"),
    (0, " B/s"),
    (0, " KB"),
];
const SUCCESS: usize = 2;
const MEDIAN: usize = 3;
const LATE: usize = 4;
const MAINTENANCE: usize = 5;

impl Row {
    pub(super) fn of(outcome: &Outcome) -> Self {
        let share = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
        let runs = outcome.runs;
        Self {
            members: outcome.scenario.members,
            hours: outcome.scenario.hours,
            values: [
                share(outcome.hops, outcome.searches),
                100.0 * share(outcome.right, outcome.searches),
                100.0 * share(outcome.found, outcome.lookups),
                outcome.percentile(0.5),
                outcome.percentile(0.99),
                outcome.sent.maintenance as f64 / outcome.time,
                outcome.sent.records as f64 / outcome.time,
                outcome.memory / 1_000.0,
            ],
            measured: format!("{runs} x {} min", outcome.scenario.minutes),
        }
    }

    /// Reads a printed line.
    pub(super) fn read(line: &str) -> Option<Self> {
        let mut fields = line.trim().trim_matches('|').split('|').map(str::trim);
        let members = fields.next()?.parse().ok()?;
        let hours = fields.next()?.strip_suffix(" h")?.parse().ok()?;
        let mut values = [0.0; PLACES.len()];
        for (value, (_, unit)) in values.iter_mut().zip(PLACES) {
            *value = fields.next()?.strip_suffix(unit)?.parse().ok()?;
        }
        let measured = fields.next()?.into();
        Some(Self {
            members,
            hours,
            values,
            measured,
        })
    }

    fn is_of(&self, other: &Self) -> bool {
        (self.members, self.hours.to_bits()) == (other.members, other.hours.to_bits())
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "| {} | {} h |", self.members, self.hours)?;
        for (value, (places, unit)) in self.values.iter().zip(PLACES) {
            write!(f, " {value:.places$}{unit} |")?;
        }
        write!(f, " {} |", self.measured)
    }
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
    let sent = &outcome.sent;
    for (kind, name) in NAMES.iter().enumerate() {
        let rate = |count: u64| count as f64 / outcome.time;
        let (bytes, body) = (rate(sent.kinds[kind]), rate(sent.bodies[kind]));
        if bytes >= 0.05 {
            let _ = write!(text, " {name} {bytes:.1}");
            if body > 0.0 {
                let each = rate(sent.messages[kind]);
                let _ = write!(text, " (bodies {body:.1}, {each:.3}/s)");
            }
        }
    }
    text
}

const PAGE: &str = "docs/overlay-measured.md";

const INTRODUCTION: &str = "\
# The overlay, measured

`cargo xtask bench overlay --write` runs the super nodes' and ordinary nodes' own state machines in virtual time and
writes its rows and plots into this page. `--members N`, `--hours H`, `--seeds N` and `--minutes N` choose one row, `--full`
all sizes and session times. A row stays until it is measured again; what is not in the table has not been measured.

Round trips between super nodes are log-normal like those of the King measurements (median 156 ms, mean 178 ms), always
the same for the same two; to an ordinary node they are 30 ms. Every 200th packet is lost. QUIC handshakes take their
round trip, nobody is told of a crash, and a message to the dead is noticed after 2.5 s. As many members come as go; of
those that go half crash and half take their leave. Sixteen super nodes have the lookups of 10,000 ordinary nodes each
that call once an hour; their links stay open, up to 4,096.

*First try*: the first answer with the record came from one of the replicas asked first (three, or all five if fewer than
two of them have a link), not handed on.
*Success*: the ordinary node had the record within 10 s. *Maintenance*: bytes a second sent by a super node to keep the
table, with UDP and IP headers, acknowledgements and handshakes; what searches and records cost stands apart, and is
the lookups' share mostly. *Memory*: of the process, divided by the super nodes; they share what they know of each
member, so a table has 8 own bytes an entry.

";

/// Writes the page and its plots: the new rows, and those of earlier runs that they don't replace.
pub(super) fn write(new: &[Row]) -> anyhow::Result<()> {
    let earlier = std::fs::read_to_string(PAGE).unwrap_or_default();
    let mut rows: Vec<Row> = earlier.lines().filter_map(Row::read).collect();
    rows.retain(|row| !new.iter().any(|new| new.is_of(row)));
    rows.extend_from_slice(new);
    rows.sort_by(|one, other| {
        let members = one.members.cmp(&other.members);
        members.then(other.hours.total_cmp(&one.hours))
    });
    let mut page = String::from(INTRODUCTION);
    let _ = writeln!(page, "{HEADER}");
    for row in &rows {
        let _ = writeln!(page, "{row}");
    }
    let mut sizes: Vec<usize> = rows.iter().map(|row| row.members).collect();
    sizes.dedup();
    let _ = writeln!(page, "{BESIDE}{}", others::table(&sizes));
    for (name, panels) in plots(&rows) {
        std::fs::write(format!("docs/overlay-{name}.svg"), plot(&panels))?;
        let _ = writeln!(page, "![{name}](overlay-{name}.svg)\n");
    }
    // What other measurements have to say stands behind the plots.
    let others = earlier.rsplit_once(".svg)\n").map_or("", |(_, rest)| rest);
    page.push_str(others.trim_start());
    std::fs::write(PAGE, page.trim_end().to_owned() + "\n")?;
    Ok(())
}

const BESIDE: &str = "
## Beside Chord and Kademlia

Arithmetic on the same latencies, in `bench/src/overlay/others.rs`: a recursive Chord lookup takes half of log2 N, and
one more, single trips over tables that are never wrong; an iterative Kademlia lookup asks three contacts a round and
waits a second for those that have gone.

";

/// One line for each session time over the members, or one for each size over the session time.
fn lines(rows: &[Row], name: &str, value: usize, across_members: bool) -> Vec<Series> {
    let mut series: Vec<Series> = Vec::new();
    for row in rows {
        let (members, hours) = (row.members as f64, row.hours);
        let (label, across) = if across_members {
            (format!("{name}{hours} h"), members)
        } else {
            (format!("{name}{members} members"), hours)
        };
        let point = (across, row.values[value]);
        match series.iter_mut().find(|series| series.name == label) {
            Some(series) => series.points.push(point),
            None => series.push(Series {
                name: label,
                points: vec![point],
            }),
        }
    }
    series
}

fn plots(rows: &[Row]) -> Vec<(&'static str, [Panel; 2])> {
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
    let long: Vec<Row> = rows
        .iter()
        .filter(|row| row.hours > 20.0)
        .cloned()
        .collect();
    let mut latency = lines(&long, "p50, ", MEDIAN, true);
    latency.extend(lines(&long, "p99, ", LATE, true));
    let arithmetic = |name: &str, median: &dyn Fn(usize) -> f64| Series {
        name: name.into(),
        points: long
            .iter()
            .map(|row| (row.members as f64, median(row.members)))
            .collect(),
    };
    latency.push(arithmetic("Chord p50", &|members| others::chord(members).0));
    latency.push(arithmetic("Kademlia p50, 24 h", &|members| {
        others::kademlia(members, 24.0).0
    }));
    let least = rows.iter().map(|row| row.values[SUCCESS]);
    let least = least.fold(99.9, f64::min);
    let all = Some((least, 100.0));
    let both = |name, title, value, bounds, logarithmic| {
        let over = |members| {
            let series = lines(rows, "", value, members);
            panel(title, members, series, bounds, logarithmic)
        };
        (name, [over(true), over(false)])
    };
    let slow = lines(rows, "", LATE, false);
    vec![
        (
            "latency",
            [
                panel("get() at the ordinary node, ms", true, latency, None, false),
                panel("p99 of get(), ms", false, slow, None, false),
            ],
        ),
        both("success", "lookups that succeed, %", SUCCESS, all, false),
        both(
            "bandwidth",
            "maintenance, bytes/s sent",
            MAINTENANCE,
            None,
            true,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_the_page_is_read_back_as_it_was_written() {
        let row = Row {
            members: 1_000,
            hours: 5.5,
            values: [1.001, 99.98, 100.0, 132.0, 270.0, 49.2, 413.0, 96.0],
            measured: "2 x 30 min".into(),
        };
        assert_eq!(Row::read(&row.to_string()), Some(row));
        assert_eq!(HEADER.lines().filter_map(Row::read).count(), 0);
    }
}
