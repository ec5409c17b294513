//! The change feed in the store.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::database::acting_as::ActingAs;
use crate::database::connection::Purpose;
use crate::error::StoreError;
use crate::model::FeedPage;
use crate::queries::{catalogue_digest, changes};
use crate::store::{Store, within_deadline};

/// The feed is read for all units, because row-level security would examine every change of the country to find those of a
/// district. Callers of these methods must remove the changes that their own caller may not see. No change contains figures.
const ALL_UNITS: ActingAs = ActingAs::Service;

impl Store {
    /// The changes after a time that nothing can still precede, in their order: about `limit` submissions and as many totals.
    ///
    /// # Errors
    /// See [`Store`]; and `CatalogueMismatch`, since forms and units of another catalogue would be left out.
    pub async fn changes(&self, after: DateTime<Utc>, limit: usize) -> Result<FeedPage, StoreError> {
        within_deadline(async {
            let place = self.place(&self.inner.reads).await?;
            let watermark = self.watermark_within(Duration::ZERO).await?;
            let catalogue = self.inner.catalogue.clone();
            self.run(Purpose::Read, ALL_UNITS, place, move |conn| {
                Box::pin(async move {
                    // After the watermark: until now, nothing was recorded with a catalogue that this process does not have.
                    catalogue_digest::check(conn, catalogue.digest()).await?;
                    changes::between(conn, after, watermark, limit).await
                })
            })
            .await
        })
        .await
    }

    /// The time of the last change that nothing can still precede; none before the first change.
    ///
    /// # Errors
    /// As for [`changes`](Self::changes).
    pub async fn last_change(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        within_deadline(async {
            let place = self.place(&self.inner.reads).await?;
            let watermark = self.watermark_within(Duration::ZERO).await?;
            let catalogue = self.inner.catalogue.clone();
            self.run(Purpose::Read, ALL_UNITS, place, move |conn| {
                Box::pin(async move {
                    catalogue_digest::check(conn, catalogue.digest()).await?;
                    changes::last_before(conn, watermark).await
                })
            })
            .await
        })
        .await
    }
}
