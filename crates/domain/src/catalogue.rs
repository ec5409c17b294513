//! The catalogue: everything that is agreed before anyone reports.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use chrono::NaiveDate;

use crate::unit::TreeFault;
use crate::{Dimension, DimensionCode, Form, Indicator, Kind, Period, Tree, Unit, UnitCode, UnitId};

/// Units, dimensions, indicators and forms, checked against each other.
#[derive(Debug)]
pub struct Catalogue {
    digest: String,
    units: Vec<Arc<Unit>>,
    dimensions: Vec<Dimension>,
    indicators: Vec<Arc<Indicator>>,
    forms: Vec<Arc<Form>>,
    /// For each stretch of days in which no unit begins or ends: its first day (none for the first) and its tree.
    trees: Vec<(Option<NaiveDate>, Arc<Tree>)>,
}

/// The entry of a catalogue at fault, by its place in the list that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Entry {
    /// A unit.
    Unit(usize),
    /// An indicator.
    Indicator(usize),
    /// A dimension.
    Dimension(usize),
    /// A form.
    Form(usize),
}

/// What is wrong with a catalogue, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogueFault {
    /// The entry at fault.
    pub entry: Entry,
    /// A sentence for the person who keeps the catalogue.
    pub detail: String,
}

/// A form and period as a request names them, resolved: the form's version and the tree of the period's last day.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The form, in the version that holds for the period.
    pub form: Arc<Form>,
    /// The period.
    pub period: Period,
    /// The tree of the period's last day.
    pub tree: Arc<Tree>,
}

impl Catalogue {
    /// Checks the parts against each other. `digest` identifies the content they were read from.
    ///
    /// # Errors
    /// Every fault found, in the order of the entries.
    pub fn new(
        digest: String,
        units: Vec<Unit>,
        dimensions: Vec<Dimension>,
        indicators: Vec<Indicator>,
        forms: Vec<Form>,
    ) -> Result<Self, Vec<CatalogueFault>> {
        let mut faults = Vec::new();
        check_dimensions(&dimensions, &mut faults);
        check_indicators(&indicators, &dimensions, &mut faults);
        check_forms(&forms, &units, &mut faults);
        let units: Vec<Arc<Unit>> = units.into_iter().map(Arc::new).collect();
        let trees = build_trees(&units, &mut faults);
        if !faults.is_empty() {
            faults.sort_by_key(|fault| fault.entry);
            faults.dedup();
            return Err(faults);
        }
        let indicators = indicators.into_iter().map(Arc::new).collect();
        let forms = forms.into_iter().map(Arc::new).collect();
        Ok(Self {
            digest,
            units,
            dimensions,
            indicators,
            forms,
            trees,
        })
    }

    /// The same catalogue with the ids that a database gave to its units.
    ///
    /// # Errors
    /// The first unit to which `id_of` gives none.
    pub fn with_ids(&self, id_of: impl Fn(&Unit) -> Option<UnitId>) -> Result<Self, Arc<Unit>> {
        let mut units = Vec::with_capacity(self.units.len());
        for unit in &self.units {
            let id = id_of(unit).ok_or_else(|| unit.clone())?;
            units.push(Arc::new(Unit {
                id,
                ..unit.as_ref().clone()
            }));
        }
        let trees = build_trees(&units, &mut Vec::new());
        Ok(Self {
            digest: self.digest.clone(),
            units,
            dimensions: self.dimensions.clone(),
            indicators: self.indicators.clone(),
            forms: self.forms.clone(),
            trees,
        })
    }

    /// What identifies the content: equal digests, equal catalogues.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// All units, of all times, in the order of the files.
    pub fn units(&self) -> &[Arc<Unit>] {
        &self.units
    }

    /// The root of today and of all times.
    pub fn root(&self) -> Option<&Arc<Unit>> {
        self.units.iter().find(|unit| unit.parent.is_none())
    }

