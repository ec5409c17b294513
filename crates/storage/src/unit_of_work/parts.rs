//! The parts of which totals consist.

use std::collections::HashMap;

use tonghop_domain::{Place, Scope, Total, UnitId};

use crate::error::StoreError;
use crate::unit_of_work::{FiledReport, StoredTotal, UnitOfWork};

/// The parts of totals: the units' own reports, and the reports and totals of their children.
pub(crate) struct Parts {
    pub(crate) reports: HashMap<UnitId, FiledReport>,
    pub(crate) totals: HashMap<UnitId, StoredTotal>,
}

impl Parts {
    pub(crate) async fn read(
        work: &mut impl UnitOfWork,
        scope: &Scope,
        places: &[Place<'_>],
    ) -> Result<Self, StoreError> {
        let children = || places.iter().flat_map(|place| place.children());
        let reporting = places
            .iter()
            .copied()
            .chain(children().filter(|child| !child.has_children()))
            .filter(|unit| scope.form.is_reported_by(unit.unit()));
        let reporting: Vec<UnitId> = reporting.map(Place::id).collect();
        let with_totals: Vec<UnitId> = children()
            .filter(|child| child.has_children())
            .map(Place::id)
            .collect();
        Ok(Self {
            reports: work.reports(&scope.form.code, scope.period, &reporting).await?,
            totals: work.totals(&scope.form, scope.period, &with_totals).await?,
        })
    }

    /// The unit's own part as a total.
    pub(crate) fn own(&self, scope: &Scope, place: Place<'_>) -> Total {
        Total::of_unit(
            scope,
            place,
            self.reports.get(&place.id()).map(|filed| &filed.report),
        )
    }

    pub(crate) fn children<'a>(&self, scope: &Scope, place: Place<'a>) -> Vec<(Place<'a>, Total)> {
        let part = |child: Place<'a>| {
            let total = match self.totals.get(&child.id()) {
                Some(stored) => stored.total.clone(),
                None if child.has_children() => Total::without_reports(scope, child),
                None => self.own(scope, child),
            };
            (child, total)
        };
        place.children().map(part).collect()
    }

    pub(crate) fn total(&self, scope: &Scope, place: Place<'_>) -> Result<Total, StoreError> {
        Ok(Total::roll_up(
            &scope.form,
            self.own(scope, place),
            self.children(scope, place),
        )?)
    }
}
