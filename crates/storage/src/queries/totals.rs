//! Queries on totals.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text, Timestamp};
use diesel_async::RunQueryDsl;
use tonghop_domain::{Form, FormCode, Period, Total, TotalKey, UnitId};

use crate::codec;
use crate::database::connection::{Conn, Lite, on};
use crate::database::schema::totals;
use crate::database::unnest::{KeyRow, Unnest, WithClause, columns};
use crate::error::StoreError;
use crate::unit_of_work::{RefreshWrites, StoredTotal};

/// The row of a refreshed total.
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

/// Creates missing rows of totals and locks all of them until the transaction ends: first all inserts, then all locks,
/// each in the order of `keys`, which are sorted, so that two refreshes cannot deadlock. Returns the versions, 0 for
/// new rows.
pub(crate) async fn lock(conn: &mut Conn, keys: &[KeyRow]) -> Result<HashMap<UnitId, i64>, StoreError> {
    let rows: Vec<(i64, i64)> = match conn {
        Conn::Pg(object) => {
            let insert = Unnest::<_>::new(
                "INSERT INTO totals (form, period, unit_id, version, refreshed_at, body) \
                 SELECT form, period, unit_id, 0, 'epoch', '' FROM",
                KeyRow::columns(keys),
                "AS keys (form, period, unit_id) ON CONFLICT DO NOTHING",
            );
            insert.execute(&mut **object).await?;
            let query = Unnest::<_, (BigInt, BigInt)>::new(
                "SELECT unit_id, version FROM",
                KeyRow::columns(keys),
                "AS keys (form, period, unit_id) JOIN totals USING (form, period, unit_id) \
                 ORDER BY unit_id FOR UPDATE OF totals",
            );
            query.load(&mut **object).await?
        }
        Conn::Lite(object) => {
            let mut rows = Vec::new();
            for total in keys {
                let insert = diesel::insert_into(totals::table).values((
                    totals::form.eq(&total.form),
                    totals::period.eq(&total.period),
                    totals::unit_id.eq(total.unit_id),
                    totals::version.eq(0),
                    totals::refreshed_at.eq(DateTime::UNIX_EPOCH.naive_utc()),
                    totals::body.eq(""),
                ));
                insert.on_conflict_do_nothing().execute(&mut **object).await?;
                let query = totals::table
                    .find((&total.form, &total.period, total.unit_id))
                    .select((totals::unit_id, totals::version));
                rows.push(query.first(&mut **object).await?);
            }
            rows
        }
    };
    Ok(rows
        .into_iter()
        .map(|(unit, version)| (UnitId(unit), version))
        .collect())
}

impl Refreshed {
    pub(crate) fn rows(
        form: &Form,
        new: &RefreshWrites,
        now: DateTime<Utc>,
    ) -> Result<Vec<Self>, StoreError> {
        let row = |(key, total, version): &(TotalKey, Total, i64)| {
            Ok(Self {
                form: key.form.to_string(),
                period: key.period.to_string(),
                unit_id: key.unit.0,
                version: *version,
                refreshed_at: now.naive_utc(),
                body: codec::write_total(total, form)?,
            })
        };
        new.totals.iter().map(row).collect()
    }

    /// Writes the rows on PostgreSQL.
    pub(crate) fn add_to<'a>(with: &mut WithClause<'a>, rows: &'a [Self]) {
        with.add(Unnest::<_>::new(
            "UPDATE totals SET version = new.version, refreshed_at = new.refreshed_at, body = new.body FROM",
            columns!(
                rows => form: Text, period: Text, unit_id: BigInt, version: BigInt, refreshed_at: Timestamp, body: Text,
            ),
            "AS new (form, period, unit_id, version, refreshed_at, body) \
             WHERE totals.form = new.form AND totals.period = new.period AND totals.unit_id = new.unit_id",
        ));
    }

    /// Writes the rows on SQLite.
    pub(crate) async fn update_each(rows: &[Self], conn: &mut Lite) -> QueryResult<()> {
        for row in rows {
            let total = totals::table.find((&row.form, &row.period, row.unit_id));
            diesel::update(total).set(row).execute(conn).await?;
        }
        Ok(())
    }
}

/// The totals of some units, without those that were never refreshed.
pub(crate) async fn of_units(
    conn: &mut Conn,
    form: &Form,
    period: Period,
    units: &[UnitId],
) -> Result<HashMap<UnitId, StoredTotal>, StoreError> {
    let each = each_of_units(conn, form, period, units).await?;
    each.into_iter().map(|(unit, total)| Ok((unit, total?))).collect()
}

/// Like [`of_units`], with a result for each total, so that an unreadable one does not hide the others.
pub(crate) async fn each_of_units(
    conn: &mut Conn,
    form: &Form,
    period: Period,
    units: &[UnitId],
) -> Result<HashMap<UnitId, Result<StoredTotal, StoreError>>, StoreError> {
    if units.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(i64, i64, NaiveDateTime, String)> = match conn {
        Conn::Pg(object) => {
            let keys = KeyRow::of(&form.code, period, units);
            // One lookup per unit: the plan for a list of units may read all of a period.
            let query = Unnest::<_, (BigInt, BigInt, Timestamp, Text)>::new(
                "SELECT keys.unit_id, version, refreshed_at, body FROM",
                KeyRow::columns(&keys),
                "AS keys (form, period, unit_id) CROSS JOIN LATERAL (SELECT version, refreshed_at, body FROM totals \
                 WHERE totals.form = keys.form AND totals.period = keys.period \
                 AND totals.unit_id = keys.unit_id LIMIT 1) AS total WHERE version > 0",
            );
            query.load(&mut **object).await?
        }
        Conn::Lite(object) => {
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
            query.load(&mut **object).await?
        }
    };
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

/// The times at which totals of a form and period were last refreshed.
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

/// The keys of all totals.
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

/// Deletes a total that no longer exists in the catalogue.
pub(crate) async fn delete(conn: &mut Conn, key: &TotalKey) -> Result<(), StoreError> {
    let row = totals::table.find((key.form.as_str(), key.period.to_string(), key.unit.0));
    on!(conn, c => diesel::delete(row).execute(c).await)?;
    Ok(())
}
