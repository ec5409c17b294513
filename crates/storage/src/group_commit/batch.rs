//! Batches: changes that share a transaction, with their callers.

use std::collections::HashSet;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::error::StoreError;
use crate::model::{Idempotency, Outcome, Write};

pub(crate) type Reply = oneshot::Sender<Result<Outcome, StoreError>>;

/// A queued change and its caller.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) write: Write,
    pub(crate) reply: Reply,
    pub(crate) since: Instant,
}

/// Changes that share a transaction, with the channels for their results.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) writes: Vec<Write>,
    replies: Vec<Reply>,
}

/// Removes the changes that can share a transaction: of those with the same idempotency key only the first, since the
/// others must see its result.
pub(crate) fn take_apart(waiting: &mut Vec<Waiting>) -> Vec<Waiting> {
    let mut keys: HashSet<(String, String)> = HashSet::new();
    let own = |key: &Idempotency| (key.caller.clone(), key.key.clone());
    let (now, later) = std::mem::take(waiting).into_iter().partition(|waiting| {
        waiting
            .write
            .idempotency
            .as_ref()
            .is_none_or(|key| keys.insert(own(key)))
    });
    *waiting = later;
    now
}

impl FromIterator<(Write, Reply)> for Batch {
    fn from_iter<I: IntoIterator<Item = (Write, Reply)>>(changes: I) -> Self {
        let (writes, replies) = changes.into_iter().unzip();
        Self { writes, replies }
    }
}

impl Batch {
    /// The change of a batch of one.
    pub(crate) fn single(&self) -> Option<&Write> {
        match &self.writes[..] {
            [write] => Some(write),
            _ => None,
        }
    }

    fn into_changes(self) -> impl Iterator<Item = (Write, Reply)> {
        self.writes.into_iter().zip(self.replies)
    }

    pub(crate) fn partition(self, is_first: impl Fn(&Write) -> bool) -> (Self, Self) {
        let (first, second): (Vec<_>, Vec<_>) = self.into_changes().partition(|(write, _)| is_first(write));
        (first.into_iter().collect(), second.into_iter().collect())
    }

    /// Splits the batch into batches of this size, in order.
    pub(crate) fn chunks(self, size: usize) -> Vec<Self> {
        let mut changes = self.into_changes().peekable();
        let mut chunks = Vec::new();
        while changes.peek().is_some() {
            chunks.push(changes.by_ref().take(size).collect());
        }
        chunks
    }

    /// Sends the results. A caller that has disconnected gets none.
    pub(crate) fn answer(self, outcomes: Vec<Outcome>) {
        for (reply, outcome) in self.replies.into_iter().zip(outcomes) {
            drop(reply.send(Ok(outcome)));
        }
    }

    pub(crate) fn refuse(self, error: &StoreError) {
        for reply in self.replies {
            drop(reply.send(Err(error.clone())));
        }
    }
}
