//! Verification: compares the served totals with a recount of the reports.

use std::collections::{BTreeSet, HashMap};

use tonghop_domain::{
    NumberKey, Numbers, Place, Report, Scope, Total, UnitCode, UnitId, recounted_numbers, served_numbers,
};

use crate::database::connection::Conn;
use crate::error::StoreError;
use crate::model::{Difference, Verification};
use crate::queries::{marks, reports, totals};
use crate::reads::totals::place_of;
use crate::unit_of_work::StoredTotal;

/// The data that a verification compares, from one snapshot.
pub(crate) struct Evidence {
    reports: HashMap<UnitId, Report>,
    /// `None` for a stored total that is unreadable.
    served: HashMap<UnitId, Option<Total>>,
    marked: BTreeSet<UnitId>,
}

pub(crate) async fn gather(conn: &mut Conn, scope: &Scope, unit: &UnitCode) -> Result<Evidence, StoreError> {
    let place = place_of(scope, unit)?;
    let all: Vec<Place<'_>> = place.at_or_below().collect();
    let reporting: Vec<UnitId> = all
        .iter()
        .filter(|unit| scope.form.is_reported_by(unit.unit()))
        .map(|unit| unit.id())
        .collect();
    let totalled: Vec<UnitId> = all
        .iter()
        .filter(|unit| unit.has_children())
        .map(|unit| unit.id())
        .collect();
    let marked = marks::count(conn, &scope.form.code, scope.period, &totalled).await?;
    let served = totals::each_of_units(conn, &scope.form, scope.period, &totalled).await?;
    let reports = reports::reports(conn, &scope.form.code, scope.period, &reporting).await?;
    Ok(Evidence {
        reports: reports
            .into_iter()
            .map(|(unit, filed)| (unit, filed.report))
            .collect(),
        served: served
            .into_iter()
            .map(|(unit, stored)| (unit, readable_total(unit, stored)))
            .collect(),
        marked: marked.into_iter().map(|(unit, ..)| unit).collect(),
    })
}

fn readable_total(unit: UnitId, stored: Result<StoredTotal, StoreError>) -> Option<Total> {
    let stored = stored.inspect_err(|error| {
        tracing::error!(%error, unit_id = unit.0, "unreadable total");
    });
    stored.ok().map(|stored| stored.total)
}

/// Compares every total at or below the unit; skips and counts those with marks at or below them.
pub(crate) fn compare(
    scope: &Scope,
    unit: &UnitCode,
    evidence: &Evidence,
) -> Result<Verification, StoreError> {
    let place = place_of(scope, unit)?;
    let reports: HashMap<UnitId, &Report> = evidence
        .reports
        .iter()
        .map(|(unit, report)| (*unit, report))
        .collect();
    let mut verification = Verification::default();
    for total in place.at_or_below().filter(|unit| unit.has_children()) {
        if total
            .at_or_below()
            .any(|unit| evidence.marked.contains(&unit.id()))
        {
            verification.skipped += 1;
            continue;
        }
        let served = match evidence.served.get(&total.id()) {
            Some(Some(served)) => served_numbers(scope, served),
            Some(None) => {
                verification.differing.push(unreadable_total(total.code()));
                continue;
            }
            None => served_numbers(scope, &Total::without_reports(scope, total)),
        };
        verification.totals += 1;
        compare_total(
            &mut verification,
            total.code(),
            &served,
            &recounted_numbers(scope, total, &reports),
        );
    }
    Ok(verification)
}

/// An unreadable total serves none of its numbers, so it is one difference.
fn unreadable_total(unit: &UnitCode) -> Difference {
    Difference {
        unit: unit.clone(),
        indicator: None,
        number: "total",
        breakdown: Vec::new(),
        served: Some("unreadable".into()),
        recomputed: None,
    }
}

fn compare_total(verification: &mut Verification, unit: &UnitCode, served: &Numbers, recounted: &Numbers) {
    let keys: BTreeSet<&NumberKey> = served.keys().chain(recounted.keys()).collect();
    for key in keys {
        verification.checked += 1;
        if served.get(key) != recounted.get(key) {
            let codes = |(dimension, category): &(_, _)| (format!("{dimension}"), format!("{category}"));
            verification.differing.push(Difference {
                unit: unit.clone(),
                indicator: key.indicator.clone(),
                number: key.number,
                breakdown: key.cell.iter().map(codes).collect(),
                served: served.get(key).cloned(),
                recomputed: recounted.get(key).cloned(),
            });
        }
    }
}
