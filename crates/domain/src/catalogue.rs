//! The catalogue: the units, dimensions, indicators and forms on which reporting is based.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};

use crate::calendar;
use crate::catalogue_rules::{CatalogueError, build_trees, check_dimensions, check_forms, check_indicators};
use crate::code::{UnitCode, UnitId};
use crate::form::Form;
use crate::indicator::{Dimension, Indicator};
use crate::period::Period;
use crate::tree::Tree;
use crate::unit::Unit;

/// Units, dimensions, indicators and forms that agree with each other.
#[derive(Debug)]
pub struct Catalogue {
    digest: String,
    units: Vec<Arc<Unit>>,
    dimensions: Vec<Dimension>,
    indicators: Vec<Arc<Indicator>>,
    forms: Vec<Arc<Form>>,
    /// One tree for each interval without a change of units, with the interval's first day (none for the first interval).
    trees: Vec<(Option<NaiveDate>, Arc<Tree>)>,
}

/// A form's version and a unit tree, as determined by a period.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The form, in the version that is valid for the period.
    pub form: Arc<Form>,
    /// The period.
    pub period: Period,
    /// The tree of the period's last day.
    pub tree: Arc<Tree>,
}

impl Catalogue {
    /// Checks the parts against each other. `digest` identifies the content from which they were read.
    ///
    /// # Errors
    /// Every error, in the order of the entries.
    pub fn new(
        digest: String,
        units: Vec<Unit>,
        dimensions: Vec<Dimension>,
        indicators: Vec<Indicator>,
        forms: Vec<Form>,
    ) -> Result<Self, Vec<CatalogueError>> {
        let mut errors = Vec::new();
        check_dimensions(&dimensions, &mut errors);
        check_indicators(&indicators, &dimensions, &mut errors);
        check_forms(&forms, &units, &dimensions, &mut errors);
        let units: Vec<Arc<Unit>> = units.into_iter().map(Arc::new).collect();
        let trees = build_trees(&units, &mut errors);
        if !errors.is_empty() {
            errors.sort_by_key(|error| error.entry);
            errors.dedup();
            return Err(errors);
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

    /// A copy of the catalogue with the ids that a database assigned to its units.
    ///
    /// # Errors
    /// The first unit for which `id_of` returns no id.
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

    /// The digest of the content. Catalogues with equal digests are equal.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// All past and present units, in the order of the files.
    pub fn units(&self) -> &[Arc<Unit>] {
        &self.units
    }

    /// The root, which is the same on all days.
    pub fn root(&self) -> Option<&Arc<Unit>> {
        self.units.iter().find(|unit| unit.parent.is_none())
    }

    /// The date at `now` in the catalogue's time zone, which all its forms share; UTC for a catalogue without forms.
    pub fn today(&self, now: DateTime<Utc>) -> NaiveDate {
        match self.forms.first() {
            Some(form) => calendar::today(now, form.offset),
            None => now.date_naive(),
        }
    }

    /// The unit with a code on `day`, otherwise the last unit that had the code, because keys outlive units.
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

    /// All versions of all forms.
    pub fn forms(&self) -> &[Arc<Form>] {
        &self.forms
    }

    /// Whether a form with this code exists in any version.
    pub fn has_form(&self, code: &str) -> bool {
        self.forms.iter().any(|form| form.code.as_str() == code)
    }

    /// The version of a form that is valid on `day`, otherwise its latest version.
    pub fn form_on(&self, code: &str, day: NaiveDate) -> Option<&Arc<Form>> {
        let versions = self.forms.iter().filter(|form| form.code.as_str() == code);
        versions.max_by_key(|form| (form.is_valid_on(day), form.version))
    }

    /// The form version and the tree of a period, if the form is reported for it.
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

    /// The trees of all intervals, the earliest first.
    pub fn trees(&self) -> impl Iterator<Item = &Arc<Tree>> {
        self.trees.iter().map(|(_, tree)| tree)
    }

    /// The trees of all intervals, each with the interval's first day; none for the first interval.
    pub(crate) fn dated_trees(&self) -> &[(Option<NaiveDate>, Arc<Tree>)] {
        &self.trees
    }

    /// The tree of a day.
    pub fn tree(&self, day: NaiveDate) -> Arc<Tree> {
        let after = self
            .trees
            .partition_point(|(first, _)| first.is_none_or(|first| first <= day));
        self.trees[after.saturating_sub(1)].1.clone()
    }
}
