//! Who is at or below whom, and when: what trees say, as rows for a database.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use crate::catalogue::Catalogue;
use crate::code::{FormCode, UnitId};
use crate::period::Period;

/// A unit is at or below another, for some days.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnitAncestry {
    /// The unit itself, or one above.
    pub ancestor: UnitId,
    /// The unit.
    pub unit: UnitId,
    /// The first day; none means always before.
    pub from: Option<NaiveDate>,
    /// The first day on which it is no longer so; none means still.
    pub to: Option<NaiveDate>,
}

impl Catalogue {
    /// Every unit with itself and each unit above it, for as long as that was so.
    pub fn unit_ancestry(&self) -> Vec<UnitAncestry> {
        let mut open: BTreeMap<(UnitId, UnitId), Option<NaiveDate>> = BTreeMap::new();
        let mut pairs_in_time = Vec::new();
        for (first, tree) in self.dated_trees() {
            let pairs: BTreeSet<(UnitId, UnitId)> = tree
                .places()
                .flat_map(|place| place.ancestry().map(move |above| (above.id(), place.id())))
                .collect();
            open.retain(|pair, from| {
                let goes_on = pairs.contains(pair);
                if !goes_on {
                    pairs_in_time.push(UnitAncestry {
                        ancestor: pair.0,
                        unit: pair.1,
                        from: *from,
                        to: *first,
                    });
                }
                goes_on
            });
            for pair in pairs {
                open.entry(pair).or_insert(*first);
            }
        }
        let still = open.into_iter().map(|((ancestor, unit), from)| UnitAncestry {
            ancestor,
            unit,
            from,
            to: None,
        });
        pairs_in_time.extend(still);
        pairs_in_time
    }

    /// Each form with each period for which it is reported, and that period's last day, whose tree counts.
    pub fn form_periods(&self) -> impl Iterator<Item = (&FormCode, Period, NaiveDate)> {
        self.forms().iter().flat_map(|form| {
            let periods = Period::all().filter(|period| {
                // Of several versions of a form, the one that the period has.
                self.scope(form.code.as_str(), *period)
                    .is_some_and(|scope| std::sync::Arc::ptr_eq(&scope.form, form))
            });
            periods.map(|period| (&form.code, period, period.last_day(form.calendar)))
        })
    }
}
