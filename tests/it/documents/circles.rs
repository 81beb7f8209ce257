//! No circles inside a room: if a module uses another of the same folder, that one does not use the first, neither
//! directly nor through others. A module and the modules inside it may use each other.

use std::{
    collections::{BTreeMap, BTreeSet},
    iter::Peekable,
};

use super::house::sources;
use crate::support::tree::File;

/// Such as `["flow", "token"]`.
type Module = Vec<String>;
/// Of the modules in one folder: who uses whom.
type Uses = BTreeMap<String, BTreeSet<String>>;

/// Re-exports of re-exports are followed so far.
const DEEPEST: usize = 5;

#[test]
fn modules_of_one_folder_use_each_other_without_circles() {
    let sources: Vec<File> = sources().collect();
    assert_eq!(circles(&sources), [""; 0]);
}

#[test]
fn circles_are_found_through_re_exports_and_folders() {
    let found = |files: &[(&str, &str)]| {
        let file = |(path, text): &(&str, &str)| File { path: (*path).to_owned(), text: (*text).to_owned() };
        circles(&files.iter().map(file).collect::<Vec<_>>())
    };
    let facade = ("src/a/mod.rs", "mod x; mod y; pub(crate) use self::{x::X, y::{Y, Z}}; struct Own;");
    let x = ("src/a/x.rs", "use super::{Own, Y};");
    assert_eq!(found(&[facade, x, ("src/a/y.rs", "use super::Own;")]), [""; 0]);
    assert_eq!(found(&[facade, x, ("src/a/y.rs", "use super::X;")]), ["a: x, y, x"]);
    assert_eq!(found(&[facade, x, ("src/a/y.rs", "fn f() { crate::a::x::g() }")]), ["a: x, y, x"]);
    let inner = ("src/a/x/inner.rs", "use crate::a::y::{self, Y};");
    let x = ("src/a/x.rs", "mod inner; fn f() { inner::g() }");
    assert_eq!(found(&[facade, x, inner, ("src/a/y.rs", "")]), [""; 0]);
    assert_eq!(found(&[facade, x, inner, ("src/a/y.rs", "use super::x;")]), ["a: x, y, x"]);
}

/// The circles of each folder, as `folder: one, other, one`.
fn circles(files: &[File]) -> Vec<String> {
    let house = House::of(files);
    let mut folders: BTreeMap<Module, Uses> = BTreeMap::new();
    for (from, to) in house.uses() {
        let shared = from.iter().zip(&to).take_while(|(one, other)| one == other).count();
        if let (Some(user), Some(used)) = (from.get(shared), to.get(shared)) {
            let uses = folders.entry(from[..shared].to_vec()).or_default();
            uses.entry(user.clone()).or_default().insert(used.clone());
        }
    }
    let circle = |(folder, uses): (Module, Uses)| {
        Some(format!("{}: {}", folder.join("::"), a_circle(uses)?.join(", ")))
    };
    folders.into_iter().filter_map(circle).collect()
}

/// A circle, if there is one.
fn a_circle(mut uses: Uses) -> Option<Vec<String>> {
    // A module that uses none of the others is in no circle.
    while let Some(free) = {
        let is_free = |used: &BTreeSet<String>| !used.iter().any(|used| uses.contains_key(used));
        uses.iter().find(|(_, used)| is_free(used)).map(|(user, _)| user.clone())
    } {
        uses.remove(&free);
    }
    let mut way = vec![uses.keys().next()?.clone()];
    loop {
        let next = uses[way.last()?].iter().find(|used| uses.contains_key(*used))?.clone();
        let been = way.iter().position(|module| *module == next);
        way.push(next);
        if let Some(begin) = been {
            return Some(way.split_off(begin));
        }
    }
}

/// The paths in each module.
struct House(BTreeMap<Module, Vec<Path>>);

/// A path in the code, such as `super::grant::Person`.
struct Path {
    words: Vec<String>,
    /// Whether a `use` brings its last word into the module.
    is_brought: bool,
}

impl House {
    fn of(files: &[File]) -> Self {
        Self(files.iter().map(|file| (module_of(&file.path), paths(&file.text))).collect())
    }

    /// Every module, with each module that it uses.
    fn uses(&self) -> impl Iterator<Item = (&Module, Module)> {
        let used = |(from, path)| Some((from, self.target(from, path, DEEPEST)?));
        self.0.iter().flat_map(|(from, paths)| paths.iter().map(move |path| (from, path))).filter_map(used)
    }

    /// The module that defines what a path names.
    fn target(&self, from: &Module, path: &Path, deepest: usize) -> Option<Module> {
        let mut module = from.clone();
        let mut words = path.words.iter().peekable();
        let first = words.peek()?.as_str();
        match first {
            "crate" => module.clear(),
            "super" | "self" => {}
            child if self.0.contains_key(&inside(&module, child)) => {}
            _ => return None,
        }
        let name = loop {
            match words.next().map(String::as_str) {
                None => return Some(module),
                Some("crate" | "self") => {}
                Some("super") => _ = module.pop(),
                Some(word) if self.0.contains_key(&inside(&module, word)) => module.push(word.to_owned()),
                Some(name) => break name,
            }
        };
        let brings = |path: &&Path| path.is_brought && path.words.last().is_some_and(|last| last == name);
        let brought = self.0.get(&module)?.iter().find(brings).filter(|_| deepest > 0);
        brought.and_then(|path| self.target(&module, path, deepest - 1)).or(Some(module))
    }
}

fn inside(module: &Module, child: &str) -> Module {
    module.iter().cloned().chain([child.to_owned()]).collect()
}

fn module_of(path: &str) -> Module {
    let path = path.strip_prefix("src/").unwrap().strip_suffix(".rs").unwrap();
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if path == "lib" { Vec::new() } else { path.split('/').map(str::to_owned).collect() }
}

/// The paths of a program, those in groups written out.
fn paths(text: &str) -> Vec<Path> {
    let mut tokens = tokens(text).into_iter().peekable();
    let (mut found, mut before) = (Vec::new(), "");
    while let Some(token) = tokens.next() {
        if is_word(token) {
            collect(&mut tokens, vec![token.to_owned()], before == "use", &mut found);
        }
        before = token;
    }
    found
}

/// Goes on with a path whose first words were read.
fn collect<'a>(
    tokens: &mut Peekable<impl Iterator<Item = &'a str>>,
    mut words: Vec<String>,
    is_brought: bool,
    found: &mut Vec<Path>,
) {
    while tokens.next_if_eq(&"::").is_some() {
        if let Some(word) = tokens.next_if(|token| is_word(token)) {
            words.push(word.to_owned());
        } else if tokens.next_if_eq(&"{").is_some() {
            while let Some(token) = tokens.next().filter(|token| *token != "}") {
                if is_word(token) {
                    collect(
                        tokens,
                        words.iter().cloned().chain([token.to_owned()]).collect(),
                        is_brought,
                        found,
                    );
                }
            }
            return;
        }
    }
    found.push(Path { words, is_brought });
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Words, `::` and single characters.
fn tokens(text: &str) -> Vec<&str> {
    let (mut tokens, mut rest) = (Vec::new(), text.trim_start());
    while let Some(first) = rest.chars().next() {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let length = match first {
            ':' if rest.starts_with("::") => 2,
            first if is_part(first) => rest.find(|c| !is_part(c)).unwrap_or(rest.len()),
            first => first.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after.trim_start();
    }
    tokens
}
