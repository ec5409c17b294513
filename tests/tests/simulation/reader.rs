//! Clients that follow: one asks for the reports that were recorded since its last answer, and goes on from the watermark
//! of that answer; the other follows the change feed, from the last change that it received.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::sleep;
use tonghop_domain::{SubmissionId, TotalKey};

use crate::database::{Database, State, yield_now};

/// The longest pause between two requests, in milliseconds.
const MOST_PAUSE: u64 = 200;

#[derive(Clone)]
pub(crate) struct Reader {
    database: Database,
    progress: Arc<Mutex<Progress>>,
}

#[derive(Default)]
struct Progress {
    since: DateTime<Utc>,
    seen: BTreeSet<(SubmissionId, i32)>,
    feed: Feed,
}

/// What the change feed has sent.
#[derive(Default)]
struct Feed {
    after: DateTime<Utc>,
    revisions: BTreeMap<SubmissionId, i32>,
    totals: BTreeMap<TotalKey, i64>,
}

impl Reader {
    pub(crate) fn new(database: Database) -> Self {
        Self {
            database,
            progress: Arc::default(),
        }
    }

    /// Reads again and again.
    pub(crate) async fn follow(self) {
        loop {
            self.read().await;
            let pause = self.database.world().random.u64(..MOST_PAUSE);
            sleep(Duration::from_millis(pause)).await;
        }
    }

    /// Reads what was recorded between the last watermark and the present one.
    pub(crate) async fn read(&self) {
        let watermark = self.database.watermark().await;
        yield_now().await;
        let world = self.database.world();
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let recorded = world.state.heads.values();
        let new = recorded.filter(|head| (progress.since..watermark).contains(&head.received_at));
        let new: Vec<_> = new.map(|head| (head.id, head.revision)).collect();
        progress.seen.extend(new);
        progress.since = watermark;
        progress.feed.go_on(&world.state, watermark);
    }

    /// It has seen the current revision of each submission, if that was recorded before the last watermark, and the feed
    /// has sent everything.
    pub(crate) fn assert_nothing_was_missed(&self) {
        let world = self.database.world();
        let progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, head) in &world.state.heads {
            let is_seen = progress.seen.contains(&(head.id, head.revision));
            let is_new = head.received_at >= progress.since;
            assert!(
                is_seen || is_new,
                "a reader missed revision {} of {key:?}",
                head.revision
            );
        }
        progress.feed.assert_complete(&world.state);
    }
}

impl Feed {
    /// Takes the changes after the last one and before the watermark.
    fn go_on(&mut self, state: &State, watermark: DateTime<Utc>) {
        let after = self.after;
        let is_new = |at: DateTime<Utc>| after < at && at < watermark;
        let mut recorded: Vec<_> = state.revisions.values().collect();
        recorded.retain(|revision| is_new(revision.received_at));
        recorded.sort_by_key(|revision| revision.received_at);
        for revision in recorded {
            let before = self.revisions.insert(revision.id, revision.revision);
            assert_eq!(
                before.unwrap_or_default() + 1,
                revision.revision,
                "the feed sent a correction before what it corrects: {revision:?}"
            );
            self.after = self.after.max(revision.received_at);
        }
        for (key, total) in &state.totals {
            if is_new(total.refreshed_at) {
                self.totals.insert(key.clone(), total.version);
                self.after = self.after.max(total.refreshed_at);
            }
        }
    }

    /// It has sent every revision and the last version of every total that are not after its last change.
    fn assert_complete(&self, state: &State) {
        for revision in state.revisions.values() {
            let is_sent = self
                .revisions
                .get(&revision.id)
                .is_some_and(|last| *last >= revision.revision);
            assert!(
                is_sent || revision.received_at > self.after,
                "the feed missed {revision:?}"
            );
        }
        for (key, total) in &state.totals {
            let is_sent = self.totals.get(key) == Some(&total.version);
            assert!(
                is_sent || total.refreshed_at > self.after,
                "the feed missed version {} of the total of {key:?}",
                total.version
            );
        }
    }
}
