//! The catalogue in the database: stable unit ids, and the changes that a new catalogue requires.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, NaiveDate, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use tonghop_domain::{Catalogue, SubmissionKey, TotalKey, Unit, UnitCode, UnitId};

use crate::database::connection::{Conn, on};
use crate::database::row_security;
use crate::database::schema::{catalogue, units};
use crate::database::unnest::{self, Rows, WithClause, rows};
use crate::error::StoreError;
use crate::queries::catalogue_uses::{check_uses, write_meanings};
use crate::queries::{marks, submissions, totals};

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = units, treat_none_as_null = true)]
struct UnitRow {
    unit_id: i64,
    code: String,
    valid_from: Option<String>,
    valid_to: Option<String>,
}

impl UnitRow {
    fn new(unit: &Unit, id: UnitId) -> Self {
        let day = |day: NaiveDate| day.to_string();
        Self {
            unit_id: id.0,
            code: unit.code.to_string(),
            valid_from: unit.valid_from.map(day),
            valid_to: unit.valid_to.map(day),
        }
    }

    /// ISO dates compare as texts.
    fn overlaps(&self, unit: &Unit) -> bool {
        let other = Self::new(unit, UnitId(0));
        let ends_after = |a: &Self, b: &Self| match (&a.valid_to, &b.valid_from) {
            (Some(to), Some(from)) => to > from,
            _ => true,
        };
        self.code == other.code && ends_after(self, &other) && ends_after(&other, self)
    }
}

/// The catalogue with the unit ids of the database.
pub(crate) async fn with_ids(conn: &mut Conn, catalogue: &Catalogue) -> Result<Catalogue, StoreError> {
    let rows: Vec<UnitRow> = on!(conn, c => units::table.select(UnitRow::as_select()).load(c).await)?;
    let ids: HashMap<(String, Option<String>), i64> = rows
        .into_iter()
        .map(|row| ((row.code, row.valid_from), row.unit_id))
        .collect();
    let id_of = |unit: &Unit| {
        let row = UnitRow::new(unit, UnitId(0));
        ids.get(&(row.code, row.valid_from)).copied().map(UnitId)
    };
    catalogue
        .with_ids(id_of)
        .map_err(|_| StoreError::CatalogueMismatch)
}

/// Adopts a catalogue: keeps the ids of units that remain, assigns ids to new ones, and marks every total for a
/// refresh. Does nothing if the database has this catalogue already.
///
/// # Errors
/// `CatalogueInUse` when reports use what the new catalogue lacks or changes.
pub(crate) async fn adopt(conn: &mut Conn, new: &Catalogue, now: DateTime<Utc>) -> Result<(), StoreError> {
    if let Conn::Pg(object) = conn {
        // Waits for transactions that use the old catalogue, and blocks new ones.
        object
            .batch_execute("LOCK TABLE catalogue IN ACCESS EXCLUSIVE MODE")
            .await?;
    }
    let query = catalogue::table.find(1).select(catalogue::digest);
    let held: Option<String> = on!(conn, c => query.first(c).await.optional())?;
    if held.as_deref() == Some(new.digest()) {
        return Ok(());
    }
    let old: Vec<UnitRow> = on!(conn, c => units::table.select(UnitRow::as_select()).load(c).await)?;
    let ids = assign_ids(&old, new);
    let adopted = new
        .with_ids(|unit| ids.get(&(unit.code.clone(), unit.valid_from)).copied())
        .map_err(|_| StoreError::corrupt("a unit without an id"))?;
    check_uses(conn, &adopted).await?;
    write_units(conn, &adopted).await?;
    write_meanings(conn, &adopted).await?;
    row_security::write_unit_ancestry(conn, &adopted).await?;
    let row = (
        catalogue::id.eq(1),
        catalogue::digest.eq(new.digest()),
        catalogue::adopted_at.eq(now.naive_utc()),
    );
    let upsert = diesel::insert_into(catalogue::table)
        .values(row)
        .on_conflict(catalogue::id)
        .do_update()
        .set((
            catalogue::digest.eq(new.digest()),
            catalogue::adopted_at.eq(now.naive_utc()),
        ));
    on!(conn, c => upsert.execute(c).await)?;
    mark_all(conn, &adopted, now).await?;
    Ok(())
}

