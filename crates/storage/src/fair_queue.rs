//! Turns for callers: however many requests one key sends, the next free place goes to the key whose turn it is.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;
use tonghop_domain::KeyId;

use crate::error::StoreError;

/// The most requests of all keys that may wait for a place.
const MAX_WAITING: usize = 256;
/// The longest wait for a place: longer than a database needs to come back after a failover or a stall of its disk, so that
/// those who wait are served then, and shorter than the deadline of their reads.
const MAX_WAIT: Duration = Duration::from_secs(4);

/// Places that callers take in turn. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct FairQueue(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    free: usize,
    waiting: usize,
    /// The keys with requests that wait, in the order of their turns. None has an empty queue.
    turns: VecDeque<(KeyId, VecDeque<oneshot::Sender<Place>>)>,
}

/// A place in the queue's service; it is free again when dropped.
#[derive(Debug)]
pub(crate) struct Place(Option<FairQueue>);

impl FairQueue {
    /// A queue for this number of places.
    pub(crate) fn new(places: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            free: places,
            waiting: 0,
            turns: VecDeque::new(),
        })))
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// `Overloaded` if as many requests of the key wait as could wait besides, `Unavailable` if no place became free in
    /// time.
    pub(crate) async fn take(&self, key: &KeyId) -> Result<Place, StoreError> {
        let turn = {
            let mut state = self.state();
            if state.free > 0 {
                state.free -= 1;
                return Ok(Place(Some(self.clone())));
            }
            state.enqueue(key)?
        };
        let place = timeout(MAX_WAIT, turn).await;
        place
            .map_err(|_| StoreError::unavailable("no connection became available in time"))?
            .map_err(StoreError::unavailable)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a free place to the next request that still waits.
    fn hand_on(&self) {
        loop {
            // The lock is released before the place is sent: if the request no longer waits, the place comes back.
            let Some(next) = self.state().next() else { return };
            match next.send(Place(Some(self.clone()))) {
                Ok(()) => return,
                Err(mut unwanted) => unwanted.0 = None,
            }
        }
    }
}

impl State {
    fn enqueue(&mut self, key: &KeyId) -> Result<oneshot::Receiver<Place>, StoreError> {
        let found = self.turns.iter().position(|(other, _)| other == key);
        let of_key = found.map_or(0, |at| self.turns[at].1.len());
        // A key may have as many requests in the queue as are free, so that there is always room for others.
        if of_key >= MAX_WAITING.saturating_sub(self.waiting) {
            return Err(StoreError::Overloaded);
        }
        let (sender, turn) = oneshot::channel();
        match found {
            Some(at) => self.turns[at].1.push_back(sender),
            None => self.turns.push_back((key.clone(), VecDeque::from([sender]))),
        }
        self.waiting += 1;
        Ok(turn)
    }

    /// Removes the first request of the key whose turn it is; without one, the place becomes free.
    fn next(&mut self) -> Option<oneshot::Sender<Place>> {
        let Some((key, mut requests)) = self.turns.pop_front() else {
            self.free += 1;
            return None;
        };
        let next = requests.pop_front();
        self.waiting -= usize::from(next.is_some());
        if !requests.is_empty() {
            self.turns.push_back((key, requests));
        }
        next.or_else(|| self.next())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(queue) = self.0.take() {
            queue.hand_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::JoinSet;
    use tokio::time::sleep;

    use super::*;

    fn key(number: usize) -> KeyId {
        format!("{number:0>8}").parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_waits_for_one_of_each_other_key() {
        let queue = FairQueue::new(1);
        let first = queue.take(&key(1)).await.unwrap();
        let served = Arc::new(Mutex::new(Vec::new()));
        let mut requests = JoinSet::new();
        for number in [1, 1, 1, 1, 1, 2, 1, 3, 2] {
            let (queue, served) = (queue.clone(), served.clone());
            requests.spawn(async move {
                let place = queue.take(&key(number)).await.unwrap();
                served.lock().unwrap().push(number);
                sleep(Duration::from_millis(1)).await;
                drop(place);
            });
            tokio::task::yield_now().await;
        }
        drop(first);
        requests.join_all().await;
        assert_eq!(*served.lock().unwrap(), [1, 2, 3, 1, 2, 1, 1, 1, 1]);
        assert_eq!(queue.state().free, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn one_key_leaves_room_for_the_others() {
        let queue = FairQueue::new(1);
        let place = queue.take(&key(1)).await.unwrap();
        let mut requests = JoinSet::new();
        for _ in 0..MAX_WAITING {
            let queue = queue.clone();
            requests.spawn(async move { queue.take(&key(1)).await.map(drop) });
        }
        sleep(Duration::from_millis(1)).await;
        let waiting = queue.state().waiting;
        assert_eq!(waiting, MAX_WAITING / 2);
        assert!(matches!(queue.take(&key(1)).await, Err(StoreError::Overloaded)));
        let other = tokio::spawn({
            let queue = queue.clone();
            async move { queue.take(&key(2)).await.map(drop) }
        });
        sleep(Duration::from_millis(1)).await;
        drop(place);
        other.await.unwrap().unwrap();
        let overloaded = requests
            .join_all()
            .await
            .into_iter()
            .filter(Result::is_err)
            .count();
        assert_eq!(overloaded, MAX_WAITING / 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_not_lost_when_its_request_is_given_up() {
        let queue = FairQueue::new(2);
        let places = [
            queue.take(&key(1)).await.unwrap(),
            queue.take(&key(1)).await.unwrap(),
        ];
        let waiting = queue.take(&key(2)).await;
        assert!(matches!(waiting, Err(StoreError::Unavailable(_))));
        // One is handed on to a request that has been given up, and one received by a task that is aborted.
        let given_up = tokio::spawn({
            let queue = queue.clone();
            async move { queue.take(&key(3)).await.map(drop) }
        });
        tokio::task::yield_now().await;
        let [first, second] = places;
        drop(first);
        given_up.abort();
        drop(second);
        drop(given_up.await);
        let state = queue.state();
        assert_eq!((state.free, state.waiting, state.turns.len()), (2, 0, 0));
    }
}
