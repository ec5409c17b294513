//! `audit verify`: no change to the trail goes unnoticed, and an unchanged trail has no fault.

use futures_util::future::join_all;
use tonghop_domain::SealHead;
use tonghop_storage::{AuditFault, AuditVerification};

use crate::audit::entry;
use crate::support::TestStore;
use crate::support::catalogue::Parts;

on_both!(
    an_unchanged_trail_passes_verification,
    concurrent_writers_and_sealers_build_one_chain,
    verification_reports_a_changed_entry,
    verification_reports_an_inserted_entry,
    verification_reports_an_inserted_batch_which_is_never_sealed,
    verification_reports_a_removed_entry,
    verification_reports_a_removed_batch,
    verification_reports_changed_and_removed_seals,
    seals_with_impossible_numbers_are_reported_and_sealing_goes_on,
    verification_reports_a_truncated_trail,
    verification_reports_a_rewritten_chain,
);

/// Lets the copy of the last seal be that of the last one that is left.
const HEAD_OF_LAST_SEAL: &str = "UPDATE audit_head SET number = (SELECT max(number) FROM audit_seals), \
    digest = (SELECT head FROM audit_seals ORDER BY number DESC LIMIT 1), \
    sealed_at = (SELECT sealed_at FROM audit_seals ORDER BY number DESC LIMIT 1)";

/// The entries as they are stored.
fn stored(number: i32) -> String {
    format!(
        r#"{{"number":{number},"actor":"local-operator","action":"get_total","outcome":"read","about":"{number}","count":1}}"#
    )
}

impl TestStore {
    /// Seals a batch of `count` entries without any other writers.
    async fn seals(&self, entries: usize) -> SealHead {
        self.note((0..entries).map(entry).collect()).await.unwrap();
        self.seal().await.unwrap().unwrap()
    }

    async fn audited(&self, noted: &[SealHead]) -> AuditVerification {
        self.verify_audit(noted.to_vec()).await.unwrap()
    }

    async fn faults(&self, noted: &[SealHead]) -> Vec<AuditFault> {
        self.audited(noted).await.faults
    }

    /// The ids of the batches, the oldest first.
    async fn batches(&self) -> Vec<String> {
        let entries = self.audit_entries(None, 1000).await.unwrap();
        let mut batches: Vec<String> = entries.iter().map(|(place, _)| place.batch.to_string()).collect();
        batches.dedup();
        batches
    }

    /// Replaces a text in the entries of a batch.
    async fn rewrites(&self, batch: &str, from: &str, to: &str) {
        self.tampers(&format!(
            "UPDATE audit_batches SET entries = replace(entries, '{from}', '{to}') WHERE batch_id = '{batch}'"
        ))
        .await;
    }
}

async fn an_unchanged_trail_passes_verification(store: TestStore) {
    assert_eq!(store.seal().await.unwrap(), None);
    assert_eq!(store.audited(&[]).await, AuditVerification::default());
    let first = store.seals(3).await;
    assert_eq!(store.seal().await.unwrap(), None, "nothing is new");
    store.reports("01-A-1", 1).await;
    store.reports("01-A-2", 1).await;
    let second = store.seal().await.unwrap().unwrap();
    assert_eq!((first.number, second.number), (1, 2));
    store.note(vec![entry(1)]).await.unwrap();
    let wanted = AuditVerification {
        sealed: 5,
        unsealed: 1,
        head: Some(second.clone()),
        faults: Vec::new(),
    };
    assert_eq!(store.audited(&[first, second.clone()]).await, wanted);
    assert_eq!(store.seal_digest(2).await.unwrap(), Some(second.digest));
    assert_eq!(store.seal_digest(3).await.unwrap(), None);
}

async fn concurrent_writers_and_sealers_build_one_chain(store: TestStore) {
    let processes = store.processes().await;
    let writing = |process: usize| {
        let store = processes[process % 2].clone();
        tokio::spawn(async move {
            for number in 0..15 {
                store.note(vec![entry(number), entry(number)]).await.unwrap();
            }
        })
    };
    let sealing = |process: usize| {
        let store = processes[process % 2].clone();
        tokio::spawn(async move {
            let mut heads = Vec::new();
            for _ in 0..15 {
                heads.extend(store.seal().await.unwrap());
            }
            heads
        })
    };
    let (writers, sealers) = (
        (0..4).map(writing).collect::<Vec<_>>(),
        (0..4).map(sealing).collect::<Vec<_>>(),
    );
    for written in join_all(writers).await {
        written.unwrap();
    }
    let mut noted: Vec<SealHead> = join_all(sealers)
        .await
        .into_iter()
        .flat_map(Result::unwrap)
        .collect();
    noted.extend(store.seal().await.unwrap());
    noted.sort_by_key(|head| head.number);
    let numbers: Vec<i64> = noted.iter().map(|head| head.number).collect();
    assert_eq!(numbers, (1..=noted.len() as i64).collect::<Vec<_>>());
    let found = store.audited(&noted).await;
    assert_eq!((found.sealed, found.unsealed, found.faults), (120, 0, vec![]));
    assert_eq!(found.head, noted.pop());
}

