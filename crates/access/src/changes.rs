//! Changes of submissions and totals, as one caller may follow them.

use chrono::{DateTime, Utc};
use tonghop_storage::FeedPage;

use crate::authorized::AuthorizedStore;
use crate::listener::{ChangePage, Listener};
use crate::refusal::Refusal;
use crate::shares::Resource;

/// The fewest changes of each kind that are read at once.
const MIN_READ: usize = 100;
/// The most reads for one page. Most changes of the country are none of a district's.
const MAX_READS: usize = 10;

impl AuthorizedStore {
    /// The changes after a time that nothing can still precede, of units at or below the caller's: about `limit`, since those
    /// of one time stay together. There may be fewer, or none, although more follow.
    ///
    /// # Errors
    /// The store failed.
    pub async fn changes(&self, after: DateTime<Utc>, limit: usize) -> Result<ChangePage, Refusal> {
        let mut page = ChangePage::default();
        for _ in 0..MAX_READS {
            let after = page.up_to.unwrap_or(after);
            let read = self.store.changes(after, limit.max(MIN_READ)).await?;
            self.append(&mut page, read);
            if !page.more || page.changes.len() >= limit {
                break;
            }
        }
        if let Some(last) = page.changes.get(limit.saturating_sub(1)).map(|change| change.at) {
            let found = page.changes.len();
            page.changes.retain(|change| change.at <= last);
            if page.changes.len() < found {
                (page.up_to, page.more) = (Some(last), true);
            }
        }
        Ok(page)
    }

    fn append(&self, page: &mut ChangePage, read: FeedPage) {
        page.up_to = read.changes.last().map(|change| change.at).or(page.up_to);
        page.more = read.more;
        let known = read.changes.into_iter();
        page.changes
            .extend(known.filter(|change| self.reaches(&change.key)));
    }

    /// The time of the last change that nothing can still precede; none before the first change.
    ///
    /// # Errors
    /// The store failed.
    pub async fn last_change(&self) -> Result<Option<DateTime<Utc>>, Refusal> {
        Ok(self.store.last_change().await?)
    }

    /// Follows the changes after a time, as they happen.
    ///
    /// # Errors
    /// The caller's share of listeners is used up, or changes cannot be read now.
    pub async fn follow_changes(&self, after: DateTime<Utc>) -> Result<Listener, Refusal> {
        let mut share = self.share(Resource::Listeners);
        share.take(1)?;
        self.last_change().await?;
        Ok(Listener::new(self.clone(), share, after))
    }
}
