//! The tables that row-level security reads: unit ancestry, and the last days of periods. An embedded database has
//! none.

use chrono::NaiveDate;
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use tonghop_domain::Catalogue;

use crate::database::connection::Conn;
use crate::database::schema::{form_periods, unit_ancestry};
use crate::error::StoreError;

#[derive(Insertable)]
#[diesel(table_name = unit_ancestry)]
struct UnitAncestryRow {
    ancestor_id: i64,
    unit_id: i64,
    from_day: String,
    to_day: Option<String>,
}

#[derive(Insertable)]
#[diesel(table_name = form_periods)]
struct FormPeriodRow {
    form: String,
    period: String,
    last_day: String,
}

/// The number of rows per INSERT.
const TOGETHER: usize = 5000;

/// Writes the ancestry of units and the last days of periods.
pub(crate) async fn write_unit_ancestry(conn: &mut Conn, catalogue: &Catalogue) -> Result<(), StoreError> {
    let Conn::Pg(object) = conn else {
        return Ok(());
    };
    let conn: &mut AsyncPgConnection = &mut *object;
    let day = |day: NaiveDate| day.to_string();
    let rows: Vec<UnitAncestryRow> = catalogue
        .unit_ancestry()
        .into_iter()
        .map(|pair| UnitAncestryRow {
            ancestor_id: pair.ancestor.0,
            unit_id: pair.unit.0,
            from_day: pair.from.map(day).unwrap_or_default(),
            to_day: pair.to.map(day),
        })
        .collect();
    diesel::delete(unit_ancestry::table).execute(conn).await?;
    for rows in rows.chunks(TOGETHER) {
        diesel::insert_into(unit_ancestry::table)
            .values(rows)
            .execute(conn)
            .await?;
    }
    let rows: Vec<FormPeriodRow> = catalogue
        .form_periods()
        .map(|(form, period, last_day)| FormPeriodRow {
            form: form.to_string(),
            period: period.to_string(),
            last_day: day(last_day),
        })
        .collect();
    diesel::delete(form_periods::table).execute(conn).await?;
    for rows in rows.chunks(TOGETHER) {
        diesel::insert_into(form_periods::table)
            .values(rows)
            .execute(conn)
            .await?;
    }
    Ok(())
}
