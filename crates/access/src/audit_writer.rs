//! Writes the entries of the audit log into the database.

use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tonghop_domain::AuditEntry;
use tonghop_storage::Store;

use crate::audit_log::{AuditLog, Awaited, QUEUE, Queues};

/// The number of requests whose entries are written together.
const BATCH: usize = 256;
/// The interval between two looks for counts of finished minutes.
const COUNT_INTERVAL: Duration = Duration::from_secs(1);
/// The pause before entries are retried that the database did not accept.
const RETRY_INTERVAL: Duration = Duration::from_millis(250);
/// The number of attempts to write the last entries once the service stops.
const LAST_ATTEMPTS: u32 = 8;

/// The task that writes the entries.
#[derive(Debug)]
pub(crate) struct AuditWriter {
    log: AuditLog,
    queues: Queues,
    store: Store,
}

impl AuditWriter {
    /// The writer of a log's entries.
    pub(crate) fn new(log: AuditLog, queues: Queues, store: Store) -> Self {
        Self { log, queues, store }
    }

    /// Writes entries until `stop`, and then the remaining ones.
    pub(crate) async fn run(mut self, stop: &CancellationToken) {
        let mut ticks = tokio::time::interval(COUNT_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut unwritten = Vec::new();
        loop {
            let mut awaited = Vec::new();
            let retry = tokio::time::sleep(RETRY_INTERVAL);
            tokio::select! {
                biased;
                // Comes first, so that counts are recorded in time however many entries arrive.
                _ = ticks.tick() => unwritten.extend(self.log.drain_counted(false)),
                _ = self.queues.awaited.recv_many(&mut awaited, BATCH) => {}
                _ = self.queues.soon.recv_many(&mut unwritten, BATCH), if unwritten.len() < QUEUE => {}
                () = retry, if !unwritten.is_empty() => {}
                () = stop.cancelled() => break,
            }
            unwritten = self.write(awaited, unwritten).await;
        }
        self.finish(unwritten).await;
    }

    /// Writes what is left once no request runs any more.
    async fn finish(&mut self, mut unwritten: Vec<AuditEntry>) {
        let mut awaited = Vec::new();
        while let Ok(entries) = self.queues.awaited.try_recv() {
            awaited.push(entries);
        }
        while let Ok(entry) = self.queues.soon.try_recv() {
            unwritten.push(entry);
        }
        unwritten.extend(self.log.drain_counted(true));
        unwritten = self.write(awaited, unwritten).await;
        for _ in 1..LAST_ATTEMPTS {
            if unwritten.is_empty() {
                return;
            }
            tokio::time::sleep(RETRY_INTERVAL).await;
            unwritten = self.write(Vec::new(), unwritten).await;
        }
        if !unwritten.is_empty() {
            let lost = unwritten.len();
            tracing::error!(
                lost,
                "the audit trail lost entries: they could not be written before the stop"
            );
        }
    }

    /// Writes the entries of waiting requests together with those left from before, and returns the entries that were not
    /// written and for which no request waits.
    async fn write(&self, waiting: Vec<Awaited>, mut unwritten: Vec<AuditEntry>) -> Vec<AuditEntry> {
        let mut replies = Vec::new();
        let mut entries = Vec::new();
        for awaited in waiting {
            entries.extend(awaited.entries);
            replies.push(awaited.reply);
        }
        entries.extend(unwritten.iter().take(QUEUE).cloned());
        if entries.is_empty() {
            return unwritten;
        }
        let written = self.store.note(entries).await;
        for reply in replies {
            // A request that was given up does not receive its reply.
            drop(reply.send(written.clone()));
        }
        match written {
            Ok(()) => unwritten.drain(..unwritten.len().min(QUEUE)).for_each(drop),
            Err(error) => {
                tracing::warn!(%error, "entries of the audit trail could not be written yet");
                let too_many = unwritten.len().saturating_sub(2 * QUEUE);
                if too_many > 0 {
                    tracing::error!(
                        lost = too_many,
                        "the audit trail lost its oldest waiting entries: too many are waiting"
                    );
                    unwritten.drain(..too_many).for_each(drop);
                }
            }
        }
        unwritten
    }
}
