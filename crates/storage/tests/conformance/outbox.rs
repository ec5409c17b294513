//! The outbox: every commit is announced, after it, by any relay.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use tonghop_domain::{Announcement, Envelope, Outbox as _, Precondition, RecordedRevision};
use tonghop_storage::{Outcome, Write};

use crate::support::figures::flow;
use crate::support::{FORM, PAST, PERIOD, TestStore, period, recorded, under};

on_both!(
    a_recorded_revision_is_announced_to_its_province,
    a_commit_has_one_announcement_per_form_period_and_province,
    unchanged_reports_are_not_announced,
    a_refreshed_total_is_announced_with_its_version,
    claimed_announcements_are_hidden_and_settled_ones_deleted,
    concurrent_claims_are_disjoint,
    an_unsettled_claim_expires,
    outbox_changed_is_notified_after_a_commit,
    the_backlog_has_an_age_and_a_bounded_count,
);

async fn claimed(store: &TestStore) -> Vec<Envelope> {
    store.claim(1000).await.unwrap()
}

fn announcements(envelopes: Vec<Envelope>) -> Vec<Announcement> {
    envelopes
        .into_iter()
        .map(|envelope| envelope.announcement)
        .collect()
}

async fn a_recorded_revision_is_announced_to_its_province(store: TestStore) {
    for (unit, province) in [("01-A-1", "01"), ("01-X", "01"), ("02-A", "02"), ("VN-X", "VN")] {
        for number in [1, 2] {
            let revision = store.reports(unit, number.into()).await;
            let news = claimed(&store).await;
            assert_eq!(news.len(), 1);
            assert!(news[0].at <= revision.received_at);
            let expected = Announcement::SubmissionsRecorded {
                form: FORM.parse().unwrap(),
                period: period(PERIOD),
                province: province.parse().unwrap(),
                submissions: vec![RecordedRevision {
                    id: revision.id,
                    unit: unit.parse().unwrap(),
                    revision: number,
                }],
            };
            assert_eq!(announcements(news), [expected]);
        }
    }
    store.withdraws("VN-X").await;
    assert_eq!(
        claimed(&store).await.len(),
        1,
        "a withdrawal is a revision like any other"
    );
}

async fn a_commit_has_one_announcement_per_form_period_and_province(store: TestStore) {
    let units = ["01-A-1", "01-A-2", "01-X", "02-A", "02-A-1", "VN-X"];
    let write = |at: usize| {
        let unit = units[at % units.len()];
        let period = [PERIOD, PAST][at % 2];
        Write {
            key: store.key_for(period, unit),
            ..store.write(unit, [flow(at as i64)])
        }
    };
    let sent = (0..300).map(|at| store.send(write(at)));
    let outcomes = join_all(sent).await;
    let revisions: BTreeSet<_> = outcomes
        .into_iter()
        .map(|outcome| {
            let revision = recorded(outcome);
            (revision.key.period, revision.id, revision.revision)
        })
        .collect();
    let news = claimed(&store).await;
    assert!(news.len() < 300, "changes at once share commits");
    let mut commits = BTreeSet::new();
    let mut announced = BTreeSet::new();
    for envelope in news {
        let Announcement::SubmissionsRecorded {
            form,
            period,
            province,
            submissions,
        } = envelope.announcement
        else {
            panic!("{envelope:?}")
        };
        assert_eq!(form.as_str(), FORM);
        assert!(
            commits.insert((envelope.at, period, province.clone())),
            "twice in one commit"
        );
        for one in submissions {
            let belongs = match province.as_str() {
                "VN" => one.unit.as_str() == "VN-X",
                province => one.unit.as_str().starts_with(province),
            };
            assert!(belongs, "{one:?} in {province}");
            assert!(announced.insert((period, one.id, one.revision)), "{one:?} twice");
        }
    }
    assert_eq!(announced, revisions);
}

async fn unchanged_reports_are_not_announced(store: TestStore) {
    let write = Write {
        idempotency: under("k", "five"),
        ..store.write("01-A-1", [flow(5)])
    };
    store.send(write.clone()).await;
    store.clear_outbox().await;
    store.send(write.clone()).await;
    store.send(store.write("01-A-1", [flow(5)])).await;
    let other = Write {
        idempotency: under("k", "six"),
        ..write.clone()
    };
    assert_eq!(store.send(other).await, Outcome::KeyReused);
    let refused = Write {
        condition: Precondition::Absent,
        ..store.write("01-A-1", [flow(6)])
    };
    assert_eq!(store.send(refused).await, Outcome::Conflict { current: 1 });
    store.rehearse(store.write("01-A-1", [flow(7)])).await.unwrap();
    store.refreshes("02").await;
    assert_eq!(claimed(&store).await, []);
}

