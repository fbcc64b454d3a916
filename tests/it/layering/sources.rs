//! The modules of the library, and the modules that each of them names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, Item, UseTree};

/// A module's path from the crate's root, without `crate`: `["shard", "engine", "writer"]`.
pub type Module = Vec<String>;

/// One file of `src/`.
pub struct Source {
    /// The module: for a `mod.rs` its folder, for `lib.rs` the empty path.
    pub module: Module,
    /// True when the file is a `mod.rs`.
    pub is_face: bool,
    /// The items outside of tests.
    pub items: Vec<Item>,
}

impl Source {
    /// Parses a file by its path below `src/`.
    pub fn parse(path: &str, text: &str) -> Source {
        let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut module: Module = path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
        let last = module.last().cloned().unwrap_or_default();
        if last == "mod" || last == "lib" {
            module.pop();
        }
        let items = file.items.into_iter().filter(|item| !attributes(item).iter().any(is_test)).collect();
        Source { module, is_face: last == "mod", items }
    }

    /// Every path that the file names: imports and paths in code.
    fn paths(&self) -> Vec<Vec<String>> {
        let mut found = Vec::new();
        for item in &self.items {
            match item {
                Item::Use(item) => expand(&item.tree, &mut Vec::new(), &mut found),
                item => scan(item.to_token_stream(), &mut found),
            }
        }
        found
    }

    /// Every first segment of a path, and every segment of an import.
    pub fn names(&self) -> BTreeSet<String> {
        let imports = self.items.iter().filter_map(|item| match item {
            Item::Use(item) => Some(item),
            _ => None,
        });
        let mut imported = Vec::new();
        imports.for_each(|item| expand(&item.tree, &mut Vec::new(), &mut imported));
        let first = self.paths().into_iter().filter(|path| path.len() > 1).filter_map(|path| path.into_iter().next());
        imported.into_iter().flatten().chain(first).collect()
    }

    /// The modules of `std` in a list that the file names.
    pub fn std_modules(&self, among: &[&'static str]) -> Vec<&'static str> {
        let paths = self.paths();
        let is_named = |name: &&&str| paths.iter().any(|path| path.len() > 1 && path[0] == "std" && path[1] == **name);
        among.iter().filter(is_named).copied().collect()
    }

    /// The re-exports of a `mod.rs`: the module of each name.
    fn exports(&self) -> BTreeMap<String, Module> {
        let mut found = BTreeMap::new();
        for item in self.items.iter().filter(|_| self.is_face) {
            let Item::Use(item) = item else { continue };
            let mut paths = Vec::new();
            expand(&item.tree, &mut Vec::new(), &mut paths);
            for mut path in paths {
                let name = path.pop().unwrap_or_default();
                found.insert(name, [self.module.clone(), path].concat());
            }
        }
        found
    }
}

/// Reads all files of `src/` except modules of tests (`*_tests.rs`).
pub fn read() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut found, mut directories) = (Vec::new(), vec![root.clone()]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).expect("src can be read") {
            let path = entry.expect("src can be read").path();
            let name = path.strip_prefix(&root).expect("it is below src").to_string_lossy().into_owned();
            if path.is_dir() {
                directories.push(path);
            } else if name.ends_with(".rs") && !name.ends_with("_tests.rs") {
                let text = fs::read_to_string(&path).expect("a source can be read");
                found.push(Source::parse(&name, &text));
            }
        }
    }
    found
}

/// The modules that each module imports, directly or through a `mod.rs`.
pub struct Imports {
    /// The files that each module depends on.
    pub files: BTreeMap<Module, BTreeSet<Module>>,
    /// The folders of its own that each module imports through.
    pub own_faces: BTreeMap<Module, BTreeSet<Module>>,
}

