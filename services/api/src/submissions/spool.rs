//! Keeps the results of a batch for a client that sends its whole batch before it reads, as most HTTP libraries do.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use actix_web::web::{Bytes, BytesMut};
use futures_util::stream::{Stream, StreamExt, unfold};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

/// The results of a batch that are kept in memory, in bytes. More go to a temporary file.
const MEMORY_BYTES: usize = 256 << 10;

/// The results of a batch that are kept altogether, in bytes. Then no more lines are read until the client takes some.
const MAX_BYTES: usize = 32 << 20;

/// The largest size of the temporary file, in bytes, including what was read from it.
const MAX_FILE_BYTES: u64 = 2 * MAX_BYTES as u64;

/// The size of what is written to the file or sent at once, in bytes.
const CHUNK_BYTES: usize = 64 << 10;

/// When the first results are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// As soon as there are some: the client sends a line, awaits its result, and sends the next.
    AtOnce,
    /// When the batch is complete, or as much is kept as may be. The client announced the length of a batch that it has,
    /// so it may read only after it has sent everything; meanwhile, sent results would count as unread.
    WhenComplete,
}

/// Produces results while others wait to be sent. If they cannot all be sent, the stream ends with an error, so that no
/// client takes those before for the whole.
pub(crate) fn spooled(
    results: impl Stream<Item = Bytes> + 'static,
    begin: Begin,
) -> impl Stream<Item = io::Result<Bytes>> {
    let (sender, receiver) = mpsc::channel(1);
    actix_web::rt::spawn(forward(results, begin, sender));
    unfold(Some(receiver), async |receiver| {
        let mut receiver = receiver?;
        match receiver.recv().await {
            Some(Part::Results(chunk)) => Some((Ok(chunk), Some(receiver))),
            Some(Part::End) => None,
            Some(Part::Failed(error)) => Some((Err(error), None)),
            None => Some((Err(io::Error::other("the results are incomplete")), None)),
        }
    })
}

/// What is passed on to the response.
#[derive(Debug)]
enum Part {
    Results(Bytes),
    Failed(io::Error),
    /// All results were passed on.
    End,
}

async fn forward(results: impl Stream<Item = Bytes>, begin: Begin, sender: mpsc::Sender<Part>) {
    let mut results = Box::pin(results);
    let mut spool = Spool::default();
    let (mut is_complete, mut is_begun) = (false, begin == Begin::AtOnce);
    while !is_complete || spool.bytes() > 0 {
        is_begun |= is_complete || spool.is_full();
        tokio::select! {
            place = sender.reserve(), if is_begun && spool.bytes() > 0 => {
                let Ok(place) = place else { return };
                match spool.pop().await {
                    Ok(chunk) => place.send(Part::Results(chunk)),
                    Err(error) => {
                        tracing::error!(%error, "kept results of a batch cannot be read");
                        return place.send(Part::Failed(error));
                    }
                }
            }
            result = results.next(), if !is_complete && !spool.is_full() => match result {
                Some(result) => spool.push(result).await,
                None => is_complete = true,
            },
            () = sender.closed() => return,
        }
    }
    // Without a receiver, nobody wants to know.
    sender.send(Part::End).await.ok();
}

/// A queue of bytes: the oldest in memory, then those in a file, then the latest.
#[derive(Debug, Default)]
struct Spool {
    oldest: VecDeque<Bytes>,
    oldest_bytes: usize,
    file: Option<Arc<File>>,
    read: u64,
    written: u64,
    latest: BytesMut,
    /// Whether no file can be written; then less is kept.
    is_without_file: bool,
}

impl Spool {
    fn bytes(&self) -> usize {
        self.oldest_bytes + (self.written - self.read) as usize + self.latest.len()
    }

    fn is_full(&self) -> bool {
        let max = if self.is_without_file {
            MEMORY_BYTES
        } else {
            MAX_BYTES
        };
        // The space of what was read is used again only once everything was read.
        self.bytes() >= max || self.written >= MAX_FILE_BYTES
    }

    async fn push(&mut self, result: Bytes) {
        let has_later = self.written > self.read || !self.latest.is_empty();
        if !has_later && self.oldest_bytes + result.len() <= MEMORY_BYTES {
            self.oldest_bytes += result.len();
            self.oldest.push_back(result);
            return;
        }
        self.latest.extend_from_slice(&result);
        if self.latest.len() >= CHUNK_BYTES
            && !self.is_without_file
            && let Err(error) = self.write().await
        {
            tracing::warn!(%error, "results of batches cannot be kept in temporary files");
            self.is_without_file = true;
        }
    }

    async fn write(&mut self) -> io::Result<()> {
        let file = match &self.file {
            Some(file) => file.clone(),
            None => {
                let file = Arc::new(spawn_blocking(tempfile::tempfile).await??);
                self.file = Some(file.clone());
                file
            }
        };
        let (chunk, at) = (self.latest.clone().freeze(), self.written);
        let bytes = chunk.len() as u64;
        spawn_blocking(move || file.write_all_at(&chunk, at)).await??;
        self.written += bytes;
        self.latest.clear();
        Ok(())
    }

