//! The proof of content: verification compares what the database contains with what the audit trail says was recorded.

use tonghop_domain::{AuditEntry, KeyId, Origin, Revision, Role, SubmissionId, key_proof};
use tonghop_storage::{AuditFault, LaggingHead, NewKey, StoreError};

use crate::support::figures::flow;
use crate::support::{TestStore, new_key};

on_both!(
    a_changed_revision_is_reported,
    a_removed_revision_is_reported,
    an_inserted_revision_is_reported,
    a_submission_that_was_moved_or_removed_is_reported,
    a_head_that_was_set_back_is_reported_and_repaired,
    a_head_that_differs_is_reported_and_repaired,
    a_repaired_head_counts_from_the_last_withdrawal,
    a_second_creation_of_a_key_is_reported,
    seals_are_not_forgotten_while_a_process_runs,
    a_foreign_seal_does_not_stop_the_sealing,
    changed_keys_are_reported,
    seals_removed_with_the_head_file_are_reported,
    what_the_service_does_is_proved,
);

impl TestStore {
    /// Three revisions of a submission, of which the last one is not sealed yet, and one of another.
    async fn corrects(&self) -> Vec<Revision> {
        let mut revisions = vec![self.reports("01-A-1", 1).await, self.reports("01-A-1", 2).await];
        self.reports("01-A-2", 7).await;
        self.seal().await.unwrap();
        revisions.push(self.reports("01-A-1", 3).await);
        assert_eq!(self.audit_faults().await, []);
        revisions
    }

    pub(crate) async fn audit_faults(&self) -> Vec<AuditFault> {
        self.verify_audit(Vec::new()).await.unwrap().faults
    }

    /// The faults after statements of the owner of the tables.
    async fn rewritten(&self, statements: &str) -> Vec<AuditFault> {
        self.tampers(statements).await;
        self.audit_faults().await
    }

    async fn creates_key(&self, role: Role, unit: &str) -> KeyId {
        let (id, digest) = new_key();
        let new = NewKey {
            role,
            unit: self.unit_id(unit),
            within: Vec::new(),
            label: "of an office".into(),
            expires_at: None,
        };
        self.create_key(id.clone(), digest, new, Origin::OPERATOR)
            .await
            .unwrap();
        id
    }
}

fn of(id: SubmissionId, number: i32) -> String {
    format!("submission_id = '{id}' AND revision = {number}")
}

async fn a_changed_revision_is_reported(store: TestStore) {
    let id = store.corrects().await[0].id;
    for number in [1, 3] {
        for (column, value) in [
            ("figures", "'[]'"),
            ("figures", "replace(figures, '\"v\":', '\"v\":1')"),
            ("figures", "'no figures'"),
            ("note", "'no reason'"),
            ("status", "'withdrawn'"),
            ("received_at", "'2021-07-30 00:00:00'"),
            ("actor", "'8kQ2vY1c'"),
            ("salt", "'ffffffffffffffffffffffffffffffff'"),
        ] {
            let of = of(id, number);
            store
                .sql(&format!(
                    "CREATE TABLE kept AS SELECT * FROM revisions WHERE {of}"
                ))
                .await;
            let change = format!("UPDATE revisions SET {column} = {value} WHERE {of}");
            let wanted = [AuditFault::RevisionChanged(id, number)];
            assert_eq!(store.rewritten(&change).await, wanted, "{change}");
            let undo = format!(
                "DELETE FROM revisions WHERE {of}; INSERT INTO revisions SELECT * FROM kept; DROP TABLE kept"
            );
            assert_eq!(store.rewritten(&undo).await, [], "{change}");
        }
    }
}

async fn a_removed_revision_is_reported(store: TestStore) {
    let id = store.corrects().await[0].id;
    let removed = store
        .rewritten(&format!("DELETE FROM revisions WHERE {}", of(id, 2)))
        .await;
    assert_eq!(removed, [AuditFault::RevisionRemoved(id, 2)]);
    let removed = store
        .rewritten(&format!("DELETE FROM revisions WHERE {}", of(id, 3)))
        .await;
    let wanted = [
        AuditFault::HeadMoved(id, 3, 1),
        AuditFault::RevisionRemoved(id, 2),
        AuditFault::RevisionRemoved(id, 3),
    ];
    let mut sorted = removed.clone();
    sorted.sort_by_key(ToString::to_string);
    let mut expected = wanted.to_vec();
    expected.sort_by_key(ToString::to_string);
    assert_eq!(sorted, expected);
    let all = store
        .rewritten(&format!("DELETE FROM revisions WHERE submission_id = '{id}'"))
        .await;
    assert!(all.contains(&AuditFault::RevisionRemoved(id, 1)), "{all:?}");
}

