//! The structure of `src/`: imports run one way, files do not import each other in a cycle, a `mod.rs` has only modules
//! and re-exports, and some crates are used in some folders only. The tests read the sources, so that an import in the
//! wrong direction fails a test and does not depend on a review.

mod circles;
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use circles::circles;
use sources::{Imports, Module, Source, imports};
use syn::Item;

/// The folders of the library from the top down. A row may import from the rows below it only. ARCHITECTURE.md and
/// `src/lib.rs` have the same line.
const FOLDERS: &str = "doctor > gateway, http, shard > client, load_run, playground > launcher > protocol, catalog > json, storage, payment, remote > domain, access > routing, process > error";
/// The folders and files of `shard/` from the top down.
const SHARD: &str = "run > grpc, housekeeping, retention, scrub > fetch > continuation > order_list > dispatch, context > saga, stored_reads > records, startup > engine > clock, damages, disk, options, order_lists, removals";
/// The folders and files of `http/` from the top down.
const HTTP: &str = "facade > listener > service > routes > api > endpoint, openapi, page > shop > status > request > auth, browsers, error_body, metrics > head > \
                    problem > problem_type, response > access_log, body, card_reads, execution, log_limit, media_type, raw_targets, request_id > framing";
/// Modules of lower rows that a folder must not import: only a shard accesses records on disk, and the launcher knows
/// its children only by their command lines.
const FORBIDDEN: [(&str, &[&str]); 3] =
    [("http", &["storage"]), ("client", &["storage"]), ("launcher", &["protocol", "storage::codec"])];
/// Modules that must not do I/O, wait, or read a clock.
const PURE: [&str; 3] = ["domain", "error", "routing"];
const IMPURE: [&str; 11] =
    ["tokio", "tonic", "prost", "warp", "hyper", "http", "fjall", "rustix", "tracing", "bincode", "rand"];
const IMPURE_STD: [&str; 7] = ["fs", "io", "net", "process", "sync", "thread", "time"];
/// Names that only some modules may use.
const CONFINED: [(&str, &[&str]); 3] =
    [("proto", &["protocol", "client", "shard::grpc"]), ("bincode", &["storage::codec"]), ("warp", &["http"])];

/// Splits a list into its rows from the top down, each with one name or more.
fn rows(list: &str) -> Vec<Vec<&str>> {
    list.split(" > ").map(|row| row.split(", ").collect()).collect()
}

fn name_of(module: &Module) -> String {
    module.join("::")
}

/// Finds the imports between entries of a folder that do not run down a list.
fn upward(list: &str, folder: &[&str], imports: &Imports) -> Vec<String> {
    let rows = rows(list);
    let row_of = |entry: &str| rows.iter().position(|row| row.contains(&entry));
    let entry_of = |module: &Module| {
        let is_inside = module.len() > folder.len() && module.iter().zip(folder).all(|(part, name)| part == name);
        is_inside.then(|| module[folder.len()].clone())
    };
    let mut wrong = Vec::new();
    for (from, targets) in &imports.files {
        let Some(entry) = entry_of(from) else { continue };
        let Some(row) = row_of(&entry) else {
            wrong.push(format!("{}: {entry} has no place in the list", name_of(from)));
            continue;
        };
        for target in targets {
            let Some(other) = entry_of(target).filter(|other| *other != entry) else { continue };
            if row_of(&other).is_none_or(|below| below <= row) {
                wrong.push(format!("{} must not import {}", name_of(from), name_of(target)));
            }
        }
    }
    wrong
}

/// Finds items of a `mod.rs` that are neither modules nor re-exports.
fn code_in_faces(sources: &[Source]) -> Vec<String> {
    let is_public = |visibility: &syn::Visibility| !matches!(visibility, syn::Visibility::Inherited);
    let belongs = |item: &Item| match item {
        Item::Mod(item) => item.content.is_none(),
        Item::Use(item) => is_public(&item.vis),
        _ => false,
    };
    let faces = sources.iter().filter(|source| source.is_face);
    faces
        .filter(|face| !face.items.iter().all(belongs))
        .map(|face| format!("{}/mod.rs", face.module.join("/")))
        .collect()
}

fn forbidden(imports: &Imports) -> Vec<String> {
    let mut wrong = Vec::new();
    for (from, targets) in &imports.files {
        for (folder, names) in FORBIDDEN.iter().filter(|(folder, _)| from[0] == *folder) {
            for target in targets.iter().map(name_of) {
                if names.iter().any(|name| target == *name || target.starts_with(&format!("{name}::"))) {
                    wrong.push(format!("{folder}: {} must not import {target}", name_of(from)));
                }
            }
        }
    }
    wrong
}

