//! Lists and their cursors.

use std::collections::BTreeSet;

use tonghop_tests::{TestApp, broadcasts};

/// Reports of the twelve districts, each with ten broadcasts.
pub(crate) async fn twelve_districts_report(app: &TestApp) {
    for unit in 866..878 {
        let answer = app.post(&broadcasts(&unit.to_string(), 10)).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
    }
    app.settled_totals("VN").await;
}

/// Reads a list page by page and fails the test unless it has this many rows, none of them twice.
pub(crate) async fn assert_pages(app: &TestApp, path: &str, list: &str, count: usize) {
    let mut seen = BTreeSet::new();
    let mut cursor = None::<String>;
    loop {
        let address = cursor.map_or(path.to_owned(), |cursor| format!("{path}&cursor={cursor}"));
        let page = app.get(&address).await.json();
        let rows = page[list].as_array().unwrap_or_else(|| panic!("{path}: {page}"));
        for row in rows {
            assert!(seen.insert(row.to_string()), "{path}: {row} twice");
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!(seen.len(), count, "{path}");
}
