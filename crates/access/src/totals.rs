//! Totals, as one caller may read them.

use tonghop_domain::{
    Catalogue, FormCode, IndicatorCode, Level, Period, Scope, SubmissionKey, UnitCode, UnitId,
};
use tonghop_storage::{Contribution, TotalRead, UnitCompleteness, Verification};

use crate::authorized::AuthorizedStore;
use crate::refusal::{Refusal, What};
use crate::shares::Resource;

/// A form, a period and a unit, resolved in the catalogue: what names a total.
#[derive(Debug)]
pub struct TotalRef {
    /// The form, the period and the tree of its last day.
    pub scope: Scope,
    /// The code of a unit of the tree.
    pub unit: UnitCode,
    unit_id: UnitId,
}

impl TotalRef {
    /// Resolves a form, a period and a unit.
    ///
    /// # Errors
    /// The form does not exist, has no such period, or its tree has no such unit: the first of the three.
    pub fn resolve(
        catalogue: &Catalogue,
        form: &FormCode,
        period: Period,
        unit: UnitCode,
    ) -> Result<Self, What> {
        if !catalogue.has_form(form.as_str()) {
            return Err(What::Form);
        }
        let scope = catalogue.scope(form.as_str(), period).ok_or(What::Period)?;
        let unit_id = scope.tree.get(unit.as_str()).ok_or(What::Unit)?.id();
        Ok(Self { scope, unit, unit_id })
    }

    /// The form, period and unit.
    pub fn key(&self) -> SubmissionKey {
        SubmissionKey {
            form: self.scope.form.code.clone(),
            period: self.scope.period,
            unit: self.unit_id,
        }
    }
}

impl AuthorizedStore {
    /// A total, of which only some indicators will be shown, or all if none is named.
    ///
    /// # Errors
    /// The unit is not at or below the caller's, the store failed, or the read could not be recorded in the audit
    /// trail.
    pub async fn total(&self, total: &TotalRef, shown: &[IndicatorCode]) -> Result<TotalRead, Refusal> {
        self.require_unit(&total.scope.tree, &total.unit)?;
        let read = self.store.total(&total.scope, &total.unit).await?;
        let form = &total.scope.form;
        let confidential = if shown.is_empty() {
            form.indicators.iter().any(|indicator| indicator.confidential)
        } else {
            shown.iter().any(|code| form.is_confidential(code.as_str()))
        };
        if confidential {
            self.record_total(total).await?;
        }
        Ok(read)
    }

    /// The contributions to an indicator of a total.
    ///
    /// # Errors
    /// As for [`total`](Self::total).
    pub async fn contributions(
        &self,
        total: &TotalRef,
        code: &IndicatorCode,
    ) -> Result<Vec<Contribution>, Refusal> {
        self.require_unit(&total.scope.tree, &total.unit)?;
        let read = self.store.contributions(&total.scope, &total.unit, code).await?;
        if total.scope.form.is_confidential(code.as_str()) {
            let entry = self.context.entry("read").on(&total.key()).about(code);
            self.audit.record(vec![entry]).await?;
        }
        Ok(read)
    }

    /// Which units have reported.
    ///
    /// # Errors
    /// The unit is not at or below the caller's, or the store failed.
    pub async fn completeness(&self, total: &TotalRef) -> Result<Vec<UnitCompleteness>, Refusal> {
        self.require_unit(&total.scope.tree, &total.unit)?;
        Ok(self.store.completeness(&total.scope, &total.unit).await?)
    }

    /// Compares totals with a new count of the reports.
    ///
    /// # Errors
    /// As for [`total`](Self::total), or another verification is running.
    pub async fn verify(&self, total: &TotalRef) -> Result<Verification, Refusal> {
        self.require_unit(&total.scope.tree, &total.unit)?;
        let mut share = self.share(Resource::Verifications);
        share.take(1)?;
        let verified = self.store.verify(&total.scope, &total.unit).await?;
        // A difference shows both numbers.
        let differing = verified.differing.iter();
        let mut shown = differing.filter_map(|difference| difference.indicator.as_ref());
        if shown.any(|code| total.scope.form.is_confidential(code.as_str())) {
            let entry = self.context.entry("read").on(&total.key());
            self.audit.record(vec![entry]).await?;
        }
        Ok(verified)
    }

    /// Records that a total is shown. Those of provinces and above, which dashboards read all the time, are counted and
    /// recorded once per minute.
    async fn record_total(&self, total: &TotalRef) -> Result<(), Refusal> {
        let entry = self.context.entry("read").on(&total.key());
        let place = total.scope.tree.get(total.unit.as_str());
        let is_high =
            place.is_some_and(|place| matches!(place.unit().level, Level::Country | Level::Province));
        if is_high {
            self.audit.count(entry);
            return Ok(());
        }
        self.audit.record(vec![entry]).await
    }
}
