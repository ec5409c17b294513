//! Totals, contributions and completeness, each in one snapshot.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use tonghop_domain::{
    Catalogue, FormCode, IndicatorCode, Kind, Period, Place, Scope, SubmissionKey, Total, UnitCode, UnitId,
};

use crate::database::connection::Conn;
use crate::error::StoreError;
use crate::model::{Contribution, Freshness, ReportTimes, TotalRead, UnitCompleteness};
use crate::queries::{marks, reports, totals};
use crate::unit_of_work::parts::Parts;

/// The units at or below that have totals, and so can have marks.
fn marked_units(place: Place<'_>) -> Vec<UnitId> {
    place
        .at_or_below()
        .filter(|unit| unit.has_children())
        .map(Place::id)
        .collect()
}

pub(crate) fn place_of<'a>(scope: &'a Scope, unit: &UnitCode) -> Result<Place<'a>, StoreError> {
    let place = scope.tree.get(unit.as_str());
    place.ok_or_else(|| StoreError::corrupt(format!("the unit {unit} does not exist in {}", scope.period)))
}

/// A total, with a watermark that was read before the snapshot was taken.
pub(crate) async fn total(
    conn: &mut Conn,
    scope: &Scope,
    unit: &UnitCode,
    watermark: DateTime<Utc>,
) -> Result<TotalRead, StoreError> {
    let place = place_of(scope, unit)?;
    if !place.has_children() {
        let reports = reports::reports(conn, &scope.form.code, scope.period, &[place.id()]).await?;
        let filed = reports.get(&place.id());
        return Ok(TotalRead {
            total: Total::of_unit(scope, place, filed.map(|filed| &filed.report)),
            version: filed.map_or(0, |filed| i64::from(filed.revision)),
            freshness: Freshness {
                pending: 0,
                as_of: watermark,
            },
        });
    }
    let stored = totals::of_units(conn, &scope.form, scope.period, &[place.id()])
        .await?
        .remove(&place.id());
    let marks = marks::count(conn, &scope.form.code, scope.period, &marked_units(place)).await?;
    let pending = marks.iter().map(|(_, count, _)| count).sum();
    let oldest_mark = marks.iter().map(|(_, _, since)| *since).min();
    let as_of = oldest_mark.map_or(watermark, |since| since.min(watermark));
    let freshness = Freshness { pending, as_of };
    Ok(match stored {
        Some(stored) => TotalRead {
            total: stored.total,
            version: stored.version,
            freshness,
        },
        None => TotalRead {
            total: Total::without_reports(scope, place),
            version: 0,
            freshness,
        },
    })
}

pub(crate) async fn contributions(
    conn: &mut Conn,
    scope: &Scope,
    unit: &UnitCode,
    indicator: &IndicatorCode,
) -> Result<Vec<Contribution>, StoreError> {
    let place = place_of(scope, unit)?;
    let at = scope.form.row_index(indicator.as_str());
    let at =
        at.ok_or_else(|| StoreError::corrupt(format!("the indicator {indicator} is not on the form")))?;
    let parts = Parts::read(conn, scope, &[place]).await?;
    let mut contributions = Vec::new();
    let own = (place, parts.own(scope, place));
    let children = if place.has_children() {
        parts.children(scope, place)
    } else {
        Vec::new()
    };
    let is_text = scope
        .form
        .indicator(indicator.as_str())
        .is_some_and(|known| known.kind == Kind::Text);
    for (part, total) in std::iter::once(own).chain(children) {
        let row = total.rows.into_iter().nth(at).unwrap_or_default();
        if row.counts.expected == 0 {
            continue;
        }
        let filed = parts.reports.get(&part.id());
        let said = filed.and_then(|filed| {
            filed
                .report
                .content
                .figures
                .iter()
                .find(|figure| figure.indicator == *indicator)
        });
        contributions.push(Contribution {
            unit: part.code().clone(),
            value: row.value.filter(|_| !is_text),
            reported: said.map(|figure| figure.reported.clone()),
            items: row.items,
            submission: filed.map(|filed| (filed.id, filed.revision)),
        });
    }
    Ok(contributions)
}

pub(crate) async fn completeness(
    conn: &mut Conn,
    scope: &Scope,
    unit: &UnitCode,
) -> Result<Vec<UnitCompleteness>, StoreError> {
    let place = place_of(scope, unit)?;
    let expected: Vec<Place<'_>> = place
        .at_or_below()
        .filter(|unit| scope.form.is_reported_by(unit.unit()))
        .collect();
    let ids: Vec<UnitId> = expected.iter().map(|unit| unit.id()).collect();
    let mut reports = reports::reports(conn, &scope.form.code, scope.period, &ids).await?;
    let row = |place: Place<'_>| {
        let filed = reports.remove(&place.id());
        let first_received_at = filed.as_ref().map(|filed| filed.report.first_received_at);
        UnitCompleteness {
            unit: place.code().clone(),
            status: scope.report_status(first_received_at),
            indicators: scope
                .form
                .answers(place.unit(), filed.as_ref().map(|filed| &filed.report.content)),
            report: filed.map(|filed| ReportTimes {
                submission: filed.id,
                revision: filed.revision,
                first_received_at: filed.report.first_received_at,
                last_received_at: filed.received_at,
            }),
        }
    };
    Ok(expected.into_iter().map(row).collect())
}

/// For each revision, when its province's total was last refreshed, unless a mark on the path to it is as old as the
/// revision.
pub(crate) async fn aggregated_at(
    conn: &mut Conn,
    catalogue: &Catalogue,
    revisions: &[(SubmissionKey, DateTime<Utc>)],
) -> Result<Vec<Option<DateTime<Utc>>>, StoreError> {
    let mut ways: Vec<Option<Vec<UnitId>>> = Vec::with_capacity(revisions.len());
    let mut wanted: BTreeMap<(FormCode, Period), Vec<UnitId>> = BTreeMap::new();
    for (key, _) in revisions {
        let way = catalogue.scope(key.form.as_str(), key.period).and_then(|scope| {
            let place = scope.tree.by_id(key.unit)?;
            Some(place.way_to_province().map(Place::id).collect::<Vec<_>>())
        });
        let units = wanted.entry((key.form.clone(), key.period)).or_default();
        units.extend(way.iter().flatten());
        ways.push(way);
    }
    let mut since = HashMap::new();
    let mut refreshed = HashMap::new();
    for ((form, period), mut units) in wanted {
        units.sort_unstable();
        units.dedup();
        for (unit, _, earliest) in marks::count(conn, &form, period, &units).await? {
            since.insert((form.clone(), period, unit), earliest);
        }
        for (unit, time) in totals::refresh_times(conn, &form, period, &units).await? {
            refreshed.insert((form.clone(), period, unit), time);
        }
    }
    let answer = |((key, received_at), way): (&(SubmissionKey, DateTime<Utc>), &Option<Vec<UnitId>>)| {
        let at = |unit: &UnitId| (key.form.clone(), key.period, *unit);
        let way = way.as_ref()?;
        if way
            .iter()
            .any(|unit| since.get(&at(unit)).is_some_and(|since| since <= received_at))
        {
            return None;
        }
        refreshed
            .get(&at(way.last()?))
            .copied()
            .filter(|time| time >= received_at)
    };
    Ok(revisions.iter().zip(&ways).map(answer).collect())
}
