//! Queries on marks, which say since when totals may be stale.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamp};
use diesel_async::RunQueryDsl;
use tonghop_domain::{FormCode, Period, TotalKey, UnitId};

use crate::database::connection::{Conn, Lite, on};
use crate::database::schema::marks;
use crate::database::unnest::{Column, KeyRow, Unnest, WithClause, rows};
use crate::error::StoreError;
use crate::queries::bounded_count;
use crate::unit_of_work::MarksRead;

/// The most marks that one refresh reads; the rest is left to the next.
macro_rules! max_marks {
    () => {
        5000
    };
}

#[derive(Insertable)]
#[diesel(table_name = marks)]
pub(crate) struct MarkRow {
    form: String,
    period: String,
    unit_id: i64,
    since: NaiveDateTime,
}

rows!(MarkRow => marks(form: Text, period: Text, unit_id: BigInt, since: Timestamp));

pub(crate) fn rows(new: &[(TotalKey, DateTime<Utc>)]) -> Vec<MarkRow> {
    let row = |(key, since): &(TotalKey, DateTime<Utc>)| MarkRow {
        form: key.form.to_string(),
        period: key.period.to_string(),
        unit_id: key.unit.0,
        since: since.naive_utc(),
    };
    new.iter().map(row).collect()
}

/// The marks of some totals, the earliest of each first.
pub(crate) async fn of_totals(
    conn: &mut Conn,
    keys: &[KeyRow],
) -> Result<HashMap<UnitId, MarksRead>, StoreError> {
    let rows: Vec<(i64, i64, NaiveDateTime)> = match conn {
        Conn::Pg(object) => {
            let query = Unnest::<_, (BigInt, BigInt, Timestamp)>::new(
                "SELECT keys.unit_id, mark.mark_id, mark.since FROM",
                KeyRow::columns(keys),
                concat!(
                    "AS keys (form, period, unit_id) CROSS JOIN LATERAL (SELECT mark_id, since FROM marks \
                     WHERE marks.form = keys.form AND marks.period = keys.period AND marks.unit_id = keys.unit_id \
                     ORDER BY since LIMIT ",
                    max_marks!(),
                    ") AS mark"
                ),
            );
            query.load(&mut **object).await?
        }
        Conn::Lite(object) => {
            let mut rows = Vec::new();
            for total in keys {
                let query = marks::table
                    .filter(marks::form.eq(&total.form))
                    .filter(marks::period.eq(&total.period))
                    .filter(marks::unit_id.eq(total.unit_id))
                    .order(marks::since)
                    .limit(max_marks!())
                    .select((marks::unit_id, marks::mark_id, marks::since));
                let of_total: Vec<(i64, i64, NaiveDateTime)> = query.load(&mut **object).await?;
                rows.extend(of_total);
            }
            rows
        }
    };
    let mut read: HashMap<UnitId, MarksRead> = HashMap::new();
    for (unit, id, since) in rows {
        let since = since.and_utc();
        let of_total = read.entry(UnitId(unit)).or_insert_with(|| MarksRead {
            ids: Vec::new(),
            since,
        });
        of_total.ids.push(id);
        of_total.since = of_total.since.min(since);
    }
    Ok(read)
}

pub(crate) fn add_deletion<'a>(with: &mut WithClause<'a>, ids: &'a [i64]) {
    let ids = Column::<BigInt, _>::new(ids.iter().collect());
    let after = "AS read (mark_id) WHERE marks.mark_id = read.mark_id";
    with.add(Unnest::<_>::new("DELETE FROM marks USING", ids, after));
}

pub(crate) async fn delete(ids: &[i64], conn: &mut Lite) -> QueryResult<usize> {
    let read = marks::table.filter(marks::mark_id.eq_any(ids));
    diesel::delete(read).execute(conn).await
}

/// Deletes the marks of a total that no longer exists in the catalogue.
pub(crate) async fn delete_of(conn: &mut Conn, key: &TotalKey) -> Result<(), StoreError> {
    let marks = marks::table
        .filter(marks::form.eq(key.form.as_str()))
        .filter(marks::period.eq(key.period.to_string()))
        .filter(marks::unit_id.eq(key.unit.0));
    on!(conn, c => diesel::delete(marks).execute(c).await)?;
    Ok(())
}

