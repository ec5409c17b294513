//! The watermark that reads share: one transaction reads it for all who ask meanwhile.

use std::time::Instant;

use chrono::{DateTime, Utc};
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::database::pool::Pools;
use crate::error::StoreError;
use crate::unit_of_work::DEADLINE;

/// The reads of the watermark. Clones share them.
#[derive(Clone, Default)]
pub(super) struct SharedWatermark(watch::Sender<Reads>);

#[derive(Default)]
struct Reads {
    in_progress: bool,
    last: Option<Ended>,
}

/// A read that has ended.
struct Ended {
    began_at: Instant,
    ended_at: Instant,
    watermark: Result<DateTime<Utc>, StoreError>,
}

/// What there is to do for somebody who needs the watermark.
enum Next {
    Begin,
    Wait,
    Answer(Result<DateTime<Utc>, StoreError>),
}

impl SharedWatermark {
    /// The watermark as it was at `earliest` or later. Whoever asks waits for the read in progress and, if that began
    /// too early, for the next one. It is read in a task of its own, so that it ends even if the callers disconnect.
    ///
    /// # Errors
    /// Those of the read, if one that ended meanwhile failed. Each has the deadline of a transaction.
    pub(super) async fn not_before(
        &self,
        earliest: Instant,
        pools: &Pools,
        runtime: &Handle,
    ) -> Result<DateTime<Utc>, StoreError> {
        if let Some(watermark) = self.0.borrow().not_before(earliest) {
            return Ok(watermark);
        }
        let asked_at = Instant::now();
        let mut reads = self.0.subscribe();
        loop {
            match self.next(earliest, asked_at) {
                Next::Answer(answer) => return answer,
                Next::Begin => drop(runtime.spawn(Reading::begin(self.clone()).read(pools.clone()))),
                Next::Wait => {}
            }
            reads.changed().await.map_err(StoreError::unavailable)?;
        }
    }

    fn next(&self, earliest: Instant, asked_at: Instant) -> Next {
        let mut next = Next::Wait;
        self.0.send_if_modified(|reads| {
            if let Some(watermark) = reads.not_before(earliest) {
                next = Next::Answer(Ok(watermark));
            } else if let Some(failure) = reads.failure_since(asked_at) {
                next = Next::Answer(Err(failure));
            } else if !reads.in_progress {
                reads.in_progress = true;
                next = Next::Begin;
            }
            false
        });
        next
    }
}

impl Reads {
    fn not_before(&self, earliest: Instant) -> Option<DateTime<Utc>> {
        let last = self.last.as_ref().filter(|last| last.began_at >= earliest)?;
        last.watermark.as_ref().ok().copied()
    }

    fn failure_since(&self, asked_at: Instant) -> Option<StoreError> {
        let last = self.last.as_ref().filter(|last| last.ended_at >= asked_at)?;
        last.watermark.as_ref().err().cloned()
    }
}

/// A read in progress. Dropping it, also in a panic, notifies those who wait.
struct Reading {
    of: SharedWatermark,
    began_at: Instant,
    watermark: Result<DateTime<Utc>, StoreError>,
}

impl Reading {
    fn begin(of: SharedWatermark) -> Self {
        Self {
            of,
            began_at: Instant::now(),
            watermark: Err(StoreError::unavailable("the read of the watermark did not end")),
        }
    }

    async fn read(mut self, pools: Pools) {
        self.watermark = pools.within(DEADLINE, pools.watermark()).await;
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let ended = Ended {
            began_at: self.began_at,
            ended_at: Instant::now(),
            watermark: self.watermark.clone(),
        };
        self.of.0.send_modify(|reads| {
            reads.in_progress = false;
            reads.last = Some(ended);
        });
    }
}
