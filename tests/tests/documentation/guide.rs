//! The guide for integrators: its commands answer what it shows, its programs work, and its lists of codes are complete.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::demo::{Demo, agrees};
use crate::mask::{EXAMPLE_ID, mask_text};

/// A fenced block of a page.
#[derive(Debug, PartialEq, Eq)]
struct Block {
    language: String,
    text: String,
}

fn folder(language: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs/guide")
        .join(language)
}

fn pages() -> Vec<String> {
    let names = |language| -> BTreeSet<String> {
        let entries = std::fs::read_dir(folder(language)).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    };
    assert_eq!(names("en"), names("vi"));
    names("en").into_iter().collect()
}

fn page(language: &str, name: &str) -> String {
    std::fs::read_to_string(folder(language).join(name)).unwrap()
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(language) = line.strip_prefix("```") else {
            continue;
        };
        let text: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        blocks.push(Block {
            language: language.to_owned(),
            text: text.join("\n"),
        });
    }
    blocks
}

/// The script of a page: each command, and a line after what it prints.
fn script(blocks: &[Block], address: &str) -> String {
    let commands = blocks.iter().filter(|block| block.language == "sh");
    let parts = commands.map(|block| format!("{}\nprintf '\\n{END}\\n'\n", block.text));
    format!("export TONGHOP=http://{address}\n{}", parts.collect::<String>())
}

/// The lines of a text without what differs from one demonstration to the next.
fn comparable(text: &str) -> Vec<String> {
    let masked = mask_text(&text.replace(EXAMPLE_ID, "00000000-0000-0000-0000-000000000000"));
    masked.trim().lines().map(str::to_owned).collect()
}

/// The lines that are shown and were not printed. The order of header fields differs, and a stream has further events.
fn missing(shown: &str, printed: &str) -> Vec<String> {
    let mut printed = comparable(printed);
    let mut is_missing = |line: &String| match printed.iter().position(|other| other == line) {
        Some(at) => {
            printed.swap_remove(at);
            false
        }
        None => true,
    };
    comparable(shown)
        .into_iter()
        .filter(|line| is_missing(line))
        .collect()
}

const END: &str = "-- end of a command --";

#[test]
fn the_commands_of_the_guide_answer_what_it_shows() {
    let (mut executed, mut compared) = (0, 0);
    for name in pages() {
        let page = page("en", &name);
        let blocks = blocks(&page);
        if !blocks.iter().any(|block| block.language == "sh") {
            continue;
        }
        let demo = Demo::start();
        let printed = demo.shell(&script(&blocks, &demo.address));
        let mut outputs = printed.split(END);
        for (at, block) in blocks
            .iter()
            .enumerate()
            .filter(|(_, block)| block.language == "sh")
        {
            let output = outputs.next().unwrap();
            executed += 1;
            let Some(shown) = blocks.get(at + 1) else { continue };
            if shown.language == "text" {
                let missing = missing(&shown.text, output);
                assert!(
                    missing.is_empty(),
                    "{name}: {}\nprints\n{output}\nwithout {missing:?}",
                    block.text
                );
                compared += 1;
            }
            if shown.language != "json" {
                continue;
            }
            compared += 1;
            let shown: Value = serde_json::from_str(&shown.text).unwrap();
            let real: Value = serde_json::from_str(output)
                .unwrap_or_else(|error| panic!("{name}: {}\n{error}: {output}", block.text));
            assert!(
                agrees(&shown, &real),
                "{name}: {}\nanswers\n{real}\nand the page shows\n{shown}",
                block.text
            );
        }
    }
    assert!(executed > 30, "only {executed} commands were executed");
    assert!(compared > 30, "only {compared} outputs were compared");
}

#[test]
fn the_guide_says_the_same_in_both_languages() {
    for name in pages() {
        let (en, vi) = (page("en", &name), page("vi", &name));
        assert_eq!(blocks(&en), blocks(&vi), "{name}");
        let count = |page: &str, prefix: &str| page.lines().filter(|line| line.starts_with(prefix)).count();
        for prefix in ["#", "|", "- "] {
            assert_eq!(
                count(&en, prefix),
                count(&vi, prefix),
                "{name}: lines with {prefix}"
            );
        }
    }
}

/// The codes in the rows of a section of a page, each with its second column.
fn rows(section: &str) -> BTreeMap<String, String> {
    let rows = section.lines().filter_map(|line| {
        let (code, rest) = line.strip_prefix("| `")?.split_once("` | ")?;
        let second = rest.split(" | ").next()?;
        Some((code.to_owned(), second.to_owned()))
    });
    rows.collect()
}

#[test]
fn the_guide_lists_every_code_of_problems_and_field_errors() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../openapi/openapi.json");
    let document: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let codes = |schema: &str| -> BTreeSet<String> {
        let codes = document["components"]["schemas"][schema]["enum"]
            .as_array()
            .unwrap();
        codes
            .iter()
            .map(|code| code.as_str().unwrap().to_owned())
            .collect()
    };
    let statuses = statuses(&document);
    for language in ["en", "vi"] {
        let page = page(language, "errors.md");
        let sections: Vec<&str> = page.rsplit("\n## ").take(2).collect();
        let (fields, problems) = (rows(sections[0]), rows(sections[1]));
        assert_eq!(
            fields.into_keys().collect::<BTreeSet<_>>(),
            codes("FieldErrorCode")
        );
        for (code, status) in &problems {
            let known = statuses.get(code);
            assert!(
                known.is_none_or(|known| known == status),
                "{language}: {code} {status}"
            );
        }
        assert_eq!(
            problems.into_keys().collect::<BTreeSet<_>>(),
            codes("ProblemCode")
        );
    }
}

/// The statuses of problems, as the descriptions of responses name them.
fn statuses(document: &Value) -> BTreeMap<String, String> {
    let mut statuses = BTreeMap::new();
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let description = response["description"].as_str().unwrap();
                for rest in description.split("(`").skip(1) {
                    let code = rest.split("`)").next().unwrap();
                    statuses.insert(code.to_owned(), status.clone());
                }
            }
        }
    }
    assert!(statuses.len() > 15, "{statuses:?}");
    statuses
}
