//! A tree of units with their reports, and a plain count over them with which totals are compared.

use std::collections::{BTreeMap, BTreeSet};

use tonghop_domain::{
    Cell, CellKey, Completeness, Content, Counts, Expectation, Figure, Level, Overflow, Place, Report,
    Reported, Scope, Total, TotalRow, Unit, UnitCode,
};

use crate::builder::{Parts, unit};

/// The reportable indicators of the form, in its order.
pub(crate) const REPORTABLE: [&str; 5] = ["FLOW", "STOCK", "FLAG", "LIST", "TEXT"];

/// A tree of units and what they reported for July 2021.
#[derive(Debug)]
pub(crate) struct Country {
    pub(crate) scope: Scope,
    root: UnitCode,
    reports: BTreeMap<UnitCode, Report>,
}

/// A unit of a country: whether it reports the form, and its report with whether it was late.
pub(crate) type Office = (bool, Option<(bool, Vec<Figure>)>);

/// A rule about expected reporters: the indicators, whether all districts are expected, and the offices that are.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) indicators: Vec<&'static str>,
    pub(crate) districts: bool,
    pub(crate) offices: Vec<usize>,
}

impl Rule {
    /// The rule without offices that do not report.
    fn among(self, offices: &[Office], code: &dyn Fn(usize) -> String) -> Expectation {
        let reports = |at: &usize| offices.get(*at).is_some_and(|(reports, _)| *reports);
        let some_report = offices.iter().any(|(reports, _)| *reports);
        let levels = if self.districts && some_report {
            vec![Level::District]
        } else {
            Vec::new()
        };
        let units = self.offices.into_iter().filter(reports);
        Expectation {
            indicators: self.indicators.iter().map(|code| code.parse().unwrap()).collect(),
            levels,
            units: units.map(|at| code(at).parse().unwrap()).collect(),
        }
    }
}

impl Country {
    /// Places each office below the office at its parent's index; the first office is the root.
    pub(crate) fn new(offices: Vec<Office>, codes: &[usize], parent_of: impl Fn(usize) -> usize) -> Self {
        Self::with_rules(offices, codes, parent_of, Vec::new())
    }

    /// The same, with rules about who is expected to report which indicators.
    pub(crate) fn with_rules(
        offices: Vec<Office>,
        codes: &[usize],
        parent_of: impl Fn(usize) -> usize,
        rules: Vec<Rule>,
    ) -> Self {
        let code = |at: usize| format!("C{}", codes[at]);
        let level = |reports| if reports { Level::District } else { Level::Agency };
        let units = offices
            .iter()
            .enumerate()
            .map(|(at, (reports, _))| {
                let parent = (at > 0).then(|| code(parent_of(at)));
                unit(&code(at), level(*reports), parent.as_deref())
            })
            .collect();
        let mut parts = Parts::with(units);
        parts.forms[0].expectations = rules
            .into_iter()
            .map(|rule| rule.among(&offices, &code))
            .collect();
        let catalogue = parts.checked().unwrap();
        let scope = catalogue.scope("mau", "2021-07".parse().unwrap()).unwrap();
        let due_at = scope.form.due_at(scope.period);
        let report = |(late, figures): (bool, Vec<Figure>)| Report {
            first_received_at: due_at + chrono::Duration::seconds(i64::from(late)),
            content: Content { figures, note: None },
        };
        let reports = offices
            .into_iter()
            .enumerate()
            .filter_map(|(at, (_, sent))| Some((code(at).parse().unwrap(), report(sent?))))
            .collect();
        Self {
            root: code(0).parse().unwrap(),
            scope,
            reports,
        }
    }