/// Finds modules that name a crate or module which only others may use.
fn strays(sources: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    for source in sources.iter().filter(|source| !source.module.is_empty()) {
        let (module, names) = (name_of(&source.module), source.names());
        let is_in = |folder: &str| module == folder || module.starts_with(&format!("{folder}::"));
        for (name, folders) in CONFINED {
            if names.contains(name) && !folders.iter().any(|folder| is_in(folder)) {
                wrong.push(format!("{module} must not name {name}"));
            }
        }
        if PURE.contains(&source.module[0].as_str()) {
            let impure = IMPURE.iter().copied().chain(source.std_modules(&IMPURE_STD));
            wrong.extend(
                impure.filter(|name| names.contains(*name)).map(|name| format!("{module} must not name {name}")),
            );
        }
    }
    wrong
}

#[track_caller]
fn assert_none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn imports_run_down_the_list() {
    let imports = imports(&sources::read());
    assert!(imports.files.len() > 100, "the sources were found");
    assert_none("imports of folders that run upwards", &upward(FOLDERS, &[], &imports));
    assert_none("imports of the shard's rooms that run upwards", &upward(SHARD, &["shard"], &imports));
    assert_none("imports of the facade's rooms that run upwards", &upward(HTTP, &["http"], &imports));
    assert_none("imports of what is none of a folder's business", &forbidden(&imports));
}

#[test]
fn no_files_import_each_other_in_a_cycle() {
    let imports = imports(&sources::read());
    let found: Vec<_> = circles(&imports.files)
        .iter()
        .map(|circle| circle.iter().map(name_of).collect::<Vec<_>>().join(" -> "))
        .collect();
    assert_none("circles", &found);
    let through: Vec<_> = imports.own_faces.keys().map(name_of).collect();
    assert_none("files that import through the face of their own folder", &through);
}

#[test]
fn a_mod_rs_has_no_code() {
    assert_none("faces with code", &code_in_faces(&sources::read()));
}

#[test]
fn libraries_stay_in_their_folders_and_the_rules_are_pure() {
    assert_none("names in the wrong folder", &strays(&sources::read()));
}

#[test]
fn the_documentation_has_the_same_list() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in ["ARCHITECTURE.md", "src/lib.rs"] {
        let text = fs::read_to_string(root.join(file)).expect("the file can be read");
        let text: Vec<_> = text.lines().map(|line| line.trim_start_matches("//!").trim()).collect();
        let text = text.join(" ");
        for list in [FOLDERS, SHARD, HTTP] {
            assert!(file != "ARCHITECTURE.md" && list != FOLDERS || text.contains(list), "{file} lacks: {list}");
        }
    }
}

/// Tests the checks themselves: each finds its kind of error in sources that have it.
#[test]
fn each_check_finds_its_errors() {
    let see = |files: &[(&str, &str)]| -> Vec<Source> {
        files.iter().map(|(path, text)| Source::parse(path, text)).collect()
    };
    let circle = see(&[
        ("domain/mod.rs", "pub mod a; mod b; pub use b::B;"),
        ("domain/a.rs", "use super::b::B; pub struct A(B);"),
        ("domain/b.rs", "pub struct B; fn f() { macro_call!(crate::domain::a::A); }"),
    ]);
    assert_eq!(circles(&imports(&circle).files).len(), 1);
    let face = see(&[("domain/mod.rs", "mod a; pub use a::A; pub fn f() {}"), ("domain/a.rs", "use super::A;")]);
    assert_eq!(code_in_faces(&face), ["domain/mod.rs"]);
    assert_eq!(imports(&face).own_faces.len(), 1);
    let upwards = see(&[
        ("client/mod.rs", "mod a; pub use a::A;"),
        ("client/a.rs", "pub struct A;"),
        ("domain/mod.rs", "pub mod b;"),
        ("domain/b.rs", "use crate::{client::A, error};"),
        ("error.rs", "use crate::client; fn f() { client::A; }"),
        ("shard/clock.rs", "use super::run;"),
        ("shard/run.rs", "#[cfg(test)] mod tests { use super::super::nowhere; }"),
        ("unlisted.rs", ""),
    ]);
    let found = imports(&upwards);
    let wrong = upward(FOLDERS, &[], &found);
    assert_eq!(wrong.len(), 3, "{wrong:?}");
    assert_eq!(upward(SHARD, &["shard"], &found), ["shard::clock must not import shard::run"]);
    let stray = see(&[("domain/a.rs", "use std::time::Duration; fn f() { warp::any(); }")]);
    assert_eq!(strays(&stray).len(), 3, "{:?}", strays(&stray));
    let acyclic: BTreeMap<_, _> = [(1, BTreeSet::from([2, 3])), (2, BTreeSet::from([3]))].into();
    assert!(circles(&acyclic).is_empty());
}
