//! Recording one change: revisions, corrections, withdrawals and conditions.

use std::sync::Arc;

use chrono::Duration;
use tonghop_domain::{Change, Content, Precondition, Status, SubmissionId};
use tonghop_storage::{Outcome, SubmissionFilter, Write};

use crate::support::figures::{everything, flow, flow_of, list};
use crate::support::{PERIOD, TestStore, recorded};

on_both!(
    a_first_report_is_revision_1,
    reports_are_returned_as_they_were_sent,
    a_correction_is_the_next_revision_and_the_first_is_kept,
    the_same_content_in_another_order_changes_nothing,
    a_changed_note_is_a_correction,
    a_withdrawal_is_a_revision_and_a_second_one_changes_nothing,
    a_report_after_a_withdrawal_restarts_first_received_at,
    a_failed_precondition_is_a_conflict,
    unchanged_content_succeeds_despite_a_failed_precondition,
    a_refused_change_writes_nothing,
    a_conflict_on_an_existing_submission_changes_nothing,
    later_revisions_have_later_times,
    a_dry_run_returns_the_outcome_and_stores_nothing,
    a_change_is_recorded_although_its_caller_disconnects,
);

async fn a_first_report_is_revision_1(store: TestStore) {
    let before = store.now().await.unwrap();
    let revision = store.reports("01-A-1", 5).await;
    assert_eq!(
        (revision.revision, revision.status),
        (1, Status::Accepted),
        "{revision:?}"
    );
    assert_eq!(revision.key, store.key_for(PERIOD, "01-A-1"));
    assert_eq!(revision.content.figures, [flow(5)]);
    assert!(revision.received_at >= before && revision.received_at <= store.now().await.unwrap());

    let id = revision.id;
    assert_eq!(store.submission(id).await.unwrap().as_ref(), Some(&revision));
    assert_eq!(store.revision(id, 1).await.unwrap().as_ref(), Some(&revision));
    assert_eq!(store.revision(id, 2).await.unwrap(), None);
    assert_eq!(store.revisions(id, None, 10).await.unwrap().revisions, [revision]);

    let unknown = SubmissionId(uuid::Uuid::now_v7());
    assert_eq!(store.submission(unknown).await.unwrap(), None);
    assert_eq!(store.revision(unknown, 1).await.unwrap(), None);
    assert_eq!(store.revisions(unknown, None, 10).await.unwrap().revisions, []);
    assert_eq!(store.scopes().await.unwrap().len(), 1);
}

async fn reports_are_returned_as_they_were_sent(store: TestStore) {
    let content = Arc::new(Content {
        figures: everything(),
        note: Some("lý do: số liệu cũ\nsai".into()),
    });
    let write = Write {
        change: Change::Report(content.clone()),
        ..store.write("01-A-1", [])
    };
    let id = write.new_id;
    let revision = recorded(store.send(write).await);
    assert_eq!(revision.id, id);
    assert_eq!(revision.content, content);
    assert_eq!(store.submission(revision.id).await.unwrap(), Some(revision));
}

async fn a_correction_is_the_next_revision_and_the_first_is_kept(store: TestStore) {
    let first = store.reports("01-A-1", 5).await;
    let second = store.reports("01-A-1", 6).await;
    assert_eq!((second.id, second.revision), (first.id, 2));
    assert_eq!(store.revision(first.id, 1).await.unwrap(), Some(first.clone()));
    assert_eq!(
        store.submission(first.id).await.unwrap(),
        Some(second.clone()),
        "the head is the newest"
    );
    assert_eq!(
        store.revisions(first.id, None, 10).await.unwrap().revisions,
        [second, first]
    );
}

