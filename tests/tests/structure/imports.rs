//! Which file of a package imports from which: never in a cycle, and never a name through the root file.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

use crate::sources::{
    Module, Sources, attributes_before, is_for_tests, is_ident, module_at, our_sources, short,
};

#[test]
fn no_files_of_a_package_import_each_other_in_a_cycle() {
    let mut faults = String::new();
    for sources in our_sources() {
        let imports = Imports::of(&sources);
        for cycle in imports.cycles() {
            writeln!(faults, "{} files import each other:", cycle.len()).unwrap();
            for (from, import) in imports.within(&cycle) {
                writeln!(faults, "  {}:{}: {}", short(from), import.line, import.path).unwrap();
            }
        }
    }
    assert!(faults.is_empty(), "\n{faults}");
}

#[test]
fn no_file_imports_a_name_through_the_root_of_its_package() {
    let mut faults = String::new();
    for sources in our_sources() {
        for (from, import) in &Imports::of(&sources).through_root {
            writeln!(faults, "{}:{}: {}", short(from), import.line, import.path).unwrap();
        }
    }
    assert!(
        faults.is_empty(),
        "import from the module that defines the name:\n{faults}"
    );
}

#[test]
fn cycles_and_imports_through_the_root_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    file(
        "lib.rs",
        "mod a; mod b; mod group; pub use a::A; #[cfg(test)] mod tests { use crate::A; }",
    );
    file("a.rs", "use crate::{b::{self, B as Other}}; pub(crate) struct A;");
    file(
        "b.rs",
        "pub(crate) struct B; fn f(_: group::C) { let _ = (1, [super::group::c::C]); }",
    );
    file(
        "group/mod.rs",
        "mod c; mod d; pub(crate) use c::C; #[path = \"odd.rs\"] mod e;",
    );
    file(
        "group/c.rs",
        "#[derive(X)] #[x(y = \"crate::a::A\")] pub(crate) struct C;",
    );
    file(
        "group/d.rs",
        "vec![crate::A]; super::super::A; use super::*; const A: u8 = $crate::A;",
    );
    file("group/odd.rs", "use crate::group::d;");
    let imports = Imports::of(&Sources::read(&folder.path().join("lib.rs")));
    let names = |files: &BTreeSet<PathBuf>| -> Vec<String> {
        let relative = |file: &PathBuf| file.strip_prefix(folder.path()).unwrap().display().to_string();
        files.iter().map(relative).collect()
    };
    let cycles: Vec<_> = imports.cycles().iter().map(names).collect();
    assert_eq!(cycles, [vec!["a.rs", "b.rs", "group/c.rs"]]);
    let through_root: Vec<_> = imports
        .through_root
        .iter()
        .map(|(_, import)| import.path.as_str())
        .collect();
    assert_eq!(through_root, ["crate::A", "super::super::A"]);
}

/// A path that leads to another file.
#[derive(Clone, Debug)]
struct Import {
    line: usize,
    path: String,
}

/// The imports of a library or program.
#[derive(Debug, Default)]
struct Imports {
    /// By the importing and the imported file.
    edges: BTreeMap<PathBuf, BTreeMap<PathBuf, Vec<Import>>>,
    /// Names that the root file defines or re-exports.
    through_root: Vec<(PathBuf, Import)>,
}

impl Imports {
    fn of(sources: &Sources) -> Self {
        let mut imports = Self::default();
        for (file, module, tokens) in &sources.files {
            let mut paths = Vec::new();
            collect(tokens.clone(), module, &mut paths);
            for (module, line, path) in paths {
                imports.add(sources, file, &module, line, &path);
            }
        }
        imports
    }

    fn add(&mut self, sources: &Sources, file: &Path, module: &Module, line: usize, path: &[String]) {
        let Some((target, name)) = resolve(sources, module, path) else {
            return;
        };
        let import = Import {
            line,
            path: path.join("::"),
        };
        let target_file = &sources.modules[&target];
        if target_file == file {
            return;
        }
        if *target_file == sources.root {
            let is_macro = name.is_some_and(|name| sources.macros.contains(name));
            if name.is_some() && !is_macro {
                self.through_root.push((file.to_owned(), import));
            }
            return;
        }
        let from = self.edges.entry(file.to_owned()).or_default();
        from.entry(target_file.clone()).or_default().push(import);
    }

    /// The files that a file leads to, over any number of imports.
    fn reachable(&self, from: &Path) -> BTreeSet<PathBuf> {
        let mut reached = BTreeSet::new();
        let mut ahead = vec![from.to_owned()];
        while let Some(file) = ahead.pop() {
            for next in self.edges.get(&file).into_iter().flat_map(BTreeMap::keys) {
                if reached.insert(next.clone()) {
                    ahead.push(next.clone());
                }
            }
        }
        reached
    }

    /// The largest sets of files that lead to each other.
    fn cycles(&self) -> BTreeSet<BTreeSet<PathBuf>> {
        let reachable: BTreeMap<&PathBuf, _> = self
            .edges
            .keys()
            .map(|file| (file, self.reachable(file)))
            .collect();
        let leads =
            |from: &PathBuf, to: &PathBuf| reachable.get(from).is_some_and(|reached| reached.contains(to));
        let in_cycle = self.edges.keys().filter(|file| leads(file, file));
        in_cycle
            .map(|file| {
                let others = reachable[file].iter().filter(|other| leads(other, file));
                others.cloned().collect()
            })
            .collect()
    }

    /// The imports between the files of a cycle.
    fn within<'a>(&'a self, cycle: &'a BTreeSet<PathBuf>) -> impl Iterator<Item = (&'a PathBuf, &'a Import)> {
        cycle.iter().flat_map(move |from| {
            let edges = self.edges[from].iter().filter(|(to, _)| cycle.contains(*to));
            edges.flat_map(move |(_, imports)| imports.iter().map(move |import| (from, import)))
        })
    }
}

