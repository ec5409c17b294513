//! Queries on totals.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text, Timestamp};
use diesel_async::RunQueryDsl;
use tonghop_domain::{Form, FormCode, Period, TotalKey, UnitId};

use crate::books::{NewTotal, StoredTotal};
use crate::columns::{OverColumns, With, columns};
use crate::conn::{Conn, Lite, on};
use crate::schema::totals;
use crate::{StoreError, codec};

/// A refreshed total as a row.
#[derive(AsChangeset)]
#[diesel(table_name = totals, primary_key(form, period, unit_id))]
pub(crate) struct Refreshed {
    form: String,
    period: String,
    unit_id: i64,
    version: i64,
    refreshed_at: NaiveDateTime,
    body: String,
}

/// Makes sure that a total has a row and locks it until the transaction ends. Answers its version, 0 for a new one.
pub(crate) async fn lock(conn: &mut Conn, key: &TotalKey) -> Result<i64, StoreError> {
    if let Some(version) = lock_existing(conn, key).await? {
        return Ok(version);
    }
    let row = (
        totals::form.eq(key.form.as_str()),
        totals::period.eq(key.period.to_string()),
        totals::unit_id.eq(key.unit.0),
        totals::version.eq(0),
        totals::refreshed_at.eq(DateTime::UNIX_EPOCH.naive_utc()),
        totals::body.eq(""),
    );
    // Waits for another transaction that is about to make it.
    let insert = diesel::insert_into(totals::table)
        .values(row)
        .on_conflict_do_nothing();
    if on!(conn, c => insert.execute(c).await)? == 1 {
        return Ok(0);
    }
    let made = lock_existing(conn, key).await?;
    made.ok_or_else(|| StoreError::Contention("the total was made and is gone".into()))
}

async fn lock_existing(conn: &mut Conn, key: &TotalKey) -> Result<Option<i64>, StoreError> {
    let query = totals::table
        .find((key.form.as_str(), key.period.to_string(), key.unit.0))
        .select(totals::version);
    Ok(match conn {
        Conn::Pg(object) => query.for_update().first(&mut **object).await.optional()?,
        Conn::Lite(object) => query.first(&mut **object).await.optional()?,
    })
}

impl Refreshed {
    pub(crate) fn new(form: &Form, new: &NewTotal, now: DateTime<Utc>) -> Result<Self, StoreError> {
        Ok(Self {
            form: new.key.form.to_string(),
            period: new.key.period.to_string(),
            unit_id: new.key.unit.0,
            version: new.version,
            refreshed_at: now.naive_utc(),
            body: codec::write_total(&new.total, form)?,
        })
    }

    /// Writes it into its row.
    pub(crate) fn add_to<'a>(&'a self, with: &mut With<'a>) {
        let rows = std::slice::from_ref(self);
        with.add(OverColumns::<_>::new(
            "UPDATE totals SET version = new.version, refreshed_at = new.refreshed_at, body = new.body FROM",
            columns!(
                rows => form: Text, period: Text, unit_id: BigInt, version: BigInt, refreshed_at: Timestamp, body: Text,
            ),
            "AS new (form, period, unit_id, version, refreshed_at, body) \
             WHERE totals.form = new.form AND totals.period = new.period AND totals.unit_id = new.unit_id",
        ));
    }

    /// The same on SQLite.
    pub(crate) async fn update(&self, conn: &mut Lite) -> QueryResult<usize> {
        let row = totals::table.find((&self.form, &self.period, self.unit_id));
        diesel::update(row).set(self).execute(conn).await
    }
}

/// The totals of some units, as far as they were ever refreshed.
pub(crate) async fn of_units(
    conn: &mut Conn,
    form: &Form,
    period: Period,
    units: &[UnitId],
) -> Result<HashMap<UnitId, StoredTotal>, StoreError> {
    let each = each_of_units(conn, form, period, units).await?;
    each.into_iter().map(|(unit, total)| Ok((unit, total?))).collect()
}

/// The same, where one that cannot be read does not hide the others.
pub(crate) async fn each_of_units(
    conn: &mut Conn,
    form: &Form,
    period: Period,
    units: &[UnitId],
) -> Result<HashMap<UnitId, Result<StoredTotal, StoreError>>, StoreError> {
    if units.is_empty() {
        return Ok(HashMap::new());
    }
    let query = totals::table
        .filter(totals::form.eq(form.code.as_str()))
        .filter(totals::period.eq(period.to_string()))
        .filter(totals::unit_id.eq_any(units.iter().map(|unit| unit.0)))
        .filter(totals::version.gt(0))
        .select((
            totals::unit_id,
            totals::version,
            totals::refreshed_at,
            totals::body,
        ));
    let rows: Vec<(i64, i64, NaiveDateTime, String)> = on!(conn, c => query.load(c).await)?;
    let read = |(unit, version, refreshed_at, body): (i64, i64, NaiveDateTime, String)| {
        let total = codec::read_total(&body, form).map(|total| StoredTotal {
            total,
            version,
            refreshed_at: refreshed_at.and_utc(),
        });
        (UnitId(unit), total)
    };
    Ok(rows.into_iter().map(read).collect())
}

/// When totals of a form and period were last refreshed.
pub(crate) async fn refresh_times(
    conn: &mut Conn,
    form: &FormCode,
    period: Period,
    units: &[UnitId],
) -> Result<HashMap<UnitId, DateTime<Utc>>, StoreError> {
    let query = totals::table
        .filter(totals::form.eq(form.as_str()))
        .filter(totals::period.eq(period.to_string()))
        .filter(totals::unit_id.eq_any(units.iter().map(|unit| unit.0)))
        .filter(totals::version.gt(0))
        .select((totals::unit_id, totals::refreshed_at));
    let rows: Vec<(i64, NaiveDateTime)> = on!(conn, c => query.load(c).await)?;
    Ok(rows
        .into_iter()
        .map(|(unit, time)| (UnitId(unit), time.and_utc()))
        .collect())
}

/// Every total that has a row.
pub(crate) async fn keys(conn: &mut Conn) -> Result<Vec<TotalKey>, StoreError> {
    let query = totals::table.select((totals::form, totals::period, totals::unit_id));
    let rows: Vec<(String, String, i64)> = on!(conn, c => query.load(c).await)?;
    let read = |(form, period, unit): (String, String, i64)| {
        Ok(TotalKey {
            form: form.parse().map_err(StoreError::corrupt)?,
            period: period.parse().map_err(StoreError::corrupt)?,
            unit: UnitId(unit),
        })
    };
    rows.into_iter().map(read).collect()
}

/// Drops the row of a total that no longer exists in the catalogue.
pub(crate) async fn delete(conn: &mut Conn, key: &TotalKey) -> Result<(), StoreError> {
    let row = totals::table.find((key.form.as_str(), key.period.to_string(), key.unit.0));
    on!(conn, c => diesel::delete(row).execute(c).await)?;
    Ok(())
}