/// The ids of a catalogue's units, given the rows of the old ones.
fn assign_ids(old: &[UnitRow], new: &Catalogue) -> HashMap<(UnitCode, Option<NaiveDate>), UnitId> {
    let mut last = old.iter().map(|row| row.unit_id).max().unwrap_or(0);
    let mut held_before: HashMap<&str, Vec<&UnitRow>> = HashMap::new();
    for row in old {
        held_before.entry(&row.code).or_default().push(row);
    }
    let rows_of = |unit: &Unit| held_before.get(unit.code.as_str()).map_or(&[][..], Vec::as_slice);
    let exact = |unit: &Unit, row: &UnitRow| row.valid_from == unit.valid_from.map(|day| day.to_string());
    // Units with an unchanged first day come first: if a unit was split in time, the older part keeps the id.
    let mut units: Vec<&Unit> = new.units().iter().map(AsRef::as_ref).collect();
    units.sort_by_key(|unit| (!rows_of(unit).iter().any(|row| exact(unit, row)), unit.valid_from));
    let mut ids = HashMap::new();
    let mut taken = BTreeSet::new();
    for unit in units {
        let candidates = || {
            rows_of(unit)
                .iter()
                .filter(|row| row.overlaps(unit) && !taken.contains(&row.unit_id))
        };
        let id = candidates()
            .find(|row| exact(unit, row))
            .or_else(|| candidates().next())
            .map_or_else(
                || {
                    last += 1;
                    last
                },
                |row| row.unit_id,
            );
        taken.insert(id);
        ids.insert((unit.code.clone(), unit.valid_from), UnitId(id));
    }
    ids
}

rows!(UnitRow => units(unit_id: BigInt, code: Text, valid_from: Nullable<Text>, valid_to: Nullable<Text>));

/// Units that the new catalogue lacks keep their rows, so that their ids are never reused.
async fn write_units(conn: &mut Conn, adopted: &Catalogue) -> Result<(), StoreError> {
    use diesel::upsert::excluded;
    let rows: Vec<UnitRow> = adopted
        .units()
        .iter()
        .map(|unit| UnitRow::new(unit, unit.id))
        .collect();
    match conn {
        Conn::Pg(object) => {
            let mut with = WithClause::default();
            with.add(UnitRow::insertion(
                &rows,
                "ON CONFLICT (unit_id) DO UPDATE SET code = excluded.code, valid_from = excluded.valid_from, \
                 valid_to = excluded.valid_to",
            ));
            with.execute(object).await?;
        }
        Conn::Lite(object) => {
            for row in rows {
                let insert = diesel::insert_into(units::table).values(row);
                let upsert = insert.on_conflict(units::unit_id).do_update().set((
                    units::code.eq(excluded(units::code)),
                    units::valid_from.eq(excluded(units::valid_from)),
                    units::valid_to.eq(excluded(units::valid_to)),
                ));
                upsert.execute(&mut **object).await?;
            }
        }
    }
    Ok(())
}

/// Marks every total that has or had a report; refreshing propagates the marks upwards. Returns the number of marks.
pub(crate) async fn mark_all(
    conn: &mut Conn,
    catalogue: &Catalogue,
    now: DateTime<Utc>,
) -> Result<usize, StoreError> {
    let mut stale = BTreeSet::new();
    for SubmissionKey { form, period, unit } in submissions::keys(conn).await? {
        let first = catalogue
            .scope(form.as_str(), period)
            .and_then(|scope| scope.tree.by_id(unit).map(|place| place.first_total().id()));
        stale.extend(first.map(|unit| TotalKey { form, period, unit }));
    }
    let known: BTreeSet<TotalKey> = totals::keys(conn)
        .await?
        .into_iter()
        .chain(marks::keys(conn).await?)
        .collect();
    for key in known {
        let scope = catalogue.scope(key.form.as_str(), key.period);
        let exists = scope.is_some_and(|scope| {
            scope
                .tree
                .by_id(key.unit)
                .is_some_and(|place| place.has_children())
        });
        if exists {
            stale.insert(key);
        } else {
            totals::delete(conn, &key).await?;
            marks::delete_of(conn, &key).await?;
        }
    }
    let new: Vec<_> = stale.into_iter().map(|key| (key, now)).collect();
    unnest::insert(conn, &marks::rows(&new)).await?;
    Ok(new.len())
}