    /// The unit that holds a code on a day; else the one that held it last, since keys outlive units.
    pub fn unit_called(&self, code: &UnitCode, day: NaiveDate) -> Option<&Arc<Unit>> {
        let holders = self.units.iter().filter(|unit| unit.code == *code);
        holders.max_by_key(|unit| (unit.is_valid_on(day), unit.valid_from))
    }

    /// All dimensions.
    pub fn dimensions(&self) -> &[Dimension] {
        &self.dimensions
    }

    /// The dimension with a code.
    pub fn dimension(&self, code: &str) -> Option<&Dimension> {
        self.dimensions
            .iter()
            .find(|dimension| dimension.code.as_str() == code)
    }

    /// All indicators.
    pub fn indicators(&self) -> &[Arc<Indicator>] {
        &self.indicators
    }

    /// All forms, each version apart.
    pub fn forms(&self) -> &[Arc<Form>] {
        &self.forms
    }

    /// Whether any version of a form has this code.
    pub fn has_form(&self, code: &str) -> bool {
        self.forms.iter().any(|form| form.code.as_str() == code)
    }

    /// The form and the tree of a period, if the form is reported for it.
    pub fn scope(&self, form: &str, period: Period) -> Option<Scope> {
        let form = self
            .forms
            .iter()
            .find(|other| other.code.as_str() == form && other.has_period(period))?;
        let tree = self.tree(period.last_day(form.calendar));
        Some(Scope {
            form: form.clone(),
            period,
            tree,
        })
    }

    /// The trees of all times, the earliest first.
    pub fn trees(&self) -> impl Iterator<Item = &Arc<Tree>> {
        self.trees.iter().map(|(_, tree)| tree)
    }

    /// The same, each with the first day on which it holds; none for the first.
    pub(crate) fn dated_trees(&self) -> &[(Option<NaiveDate>, Arc<Tree>)] {
        &self.trees
    }

    /// The units of a day.
    pub fn tree(&self, day: NaiveDate) -> Arc<Tree> {
        let after = self
            .trees
            .partition_point(|(first, _)| first.is_none_or(|first| first <= day));
        self.trees[after.saturating_sub(1)].1.clone()
    }
}

