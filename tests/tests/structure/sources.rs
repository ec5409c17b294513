//! The sources of our packages, as tokens.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// A module of a program or library, by the names that lead to it from the root.
pub(crate) type Module = Vec<String>;

/// A program or library: every file that it is compiled from, except test modules.
#[derive(Debug)]
pub(crate) struct Sources {
    /// `src/lib.rs` or `src/main.rs`.
    pub(crate) root: PathBuf,
    /// The files with their modules and tokens.
    pub(crate) files: Vec<(PathBuf, Module, TokenStream)>,
    /// The file of each module; a module in braces lies in the file of the module around it.
    pub(crate) modules: BTreeMap<Module, PathBuf>,
    /// The names of the macros that are defined in it.
    pub(crate) macros: BTreeSet<String>,
}

/// Reads every library and program under `crates` and `services`.
pub(crate) fn our_sources() -> Vec<Sources> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut all = Vec::new();
    for folder in ["crates", "services"] {
        for package in std::fs::read_dir(repository.join(folder)).unwrap() {
            let source = package.unwrap().path().join("src");
            let roots = ["lib.rs", "main.rs"].map(|name| source.join(name));
            all.extend(
                roots
                    .iter()
                    .filter(|root| root.exists())
                    .map(|root| Sources::read(root)),
            );
        }
    }
    assert!(
        all.len() >= 10,
        "{} libraries and programs are too few",
        all.len()
    );
    all
}

/// A path from the root of the repository, for messages.
pub(crate) fn short(path: &Path) -> String {
    let text = path.display().to_string();
    text.split_once("/../")
        .map_or(text.clone(), |(_, short)| short.to_owned())
}

impl Sources {
    /// Reads a root file and every file that it leads to.
    pub(crate) fn read(root: &Path) -> Self {
        let mut sources = Self {
            root: root.to_owned(),
            files: Vec::new(),
            modules: BTreeMap::new(),
            macros: BTreeSet::new(),
        };
        sources.read_file(root, Module::new());
        sources
    }

    fn read_file(&mut self, file: &Path, module: Module) {
        let text =
            std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let tokens: TokenStream = text
            .parse()
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        self.modules.insert(module.clone(), file.to_owned());
        self.files.push((file.to_owned(), module.clone(), tokens.clone()));
        let folder = folder_of_children(file);
        self.read_modules(file, &folder, &module, tokens);
    }

    /// Follows the module declarations in a file or in the braces of a module.
    fn read_modules(&mut self, file: &Path, folder: &Path, module: &Module, tokens: TokenStream) {
        for item in items(tokens) {
            match item {
                Item::Module {
                    name,
                    body,
                    attributes,
                } if !is_for_tests(&attributes) => {
                    let child: Module = module.iter().cloned().chain([name.clone()]).collect();
                    match body {
                        Some(body) => {
                            self.modules.insert(child.clone(), file.to_owned());
                            self.read_modules(file, &folder.join(&name), &child, body.stream());
                        }
                        None => self.read_file(&file_of(file, folder, &name, &attributes), child),
                    }
                }
                Item::Module { .. } => {}
                Item::Macro(name) => drop(self.macros.insert(name)),
            }
        }
    }
}

/// The folder in which the modules lie that a file declares.
fn folder_of_children(file: &Path) -> PathBuf {
    let folder = file.parent().unwrap();
    match file.file_stem().unwrap().to_str().unwrap() {
        "lib" | "main" | "mod" => folder.to_owned(),
        stem => folder.join(stem),
    }
}

/// The file of a module that is declared without a body.
fn file_of(declaring: &Path, folder: &Path, name: &str, attributes: &[TokenStream]) -> PathBuf {
    for attribute in attributes {
        let tokens: Vec<TokenTree> = attribute.clone().into_iter().collect();
        if let [TokenTree::Ident(key), _, TokenTree::Literal(path)] = tokens.as_slice()
            && key == "path"
        {
            let path = path.to_string();
            return declaring.parent().unwrap().join(path.trim_matches('"'));
        }
    }
    let file = folder.join(format!("{name}.rs"));
    if file.exists() {
        file
    } else {
        folder.join(name).join("mod.rs")
    }
}

/// What of a file its structure consists of.
enum Item {
    Module {
        name: String,
        body: Option<Group>,
        attributes: Vec<TokenStream>,
    },
    Macro(String),
}

/// The modules and macros that a list of items declares.
fn items(tokens: TokenStream) -> Vec<Item> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut items = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        if is_ident(Some(token), "macro_rules")
            && let Some(TokenTree::Ident(name)) = tokens.get(at + 2)
        {
            items.push(Item::Macro(name.to_string()));
        }
        if let Some((name, body)) = module_at(&tokens, at) {
            let attributes = attributes_before(&tokens, at);
            items.push(Item::Module {
                name,
                body: body.cloned(),
                attributes,
            });
        }
    }
    items
}

/// The name and the body of the module whose declaration begins here with `mod`.
pub(crate) fn module_at(tokens: &[TokenTree], at: usize) -> Option<(String, Option<&Group>)> {
    if !is_ident(tokens.get(at), "mod") {
        return None;
    }
    let TokenTree::Ident(name) = tokens.get(at + 1)? else {
        return None;
    };
    match tokens.get(at + 2)? {
        TokenTree::Group(body) if body.delimiter() == Delimiter::Brace => {
            Some((name.to_string(), Some(body)))
        }
        TokenTree::Punct(end) if end.as_char() == ';' => Some((name.to_string(), None)),
        _ => None,
    }
}

/// The attributes of the item whose keyword is here.
pub(crate) fn attributes_before(tokens: &[TokenTree], at: usize) -> Vec<TokenStream> {
    let mut attributes = Vec::new();
    for token in tokens[..at].iter().rev() {
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket => {
                attributes.push(group.stream())
            }
            // `pub`, `(crate)` and the `#` of an attribute.
            TokenTree::Group(group) if group.delimiter() == Delimiter::Parenthesis => {}
            TokenTree::Ident(word) if word == "pub" => {}
            TokenTree::Punct(mark) if mark.as_char() == '#' => {}
            _ => break,
        }
    }
    attributes
}

/// Whether one of the attributes is `cfg(test)`.
pub(crate) fn is_for_tests(attributes: &[TokenStream]) -> bool {
    attributes.iter().any(|attribute| {
        let text: String = attribute.to_string().split_whitespace().collect();
        text == "cfg(test)"
    })
}

pub(crate) fn is_ident(token: Option<&TokenTree>, word: &str) -> bool {
    matches!(token, Some(TokenTree::Ident(ident)) if ident == word)
}
