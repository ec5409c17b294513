//! Pages of submissions and of revisions.

use std::collections::BTreeSet;

use chrono::Duration;
use futures_util::future::join_all;
use tonghop_domain::{Revision, Status, SubmissionKey};
use tonghop_storage::{SubmissionFilter, Write};

use crate::support::figures::flow;
use crate::support::{FORM, PAST, PERIOD, TestStore, recorded};

on_both!(
    submissions_are_listed_newest_first,
    filters_restrict_the_list_of_submissions,
    pages_have_neither_gaps_nor_duplicates,
    updated_since_includes_the_given_time,
    revisions_are_paged,
);

async fn list(store: &TestStore, filter: SubmissionFilter) -> Vec<Revision> {
    store.submissions(filter, 1000).await.unwrap()
}

async fn submissions_are_listed_newest_first(store: TestStore) {
    let first = store.reports("01-A-1", 1).await;
    let second = store.reports("01-A-2", 2).await;
    let all = || list(&store, SubmissionFilter::default());
    assert_eq!(all().await, [second.clone(), first]);
    let corrected = store.reports("01-A-1", 3).await;
    assert_eq!(
        all().await,
        [corrected.clone(), second],
        "with its current revision"
    );
    let withdrawn = store.withdraws("01-A-2").await;
    assert_eq!(withdrawn.status, Status::Withdrawn);
    assert_eq!(all().await, [withdrawn, corrected]);
}

async fn filters_restrict_the_list_of_submissions(store: TestStore) {
    let mut keys = Vec::new();
    for form in [FORM, "khac"] {
        for period in [PERIOD, PAST] {
            for unit in ["01-A-1", "01-B-1"] {
                let key = SubmissionKey {
                    form: form.parse().unwrap(),
                    ..store.key_for(period, unit)
                };
                let write = Write {
                    key: key.clone(),
                    ..store.write(unit, [flow(1)])
                };
                recorded(store.send(write).await);
                keys.push(key);
            }
        }
    }
    let forms = [None, Some(FORM), Some("khac"), Some("other")];
    let periods = [None, Some(PERIOD), Some(PAST), Some("2022-07")];
    let units: [Option<Vec<&str>>; 5] = [
        None,
        Some(vec![]),
        Some(vec!["01-A-1"]),
        Some(vec!["01-A-1", "01-B-1"]),
        Some(vec!["02-A"]),
    ];
    for form in forms {
        for period in periods {
            for units in &units {
                let ids = |codes: &Vec<&str>| codes.iter().map(|unit| store.unit_id(unit)).collect();
                let filter = SubmissionFilter {
                    form: form.map(|form| form.parse().unwrap()),
                    period: period.map(|period| period.parse().unwrap()),
                    units: units.as_ref().map(ids),
                    ..SubmissionFilter::default()
                };
                let wanted = keys.iter().filter(|key| {
                    filter.form.as_ref().is_none_or(|form| *form == key.form)
                        && filter.period.is_none_or(|period| period == key.period)
                        && filter
                            .units
                            .as_ref()
                            .is_none_or(|units| units.contains(&key.unit))
                });
                let wanted: BTreeSet<SubmissionKey> = wanted.cloned().collect();
                let listed = list(&store, filter).await;
                assert_eq!(listed.len(), wanted.len());
                let listed: BTreeSet<SubmissionKey> = listed.into_iter().map(|one| one.key).collect();
                assert_eq!(listed, wanted, "{form:?} {period:?} {units:?}");
            }
        }
    }
}

async fn pages_have_neither_gaps_nor_duplicates(store: TestStore) {
    let units = [
        "01-A-1", "01-A-2", "01-A-3", "01-B-1", "01-X", "02-A", "02-A-1", "VN-X",
    ];
    let years = 2030..2036;
    // Concurrently, so that many have the same time.
    let writes = years
        .flat_map(|year| units.map(|unit| (year, unit)))
        .map(|(year, unit)| {
            let key = store.key_for(&format!("{year}-07"), unit);
            store.send(Write {
                key,
                ..store.write(unit, [flow(1)])
            })
        });
    let written = join_all(writes).await.len();
    let all = list(&store, SubmissionFilter::default()).await;
    assert_eq!(all.len(), written);
    let times: BTreeSet<_> = all.iter().map(|one| one.received_at).collect();
    assert!(times.len() < written, "some share their time");
    for limit in [1, 7, 47, 48, 49] {
        let mut paged: Vec<Revision> = Vec::new();
        loop {
            let after = paged.last().map(|last| (last.received_at, last.id));
            let filter = SubmissionFilter {
                after,
                ..SubmissionFilter::default()
            };
            let page = store.submissions(filter, limit).await.unwrap();
            assert!(page.len() <= limit);
            if page.is_empty() {
                break;
            }
            paged.extend(page);
        }
        assert_eq!(paged, all, "in pages of {limit}");
    }
}

async fn updated_since_includes_the_given_time(store: TestStore) {
    let first = store.reports("01-A-1", 1).await;
    let second = store.reports("01-A-2", 2).await;
    let since = async |time| {
        let filter = SubmissionFilter {
            updated_since: Some(time),
            ..SubmissionFilter::default()
        };
        list(&store, filter).await
    };
    assert_eq!(since(first.received_at).await, [second.clone(), first.clone()]);
    let just_after = first.received_at + Duration::microseconds(1);
    assert_eq!(since(just_after).await, std::slice::from_ref(&second));
    let corrected = store.reports("01-A-1", 3).await;
    assert_eq!(since(just_after).await, [corrected.clone(), second]);
    assert_eq!(since(corrected.received_at + Duration::microseconds(1)).await, []);
}

async fn revisions_are_paged(store: TestStore) {
    let mut all = Vec::new();
    for value in 1..=10 {
        all.insert(0, store.reports("01-A-1", value).await);
    }
    store.reports("01-A-2", 1).await;
    let id = all[0].id;
    assert_eq!(store.revisions(id, None, 100).await.unwrap(), all);
    assert_eq!(store.revisions(id, None, 3).await.unwrap(), all[..3]);
    assert_eq!(store.revisions(id, Some(8), 3).await.unwrap(), all[3..6]);
    assert_eq!(store.revisions(id, Some(1), 3).await.unwrap(), []);
}
