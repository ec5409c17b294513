//! Vietnamese texts use the terms of the glossary.

use std::path::{Path, PathBuf};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Letters that Vietnamese has and English does not.
const VIETNAMESE: &str = "ăâđêôơưàáảãạằắẳẵặầấẩẫậèéẻẽẹềếểễệìíỉĩịòóỏõọồốổỗộờớởỡợùúủũụừứửữựỳýỷỹỵ";

/// A word to avoid, and whether programs and catalogues avoid it.
struct Avoided {
    word: String,
    in_programs: bool,
    in_catalogue: bool,
}

fn read(path: &Path) -> String {
    match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

/// The second table of the glossary.
fn avoided() -> Vec<Avoided> {
    let glossary = read(&Path::new(ROOT).join("docs/glossary.md"));
    let (_, table) = glossary
        .split_once("## Words to avoid")
        .expect("the glossary has a table of words to avoid");
    let rows = table.lines().filter(|line| line.starts_with('|')).skip(2);
    let avoided = rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let (word, place) = (cells[1], cells[3]);
        assert!(["all", "texts", "catalogue"].contains(&place), "{row}");
        Avoided {
            word: word.to_lowercase(),
            in_programs: place != "catalogue",
            in_catalogue: place != "texts",
        }
    });
    avoided.collect()
}

fn is_vietnamese(text: &str) -> bool {
    text.to_lowercase()
        .chars()
        .any(|letter| VIETNAMESE.contains(letter))
}

/// Whether a text contains a word, not just as a part of another.
fn contains(text: &str, word: &str) -> bool {
    let text = text.to_lowercase();
    text.match_indices(word).any(|(start, _)| {
        let before = text[..start].chars().next_back();
        let after = text[start + word.len()..].chars().next();
        [before, after]
            .iter()
            .flatten()
            .all(|next| !next.is_alphanumeric())
    })
}

/// The Vietnamese lines of a file, with their numbers, without comments.
fn vietnamese_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = (1..).zip(text.lines());
    lines.filter(|(_, line)| is_vietnamese(line) && !line.trim_start().starts_with("//"))
}

/// The words to avoid in a text, each with its place.
fn mistakes<'a>(name: &str, text: &str, words: impl Iterator<Item = &'a Avoided> + Clone) -> Vec<String> {
    let mut mistakes = Vec::new();
    for (number, line) in vietnamese_lines(text) {
        for avoided in words.clone().filter(|avoided| contains(line, &avoided.word)) {
            mistakes.push(format!("{name}:{number}: {}: {}", avoided.word, line.trim()));
        }
    }
    mistakes
}

/// The files below a folder that end so.
fn files(folder: PathBuf, extension: &str) -> Vec<PathBuf> {
    let mut folders = vec![folder];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).expect("a folder of the repository can be read");
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                files.push(path);
            }
        }
    }
    files
}

#[test]
fn texts_of_programs_use_the_terms_of_the_glossary() {
    let avoided = avoided();
    let words = avoided.iter().filter(|avoided| avoided.in_programs);
    let mut texts = 0;
    let mut found = Vec::new();
    for folder in ["services", "crates"] {
        for path in files(Path::new(ROOT).join(folder), "rs") {
            let text = read(&path);
            texts += vietnamese_lines(&text).count();
            found.extend(mistakes(&path.display().to_string(), &text, words.clone()));
        }
    }
    assert!(texts > 100, "only {texts} Vietnamese texts were found");
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_guide_uses_the_terms_of_the_glossary() {
    let avoided = avoided();
    let words = avoided.iter().filter(|avoided| avoided.in_programs);
    let mut found = Vec::new();
    let pages = files(Path::new(ROOT).join("docs/guide/vi"), "md");
    assert!(pages.len() > 10);
    for path in pages {
        let text = read(&path);
        assert!(vietnamese_lines(&text).count() > 10, "{}", path.display());
        found.extend(mistakes(&path.display().to_string(), &text, words.clone()));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_built_in_catalogue_uses_the_terms_of_the_glossary() {
    let avoided = avoided();
    let words = avoided.iter().filter(|avoided| avoided.in_catalogue);
    let data = Path::new(ROOT).join("crates/catalogue/data");
    let mut found = Vec::new();
    for file in ["units.csv", "dimensions.csv", "indicators.csv", "forms.toml"] {
        let text = read(&data.join(file));
        assert!(vietnamese_lines(&text).count() > 0, "{file}");
        found.extend(mistakes(file, &text, words.clone()));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_word_to_avoid_is_found_in_any_case_but_not_within_another_word() {
    assert!(avoided().len() >= 15);
    assert!(contains("Trực thuộc Sở", "trực thuộc"));
    assert!(contains("(lần sửa)", "lần sửa"));
    assert!(!contains("đọcthêm", "đọc"));
    assert!(!contains("Báo cáo gửi chậm", "nộp"));
}
