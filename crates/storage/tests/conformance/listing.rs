//! Pages of submissions and of revisions.

use std::collections::BTreeSet;

use chrono::Duration;
use futures_util::future::join_all;
use tonghop_domain::{Change, Content, Revision, Status, SubmissionId, SubmissionKey};
use tonghop_storage::{SubmissionFilter, SubmissionOrder, Write};

use crate::support::figures::flow;
use crate::support::{FORM, PAST, PERIOD, TestStore, recorded};

on_both!(
    submissions_are_listed_newest_first,
    filters_restrict_the_list_of_submissions,
    pages_have_neither_gaps_nor_duplicates,
    a_submission_that_is_corrected_between_two_pages_is_on_one_of_them,
    updated_since_includes_the_given_time,
    pages_of_every_order_and_status_are_the_whole_list,
    revisions_are_paged,
    pages_are_bounded_in_bytes,
);

pub(crate) async fn list(store: &TestStore, filter: SubmissionFilter) -> Vec<Revision> {
    store.submissions(filter, 1000).await.unwrap().revisions
}

async fn submissions_are_listed_newest_first(store: TestStore) {
    let first = store.reports("01-A-1", 1).await;
    let second = store.reports("01-A-2", 2).await;
    let all = || list(&store, SubmissionFilter::default());
    assert_eq!(all().await, [second.clone(), first]);
    let corrected = store.reports("01-A-1", 3).await;
    assert_eq!(
        all().await,
        [second, corrected.clone()],
        "with its current revision, in its place"
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
            let page = store.submissions(filter, limit).await.unwrap().revisions;
            assert!(page.len() <= limit);
            if page.is_empty() {
                break;
            }
            paged.extend(page);
        }
        assert_eq!(paged, all, "in pages of {limit}");
    }
}

async fn a_submission_that_is_corrected_between_two_pages_is_on_one_of_them(store: TestStore) {
    let units = ["01-A-1", "01-A-2", "01-A-3", "01-B-1"];
    let mut reported = Vec::new();
    for unit in units {
        reported.push(store.reports(unit, 1).await);
    }
    let ids: BTreeSet<_> = reported.iter().map(|one| one.id).collect();
    for updated_since in [None, Some(reported[0].received_at)] {
        let order = match updated_since {
            Some(_) => SubmissionOrder::LastChangedLast,
            None => SubmissionOrder::NewestFirst,
        };
        let mut seen = BTreeSet::new();
        let mut after = None;
        for (page, unit) in (2..).zip(units) {
            let filter = SubmissionFilter {
                order,
                updated_since,
                after,
                ..SubmissionFilter::default()
            };
            let page = (page, store.submissions(filter, 1).await.unwrap().revisions);
            after = page.1.last().map(|last| (last.received_at, last.id));
            seen.extend(page.1.iter().map(|one| one.id));
            if updated_since.is_none() {
                // One that was seen and one that was not.
                store.reports(unit, page.0).await;
                store.reports("01-B-1", page.0 * 10).await;
            }
        }
        assert_eq!(seen, ids, "{updated_since:?}");
        if updated_since.is_none() {
            continue;
        }
        let filter = SubmissionFilter {
            order,
            updated_since,
            ..SubmissionFilter::default()
        };
        let first = store.submissions(filter.clone(), 2).await.unwrap().revisions;
        let moved = store.reports("01-A-1", 99).await;
        let after = first.last().map(|last| (last.received_at, last.id));
        let rest = store
            .submissions(SubmissionFilter { after, ..filter }, 9)
            .await
            .unwrap()
            .revisions;
        assert_eq!(rest.last(), Some(&moved));
        let seen: BTreeSet<_> = first.iter().chain(&rest).map(|one| one.id).collect();
        assert_eq!(seen, ids);
    }
}

async fn pages_of_every_order_and_status_are_the_whole_list(store: TestStore) {
    let mut created = Vec::new();
    for unit in ["01-A-1", "01-A-2", "01-A-3", "01-B-1"] {
        created.push(store.reports(unit, 1).await.id);
    }
    let corrected = store.reports("01-A-2", 2).await.id;
    let withdrawn = store.withdraws("01-A-1").await.id;
    let changed = [created[2], created[3], corrected, withdrawn];
    let backwards = |ids: &[SubmissionId]| ids.iter().rev().copied().collect::<Vec<_>>();
    for (order, expected) in [
        (SubmissionOrder::OldestFirst, created.clone()),
        (SubmissionOrder::NewestFirst, backwards(&created)),
        (SubmissionOrder::LastChangedLast, changed.to_vec()),
        (SubmissionOrder::LastChangedFirst, backwards(&changed)),
    ] {
        for status in [None, Some(Status::Accepted), Some(Status::Withdrawn)] {
            let is_wanted = |id: &&SubmissionId| {
                status.is_none_or(|status| (status == Status::Withdrawn) == (**id == withdrawn))
            };
            let expected: Vec<_> = expected.iter().filter(is_wanted).copied().collect();
            for limit in [1, 2, 9] {
                let (mut paged, mut after) = (Vec::new(), None);
                loop {
                    let filter = SubmissionFilter {
                        order,
                        status,
                        after,
                        ..SubmissionFilter::default()
                    };
                    let page = store.submissions(filter, limit).await.unwrap();
                    after = page.revisions.last().map(|last| (last.received_at, last.id));
                    paged.extend(page.revisions.into_iter().map(|one| one.id));
                    if !page.more {
                        break;
                    }
                }
                assert_eq!(paged, expected, "{order:?} {status:?} in pages of {limit}");
            }
        }
    }
}