async fn a_refreshed_total_is_announced_with_its_version(store: TestStore) {
    for version in [1, 2] {
        store.reports("01-A-1", version).await;
        store.clear_outbox().await;
        for (unit, province) in [("01-A", "01"), ("01", "01"), ("VN", "VN")] {
            store.refreshes(unit).await;
            let expected = Announcement::TotalChanged {
                form: FORM.parse().unwrap(),
                period: period(PERIOD),
                province: province.parse().unwrap(),
                unit: unit.parse().unwrap(),
                version,
            };
            assert_eq!(announcements(claimed(&store).await), [expected]);
            assert_eq!(store.total_of(unit).await.version, version);
        }
    }
}

async fn claimed_announcements_are_hidden_and_settled_ones_deleted(store: TestStore) {
    let mut units = Vec::new();
    for unit in ["01-A-1", "01-A-2", "01-A-3", "01-B-1", "01-X"] {
        store.reports(unit, 1).await;
        units.push(unit);
    }
    let first = store.claim(2).await.unwrap();
    let second = store.claim(2).await.unwrap();
    let third = store.claim(2).await.unwrap();
    assert_eq!((first.len(), second.len(), third.len()), (2, 2, 1));
    assert_eq!(store.claim(2).await.unwrap(), []);
    let order: Vec<String> = [&first[..], &second, &third]
        .concat()
        .into_iter()
        .map(|envelope| match envelope.announcement {
            Announcement::SubmissionsRecorded { submissions, .. } => submissions[0].unit.to_string(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(order, units, "oldest first");
    let ids: Vec<_> = first.iter().map(|envelope| envelope.id).collect();
    store.settle(&ids).await.unwrap();
    store.settle(&ids).await.unwrap();
    store.settle(&[]).await.unwrap();
    assert_eq!(store.rows("outbox").await, 3);
}

async fn concurrent_claims_are_disjoint(store: TestStore) {
    for value in 0..60 {
        store.reports("01-A-1", value).await;
    }
    let processes = store.processes().await;
    let claimer = |at: usize| {
        let process = processes[at % 2].clone();
        tokio::spawn(async move {
            let mut taken = Vec::new();
            loop {
                let claimed = process.claim(3).await.unwrap();
                if claimed.is_empty() {
                    return taken;
                }
                taken.extend(claimed.into_iter().map(|envelope| envelope.id));
            }
        })
    };
    let taken: Vec<_> = join_all((0..6).map(claimer))
        .await
        .into_iter()
        .flat_map(Result::unwrap)
        .collect();
    let distinct: BTreeSet<_> = taken.iter().collect();
    assert_eq!(taken.len(), distinct.len(), "nothing is taken twice");
    // A claim during another one may return nothing, without any loss.
    assert_eq!(taken.len() + claimed(&store).await.len(), 60);
}

async fn an_unsettled_claim_expires(store: TestStore) {
    store.reports("01-A-1", 1).await;
    let first = claimed(&store).await;
    assert_eq!(claimed(&store).await, []);
    store
        .sql("UPDATE outbox SET claimed_until = '2020-01-01 00:00:00'")
        .await;
    assert_eq!(claimed(&store).await, first, "the same, with the same id");
    assert_eq!(claimed(&store).await, []);
}

async fn outbox_changed_is_notified_after_a_commit(store: TestStore) {
    let woken = async || {
        tokio::time::timeout(Duration::from_secs(2), store.outbox_changed().notified())
            .await
            .is_ok()
    };
    store.reports("01-A-1", 1).await;
    assert!(woken().await, "after a record");
    store.refreshes("01-A").await;
    assert!(woken().await, "after a refresh");
}

async fn the_backlog_has_an_age_and_a_bounded_count(store: TestStore) {
    let nothing = store.backlog().await.unwrap();
    assert_eq!((nothing.marks, nothing.announcements), (0, 0));
    assert_eq!((nothing.oldest_mark, nothing.oldest_announcement), (None, None));
    let first = store.reports("01-A-1", 1).await;
    store.reports("01-A-2", 2).await;
    let told = store.backlog().await.unwrap();
    assert_eq!((told.marks, told.announcements), (2, 2));
    assert_eq!(told.oldest_mark, Some(first.received_at));
    assert_eq!(told.oldest_announcement, Some(first.received_at));
    assert!(told.at > first.received_at);
    // 2 to the power of 13 of each: more than are counted.
    for _ in 0..13 {
        store
            .sql("INSERT INTO marks (form, period, unit_id, since) SELECT form, period, unit_id, since FROM marks")
            .await;
    }
    let told = store.backlog().await.unwrap();
    assert_eq!((told.marks, told.announcements), (10_000, 2));
}
