//! Writes what the audit log gathers into the database.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tonghop_domain::AuditEntry;
use tonghop_storage::Store;

use crate::access::audit_log::{QUEUE, Trail, Waiting};

/// How many entries are written together.
const TOGETHER: usize = 256;
/// How often it is looked whether a minute is over.
const INTERVAL: Duration = Duration::from_secs(1);
/// After how long entries are written again that the database did not take.
const AGAIN: Duration = Duration::from_millis(250);
/// How often that is tried once the service stops.
const LAST_TRIES: u32 = 8;

/// What writes the entries into the database.
#[derive(Debug)]
pub(crate) struct Scribe {
    trail: Trail,
    queue: mpsc::Receiver<Waiting>,
    store: Store,
}

impl Scribe {
    /// Writes what a log gathers.
    pub(crate) fn new(trail: Trail, queue: mpsc::Receiver<Waiting>, store: Store) -> Self {
        Self { trail, queue, store }
    }

    /// Writes entries until `stop`, and then what is left.
    pub(crate) async fn run(mut self, stop: &CancellationToken) {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut unwritten = Vec::new();
        loop {
            let mut taken = Vec::new();
            let retry = tokio::time::sleep(AGAIN);
            tokio::select! {
                biased;
                // First: however much comes, what was counted is noted in time.
                _ = ticks.tick() => unwritten.extend(self.trail.take_counted(false)),
                _ = self.queue.recv_many(&mut taken, TOGETHER) => {}
                () = retry, if !unwritten.is_empty() => {}
                () = stop.cancelled() => break,
            }
            unwritten = self.write(taken, unwritten).await;
        }
        self.finish(unwritten).await;
    }

    /// Nobody asks for anything any more.
    async fn finish(&mut self, mut unwritten: Vec<AuditEntry>) {
        let mut taken = Vec::new();
        while let Ok(waiting) = self.queue.try_recv() {
            taken.push(waiting);
        }
        unwritten.extend(self.trail.take_counted(true));
        unwritten = self.write(taken, unwritten).await;
        for _ in 1..LAST_TRIES {
            if unwritten.is_empty() {
                return;
            }
            tokio::time::sleep(AGAIN).await;
            unwritten = self.write(Vec::new(), unwritten).await;
        }
        if !unwritten.is_empty() {
            let lost = unwritten.len();
            tracing::error!(
                lost,
                "entries of the audit trail were not written before the stop"
            );
        }
    }

    /// Writes what waits and what is left from before. Answers what was not written and nobody waits for: it is kept.
    async fn write(&self, taken: Vec<Waiting>, mut unwritten: Vec<AuditEntry>) -> Vec<AuditEntry> {
        let mut replies = Vec::new();
        let mut awaited = Vec::new();
        for Waiting { entries, reply } in taken {
            match reply {
                Some(reply) => {
                    awaited.extend(entries);
                    replies.push(reply);
                }
                None => unwritten.extend(entries),
            }
        }
        if awaited.is_empty() && unwritten.is_empty() {
            return unwritten;
        }
        awaited.extend(unwritten.iter().take(QUEUE).cloned());
        let written = self.store.note(awaited).await;
        for reply in replies {
            // Who went away does not want the answer.
            drop(reply.send(written.clone()));
        }
        match written {
            Ok(()) => unwritten.drain(..unwritten.len().min(QUEUE)).for_each(drop),
            Err(error) => {
                tracing::warn!(%error, "entries of the audit trail were not written yet");
                let too_many = unwritten.len().saturating_sub(2 * QUEUE);
                if too_many > 0 {
                    tracing::error!(
                        lost = too_many,
                        "the oldest entries of the audit trail were given up"
                    );
                    unwritten.drain(..too_many).for_each(drop);
                }
            }
        }
        unwritten
    }
}