async fn updated_since_includes_the_given_time(store: TestStore) {
    let first = store.reports("01-A-1", 1).await;
    let second = store.reports("01-A-2", 2).await;
    let since = async |time| {
        let filter = SubmissionFilter {
            order: SubmissionOrder::LastChangedLast,
            updated_since: Some(time),
            ..SubmissionFilter::default()
        };
        list(&store, filter).await
    };
    assert_eq!(since(first.received_at).await, [first.clone(), second.clone()]);
    let just_after = first.received_at + Duration::microseconds(1);
    assert_eq!(since(just_after).await, std::slice::from_ref(&second));
    let corrected = store.reports("01-A-1", 3).await;
    assert_eq!(since(just_after).await, [second, corrected.clone()]);
    assert_eq!(since(corrected.received_at + Duration::microseconds(1)).await, []);
}

async fn revisions_are_paged(store: TestStore) {
    let mut all = Vec::new();
    for value in 1..=10 {
        all.insert(0, store.reports("01-A-1", value).await);
    }
    store.reports("01-A-2", 1).await;
    let id = all[0].id;
    assert_eq!(store.revisions(id, None, 100).await.unwrap().revisions, all);
    assert_eq!(store.revisions(id, None, 3).await.unwrap().revisions, all[..3]);
    assert_eq!(
        store.revisions(id, Some(8), 3).await.unwrap().revisions,
        all[3..6]
    );
    assert_eq!(store.revisions(id, Some(1), 3).await.unwrap().revisions, []);
}

/// A page of large reports has fewer than were wanted, and at least one.
async fn pages_are_bounded_in_bytes(store: TestStore) {
    const KB: usize = 1_000;
    let report = async |unit: &str, number: i64, bytes: usize| {
        let content = Content {
            figures: vec![flow(number)],
            note: Some("x".repeat(bytes)),
        };
        let write = Write {
            change: Change::Report(content.into()),
            ..store.write(unit, [])
        };
        recorded(store.send(write).await)
    };
    let sizes = [300, 300, 300, 300, 2_000, 300, 10, 10];
    for (number, size) in (1..).zip(sizes) {
        report("01-A-1", number, size * KB).await;
    }
    let id = store.reports("01-A-1", 9).await.id;
    let (mut before, mut pages) = (None, Vec::new());
    loop {
        let page = store.revisions(id, before, 100).await.unwrap();
        before = page.revisions.last().map(|last| last.revision);
        pages.push(page.revisions.len());
        if !page.more {
            break;
        }
        assert!(page.is_cut);
    }
    // The newest first: 9, 8, 7 and 6 fit together; 5 is alone; 4, 3 and 2; 1.
    assert_eq!(pages, [4, 1, 3, 1]);
    let wanted = store.revisions(id, None, 3).await.unwrap();
    assert_eq!(
        (wanted.revisions.len(), wanted.more, wanted.is_cut),
        (3, true, false)
    );
    for unit in ["01-A-2", "01-B-1", "02-A-1", "01-A"] {
        report(unit, 1, 400 * KB).await;
    }
    let (mut filter, mut seen) = (SubmissionFilter::default(), Vec::new());
    loop {
        let page = store.submissions(filter.clone(), 100).await.unwrap();
        let bytes: usize = page
            .revisions
            .iter()
            .filter_map(|one| Some(one.content.note.as_ref()?.len()))
            .sum();
        assert!(bytes <= 1 << 20, "{bytes}");
        filter.after = page.revisions.last().map(|last| (last.received_at, last.id));
        seen.extend(page.revisions);
        if !page.more {
            break;
        }
    }
    assert_eq!(seen, list_in_pages_of_one(&store).await);
    assert_eq!(seen.len(), 5);
}

async fn list_in_pages_of_one(store: &TestStore) -> Vec<Revision> {
    let (mut filter, mut all) = (SubmissionFilter::default(), Vec::new());
    loop {
        let page = store.submissions(filter.clone(), 1).await.unwrap();
        filter.after = page.revisions.last().map(|last| (last.received_at, last.id));
        all.extend(page.revisions);
        if !page.more {
            return all;
        }
    }
}