/// The number of marks and the earliest time, for each of some totals of a form and period that has marks.
pub(crate) async fn count(
    conn: &mut Conn,
    form: &FormCode,
    period: Period,
    units: &[UnitId],
) -> Result<Vec<(UnitId, i64, DateTime<Utc>)>, StoreError> {
    use diesel::dsl::{count_star, min};
    let rows: Vec<(i64, i64, Option<NaiveDateTime>)> = match conn {
        Conn::Pg(object) => {
            let keys = KeyRow::of(form, period, units);
            let query = Unnest::<_, (BigInt, BigInt, Nullable<Timestamp>)>::new(
                "SELECT keys.unit_id, marked.count, marked.since FROM",
                KeyRow::columns(&keys),
                "AS keys (form, period, unit_id) CROSS JOIN LATERAL (SELECT count(*) AS count, min(since) AS since \
                 FROM marks WHERE marks.form = keys.form AND marks.period = keys.period \
                 AND marks.unit_id = keys.unit_id) AS marked WHERE marked.count > 0",
            );
            query.load(&mut **object).await?
        }
        Conn::Lite(object) => {
            let query = marks::table
                .filter(marks::form.eq(form.as_str()))
                .filter(marks::period.eq(period.to_string()))
                .filter(marks::unit_id.eq_any(units.iter().map(|unit| unit.0)))
                .group_by(marks::unit_id)
                .select((marks::unit_id, count_star(), min(marks::since)));
            query.load(&mut **object).await?
        }
    };
    let read = |(unit, count, since): (i64, i64, Option<NaiveDateTime>)| {
        since.map(|since| (UnitId(unit), count, since.and_utc()))
    };
    Ok(rows.into_iter().filter_map(read).collect())
}

/// Totals with marks older than `before`, those with the oldest marks first.
pub(crate) async fn stale(
    conn: &mut Conn,
    before: DateTime<Utc>,
    limit: usize,
) -> Result<Vec<TotalKey>, StoreError> {
    use diesel::dsl::min;
    let query = marks::table
        .filter(marks::since.lt(before.naive_utc()))
        .group_by((marks::form, marks::period, marks::unit_id))
        .select((marks::form, marks::period, marks::unit_id))
        .order(min(marks::since))
        .limit(limit as i64);
    let rows: Vec<(String, String, i64)> = on!(conn, c => query.load(c).await)?;
    // An unreadable mark must not keep the sweep from the others.
    let readable = |row| {
        read_key(row)
            .inspect_err(|error| tracing::error!(%error, "unreadable mark"))
            .ok()
    };
    Ok(rows.into_iter().filter_map(readable).collect())
}

/// All totals that have marks.
pub(crate) async fn keys(conn: &mut Conn) -> Result<Vec<TotalKey>, StoreError> {
    let query = marks::table
        .select((marks::form, marks::period, marks::unit_id))
        .distinct();
    let rows: Vec<(String, String, i64)> = on!(conn, c => query.load(c).await)?;
    rows.into_iter().map(read_key).collect()
}

fn read_key((form, period, unit): (String, String, i64)) -> Result<TotalKey, StoreError> {
    Ok(TotalKey {
        form: form.parse().map_err(StoreError::corrupt)?,
        period: period.parse().map_err(StoreError::corrupt)?,
        unit: UnitId(unit),
    })
}

/// The number of marks.
pub(crate) async fn pending(conn: &mut Conn) -> Result<i64, StoreError> {
    Ok(on!(conn, c => marks::table.count().get_result(c).await)?)
}

/// The number of marks, up to the limit, and the earliest time.
pub(crate) async fn backlog(conn: &mut Conn) -> Result<(i64, Option<DateTime<Utc>>), StoreError> {
    let count = bounded_count(conn, "marks").await?;
    let oldest = marks::table.select(marks::since).order(marks::since);
    let since: Option<NaiveDateTime> = on!(conn, c => oldest.first(c).await.optional())?;
    Ok((count, since.map(|since| since.and_utc())))
}