/// Somebody adds a revision that no entry tells of, and makes it the current one.
async fn an_inserted_revision_is_reported(store: TestStore) {
    let id = store.corrects().await[0].id;
    let columns = "status, received_at, figures, note, actor, salt";
    let inserted = store
        .rewritten(&format!(
            "INSERT INTO revisions (submission_id, revision, {columns}) \
             SELECT submission_id, 4, {columns} FROM revisions WHERE {}; \
             UPDATE submissions SET revision = 4 WHERE submission_id = '{id}'",
            of(id, 3)
        ))
        .await;
    assert_eq!(inserted, [AuditFault::RevisionInserted(id, 4)]);
}

async fn a_submission_that_was_moved_or_removed_is_reported(store: TestStore) {
    let id = store.corrects().await[0].id;
    let changed: Vec<AuditFault> = (1..=3)
        .map(|number| AuditFault::RevisionChanged(id, number))
        .collect();
    for change in [
        format!("unit_id = {}", store.unit_id("02-A-1").0),
        "period = '2199-08'".to_owned(),
        "form = 'other'".to_owned(),
    ] {
        store.sql("CREATE TABLE kept AS SELECT * FROM submissions").await;
        let moved = store
            .rewritten(&format!(
                "UPDATE submissions SET {change} WHERE submission_id = '{id}'"
            ))
            .await;
        assert_eq!(moved, changed, "{change}");
        let undo = "DELETE FROM submissions; INSERT INTO submissions SELECT * FROM kept; DROP TABLE kept";
        assert_eq!(store.rewritten(undo).await, []);
    }
    let removed = store
        .rewritten(&format!("DELETE FROM submissions WHERE submission_id = '{id}'"))
        .await;
    assert!(
        removed.contains(&AuditFault::SubmissionRemoved(id)),
        "{removed:?}"
    );
}

async fn a_head_that_was_set_back_is_reported_and_repaired(store: TestStore) {
    let last = store.corrects().await.pop().unwrap();
    store.drain().await;
    assert_eq!(store.lagging_heads().await.unwrap(), []);
    let moved = store
        .rewritten(&format!(
            "UPDATE submissions SET revision = 1 WHERE submission_id = '{}'",
            last.id
        ))
        .await;
    assert_eq!(moved, [AuditFault::HeadMoved(last.id, 1, 3)]);
    let lagging = LaggingHead {
        id: last.id,
        current: 1,
        last: 3,
    };
    assert_eq!(store.lagging_heads().await.unwrap(), [lagging]);
    store.repair_head(last.id).await.unwrap();
    assert_eq!(store.lagging_heads().await.unwrap(), []);
    assert_eq!(store.audit_faults().await, []);
    assert_eq!(store.submission(last.id).await.unwrap(), Some(last));
    // The next change follows, and the same content changes nothing.
    store.send(store.write("01-A-1", [flow(3)])).await;
    let next = store.reports("01-A-1", 4).await;
    assert_eq!(next.revision, 4);
}

/// Totals read the status and the time of the first report from the head.
async fn a_head_that_differs_is_reported_and_repaired(store: TestStore) {
    let id = store.corrects().await[0].id;
    for (column, value) in [
        ("status", "'withdrawn'"),
        ("first_received_at", "'2021-07-30 00:00:00'"),
        ("received_at", "'2021-07-30 00:00:00'"),
    ] {
        let change = format!("UPDATE submissions SET {column} = {value} WHERE submission_id = '{id}'");
        assert_eq!(
            store.rewritten(&change).await,
            [AuditFault::HeadChanged(id)],
            "{change}"
        );
        let lagging = LaggingHead {
            id,
            current: 3,
            last: 3,
        };
        assert_eq!(store.lagging_heads().await.unwrap(), [lagging], "{change}");
        store.repair_head(id).await.unwrap();
        assert_eq!(store.audit_faults().await, [], "{change}");
    }
    // With another digest, a correction would pass for a repetition.
    let change = format!("UPDATE submissions SET digest = 'x' WHERE submission_id = '{id}'");
    assert_eq!(store.rewritten(&change).await, [AuditFault::HeadChanged(id)]);
}