async fn the_same_content_in_another_order_changes_nothing(store: TestStore) {
    let [nam, nu] = [([("sex", "nam")], 2), ([("sex", "nu")], 3)];
    let said = [flow_of(5, &[nam, nu]), list(&["a", "b"])];
    let first = recorded(store.send(store.write("01-A-1", said)).await);
    let again = [list(&["a", "b"]), flow_of(5, &[nu, nam])];
    match store.send(store.write("01-A-1", again)).await {
        Outcome::Unchanged {
            revision,
            replayed: false,
        } => {
            assert_eq!(
                (revision.id, revision.revision, revision.received_at),
                (first.id, 1, first.received_at)
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        store.pending().await.unwrap(),
        1,
        "an unchanged report marks nothing"
    );
    let reordered = [flow_of(5, &[nam, nu]), list(&["b", "a"])];
    let second = recorded(store.send(store.write("01-A-1", reordered)).await);
    assert_eq!(second.revision, 2, "the order of items is content");
}

async fn a_changed_note_is_a_correction(store: TestStore) {
    let with_note = |note: &str| {
        let content = Content {
            figures: vec![flow(5)],
            note: Some(note.into()),
        };
        Write {
            change: Change::Report(content.into()),
            ..store.write("01-A-1", [])
        }
    };
    store.reports("01-A-1", 5).await;
    let noted = recorded(store.send(with_note("why")).await);
    assert_eq!((noted.revision, noted.content.note.as_deref()), (2, Some("why")));
    assert!(matches!(
        store.send(with_note("why")).await,
        Outcome::Unchanged { .. }
    ));
    assert_eq!(recorded(store.send(with_note("why not")).await).revision, 3);
}

async fn a_withdrawal_is_a_revision_and_a_second_one_changes_nothing(store: TestStore) {
    let first = store.reports("01-A-1", 5).await;
    let withdrawn = store.withdraws("01-A-1").await;
    assert_eq!(
        (withdrawn.id, withdrawn.revision, withdrawn.status),
        (first.id, 2, Status::Withdrawn)
    );
    assert_eq!(*withdrawn.content, Content::default());
    assert_eq!(store.submission(first.id).await.unwrap(), Some(withdrawn.clone()));
    match store.send(store.withdrawal("01-A-1")).await {
        Outcome::Unchanged { revision, .. } => assert_eq!(revision, withdrawn),
        other => panic!("{other:?}"),
    }
    assert_eq!(
        store.revision(first.id, 1).await.unwrap(),
        Some(first),
        "withdrawn revisions are kept"
    );
}

async fn a_report_after_a_withdrawal_restarts_first_received_at(store: TestStore) {
    let first = store.reports("01-A-1", 5).await;
    let corrected = store.reports("01-A-1", 6).await;
    let (scope, unit) = (store.scope(PERIOD), "01-A-1".parse().unwrap());
    let row = store.completeness(&scope, &unit).await.unwrap().remove(0);
    let times = row.report.unwrap();
    assert_eq!(
        (times.first_received_at, times.last_received_at),
        (first.received_at, corrected.received_at)
    );

    store.withdraws("01-A-1").await;
    let again = store.reports("01-A-1", 6).await;
    assert_eq!((again.id, again.revision), (first.id, 4));
    let row = store.completeness(&scope, &unit).await.unwrap().remove(0);
    let times = row.report.unwrap();
    assert_eq!(times.first_received_at, again.received_at);
    assert_eq!((times.submission, times.revision), (again.id, 4));
}

async fn a_failed_precondition_is_a_conflict(store: TestStore) {
    let mut value = 0;
    let mut wants = |condition, change: Option<Change>| {
        value += 1;
        let write = store.write("01-A-1", [flow(value)]);
        Write {
            condition,
            change: change.unwrap_or(write.change),
            ..write
        }
    };
    let conflict = |current| Outcome::Conflict { current };
    let [absent, at_1, at_2] = [
        Precondition::Absent,
        Precondition::Current(1),
        Precondition::Current(2),
    ];

    assert_eq!(store.send(wants(at_1, None)).await, conflict(0));
    assert_eq!(recorded(store.send(wants(absent, None)).await).revision, 1);
    assert_eq!(store.send(wants(absent, None)).await, conflict(1));
    assert_eq!(store.send(wants(at_2, None)).await, conflict(1));
    assert_eq!(recorded(store.send(wants(at_1, None)).await).revision, 2);
    assert_eq!(store.send(wants(at_1, None)).await, conflict(2));
    let withdraw = Some(Change::Withdraw);
    assert_eq!(store.send(wants(at_1, withdraw.clone())).await, conflict(2));
    assert_eq!(recorded(store.send(wants(at_2, withdraw)).await).revision, 3);
    assert_eq!(
        store.send(wants(absent, None)).await,
        conflict(3),
        "a withdrawn submission exists"
    );
}

async fn unchanged_content_succeeds_despite_a_failed_precondition(store: TestStore) {
    store.reports("01-A-1", 5).await;
    for condition in [Precondition::Absent, Precondition::Current(9)] {
        let again = Write {
            condition,
            ..store.write("01-A-1", [flow(5)])
        };
        let outcome = store.send(again).await;
        assert!(matches!(outcome, Outcome::Unchanged { .. }), "{outcome:?}");
    }
}

async fn a_refused_change_writes_nothing(store: TestStore) {
    let refused = Write {
        condition: Precondition::Current(1),
        idempotency: crate::support::under("k", "r"),
        ..store.write("01-A-1", [flow(5)])
    };
    assert_eq!(store.send(refused).await, Outcome::Conflict { current: 0 });
    store.assert_empty().await;
    assert_eq!(
        store
            .submissions(SubmissionFilter::default(), 10)
            .await
            .unwrap()
            .revisions,
        []
    );
    assert!(store.scopes().await.unwrap().is_empty());
    assert_eq!(store.reports("01-A-1", 5).await.revision, 1);
}

async fn a_conflict_on_an_existing_submission_changes_nothing(store: TestStore) {
    let first = store.reports("01-A-1", 5).await;
    let refused = Write {
        condition: Precondition::Current(3),
        ..store.write("01-A-1", [flow(6)])
    };
    assert_eq!(store.send(refused).await, Outcome::Conflict { current: 1 });
    assert_eq!(store.submission(first.id).await.unwrap(), Some(first));
    for table in ["submissions", "revisions", "marks", "outbox"] {
        assert_eq!(store.rows(table).await, 1, "{table}");
    }
}

async fn later_revisions_have_later_times(store: TestStore) {
    let mut revisions = Vec::new();
    for value in 0..20 {
        revisions.push(store.reports("01-A-1", value).await);
    }
    let at_once = (20..80).map(|value| store.send(store.write("01-A-1", [flow(value)])));
    revisions.extend(
        futures_util::future::join_all(at_once)
            .await
            .into_iter()
            .map(recorded),
    );
    revisions.sort_by_key(|revision| revision.revision);
    for (earlier, later) in revisions.iter().zip(&revisions[1..]) {
        assert_eq!(earlier.revision + 1, later.revision);
        assert!(earlier.received_at < later.received_at, "{earlier:?} {later:?}");
    }
}

async fn a_dry_run_returns_the_outcome_and_stores_nothing(store: TestStore) {
    let rehearse = async |write: Write| store.rehearse(write).await.unwrap();
    let report = store.write("01-A-1", [flow(5)]);
    assert_eq!(recorded(rehearse(report.clone()).await).revision, 1);
    store.assert_empty().await;

    let first = store.reports("01-A-1", 5).await;
    assert!(matches!(rehearse(report).await, Outcome::Unchanged { .. }));
    let correction = store.write("01-A-1", [flow(6)]);
    assert_eq!(recorded(rehearse(correction.clone()).await).revision, 2);
    let refused = Write {
        condition: Precondition::Absent,
        ..correction
    };
    assert_eq!(rehearse(refused).await, Outcome::Conflict { current: 1 });
    assert_eq!(store.submission(first.id).await.unwrap(), Some(first));
    assert_eq!(store.rows("revisions").await, 1);
}

async fn a_change_is_recorded_although_its_caller_disconnects(store: TestStore) {
    for value in 1..=5 {
        let write = store.write("01-A-1", [flow(value)]);
        let soon = std::time::Duration::from_micros(value as u64 - 1);
        tokio::time::timeout(soon, store.record(write)).await.ok();
    }
    store.close().await;
    let listed = store
        .submissions(SubmissionFilter::default(), 10)
        .await
        .unwrap()
        .revisions;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].revision, 5);
    let since = store.now().await.unwrap() - Duration::minutes(1);
    assert!(listed[0].received_at > since);
}
