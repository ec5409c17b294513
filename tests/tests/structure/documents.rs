//! The documents name only what exists: links lead to files and headings, paths to files and folders.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Documents that describe the past, so the paths in them may be gone.
const HISTORY: [&str; 2] = ["docs/decisions/", "docs/measurements/"];

/// A Markdown file, by its path from the root of the repository.
struct Document {
    path: PathBuf,
    text: String,
}

impl Document {
    /// The text without fenced blocks: those show commands and data.
    fn prose(&self) -> String {
        let mut fenced = false;
        let lines = self.text.lines().filter(|line| {
            let is_fence = line.trim_start().starts_with("```");
            fenced ^= is_fence;
            !fenced && !is_fence
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The targets of `[text](target)`, without the code spans between them.
    fn links(&self) -> Vec<String> {
        let prose = self.prose();
        let without_code: String = prose.split('`').step_by(2).collect::<Vec<_>>().join("`");
        let targets = without_code.split("](").skip(1);
        targets
            .filter_map(|rest| rest.split_once(')').map(|(target, _)| target.to_owned()))
            .collect()
    }

    /// The code spans that look like a path from the root of the repository.
    fn paths(&self, folders: &BTreeSet<String>) -> Vec<String> {
        let prose = self.prose();
        let spans = prose.split('`').skip(1).step_by(2);
        spans
            .filter(|span| is_path(span, folders))
            .map(str::to_owned)
            .collect()
    }

    /// The anchors that a hosting site gives to the headings.
    fn anchors(&self) -> BTreeSet<String> {
        let prose = self.prose();
        let headings = prose.lines().filter(|line| line.starts_with('#'));
        headings
            .map(|line| anchor(line.trim_start_matches('#').trim()))
            .collect()
    }
}

/// Has a slash, and begins with a folder of the repository or ends like a file of source or text.
fn is_path(span: &str, folders: &BTreeSet<String>) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    let Some((first, _)) = span.split_once('/') else {
        return false;
    };
    let is_file = [".rs", ".toml", ".md", ".sql", ".yaml", ".json", ".csv"]
        .iter()
        .any(|extension| span.ends_with(extension));
    !span.starts_with('/') && span.chars().all(allowed) && (is_file || folders.contains(first))
}

fn anchor(heading: &str) -> String {
    let kept = heading
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() })
        .collect()
}

/// The entries of a folder that belong to the project, by name.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        panic!("{} cannot be read", folder.display());
    };
    let names = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let ours = names.filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        !name.starts_with('.') && name != "target"
    });
    ours.collect()
}

fn documents() -> Vec<Document> {
    let mut folders = vec![PathBuf::from(ROOT)];
    let mut documents = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in entries(&folder) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                let path = path.strip_prefix(ROOT).unwrap_or(&path).to_owned();
                documents.push(Document { path, text });
            }
        }
    }
    assert!(documents.len() > 10, "{} documents", documents.len());
    documents
}

/// The file that a link leads to, from the root of the repository, with `.` and `..` resolved.
fn resolve(from: &Path, target: &str) -> PathBuf {
    let mut path = PathBuf::new();
    let folder = from.parent().unwrap_or(Path::new(""));
    for part in folder.join(target).iter().filter(|part| *part != ".") {
        if part == ".." {
            path.pop();
        } else {
            path.push(part);
        }
    }
    path
}

#[test]
fn every_relative_link_leads_to_a_file_and_a_heading() {
    let documents = documents();
    let mut broken = Vec::new();
    for document in &documents {
        for link in document.links() {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() {
                document.path.clone()
            } else {
                resolve(&document.path, file)
            };
            let has_heading = || {
                let linked = documents.iter().find(|other| other.path == target);
                linked.is_some_and(|other| other.anchors().contains(heading))
            };
            if !Path::new(ROOT).join(&target).exists() || !(heading.is_empty() || has_heading()) {
                broken.push(format!("{}: {link}", document.path.display()));
            }
        }
    }
    assert!(
        broken.is_empty(),
        "these links lead nowhere:\n{}",
        broken.join("\n")
    );
}

#[test]
fn every_path_in_a_document_exists() {
    let folders = entries(Path::new(ROOT)).into_iter().filter(|path| path.is_dir());
    let folders: BTreeSet<String> = folders
        .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .collect();
    let documents = documents();
    let current = documents.iter().filter(|document| {
        let path = document.path.to_string_lossy();
        !HISTORY.iter().any(|folder| path.starts_with(folder))
    });
    let mut gone = Vec::new();
    let mut found = 0;
    for document in current {
        for path in document.paths(&folders) {
            if Path::new(ROOT).join(&path).exists() {
                found += 1;
            } else {
                gone.push(format!("{}: {path}", document.path.display()));
            }
        }
    }
    assert!(gone.is_empty(), "these paths do not exist:\n{}", gone.join("\n"));
    assert!(found > 20, "only {found} paths were found");
}

#[test]
fn headings_and_paths_are_recognized() {
    assert_eq!(anchor("TLS to PostgreSQL"), "tls-to-postgresql");
    assert_eq!(anchor("What's left: a `code` span"), "whats-left-a-code-span");
    let folders = BTreeSet::from(["crates".to_owned()]);
    for path in ["crates/domain", "crates/domain/src/lib.rs", "src/gone.rs"] {
        assert!(is_path(path, &folders), "{path}");
    }
    for other in ["application/json", "/v1/totals", "crates", "a crates/b"] {
        assert!(!is_path(other, &folders), "{other}");
    }
    assert_eq!(
        resolve(Path::new("docs/a.md"), "../README.md"),
        Path::new("README.md")
    );
}