/// The module that a path leads to, and the name that it takes from there.
fn resolve<'a>(
    sources: &Sources,
    module: &Module,
    path: &'a [String],
) -> Option<(Module, Option<&'a String>)> {
    let mut target = module.clone();
    let mut rest = path.iter().peekable();
    match path[0].as_str() {
        "crate" => {
            target.clear();
            rest.next();
        }
        "self" => drop(rest.next()),
        "super" => {
            while rest.next_if(|word| *word == "super").is_some() {
                target.pop()?;
            }
        }
        child => {
            let child: Module = module.iter().cloned().chain([child.to_owned()]).collect();
            sources.modules.get(&child)?;
        }
    }
    while let Some(name) = rest.peek() {
        let child: Module = target.iter().cloned().chain([(*name).clone()]).collect();
        if !sources.modules.contains_key(&child) {
            break;
        }
        target = child;
        rest.next();
    }
    // `use a::{self}` names the module itself.
    let name = rest.next().filter(|name| *name != "self");
    Some((target, name))
}

/// Every path in these tokens that can lead to another file, with the module in which it stands and its line.
fn collect(tokens: TokenStream, module: &Module, paths: &mut Vec<(Module, usize, Vec<String>)>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let line = token.span().start().line;
        if let Some((name, body)) = module_at(&tokens, at) {
            if let Some(body) = body
                && !is_for_tests(&attributes_before(&tokens, at))
            {
                let child = module.iter().cloned().chain([name]).collect();
                collect(body.stream(), &child, paths);
            }
            at += 3;
            continue;
        }
        match token {
            TokenTree::Ident(word) if word == "use" => {
                let end = tokens[at..].iter().position(|token| is_mark(Some(token), ';'));
                let end = end.map_or(tokens.len(), |length| at + length);
                flatten(&tokens[at + 1..end], &[], &mut |path| {
                    paths.push((module.clone(), line, path))
                });
                at = end;
            }
            TokenTree::Ident(word) if word == "pub" && is_restriction(tokens.get(at + 1)) => at += 2,
            TokenTree::Ident(_) => {
                let (path, after) = path_at(&tokens, at);
                // What follows `$` is the macro's caller's; what follows `::` is part of a longer path.
                let before = at.checked_sub(1).and_then(|before| tokens.get(before));
                if path.len() > 1 && !is_mark(before, '$') && !is_mark(before, ':') {
                    paths.push((module.clone(), line, path));
                }
                at = after;
            }
            TokenTree::Group(group) => {
                collect(group.stream(), module, paths);
                at += 1;
            }
            TokenTree::Literal(literal) => {
                paths.extend(quoted(&literal.to_string()).map(|path| (module.clone(), line, path)));
                at += 1;
            }
            TokenTree::Punct(_) => at += 1,
        }
    }
}

/// The path that begins at an identifier, and where it ends.
fn path_at(tokens: &[TokenTree], start: usize) -> (Vec<String>, usize) {
    let mut path = vec![tokens[start].to_string()];
    let mut at = start + 1;
    while is_colons(tokens, at)
        && let Some(TokenTree::Ident(name)) = tokens.get(at + 2)
    {
        path.push(name.to_string());
        at += 3;
    }
    (path, at)
}

/// Every path of a `use` tree.
fn flatten(tree: &[TokenTree], prefix: &[String], found: &mut impl FnMut(Vec<String>)) {
    for branch in tree.split(|token| is_mark(Some(token), ',')) {
        let mut path = prefix.to_vec();
        let mut is_external = false;
        for (at, token) in branch.iter().enumerate() {
            match token {
                TokenTree::Ident(word) if word == "as" => break,
                TokenTree::Ident(name) => path.push(name.to_string()),
                TokenTree::Punct(mark) if mark.as_char() == '*' => path.push("*".to_owned()),
                TokenTree::Punct(_) if at == 0 => is_external = true,
                TokenTree::Group(group) => {
                    let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                    flatten(&inner, &path, found);
                    path.clear();
                }
                _ => {}
            }
        }
        if !path.is_empty() && !is_external && !branch.is_empty() {
            found(path);
        }
    }
}

/// The path in a string literal, as attributes of serde and clap have it.
fn quoted(literal: &str) -> Option<Vec<String>> {
    let text = literal.strip_prefix('"')?.strip_suffix('"')?;
    let path: Vec<String> = text.split("::").map(str::to_owned).collect();
    let is_word = |word: &String| !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || c == '_');
    let is_ours = ["crate", "super", "self"].contains(&path[0].as_str());
    (path.len() > 1 && is_ours && path.iter().all(is_word)).then_some(path)
}

/// Whether this is the `(crate)`, `(super)` or `(in …)` after `pub`.
fn is_restriction(token: Option<&TokenTree>) -> bool {
    let Some(TokenTree::Group(group)) = token else {
        return false;
    };
    let first = group.stream().into_iter().next();
    let words = ["crate", "super", "self", "in"];
    group.delimiter() == Delimiter::Parenthesis && words.iter().any(|word| is_ident(first.as_ref(), word))
}

fn is_colons(tokens: &[TokenTree], at: usize) -> bool {
    matches!(tokens.get(at), Some(TokenTree::Punct(mark)) if mark.as_char() == ':' && mark.spacing() == Spacing::Joint)
        && is_mark(tokens.get(at + 1), ':')
}

fn is_mark(token: Option<&TokenTree>, character: char) -> bool {
    matches!(token, Some(TokenTree::Punct(mark)) if mark.as_char() == character)
}