fn build_trees(units: &[Arc<Unit>], faults: &mut Vec<CatalogueFault>) -> Vec<(Option<NaiveDate>, Arc<Tree>)> {
    let turns: BTreeSet<NaiveDate> = units
        .iter()
        .flat_map(|u| [u.valid_from, u.valid_to])
        .flatten()
        .collect();
    let before_all = turns
        .first()
        .map_or(NaiveDate::default(), |first| *first - chrono::Days::new(1));
    let firsts = std::iter::once(None).chain(turns.iter().copied().map(Some));
    let mut trees = Vec::new();
    let mut seen: HashSet<(usize, &'static str)> = HashSet::new();
    for first in firsts {
        match Tree::build(units, first.unwrap_or(before_all)) {
            Ok(tree) => trees.push((first, Arc::new(tree))),
            Err(found) => {
                for (place, fault) in found {
                    let name = match fault {
                        TreeFault::CodeHeldTwice => "twice",
                        TreeFault::NoParent(..) => "parent",
                        TreeFault::SecondRoot => "root",
                        TreeFault::Cycle => "cycle",
                    };
                    // The same fault on many stretches of days is told once.
                    if seen.insert((place, name)) {
                        faults.push(CatalogueFault {
                            entry: Entry::Unit(place),
                            detail: fault.to_string(),
                        });
                    }
                }
            }
        }
    }
    trees
}

fn check_dimensions(dimensions: &[Dimension], faults: &mut Vec<CatalogueFault>) {
    let mut codes = HashSet::new();
    for (at, dimension) in dimensions.iter().enumerate() {
        let mut fault = |detail| {
            faults.push(CatalogueFault {
                entry: Entry::Dimension(at),
                detail,
            })
        };
        if !codes.insert(&dimension.code) {
            fault(format!("the dimension {} is given twice", dimension.code));
        }
        if dimension.code.as_str() == "value" {
            fault("a dimension may not be called value".into());
        }
        let mut categories = HashSet::new();
        for category in &dimension.categories {
            if !categories.insert(&category.code) {
                fault(format!(
                    "the category {} of {} is given twice",
                    category.code, dimension.code
                ));
            }
        }
    }
}

fn check_indicators(indicators: &[Indicator], dimensions: &[Dimension], faults: &mut Vec<CatalogueFault>) {
    let known: HashSet<&DimensionCode> = dimensions.iter().map(|dimension| &dimension.code).collect();
    let by_code: HashMap<_, _> = indicators
        .iter()
        .map(|indicator| (&indicator.code, indicator))
        .collect();
    let mut codes = HashSet::new();
    for (at, indicator) in indicators.iter().enumerate() {
        let mut fault = |detail| {
            faults.push(CatalogueFault {
                entry: Entry::Indicator(at),
                detail,
            })
        };
        if !codes.insert(&indicator.code) {
            fault(format!("the indicator {} is given twice", indicator.code));
        }
        let adds_up = matches!(indicator.kind, Kind::Flow | Kind::Stock);
        if !adds_up && !indicator.breakdowns.is_empty() {
            fault(format!("a {} has no breakdowns", indicator.kind.as_str()));
        }
        for dimension in indicator
            .breakdowns
            .iter()
            .filter(|dimension| !known.contains(dimension))
        {
            fault(format!("the dimension {dimension} does not exist"));
        }
        if let (Some(min), Some(max)) = (indicator.min, indicator.max)
            && min > max
        {
            fault(format!("min {min} is above max {max}"));
        }
        if let Kind::Ratio(formula) = &indicator.kind {
            for part in [&formula.numerator, &formula.denominator] {
                match by_code.get(part).map(|indicator| &indicator.kind) {
                    Some(Kind::Flow | Kind::Stock | Kind::Flag) => {}
                    Some(_) => fault(format!("{part} in the formula is no number")),
                    None => fault(format!("the indicator {part} in the formula does not exist")),
                }
            }
        }
    }
}

fn check_forms(forms: &[Form], units: &[Unit], faults: &mut Vec<CatalogueFault>) {
    for (at, form) in forms.iter().enumerate() {
        let mut fault = |detail| {
            faults.push(CatalogueFault {
                entry: Entry::Form(at),
                detail,
            })
        };
        if forms[..at]
            .iter()
            .any(|other| other.code == form.code && overlap(other, form))
        {
            fault(format!("two versions of the form {} hold on one day", form.code));
        }
        if form.reporting_levels.is_empty() && form.reporting_units.is_empty() {
            fault("nobody reports the form: name reporting_levels or reporting_units".into());
        }
        for code in form
            .reporting_units
            .iter()
            .filter(|code| units.iter().all(|unit| unit.code != **code))
        {
            fault(format!("the reporting unit {code} does not exist"));
        }
        let mut seen = HashSet::new();
        for indicator in form.indicators.iter() {
            if !seen.insert(&indicator.code) {
                fault(format!("the indicator {} is on the form twice", indicator.code));
            }
            if let Kind::Ratio(formula) = &indicator.kind {
                for part in [&formula.numerator, &formula.denominator] {
                    if form.indicator(part.as_str()).is_none() {
                        fault(format!(
                            "{} needs {part}, which is not on the form",
                            indicator.code
                        ));
                    }
                }
            }
        }
        let most = match form.frequency {
            crate::Frequency::Yearly | crate::Frequency::NineMonthly => 1,
            crate::Frequency::HalfYearly => 2,
            crate::Frequency::Quarterly => 4,
            crate::Frequency::Monthly => 12,
        };
        for number in form.numbers.iter().filter(|number| !(1..=most).contains(*number)) {
            fault(format!("a year has no period number {number} of this frequency"));
        }
    }
}

fn overlap(a: &Form, b: &Form) -> bool {
    let ends_after = |a: &Form, b: &Form| match (a.valid_to, b.valid_from) {
        (Some(to), Some(from)) => to > from,
        _ => true,
    };
    ends_after(a, b) && ends_after(b, a)
}