/// Someone changes a key and adds an entry of its creation, as the service would write it.
async fn a_second_creation_of_a_key_is_reported(store: TestStore) {
    let key = store.creates_key(Role::Reader, "01").await;
    store.seal().await.unwrap();
    let changed = store
        .rewritten(&format!(
            "UPDATE access_keys SET role = 'admin' WHERE key_id = '{key}'"
        ))
        .await;
    assert_eq!(changed, [AuditFault::KeyChanged(key.clone())]);
    let (now, digest) = store
        .keys()
        .await
        .unwrap()
        .into_iter()
        .find(|(other, _)| other.id == key)
        .unwrap();
    let entry = AuditEntry::new(Origin::OPERATOR, "create_key", "created")
        .about(&key)
        .proving(key_proof(&now, &digest));
    store.note(vec![entry]).await.unwrap();
    store.seal().await.unwrap();
    assert_eq!(store.audit_faults().await, [AuditFault::KeyChanged(key)]);
}

/// Somebody removes every trace of the seals at once, while the service runs.
async fn seals_are_not_forgotten_while_a_process_runs(store: TestStore) {
    store.corrects().await;
    store.seal().await.unwrap();
    store
        .tampers("DELETE FROM audit_seals; DELETE FROM audit_head")
        .await;
    store.reports("01-A-2", 8).await;
    let next = store.seal().await.unwrap().unwrap();
    assert_eq!(next.number, 3);
    let faults = store.audit_faults().await;
    assert!(faults.contains(&AuditFault::SealsRemoved(1, 2)), "{faults:?}");
}

async fn a_foreign_seal_does_not_stop_the_sealing(store: TestStore) {
    store.corrects().await;
    let last = store.seal().await.unwrap().unwrap().number;
    store
        .tampers(&format!(
            "INSERT INTO audit_seals VALUES ({}, '2199-01-01 00:00:00', '', 'x')",
            last + 1
        ))
        .await;
    store.reports("01-A-2", 8).await;
    assert_eq!(store.seal().await.unwrap().unwrap().number, last + 2);
    let faults = store.audit_faults().await;
    assert!(faults.contains(&AuditFault::SealChanged(last + 1)), "{faults:?}");
    let is_of_seal = |fault: &AuditFault| matches!(fault, AuditFault::SealChanged(_));
    assert!(
        faults.iter().all(is_of_seal),
        "nothing else is suspected: {faults:?}"
    );
}

/// On SQLite, ids are texts, and the same id in capitals would be another row.
#[tokio::test(flavor = "multi_thread")]
async fn an_id_in_another_spelling_is_found() {
    let store = TestStore::on_sqlite().await;
    let id = store.corrects().await[0].id;
    let of_revision = "revision, status, received_at, figures, note, actor, salt";
    store
        .tampers(&format!(
            "INSERT INTO submissions (submission_id, form, period, unit_id, revision, status, digest, first_received_at, \
             received_at) SELECT upper(submission_id), form, period, {}, 1, status, \
             digest, first_received_at, received_at FROM submissions WHERE submission_id = '{id}'; \
             INSERT INTO revisions (submission_id, {of_revision}) SELECT upper(submission_id), {of_revision} \
             FROM revisions WHERE submission_id = '{id}' AND revision = 1",
            store.unit_id("02-A-1").0
        ))
        .await;
    let verified = store.verify_audit(Vec::new()).await;
    assert!(matches!(&verified, Err(StoreError::Corrupt(_))), "{verified:?}");
}

async fn a_repaired_head_counts_from_the_last_withdrawal(store: TestStore) {
    store.reports("01-A-1", 1).await;
    store.withdraws("01-A-1").await;
    let first = store.reports("01-A-1", 2).await;
    store.reports("01-A-1", 3).await;
    let head = format!("SELECT * FROM submissions WHERE submission_id = '{}'", first.id);
    store.sql(&format!("CREATE TABLE kept AS {head}")).await;
    store
        .rewritten(
            "UPDATE submissions SET revision = 2, status = 'withdrawn', digest = '', \
             first_received_at = '2021-07-30 00:00:00', received_at = '2021-07-30 00:00:00'",
        )
        .await;
    store.repair_head(first.id).await.unwrap();
    let equal = "SELECT count(*) FROM submissions JOIN kept USING (submission_id, form, period, unit_id, revision, \
        status, digest, first_received_at, received_at)";
    assert_eq!(store.session().await.number(equal).await, 1);
}

