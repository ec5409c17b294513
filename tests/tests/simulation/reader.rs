//! A client that follows the reports: it asks for those that were recorded since its last answer, and goes on from the
//! watermark of that answer.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::sleep;
use tonghop_domain::SubmissionId;

use crate::database::{Database, yield_now};

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
    async fn read(&self) {
        let watermark = self.database.watermark().await;
        yield_now().await;
        let world = self.database.world();
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let recorded = world.state.heads.values();
        let new = recorded.filter(|head| (progress.since..watermark).contains(&head.received_at));
        let new: Vec<_> = new.map(|head| (head.id, head.revision)).collect();
        progress.seen.extend(new);
        progress.since = watermark;
    }

    /// It has seen the current revision of each submission, if that was recorded before the last watermark.
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
    }
}
