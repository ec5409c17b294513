//! What the policies on rows need to know: who is at or below whom, and the last days of periods. An embedded database has
//! no such policies.

use chrono::NaiveDate;
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use tonghop_domain::Catalogue;

use crate::database::pool::Conn;
use crate::database::schema::{form_periods, reach};
use crate::error::StoreError;

#[derive(Insertable)]
#[diesel(table_name = reach)]
struct ReachRow {
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

/// How many rows are inserted together.
const TOGETHER: usize = 5000;

/// Writes down who is at or below whom, for the policies.
pub(crate) async fn write_reach(conn: &mut Conn, catalogue: &Catalogue) -> Result<(), StoreError> {
    let Conn::Pg(object) = conn else {
        return Ok(());
    };
    let conn: &mut AsyncPgConnection = &mut *object;
    let day = |day: NaiveDate| day.to_string();
    let rows: Vec<ReachRow> = catalogue
        .reach()
        .into_iter()
        .map(|reach| ReachRow {
            ancestor_id: reach.ancestor.0,
            unit_id: reach.unit.0,
            from_day: reach.from.map(day).unwrap_or_default(),
            to_day: reach.to.map(day),
        })
        .collect();
    diesel::delete(reach::table).execute(conn).await?;
    for rows in rows.chunks(TOGETHER) {
        diesel::insert_into(reach::table)
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
