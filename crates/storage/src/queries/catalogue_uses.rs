//! What reports use of the catalogue. A code that is in use keeps its meaning: a new catalogue may neither drop it nor
//! change what it means.

use std::collections::{BTreeMap, HashMap};

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use tonghop_domain::{
    Catalogue, Figure, FormCode, Indicator, IndicatorCode, Period, Reported, Scope, UnitId,
};

use crate::database::connection::{Conn, on};
use crate::database::schema::{indicators, units};
use crate::error::StoreError;
use crate::queries::{reports, submissions};

/// The number of units whose reports are read at once.
const UNITS: usize = 500;

/// What the code of an indicator means.
#[derive(Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = indicators)]
struct Meaning {
    code: String,
    kind: String,
    value_type: String,
    measure_vi: String,
    measure_en: String,
    across_time: String,
}

impl Meaning {
    fn of(indicator: &Indicator) -> Self {
        Self {
            code: indicator.code.to_string(),
            kind: indicator.kind.as_str().to_owned(),
            value_type: indicator.value_type.clone(),
            measure_vi: indicator.measure.vi.clone(),
            measure_en: indicator.measure.en.clone(),
            across_time: indicator.across_time.clone(),
        }
    }

    /// What differs in a new catalogue, in words.
    fn changes(&self, new: &Self) -> Vec<String> {
        let parts = [
            ("kind", &self.kind, &new.kind),
            ("value_type", &self.value_type, &new.value_type),
            ("measure_vi", &self.measure_vi, &new.measure_vi),
            ("measure_en", &self.measure_en, &new.measure_en),
            ("across_time", &self.across_time, &new.across_time),
        ];
        let differing = parts.into_iter().filter(|(_, old, new)| old != new);
        differing
            .map(|(name, old, new)| format!("{name} changes from {old:?} to {new:?}"))
            .collect()
    }
}

/// What a new catalogue would take from reports, each with the number of reports that use it.
#[derive(Default)]
struct Losses(BTreeMap<String, usize>);

impl Losses {
    fn add(&mut self, what: String, reports: usize) {
        *self.0.entry(what).or_default() += reports;
    }

    fn check(self) -> Result<(), StoreError> {
        let counted = |(what, reports): (String, usize)| match reports {
            1 => format!("{what} (1 report)"),
            many => format!("{what} ({many} reports)"),
        };
        let all: Vec<String> = self.0.into_iter().map(counted).collect();
        if all.is_empty() {
            Ok(())
        } else {
            Err(StoreError::CatalogueInUse(all.join("; ")))
        }
    }
}

/// Checks that a new catalogue keeps what reports use: the form, the unit, the indicators and their meaning, the
/// categories of breakdowns, and bounds that admit the values.
///
/// # Errors
/// `CatalogueInUse` with everything that it does not keep.
pub(crate) async fn check_uses(conn: &mut Conn, new: &Catalogue) -> Result<(), StoreError> {
    let changes = changed_meanings(conn, new).await?;
    let mut losses = Losses::default();
    let mut by_scope: BTreeMap<(FormCode, Period), Vec<UnitId>> = BTreeMap::new();
    for key in submissions::keys(conn).await? {
        by_scope.entry((key.form, key.period)).or_default().push(key.unit);
    }
    for ((form, period), units) in by_scope {
        let Some(scope) = new.scope(form.as_str(), period) else {
            losses.add(format!("the form {form} for {period}"), units.len());
            continue;
        };
        for unit in &units {
            let place = scope.tree.by_id(*unit);
            if !place.is_some_and(|place| scope.form.is_reported_by(place.unit())) {
                let code = unit_code(conn, *unit).await?;
                losses.add(format!("the unit {code}, for {form} {period}"), 1);
            }
        }
        for chunk in units.chunks(UNITS) {
            for filed in reports::reports(conn, &form, period, chunk).await?.into_values() {
                for figure in &filed.report.content.figures {
                    check_figure(figure, &scope, new, &changes, &mut losses);
                }
            }
        }
    }
    losses.check()
}

/// The code of a unit, which the new catalogue may lack.
async fn unit_code(conn: &mut Conn, unit: UnitId) -> Result<String, StoreError> {
    let query = units::table.find(unit.0).select(units::code);
    Ok(on!(conn, c => query.first(c).await)?)
}

/// The indicators whose meaning a new catalogue changes, with the changes.
async fn changed_meanings(
    conn: &mut Conn,
    new: &Catalogue,
) -> Result<HashMap<IndicatorCode, Vec<String>>, StoreError> {
    let known: Vec<Meaning> = on!(conn, c => indicators::table.select(Meaning::as_select()).load(c).await)?;
    let known: HashMap<&str, &Meaning> = known.iter().map(|one| (one.code.as_str(), one)).collect();
    let changed = new.indicators().iter().filter_map(|indicator| {
        let old = known.get(indicator.code.as_str())?;
        let changes = old.changes(&Meaning::of(indicator));
        (!changes.is_empty()).then(|| (indicator.code.clone(), changes))
    });
    Ok(changed.collect())
}

fn check_figure(
    figure: &Figure,
    scope: &Scope,
    new: &Catalogue,
    changes: &HashMap<IndicatorCode, Vec<String>>,
    losses: &mut Losses,
) {
    let code = &figure.indicator;
    let Some(indicator) = scope.form.indicator(code.as_str()) else {
        losses.add(format!("the indicator {code}"), 1);
        return;
    };
    for change in changes.get(code).into_iter().flatten() {
        losses.add(format!("the indicator {code}, whose {change}"), 1);
    }
    let mut is_below = false;
    let mut is_above = false;
    let mut check_bounds = |value: i64| {
        is_below |= indicator.min.is_some_and(|min| value < min);
        is_above |= indicator.max.is_some_and(|max| value > max);
    };
    if let Reported::Value(value) = figure.reported {
        check_bounds(value);
    }
    for cell in &figure.cells {
        check_bounds(cell.value);
        for (dimension, category) in &cell.key {
            let known = new
                .dimension(dimension.as_str())
                .is_some_and(|known| known.categories.iter().any(|other| other.code == *category));
            if !known || !indicator.breakdowns.contains(dimension) {
                losses.add(
                    format!("the category {dimension}={category} of the indicator {code}"),
                    1,
                );
            }
        }
    }
    for (is_outside, name, bound) in [(is_below, "min", indicator.min), (is_above, "max", indicator.max)] {
        if let (true, Some(bound)) = (is_outside, bound) {
            losses.add(
                format!("values of the indicator {code} beyond its new {name} {bound}"),
                1,
            );
        }
    }
}

/// Writes what each code means now. Codes that the catalogue lacks keep their meaning.
pub(crate) async fn write_meanings(conn: &mut Conn, new: &Catalogue) -> Result<(), StoreError> {
    for indicator in new.indicators() {
        let meaning = Meaning::of(indicator);
        let insert = diesel::insert_into(indicators::table)
            .values(meaning.clone())
            .on_conflict(indicators::code)
            .do_update()
            .set(meaning);
        on!(conn, c => insert.execute(c).await)?;
    }
    Ok(())
}
