//! The page's files hold together: sentences, ids, icons and codes that are named somewhere exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every JavaScript file of the page with its text.
fn scripts() -> Vec<(String, String)> {
    let mut found: Vec<_> = fs::read_dir(root().join("web/page"))
        .expect("web/page is there")
        .map(|entry| entry.expect("a readable entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "js"))
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a readable file");
            (path.display().to_string(), text)
        })
        .collect();
    found.push(("sw.js".to_owned(), read("web/sw.js")));
    found
}

/// What stands between each `before` and the next `after`.
fn between(text: &str, before: &str, after: char) -> BTreeSet<String> {
    text.split(before)
        .skip(1)
        .filter_map(|rest| rest.split_once(after))
        .map(|(found, _)| found.to_owned())
        .collect()
}

/// The table of one language: key and sentence.
fn sentences(path: &str) -> Vec<(String, String)> {
    read(path)
        .lines()
        .filter_map(|line| line.trim().strip_prefix('\'')?.split_once("': '"))
        .map(|(key, rest)| (key.to_owned(), rest.trim_end_matches("',").to_owned()))
        .collect()
}

/// The codes of a union type in the JavaScript API.
fn codes(name: &str) -> BTreeSet<String> {
    let api = read("wasm-peer/js/index.d.ts");
    let (_, rest) = api
        .split_once(&format!("export type {name} ="))
        .expect("the type is there");
    let (union, _) = rest.split_once(';').expect("the type ends");
    between(union, "| '", '\'')
}

#[test]
fn every_language_has_every_sentence_with_the_same_places() {
    let shape = |path| -> Vec<_> {
        sentences(path)
            .into_iter()
            .map(|(key, sentence)| (key, between(&sentence, "{", '}')))
            .collect()
    };
    let english = shape("web/page/sentences-en.js");
    assert!(english.len() > 100);
    for (theirs, ours) in shape("web/page/sentences-de.js").iter().zip(&english) {
        assert_eq!(theirs, ours);
    }
    assert_eq!(english.len(), sentences("web/page/sentences-de.js").len());
}

#[test]
fn every_code_of_the_phone_has_its_sentence() {
    let known: BTreeSet<_> = sentences("web/page/sentences-en.js")
        .into_iter()
        .map(|(key, _)| key)
        .collect();
    let ends = codes("EndCode");
    assert!(ends.contains("hung-up") && ends.contains("media-refused"));
    for code in ends {
        assert!(
            known.contains(&format!("end.{code}")),
            "no sentence for the end {code}"
        );
    }
    for code in codes("ProblemCode") {
        assert!(
            known.contains(&format!("problem.{code}")),
            "no sentence for the problem {code}"
        );
    }
}

#[test]
fn whatever_is_named_exists() {
    let html = read("web/index.html");
    let ids = between(&html, " id=\"", '"');
    let known: BTreeSet<_> = sentences("web/page/sentences-en.js")
        .into_iter()
        .map(|(key, _)| key)
        .collect();
    let mut keys = BTreeSet::new();
    for attribute in ["data-t=\"", "data-t-label=\"", "data-t-placeholder=\""] {
        keys.extend(between(&html, attribute, '"'));
    }
    for (file, text) in scripts() {
        keys.extend(between(&text, "say('", '\''));
        for call in ["element('", "button('", "video('", "byId('"] {
            for id in between(&text, call, '\'') {
                assert!(ids.contains(&id), "{file}: index.html has no #{id}");
            }
        }
        for name in between(&text, "icon('", '\'') {
            let symbol = format!("icon-{name}");
            assert!(ids.contains(&symbol), "{file}: no icon {name}");
        }
    }
    for key in keys {
        assert!(known.contains(&key), "no sentence {key}");
    }
    for name in between(&html, "<use href=\"#", '"') {
        assert!(ids.contains(&name), "index.html: no icon {name}");
    }
}

#[test]
fn every_file_that_the_page_asks_for_is_there() {
    let html = read("web/index.html");
    let mut addresses = between(&html, " href=\"/", '"');
    addresses.extend(between(&html, " src=\"/", '"'));
    assert!(addresses.contains("page/app.js"));
    for address in addresses {
        let file = address.split('#').next().unwrap_or_default();
        let path = match file.strip_prefix("partyline/") {
            // wasm-bindgen writes these two.
            Some("wasm_peer.js" | "wasm_peer_bg.wasm") => continue,
            Some(module) => format!("wasm-peer/js/{module}"),
            None => format!("web/{file}"),
        };
        assert!(root().join(&path).is_file(), "index.html asks for {path}");
    }
}

#[test]
fn every_documented_hook_is_in_the_page() {
    let docs = read("docs/testing.md");
    let (_, section) = docs
        .split_once("## The page's states and hooks")
        .expect("the section is there");
    let html = read("web/index.html");
    let ids = between(&html, " id=\"", '"');
    let hooks = between(section.split("\n## ").next().unwrap_or_default(), "`#", '`');
    assert!(hooks.len() > 40);
    for hook in hooks {
        let id = hook.split([' ', '[', '>', '.']).next().unwrap_or_default();
        assert!(ids.contains(id), "index.html has no #{id}");
    }
}

#[test]
fn nothing_becomes_markup_and_no_file_grows() {
    for (file, text) in scripts() {
        assert!(text.starts_with("// @ts-check\n"), "{file} is not checked");
        assert!(text.lines().count() < 200, "{file} is too long");
        for sink in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "setAttribute('style'",
        ] {
            assert!(!text.contains(sink), "{file} uses {sink}");
        }
    }
    let html = read("web/index.html");
    for inline in [" style=", "<style", " onclick=", "javascript:"] {
        assert!(!html.contains(inline), "index.html has {inline}");
    }
}