/// Resolves all paths of all sources.
pub fn imports(sources: &[Source]) -> Imports {
    let modules: BTreeSet<&Module> = sources.iter().map(|source| &source.module).collect();
    let faces: BTreeMap<&Module, BTreeMap<String, Module>> =
        sources.iter().filter(|source| source.is_face).map(|source| (&source.module, source.exports())).collect();
    let mut imports = Imports { files: BTreeMap::new(), own_faces: BTreeMap::new() };
    for source in sources.iter().filter(|source| !source.is_face && !source.module.is_empty()) {
        let paths = source.paths();
        let absolute: Vec<Module> =
            paths.iter().filter(|path| path.len() > 1).filter_map(|path| from_root(&source.module, path)).collect();
        // `pub(super)` is a path of one segment. `use crate::storage::codec;` names a module, and `codec::decode_cart`
        // later names an item in it.
        let aliases: BTreeMap<&String, &Module> = absolute
            .iter()
            .filter(|path| modules.contains(path))
            .filter_map(|path| Some((path.last()?, path)))
            .collect();
        let through_aliases = paths.iter().filter(|path| path.len() > 1).filter_map(|path| {
            let module = aliases.get(&path[0])?;
            Some([module.as_slice(), &path[1..]].concat())
        });
        let all: Vec<Module> = absolute.iter().cloned().chain(through_aliases).collect();
        let files = imports.files.entry(source.module.clone()).or_default();
        for path in all {
            let Some(target) = resolve(&path, &modules, &faces) else { continue };
            if faces.contains_key(&target) {
                if source.module.starts_with(&target) {
                    imports.own_faces.entry(source.module.clone()).or_default().insert(target);
                }
            } else if target != source.module {
                files.insert(target);
            }
            // An import through its own folder's `mod.rs` of an item that a file beside it has.
            let through = (1..=path.len()).rev().map(|length| path[..length].to_vec()).find(|at| modules.contains(at));
            if let Some(face) = through.filter(|at| faces.contains_key(at) && source.module.starts_with(at)) {
                imports.own_faces.entry(source.module.clone()).or_default().insert(face);
            }
        }
    }
    imports
}

/// The file that has the item of a path: the deepest module in the path, or the one that a `mod.rs` re-exports from.
fn resolve(
    path: &[String],
    modules: &BTreeSet<&Module>,
    faces: &BTreeMap<&Module, BTreeMap<String, Module>>,
) -> Option<Module> {
    let depth = (1..=path.len()).rev().find(|depth| modules.contains(&path[..*depth].to_vec()))?;
    let module = path[..depth].to_vec();
    let exported = faces.get(&module).and_then(|exports| exports.get(path.get(depth)?));
    match exported {
        Some(file) if *file != module => resolve(file, modules, faces),
        _ => Some(module),
    }
}

/// Resolves a path that begins with `crate` or `super` from the crate's root.
fn from_root(module: &Module, path: &[String]) -> Option<Module> {
    let supers = path.iter().take_while(|part| *part == "super").count();
    match path.first()?.as_str() {
        "crate" => Some(path[1..].to_vec()),
        "super" => Some([&module[..module.len().checked_sub(supers)?], &path[supers..]].concat()),
        _ => None,
    }
}

fn expand(tree: &UseTree, prefix: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    match tree {
        UseTree::Path(path) => {
            prefix.push(path.ident.to_string());
            expand(&path.tree, prefix, found);
            prefix.pop();
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| expand(tree, prefix, found)),
        UseTree::Glob(_) => found.push(prefix.clone()),
        UseTree::Name(name) if name.ident == "self" => found.push(prefix.clone()),
        UseTree::Name(name) => found.push([prefix.as_slice(), &[name.ident.to_string()]].concat()),
        UseTree::Rename(rename) => found.push([prefix.as_slice(), &[rename.ident.to_string()]].concat()),
    }
}

/// Collects every path `a::b::c` of a token stream, also within macros.
fn scan(tokens: TokenStream, found: &mut Vec<Vec<String>>) {
    let (mut path, mut colons) = (Vec::new(), 0);
    for token in tokens {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == ':' => {
                colons += 1;
                continue;
            }
            TokenTree::Ident(ident) => {
                if colons != 2 && !path.is_empty() {
                    found.push(std::mem::take(&mut path));
                }
                path.push(ident.to_string());
            }
            TokenTree::Group(group) => {
                found.push(std::mem::take(&mut path));
                scan(group.stream(), found);
            }
            _ => found.push(std::mem::take(&mut path)),
        }
        colons = 0;
    }
    found.push(path);
}

fn is_test(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg") && attribute.to_token_stream().to_string().contains("test")
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