async fn verification_reports_a_changed_entry(store: TestStore) {
    store.reports("01-A-1", 1).await;
    store.seals(3).await;
    store.seals(2).await;
    let batch = store.batches().await[1].clone();
    let entry = stored(1);
    for (from, to) in [
        ("local-operator", "8kQ2vY1c"),
        ("local-operator", "nobody at all"),
        ("get_total", "list_keys"),
        (r#""read""#, r#""forbidden""#),
        (r#""read""#, r#""read","form":"mau""#),
        (r#""read""#, r#""read","period":"2021-07""#),
        (r#""read""#, r#""read","unit_id":2"#),
        (r#""about":"1","#, ""),
        (r#""about""#, r#""address":"192.0.2.1","about""#),
        (r#""about""#, r#""request_id":"x","about""#),
        (r#""count":1"#, r#""count":2"#),
    ] {
        let changed = entry.replace(from, to);
        store.rewrites(&batch, &entry, &changed).await;
        let wanted = [AuditFault::EntryChanged(batch.clone(), 1)];
        assert_eq!(store.faults(&[]).await, wanted, "{changed}");
        store.rewrites(&batch, &changed, &entry).await;
        assert_eq!(store.faults(&[]).await, []);
    }
    // An additional field, and an entry that is none.
    for changed in [entry.replace("count", r#"seen":true,"count"#), "7".into()] {
        store.rewrites(&batch, &entry, &changed).await;
        let wanted = [AuditFault::BatchChanged(batch.clone())];
        assert_eq!(store.faults(&[]).await, wanted, "{changed}");
        store
            .rewrites(&batch, &format!(",{changed},"), &format!(",{entry},"))
            .await;
        assert_eq!(store.faults(&[]).await, []);
    }
    // An entry's time is that of its batch.
    store
        .tampers(&format!(
            "UPDATE audit_batches SET at = '2021-07-30 00:00:00' WHERE batch_id = '{batch}'"
        ))
        .await;
    let changed = |number| AuditFault::EntryChanged(batch.clone(), number);
    assert_eq!(store.faults(&[]).await, [changed(0), changed(1), changed(2)]);
}

async fn verification_reports_an_inserted_entry(store: TestStore) {
    store.seals(2).await;
    store.seals(2).await;
    let batch = store.batches().await[0].clone();
    let more = [stored(1), stored(2), stored(-1), stored(0)].join(",");
    store.rewrites(&batch, &stored(1), &more).await;
    let inserted = |number| AuditFault::EntryInserted(batch.clone(), number);
    assert_eq!(store.faults(&[]).await, [inserted(0), inserted(-1), inserted(2)]);
}

async fn verification_reports_an_inserted_batch_which_is_never_sealed(store: TestStore) {
    store.seals(2).await;
    let copy = |id: &str, at: &str| {
        format!(
            "INSERT INTO audit_batches (batch_id, at, digest, entry_digests, entries) \
             SELECT '{id}', {at}, digest, entry_digests, entries FROM audit_batches LIMIT 1"
        )
    };
    let past = "00000000-0000-7000-8000-000000000000";
    store.tampers(&copy(past, "'2021-07-30 00:00:00'")).await;
    let wanted = vec![AuditFault::BatchInserted(past.to_owned())];
    assert_eq!(store.faults(&[]).await, wanted);
    assert_eq!(store.seal().await.unwrap(), None);
    store.seals(1).await;
    assert_eq!(store.faults(&[]).await, wanted);
    // With the current time, its digest is wrong.
    let present = "ffffffff-ffff-7fff-bfff-ffffffffffff";
    store
        .tampers(&copy(present, "(SELECT max(at) FROM audit_batches)"))
        .await;
    let faults = store.faults(&[]).await;
    let of_present: Vec<_> = faults
        .iter()
        .filter(|fault| fault.to_string().contains(present))
        .collect();
    assert!(!of_present.is_empty(), "{faults:?}");
}

async fn verification_reports_a_removed_entry(store: TestStore) {
    store.seals(3).await;
    store.seals(3).await;
    let batch = store.batches().await[0].clone();
    for number in [1, 2] {
        store.rewrites(&batch, &format!(",{}", stored(number)), "").await;
    }
    let removed = |number| AuditFault::EntryRemoved(batch.clone(), number);
    assert_eq!(store.faults(&[]).await, [removed(1), removed(2)]);
    // With shortened digests, the batch differs from what was sealed.
    store
        .tampers(&format!(
            "UPDATE audit_batches SET entry_digests = substr(entry_digests, 1, 16) WHERE batch_id = '{batch}'"
        ))
        .await;
    assert_eq!(store.faults(&[]).await, [AuditFault::BatchChanged(batch)]);
}

async fn verification_reports_a_removed_batch(store: TestStore) {
    for _ in 0..3 {
        store.seals(2).await;
    }
    let batch = store.batches().await[1].clone();
    let wanted = vec![AuditFault::BatchRemoved(batch.clone(), 2)];
    store
        .tampers(&format!("DELETE FROM audit_batches WHERE batch_id = '{batch}'"))
        .await;
    assert_eq!(store.faults(&[]).await, wanted);
}

async fn verification_reports_changed_and_removed_seals(store: TestStore) {
    let mut noted = Vec::new();
    for _ in 0..5 {
        noted.push(store.seals(1).await);
    }
    store
        .tampers("UPDATE audit_seals SET sealed_at = '2021-07-30 00:00:00' WHERE number = 2")
        .await;
    assert_eq!(store.faults(&noted).await, [AuditFault::SealChanged(2)]);
    store.tampers("DELETE FROM audit_seals WHERE number = 4").await;
    let batch = store.batches().await[3].clone();
    let faults = store.faults(&noted).await;
    assert_eq!(
        faults[..2],
        [AuditFault::SealChanged(2), AuditFault::SealsRemoved(4, 4)]
    );
    // A batch that only the seal knew is recent enough to be sealed again.
    assert!(faults.len() == 2 || faults[2] == AuditFault::BatchInserted(batch));
}

async fn seals_with_impossible_numbers_are_reported_and_sealing_goes_on(store: TestStore) {
    let mut noted = vec![store.seals(1).await, store.seals(1).await];
    for number in [i64::MAX, 20_000_000, 64, 0, i64::MIN] {
        let row = format!("INSERT INTO audit_seals VALUES ({number}, '2026-01-01 00:00:00', '', 'x')");
        store.tampers(&row).await;
    }
    noted.push(store.seals(1).await);
    noted.push(store.seals(1).await);
    let numbers: Vec<i64> = noted.iter().map(|head| head.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
    let expected = [
        AuditFault::SealInserted(i64::MIN),
        AuditFault::SealInserted(0),
        AuditFault::SealsRemoved(5, 63),
        AuditFault::SealsRemoved(65, 19_999_999),
        AuditFault::SealsRemoved(20_000_001, i64::MAX - 1),
    ];
    assert_eq!(store.faults(&noted).await, expected);
    // Another process has no hint of where the chain ends.
    let [other, _] = store.processes().await;
    other.note(vec![entry(7)]).await.unwrap();
    assert_eq!(other.seal().await.unwrap().map(|head| head.number), Some(5));
}

async fn verification_reports_a_truncated_trail(store: TestStore) {
    let mut noted = Vec::new();
    for _ in 0..4 {
        noted.push(store.seals(2).await);
    }
    let batches = store.batches().await;
    store
        .tampers(&format!(
            "DELETE FROM audit_seals WHERE number > 2; \
             DELETE FROM audit_batches WHERE batch_id IN ('{0}', '{1}')",
            batches[2], batches[3]
        ))
        .await;
    assert_eq!(store.faults(&[]).await, [AuditFault::Truncated(2)]);
    store.tampers(HEAD_OF_LAST_SEAL).await;
    // A process that saw the seals would remember them.
    let store = store.adopting(|| Parts::default().catalogue("first")).await;
    assert_eq!(store.faults(&[]).await, [], "the database alone cannot know");
    assert_eq!(store.faults(&noted).await, [AuditFault::Truncated(2)]);
    // Later seals do not hide it.
    noted.push(store.seals(1).await);
    noted.push(store.seals(1).await);
    let faults = store.faults(&noted).await;
    assert_eq!(faults, [AuditFault::HeadDiffers(3), AuditFault::HeadDiffers(4)]);
}

/// The owner of the database changes an entry and recomputes everything that depends on it, as the service would.
async fn verification_reports_a_rewritten_chain(store: TestStore) {
    let mut noted = Vec::new();
    for _ in 0..3 {
        noted.push(store.seals(1).await);
    }
    let batches = store.batches().await;
    store
        .tampers(&format!(
            "DELETE FROM audit_seals WHERE number > 1; \
             DELETE FROM audit_batches WHERE batch_id = '{0}'",
            batches[1]
        ))
        .await;
    store.tampers(HEAD_OF_LAST_SEAL).await;
    // A process that saw the seals would remember them.
    let store = store.adopting(|| Parts::default().catalogue("first")).await;
    store.note(vec![entry(77)]).await.unwrap();
    store.seal().await.unwrap().unwrap();
    assert_eq!(store.faults(&[]).await, [], "the database alone cannot know");
    let faults = store.faults(&noted).await;
    assert_eq!(faults, [AuditFault::HeadDiffers(2), AuditFault::Truncated(2)]);
}

/// SQLite uses the clock of the machine.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_causes_no_fault() {
    let store = TestStore::on_sqlite().await;
    store.seals(1).await;
    store
        .tampers(
            "UPDATE audit_seals SET sealed_at = '2199-01-01 00:00:00'; \
             UPDATE audit_head SET sealed_at = '2199-01-01 00:00:00'",
        )
        .await;
    store.note(vec![entry(1)]).await.unwrap();
    assert_eq!(store.seal().await.unwrap().map(|head| head.number), Some(2));
    assert_eq!(store.faults(&[]).await, [AuditFault::SealChanged(1)]);
}