async fn changed_keys_are_reported(store: TestStore) {
    let key = store.creates_key(Role::Reader, "01").await;
    let revoked = store.creates_key(Role::Admin, "02").await;
    store.revoke_key(revoked.clone(), Origin::OPERATOR).await.unwrap();
    store.seal().await.unwrap();
    assert_eq!(store.audit_faults().await, []);
    let root = store.unit_id("VN").0;
    for change in [
        "role = 'admin'".to_owned(),
        format!("unit_id = {root}"),
        "expires_at = '2199-01-01 00:00:00'".to_owned(),
        "created_by = '8kQ2vY1c'".to_owned(),
        "label = 'of another office'".to_owned(),
        "digest = 'ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff'".to_owned(),
        "revoked_at = '2021-07-30 00:00:00'".to_owned(),
    ] {
        store.sql("CREATE TABLE kept AS SELECT * FROM access_keys").await;
        let changed = store
            .rewritten(&format!("UPDATE access_keys SET {change} WHERE key_id = '{key}'"))
            .await;
        assert_eq!(changed, [AuditFault::KeyChanged(key.clone())], "{change}");
        let undo = "DELETE FROM access_keys; INSERT INTO access_keys SELECT * FROM kept; DROP TABLE kept";
        assert_eq!(store.rewritten(undo).await, []);
    }
    let restored = store
        .rewritten(&format!(
            "UPDATE access_keys SET revoked_at = NULL WHERE key_id = '{revoked}'"
        ))
        .await;
    assert_eq!(restored, [AuditFault::KeyRestored(revoked.clone())]);
    let removed = store
        .rewritten(&format!("DELETE FROM access_keys WHERE key_id = '{revoked}'"))
        .await;
    assert_eq!(removed, [AuditFault::KeyRemoved(revoked.clone())]);
    let inserted: KeyId = "inserted".parse().unwrap();
    let columns = "role, unit_id, label, created_at, created_by, expires_at, revoked_at, last_used_at";
    let faults = store
        .rewritten(&format!(
            "INSERT INTO access_keys (key_id, digest, {columns}) SELECT '{inserted}', '{}', {columns} FROM access_keys",
            "f".repeat(64)
        ))
        .await;
    let wanted = [AuditFault::KeyRemoved(revoked), AuditFault::KeyInserted(inserted)];
    assert_eq!(faults, wanted);
}

async fn seals_removed_with_the_head_file_are_reported(store: TestStore) {
    store.corrects().await;
    store.seal().await.unwrap();
    let faults = store.rewritten("DELETE FROM audit_seals").await;
    assert_eq!(faults, [AuditFault::Truncated(0)]);
    // The service goes on after the seals that are gone, so that they stay missing.
    store.reports("01-A-2", 8).await;
    store.seal().await.unwrap();
    let faults = store.audit_faults().await;
    assert!(faults.contains(&AuditFault::SealsRemoved(1, 2)), "{faults:?}");
    let faults = store.rewritten("DELETE FROM audit_head").await;
    assert!(faults.contains(&AuditFault::HeadRemoved), "{faults:?}");
}

async fn what_the_service_does_is_proved(store: TestStore) {
    let key = store.creates_key(Role::Submitter, "01").await;
    for round in 0..3 {
        store.reports("01-A-1", round).await;
        store.withdraws("01-A-1").await;
        store.send(store.withdrawal("01-A-1")).await;
        let many: Vec<_> = ["01-A-1", "01-A-2", "01-B-1", "02-A-1"]
            .map(|unit| store.record(store.write(unit, [flow(10 + round)])))
            .into();
        for recorded in futures_util::future::join_all(many).await {
            recorded.unwrap();
        }
        if round == 1 {
            store.seal().await.unwrap();
            store.revoke_key(key.clone(), Origin::OPERATOR).await.unwrap();
        }
        assert_eq!(store.audit_faults().await, []);
    }
    assert_eq!(store.lagging_heads().await.unwrap(), []);
}
