//! Imports run one way: `bin -> http, shard -> client -> wire -> domain -> key -> error`. This reads
//! the sources, so that a `use` in the wrong direction fails a test and not a review.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules of the library from the bottom up; a module may import only from lower rows.
const ROWS: [&[&str]; 10] = [
    &["error"],
    &["process", "routing"],
    &["access"],
    &["domain"],
    &["json", "payment", "storage"],
    &["catalog"],
    &["protocol"],
    &["client"],
    &["http", "shard"],
    &["launcher"],
];
/// Of lower rows, what is none of a module's business: only a shard touches records on disk, and the
/// launcher knows its children by their command lines alone.
const FORBIDDEN: [(&str, &[&str]); 3] =
    [("http", &["storage"]), ("client", &["storage"]), ("launcher", &["client", "http", "protocol", "shard"])];
/// The rules of the shop depend on nothing that does I/O, waits, or tells the time.
const PURE: [&str; 3] = ["domain", "error", "routing"];
const IMPURE: [&str; 17] = [
    "tokio",
    "tonic",
    "prost",
    "warp",
    "hyper",
    "http",
    "fjall",
    "rustix",
    "tracing",
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "std::sync",
    "std::thread",
    "std::time",
    "Timestamp::now",
];

struct Source {
    path: PathBuf,
    /// The modules from the crate's root down to this file's; empty for `lib.rs`.
    module: Vec<String>,
    /// Its code before its unit tests, without comments.
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut found, mut directories) = (Vec::new(), vec![root.clone()]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).expect("src can be read") {
            let path = entry.expect("src can be read").path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source can be read");
                let module = path.strip_prefix(&root).expect("it is below src").with_extension("");
                let module = module.iter().map(|part| part.to_string_lossy().into_owned());
                let module = module.filter(|part| !["lib", "mod"].contains(&part.as_str())).collect();
                found.push(Source { path, module, code: code_of(&text) });
            }
        }
    }
    found
}

fn code_of(text: &str) -> String {
    let before_tests = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let lines = before_tests.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// Every path that begins with `crate::` or `super::`, as modules from the crate's root.
fn imports(source: &Source) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in source.code.match_indices("crate::") {
        found.extend(heads(&source.code[at + "crate::".len()..]));
    }
    for (at, _) in source.code.match_indices("super::") {
        let mut rest = &source.code[at..];
        let mut levels = 0;
        while let Some(shorter) = rest.strip_prefix("super::") {
            (rest, levels) = (shorter, levels + 1);
        }
        if levels == source.module.len() {
            found.extend(heads(rest));
        }
    }
    found
}

/// The first segments of a path or of a group of paths: of `{a::b, c}` these are `a` and `c`.
fn heads(path: &str) -> Vec<String> {
    let identifier = |text: &str| text.chars().take_while(|char| char.is_alphanumeric() || *char == '_').collect();
    let Some(group) = path.strip_prefix('{') else { return vec![identifier(path)] };
    let (mut depth, mut parts) = (0, vec![String::new()]);
    for char in group.chars() {
        match char {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => parts.push(String::new()),
            _ => parts.last_mut().expect("there is always one part").push(char),
        }
    }
    parts.iter().map(|part| identifier(part.trim_start())).filter(|head: &String| !head.is_empty()).collect()
}

fn row(module: &str) -> usize {
    let row = ROWS.iter().position(|row| row.contains(&module));
    row.unwrap_or_else(|| panic!("{module}: a new module needs a place in ROWS"))
}

#[test]
fn imports_run_one_way() {
    let sources = sources();
    assert!(sources.len() > 20, "the sources were found");
    for source in &sources {
        let Some(module) = source.module.first() else { continue };
        for import in imports(source).iter().filter(|import| *import != module) {
            // Items of the crate's root are modules only.
            let below = row(import) < row(module);
            let forbidden = FORBIDDEN.iter().any(|(name, list)| name == module && list.contains(&import.as_str()));
            assert!(below && !forbidden, "{}: {module} must not use {import}", source.path.display());
        }
    }
}

#[test]
fn the_rules_of_the_shop_are_pure() {
    for source in sources() {
        if !source.module.first().is_some_and(|module| PURE.contains(&module.as_str())) {
            continue;
        }
        for name in IMPURE {
            let path = format!("{name}::");
            let used =
                if name.contains("::") { source.code.contains(name) } else { begins_a_path(&source.code, &path) };
            assert!(!used, "{}: must not use {name}", source.path.display());
        }
    }
}

#[test]
fn generated_types_stay_where_messages_are_made_and_read() {
    for source in sources() {
        let module: Vec<_> = source.module.iter().map(String::as_str).collect();
        let is_word = |word: &str| word == "proto";
        let is_named = source.code.split(|char: char| !char.is_alphanumeric() && char != '_').any(is_word);
        let is_allowed = matches!(module[..], ["protocol" | "client", ..] | ["shard", "grpc", ..]);
        assert!(is_allowed || !is_named, "{}: must not name generated types", source.path.display());
    }
}

/// Whether a path of another crate is there, and not merely a segment or word that ends alike.
fn begins_a_path(code: &str, path: &str) -> bool {
    code.match_indices(path)
        .any(|(at, _)| !code[..at].ends_with(|char: char| char.is_alphanumeric() || "_:".contains(char)))
}

#[test]
fn every_form_of_an_import_is_seen() {
    let code = "use crate::{routing::{A, B}, process};\nuse crate::protocol::proto;\nfn f() { super::super::storage::g(super::own()) }";
    let module = ["shard".into(), "writer".into()];
    let source = Source { path: PathBuf::new(), module: module.to_vec(), code: code.into() };
    assert_eq!(imports(&source).into_iter().collect::<Vec<_>>(), ["process", "protocol", "routing", "storage"]);
    assert!(begins_a_path("use tokio::sync;", "tokio::") && !begins_a_path("use not_tokio::x;", "tokio::"));
}
