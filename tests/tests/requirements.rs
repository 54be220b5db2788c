//! `docs/requirements.md` says the truth: each of the draft's requirements names tests that exist, or says what is
//! missing.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// How many requirements the draft has.
const ROWS: usize = 138;

/// A cell that names no test says this and why.
const NOT_YET: &str = "not yet: ";

#[test]
fn every_requirement_has_a_test_or_a_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate lies in the workspace");
    let table = fs::read_to_string(root.join("docs/requirements.md")).expect("the table is there");
    let mut tests = BTreeSet::new();
    collect(root, &mut tests);
    assert!(tests.len() > 300, "only {} tests were found", tests.len());
    let faults = faults(&table, &tests, ROWS);
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn a_row_without_test_and_reason_is_found() {
    let tests = BTreeSet::from(["r001_shown".to_owned(), "r002_other".to_owned()]);
    let faults = |table: &str| faults(table, &tests, 2);
    let shown = "| R1 | 1 | S | It works. | `r001_shown` |\n";

    assert!(
        faults(&format!(
            "{shown}| R2 | 1 | S | So does this. | not yet: nothing of it is built |"
        ))
        .is_empty()
    );
    assert!(
        faults(&format!(
            "{shown}| R2 | 1 | S | And this. | `r002_other`; not yet: half of it is built |"
        ))
        .is_empty()
    );
    for spoilt in [
        "| R2 | 1 | S | No test. | |",
        "| R2 | 1 | S | No reason. | not yet: |",
        "| R2 | 1 | S | Nobody knows. | not yet: MISSING |",
        "| R2 | 1 | S | No such test. | `r002_gone` |",
        "| R2 | 1 | S | Another row's test. | `r001_shown` |",
        "| R2 | 1 | S | A promise. | soon |",
        "| R3 | 1 | S | Another number. | `r002_other` |",
        "",
    ] {
        assert_eq!(faults(&format!("{shown}{spoilt}")).len(), 1, "{spoilt}");
    }
}

#[test]
fn only_tests_count_as_tests() {
    let source = "#[test]\nfn one() {}\nfn helper() {}\n#[tokio::test(flavor = \"multi_thread\")]\n#[expect(x)]\n\
                  async fn two() {}\n#[cfg(test)]\nfn three() {}\n// #[test]\nfn four() {}\n";
    assert_eq!(tests_of(source).collect::<Vec<_>>(), ["one", "two"]);
}

/// What is wrong with `table`, which must have the rows 1 to `rows` in order.
fn faults(table: &str, tests: &BTreeSet<String>, rows: usize) -> Vec<String> {
    let mut faults = Vec::new();
    let mut expected = 1;
    for line in table
        .lines()
        .filter(|line| line.starts_with("| R") && !line.starts_with("| R |"))
    {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [row, _, _, _, shown] = cells.as_slice() else {
            faults.push(format!("a row has not five cells: {line}"));
            continue;
        };
        if *row != format!("R{expected}") {
            faults.push(format!("R{expected} is missing before {row}"));
            return faults;
        }
        if let Some(fault) = fault(expected, shown, tests) {
            faults.push(format!("{row}: {fault}"));
        }
        expected += 1;
    }
    if expected <= rows {
        faults.push(format!("R{expected} is missing at the end"));
    }
    faults
}

/// What is wrong with the last cell of row `row`: tests, or `not yet` and a reason, or both.
fn fault(row: usize, cell: &str, tests: &BTreeSet<String>) -> Option<String> {
    let (names, reason) = match cell.find("not yet:") {
        Some(at) => (cell[..at].trim_end_matches("; "), Some(&cell[at..])),
        None => (cell, None),
    };
    if let Some(reason) = reason {
        let reason = reason.strip_prefix(NOT_YET).unwrap_or_default();
        if reason.split(' ').count() < 3 {
            return Some(format!("{reason:?} is no reason"));
        }
    } else if names.is_empty() {
        return Some("neither a test nor a reason".to_owned());
    }
    names
        .split(", ")
        .filter(|name| !name.is_empty())
        .find_map(|name| {
            let Some(name) = name
                .strip_prefix('`')
                .and_then(|name| name.strip_suffix('`'))
            else {
                return Some(format!("{name:?} is neither a test nor a reason"));
            };
            if !tests.contains(name) {
                return Some(format!("there is no test {name}"));
            }
            let carries = name.contains(&format!("r{row:03}_"));
            (!carries).then(|| format!("{name} does not carry the row's number"))
        })
}

/// Collects the names of the tests in all sources under `directory`.
fn collect(directory: &Path, tests: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).expect("the sources can be read") {
        let path = entry.expect("the sources can be read").path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_dir() {
            if !name.starts_with('.')
                && !["target", "dist", "node_modules"].contains(&name.as_str())
            {
                collect(&path, tests);
            }
        } else if name.ends_with(".rs") {
            let source = fs::read_to_string(&path).expect("a source is text");
            tests.extend(tests_of(&source).map(str::to_owned));
        }
    }
}

/// The names of the functions in `source` that carry a test attribute.
fn tests_of(source: &str) -> impl Iterator<Item = &str> {
    let mut attributed = false;
    source.lines().filter_map(move |line| {
        let line = line.trim();
        if let Some(attribute) = line.strip_prefix("#[") {
            let path = attribute.split(['(', ']']).next().unwrap_or_default();
            attributed |= path == "test" || path.ends_with("::test") || path == "wasm_bindgen_test";
            return None;
        }
        let function = line
            .strip_prefix("async ")
            .unwrap_or(line)
            .strip_prefix("fn ")?;
        let name = function.split(['(', '<']).next()?;
        std::mem::take(&mut attributed).then_some(name)
    })
}
