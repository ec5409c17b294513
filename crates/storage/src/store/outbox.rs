//! The outbox, as the relay sees it.

use tonghop_domain::{Envelope, Outbox};
use uuid::Uuid;

use crate::database::clock::clock;
use crate::error::StoreError;
use crate::queries::outbox;
use crate::store::Store;

impl Outbox for Store {
    type Error = StoreError;

    async fn claim(&self, limit: usize) -> Result<Vec<Envelope>, StoreError> {
        self.write(move |conn| {
            Box::pin(async move {
                let now = clock(conn).await?;
                outbox::claim(conn, now, limit).await
            })
        })
        .await
    }

    async fn settle(&self, published: &[Uuid]) -> Result<(), StoreError> {
        let published = published.to_vec();
        self.write(move |conn| Box::pin(async move { outbox::delete(conn, &published).await }))
            .await
    }
}