    pub(crate) fn root(&self) -> Place<'_> {
        self.scope.tree.get(self.root.as_str()).unwrap()
    }

    pub(crate) fn own(&self, place: Place<'_>) -> Total {
        Total::of_unit(&self.scope, place, self.reports.get(place.code()))
    }

    /// The total, computed level by level as the service does.
    pub(crate) fn total(&self, place: Place<'_>) -> Result<Total, Overflow> {
        Total::roll_up(&self.scope.form, self.own(place), self.parts(place)?)
    }

    pub(crate) fn parts<'a>(&self, place: Place<'a>) -> Result<Vec<(Place<'a>, Total)>, Overflow> {
        place
            .children()
            .map(|child| Ok((child, self.total(child)?)))
            .collect()
    }

    /// The expected units at or below, each with its report; each unit before those below it.
    fn expected<'a>(&'a self, place: Place<'a>) -> impl Iterator<Item = (&'a UnitCode, Option<&'a Report>)> {
        place
            .at_or_below()
            .filter(|place| self.scope.form.is_reported_by(place.unit()))
            .map(|place| (place.code(), self.reports.get(place.code())))
    }

    /// The figure of each expected unit for an indicator; none if it has none.
    pub(crate) fn figures<'a>(
        &'a self,
        place: Place<'a>,
        indicator: &'a str,
    ) -> impl Iterator<Item = Option<&'a Figure>> {
        self.expected(place).map(move |(_, report)| {
            let figures = &report?.content.figures;
            figures
                .iter()
                .find(|figure| figure.indicator.as_str() == indicator)
        })
    }

    /// The units that are expected to report an indicator or did so.
    pub(crate) fn asked(&self, place: Place<'_>, indicator: &str) -> u32 {
        let rules: Vec<&Expectation> = self
            .scope
            .form
            .expectations
            .iter()
            .filter(|rule| rule.indicators.iter().any(|code| code.as_str() == indicator))
            .collect();
        let asks = |unit: &Unit| {
            let named =
                |rule: &&Expectation| rule.levels.contains(&unit.level) || rule.units.contains(&unit.code);
            rules.is_empty() || rules.iter().any(named)
        };
        let units = place
            .at_or_below()
            .filter(|place| self.scope.form.is_reported_by(place.unit()));
        let figures = self.figures(place, indicator);
        let counted = units
            .zip(figures)
            .filter(|(unit, figure)| asks(unit.unit()) || figure.is_some());
        counted.count() as u32
    }

    /// The total as counted over all reports, without levels.
    pub(crate) fn counted(&self, place: Place<'_>) -> Total {
        let due_at = self.scope.form.due_at(self.scope.period);
        let units = |matches: &dyn Fn(Option<&Report>) -> bool| -> Vec<UnitCode> {
            let units = self.expected(place).filter(|(_, report)| matches(*report));
            units.map(|(code, _)| code.clone()).collect()
        };
        let missing = units(&|report| report.is_none());
        let late = units(&|report| report.is_some_and(|report| report.first_received_at > due_at));
        let expected = self.expected(place).count() as u32;
        Total {
            completeness: Completeness {
                expected,
                reported: expected - missing.len() as u32,
                late_count: late.len() as u32,
                missing: missing.into_iter().take(200).collect(),
                late: late.into_iter().take(200).collect(),
            },
            rows: REPORTABLE
                .map(|indicator| self.counted_row(place, indicator))
                .to_vec(),
        }
    }

    fn counted_row(&self, place: Place<'_>, indicator: &str) -> TotalRow {
        let figures: Vec<&Figure> = self.figures(place, indicator).flatten().collect();
        let how_many =
            |is: fn(&Reported) -> bool| figures.iter().filter(|figure| is(&figure.reported)).count() as u32;
        let numbers: Vec<i64> = figures
            .iter()
            .filter_map(|figure| number(&figure.reported))
            .collect();
        let mut items: Vec<String> = Vec::new();
        for figure in &figures {
            if let Reported::Items(own) = &figure.reported {
                items.extend(own.iter().cloned());
            }
        }
        let mut known = BTreeSet::new();
        items.retain(|item| known.insert(item.clone()));
        let items_truncated = items.len() > 200;
        items.truncate(200);
        let mut cells: BTreeMap<CellKey, i64> = BTreeMap::new();
        for cell in figures.iter().flat_map(|figure| &figure.cells) {
            *cells.entry(cell.key.clone()).or_default() += cell.value;
        }
        TotalRow {
            value: (!numbers.is_empty()).then(|| numbers.iter().sum()),
            items,
            items_truncated,
            cells,
            counts: Counts {
                expected: self.asked(place, indicator),
                reporting: how_many(|reported| reported.state().is_none()),
                done_no_number: how_many(|reported| *reported == Reported::DoneNoNumber),
                not_done: how_many(|reported| *reported == Reported::NotDone),
                not_applicable: how_many(|reported| *reported == Reported::NotApplicable),
            },
        }
    }
}

pub(crate) fn number(reported: &Reported) -> Option<i64> {
    match reported {
        Reported::Value(value) => Some(*value),
        Reported::Flag(flag) => Some(i64::from(*flag)),
        _ => None,
    }
}

pub(crate) fn figure(indicator: &str, reported: Reported) -> Figure {
    Figure {
        indicator: indicator.parse().unwrap(),
        reported,
        cells: Vec::new(),
    }
}

pub(crate) fn cell(category: &str, value: i64) -> Cell {
    Cell {
        key: vec![("sex".parse().unwrap(), category.parse().unwrap())],
        value,
    }
}
