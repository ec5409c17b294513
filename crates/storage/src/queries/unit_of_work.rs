//! The unit of work on either database.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tonghop_domain::{Form, FormCode, Head, Period, Revision, SubmissionId, SubmissionKey, UnitId};

use crate::database::acting_as::ActingAs;
use crate::database::clock::clocks;
use crate::database::connection::{Conn, Purpose};
use crate::database::pool::Pools;
use crate::database::transaction::Tx;
use crate::database::unnest::KeyRow;
use crate::error::StoreError;
use crate::model::Idempotency;
use crate::queries::{catalogue_digest, idempotency, marks, reports, submissions, totals, writes};
use crate::unit_of_work::{
    Clock, FiledReport, MarksRead, RecordWrites, RefreshWrites, StoredTotal, Transaction, Transactions,
    UnitOfWork, Used,
};

impl Transactions for Pools {
    type Transaction = Tx;

    async fn begin(&self, hurry: bool) -> Result<Tx, StoreError> {
        self.begin(Purpose::Refresh { hurry }, &ActingAs::Service).await
    }

    async fn begin_recording(&self, hurry: bool) -> Result<Tx, StoreError> {
        self.begin(Purpose::Record { hurry }, &ActingAs::Service).await
    }

    fn locks_rows(&self) -> bool {
        matches!(self, Self::Pg(_))
    }

    async fn within<T: Send>(
        &self,
        deadline: Duration,
        transaction: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        self.within(deadline, transaction).await
    }
}

impl Transaction for Tx {
    type UnitOfWork = Conn;

    fn unit_of_work(&mut self) -> Result<&mut Conn, StoreError> {
        self.conn()
    }

    async fn commit(self) -> Result<(), StoreError> {
        self.commit().await
    }

    async fn abort(self, error: StoreError) -> StoreError {
        self.abort(error).await
    }

    async fn rollback(self) -> Result<(), StoreError> {
        self.rollback().await
    }
}

impl UnitOfWork for Conn {
    async fn share_catalogue(&mut self, digest: &str) -> Result<(), StoreError> {
        catalogue_digest::share_lock(self, digest).await
    }

    async fn clock(&mut self) -> Result<Clock, StoreError> {
        clocks(self).await
    }

    async fn reserve_keys(
        &mut self,
        keys: &BTreeSet<&Idempotency>,
        now: DateTime<Utc>,
    ) -> Result<HashMap<Idempotency, Used>, StoreError> {
        idempotency::reserve(self, keys, now).await
    }

    async fn release_keys(&mut self, keys: &[Idempotency]) -> Result<(), StoreError> {
        idempotency::release(self, keys).await
    }

    async fn lock_heads(
        &mut self,
        keys: &[SubmissionKey],
    ) -> Result<HashMap<SubmissionKey, Head>, StoreError> {
        submissions::lock_heads(self, keys).await
    }

    async fn contended_heads(
        &mut self,
        keys: &[SubmissionKey],
    ) -> Result<BTreeSet<SubmissionKey>, StoreError> {
        submissions::contended_heads(self, keys).await
    }

    async fn record(&mut self, new: &RecordWrites) -> Result<(), StoreError> {
        writes::record(self, new).await
    }

    async fn revision(&mut self, id: SubmissionId, number: i32) -> Result<Option<Revision>, StoreError> {
        submissions::revision(self, id, number).await
    }

    async fn reports(
        &mut self,
        form: &FormCode,
        period: Period,
        units: &[UnitId],
    ) -> Result<HashMap<UnitId, FiledReport>, StoreError> {
        reports::reports(self, form, period, units).await
    }

    async fn marks_of(
        &mut self,
        form: &FormCode,
        period: Period,
        units: &[UnitId],
    ) -> Result<HashMap<UnitId, MarksRead>, StoreError> {
        marks::of_totals(self, &KeyRow::of(form, period, units)).await
    }

    async fn lock_totals(
        &mut self,
        form: &FormCode,
        period: Period,
        units: &[UnitId],
    ) -> Result<HashMap<UnitId, i64>, StoreError> {
        totals::lock(self, &KeyRow::of(form, period, units)).await
    }

    async fn totals(
        &mut self,
        form: &Form,
        period: Period,
        units: &[UnitId],
    ) -> Result<HashMap<UnitId, StoredTotal>, StoreError> {
        totals::of_units(self, form, period, units).await
    }

    async fn refresh(&mut self, form: &Form, new: &RefreshWrites) -> Result<(), StoreError> {
        writes::refresh(self, form, new).await
    }
}
