//! The instructions in docs/catalogue.md work as written.

use std::path::Path;
use std::process::Command;

use crate::folder::Folder;

/// The first code block of the page in a language.
fn documented(language: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/catalogue.md");
    let text = std::fs::read_to_string(page).unwrap();
    let (_, after) = text.split_once(&format!("```{language}\n")).unwrap();
    after.split_once("```").unwrap().0.to_owned()
}

#[test]
fn the_documented_command_turns_the_national_list_into_a_catalogue() {
    let folder = Folder::like_built_in().with("forms.toml", documented("toml"));
    std::fs::create_dir(folder.path().join("my-catalogue")).unwrap();
    std::fs::write(
        folder.path().join("national-list.csv"),
        include_str!("../fixtures/national-list.csv"),
    )
    .unwrap();
    let shell = Command::new("sh")
        .arg("-c")
        .arg(documented("sh"))
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(
        shell.status.success(),
        "{}",
        String::from_utf8_lossy(&shell.stderr)
    );
    let units = std::fs::read_to_string(folder.path().join("my-catalogue/units.csv")).unwrap();
    let folder = folder.with("units.csv", units);

    let catalogue = folder.load().unwrap_or_else(|errors| panic!("{errors}"));
    let scope = catalogue.scope("ngay-30-7", "2021-07".parse().unwrap()).unwrap();
    let root = scope.tree.get("VN").unwrap();
    assert_eq!(root.children().count(), 63);
    assert_eq!(root.at_or_below().count(), 1 + 63 + 705);
    let reporting = scope
        .tree
        .places()
        .filter(|place| scope.form.is_reported_by(place.unit()));
    assert_eq!(reporting.count(), 705);
    let district = scope.tree.get("001").unwrap();
    assert_eq!(district.unit().names.en, "Ba Dinh");
    assert_eq!(district.province().code().as_str(), "01");
    assert!(catalogue.tree("2025-07-01".parse().unwrap()).get("001").is_none());
}