    /// The next bytes, of some results.
    async fn pop(&mut self) -> io::Result<Bytes> {
        if self.oldest_bytes > 0 {
            let mut chunk = BytesMut::new();
            while chunk.len() < CHUNK_BYTES
                && let Some(result) = self.oldest.pop_front()
            {
                chunk.extend_from_slice(&result);
            }
            self.oldest_bytes -= chunk.len();
            return Ok(chunk.freeze());
        }
        if let Some(file) = self.file.clone().filter(|_| self.written > self.read) {
            let (at, bytes) = (self.read, (self.written - self.read).min(CHUNK_BYTES as u64));
            let chunk = spawn_blocking(move || {
                let mut chunk = vec![0; bytes as usize];
                file.read_exact_at(&mut chunk, at).map(|()| chunk)
            });
            let chunk = chunk.await??;
            self.read += bytes;
            if self.read == self.written {
                // What was read is written over.
                (self.read, self.written) = (0, 0);
            }
            return Ok(chunk.into());
        }
        Ok(self.latest.split().freeze())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream::{iter, pending, repeat_with};
    use proptest::prelude::*;

    use super::*;

    fn run<T>(work: impl Future<Output = T>) -> T {
        let local = tokio::task::LocalSet::new();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        local.block_on(&runtime, work)
    }

    async fn collected(stream: impl Stream<Item = io::Result<Bytes>>) -> Vec<u8> {
        stream.map(|chunk| chunk.unwrap().to_vec()).concat().await
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// However much is pushed before it is popped, the bytes come out as they went in.
        #[test]
        fn bytes_keep_their_order(steps in prop::collection::vec((0_usize..200_000, 0_usize..6), 1..40)) {
            run(async {
                let (mut spool, mut pushed, mut popped) = (Spool::default(), Vec::<u8>::new(), Vec::<u8>::new());
                for (at, (bytes, pops)) in steps.into_iter().enumerate() {
                    let result: Vec<u8> = (0..bytes).map(|byte| (byte + at) as u8).collect();
                    pushed.extend(&result);
                    spool.push(result.into()).await;
                    for _ in 0..pops {
                        popped.extend(spool.pop().await.unwrap());
                    }
                    assert_eq!(spool.bytes(), pushed.len() - popped.len());
                }
                while spool.bytes() > 0 {
                    popped.extend(spool.pop().await.unwrap());
                }
                assert!(pushed == popped);
            });
        }
    }

    #[test]
    fn results_are_sent_at_once_or_when_they_are_complete() {
        run(async {
            let first = || iter([Bytes::from_static(b"first")]);
            let mut at_once = Box::pin(spooled(first().chain(pending()), Begin::AtOnce));
            assert_eq!(at_once.next().await.unwrap().unwrap(), "first");
            let held = collected(spooled(first().chain(pending()), Begin::WhenComplete));
            let held = tokio::select! {
                held = held => Some(held),
                () = async { for _ in 0..100 { tokio::task::yield_now().await } } => None,
            };
            assert_eq!(held, None);
            assert_eq!(collected(spooled(first(), Begin::WhenComplete)).await, b"first");
        });
    }

    #[test]
    fn results_of_any_size_are_complete() {
        run(async {
            let result = || Bytes::from(vec![b'x'; 1 << 20]);
            for begin in [Begin::AtOnce, Begin::WhenComplete] {
                let many = repeat_with(result).take(100);
                assert_eq!(collected(spooled(many, begin)).await.len(), 100 << 20);
            }
        });
    }

    /// A client that always leaves some results unread takes no more space than one that reads nothing.
    #[test]
    fn the_file_of_a_slow_client_does_not_grow() {
        run(async {
            let mut spool = Spool::default();
            let mut popped = 0;
            for _ in 0..200 {
                if !spool.is_full() {
                    spool.push(vec![b'x'; 1 << 20].into()).await;
                }
                while spool.bytes() > 4 << 20 {
                    popped += spool.pop().await.unwrap().len();
                }
            }
            assert!(popped > 0);
            let bytes = spool.file.as_ref().unwrap().metadata().unwrap().len();
            assert!(bytes <= MAX_FILE_BYTES + (2 << 20), "{bytes}");
        });
    }

    #[test]
    fn results_that_break_off_end_with_an_error() {
        run(async {
            let results = iter([Bytes::from_static(b"first")]).chain(futures_util::stream::once(async {
                panic!("a fault of the service")
            }));
            let sent: Vec<io::Result<Bytes>> = spooled(results, Begin::AtOnce).collect().await;
            assert!(sent.last().unwrap().is_err(), "{sent:?}");
        });
    }

    #[test]
    fn no_more_is_kept_than_may_be() {
        run(async {
            let produced = std::rc::Rc::new(std::cell::Cell::new(0));
            let counted = produced.clone();
            let results = repeat_with(move || {
                counted.set(counted.get() + (1 << 20));
                Bytes::from(vec![b'x'; 1 << 20])
            });
            let unread = spooled(results, Begin::WhenComplete);
            let mut settled = 0;
            while produced.get() == 0 || settled < produced.get() {
                settled = produced.get();
                tokio::task::yield_now().await;
                spawn_blocking(|| std::thread::sleep(std::time::Duration::from_millis(50)))
                    .await
                    .unwrap();
            }
            assert!(
                (MAX_BYTES..=MAX_BYTES + (3 << 20)).contains(&settled),
                "{settled}"
            );
            drop(unread);
        });
    }
}
