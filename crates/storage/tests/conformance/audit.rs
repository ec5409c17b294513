//! What the audit trail contains, and how it is read.

use tonghop_domain::{Actor, AuditEntry, Origin, Precondition, Role};
use tonghop_storage::{NewKey, Write};

use crate::support::figures::flow;
use crate::support::{TestStore, new_key, under};

on_both!(
    every_change_has_an_audit_entry_with_its_outcome,
    a_dry_run_has_no_audit_entry,
    operations_on_keys_have_audit_entries,
    audit_entries_are_paged_in_order,
);

/// An entry that tells of nothing but its number.
pub(crate) fn entry(number: usize) -> AuditEntry {
    AuditEntry::new(Origin::OPERATOR, "get_total", "read").about(number)
}

impl TestStore {
    async fn trail(&self) -> Vec<AuditEntry> {
        let entries = self.audit_entries(None, 1000).await.unwrap();
        entries.into_iter().map(|(_, entry)| entry).collect()
    }
}

async fn every_change_has_an_audit_entry_with_its_outcome(store: TestStore) {
    let key: Actor = "8kQ2vY1c".parse().unwrap();
    let origin = Origin {
        actor: key,
        address: Some([192, 0, 2, 7].into()),
        request_id: Some("so-1".into()),
    };
    let write = |value, idempotency| Write {
        idempotency,
        origin: origin.clone(),
        ..store.write("01-A-1", [flow(value)])
    };
    let first = store.send(write(1, under("k", "one"))).await;
    store.send(write(1, None)).await;
    store.send(write(1, under("k", "one"))).await;
    store.send(write(2, under("k", "two"))).await;
    let late = Write {
        condition: Precondition::Current(7),
        ..write(2, None)
    };
    store.send(late).await;
    let withdrawal = Write {
        action: "withdraw_submission".into(),
        ..store.withdrawal("01-A-1")
    };
    store.send(withdrawal).await;
    let trail = store.trail().await;
    let outcomes: Vec<&str> = trail.iter().map(|entry| entry.outcome.as_str()).collect();
    assert_eq!(
        outcomes,
        [
            "recorded",
            "unchanged",
            "replayed",
            "idempotency-key-reused",
            "revision-conflict",
            "recorded"
        ]
    );
    let tonghop_storage::Outcome::Recorded { revision, .. } = first else {
        panic!("{first:?}")
    };
    let wanted = AuditEntry::new(origin.clone(), "create_submission", "recorded")
        .on(&revision.key)
        .about(format!("{}/1", revision.id));
    assert!(trail[0].proof.is_some());
    assert_eq!(trail[0], wanted.proving(trail[0].proof.clone().unwrap()));
    let proved: Vec<bool> = trail.iter().map(|entry| entry.proof.is_some()).collect();
    assert_eq!(proved, [true, false, false, false, false, true]);
    assert_eq!(trail[5].origin, Origin::OPERATOR);
    assert_eq!(trail[5].action, "withdraw_submission");
    assert!(trail[5].about.as_ref().is_some_and(|about| about.ends_with("/2")));
}

async fn a_dry_run_has_no_audit_entry(store: TestStore) {
    store.rehearse(store.write("01-A-1", [flow(1)])).await.unwrap();
    assert_eq!(store.trail().await, []);
}

async fn operations_on_keys_have_audit_entries(store: TestStore) {
    let (key, digest) = new_key();
    let new = NewKey {
        role: Role::Reader,
        unit: store.unit_id("01"),
        within: Vec::new(),
        label: "of a province".into(),
        expires_at: None,
    };
    store
        .create_key(key.clone(), digest, new, Origin::OPERATOR)
        .await
        .unwrap();
    assert!(store.revoke_key(key.clone(), Origin::OPERATOR).await.unwrap());
    assert!(!store.revoke_key(key.clone(), Origin::OPERATOR).await.unwrap());
    let trail = store.trail().await;
    let told: Vec<(&str, &str)> = trail
        .iter()
        .map(|entry| (entry.action.as_str(), entry.outcome.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("create_key", "created"),
            ("revoke_key", "revoked"),
            ("revoke_key", "unchanged")
        ]
    );
    let id = key.to_string();
    assert!(trail.iter().all(|entry| entry.about.as_ref() == Some(&id)));
}

async fn audit_entries_are_paged_in_order(store: TestStore) {
    // More batches than one query reads.
    for batch in 0..25 {
        store
            .note((0..4).map(|number| entry(4 * batch + number)).collect())
            .await
            .unwrap();
    }
    let mut after = None;
    let mut read = Vec::new();
    loop {
        let page = store.audit_entries(after, 3).await.unwrap();
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        read.extend(page.into_iter().filter_map(|(_, entry)| entry.about));
    }
    let wanted: Vec<String> = (0..100).map(|number: usize| number.to_string()).collect();
    assert_eq!(read, wanted);
    let at_once: Vec<String> = store
        .trail()
        .await
        .into_iter()
        .filter_map(|entry| entry.about)
        .collect();
    assert_eq!(at_once, wanted);
}
