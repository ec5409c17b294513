//! What must be true, derived from the requests and their responses alone.

use std::collections::BTreeMap;

use tonghop_domain::{Place, Reported, Scope, SubmissionKey, UnitId};
use tonghop_storage::Outcome;

use crate::database::State;
use crate::processes::Request;

/// The responses that clients received.
#[derive(Default)]
pub(crate) struct Oracle {
    /// The responses by the value of the request.
    answered: BTreeMap<i64, (SubmissionKey, i32)>,
}

impl Oracle {
    /// Adds the response to a request.
    pub(crate) fn note(&mut self, request: &Request, outcome: &Outcome) {
        let Outcome::Recorded { revision, .. } = outcome else {
            panic!("a new number was not recorded: {outcome:?}");
        };
        let now = (request.key.clone(), revision.revision);
        let before = self.answered.insert(request.value, now.clone());
        assert!(
            before.is_none_or(|before| before == now),
            "one request, two answers: {request:?}"
        );
    }

    /// The number of answered requests.
    pub(crate) fn answered(&self) -> usize {
        self.answered.len()
    }

    /// Each request has one revision, the one in its response; the revisions of each submission are numbered without
    /// gaps, in the order of their times.
    pub(crate) fn assert_every_request_was_recorded_once(&self, state: &State) {
        let mut revisions: BTreeMap<&SubmissionKey, Vec<_>> = BTreeMap::new();
        for revision in state.revisions.values() {
            revisions.entry(&revision.key).or_default().push(revision);
        }
        let count: usize = revisions.values().map(Vec::len).sum();
        assert_eq!(count, self.answered.len(), "as many revisions as requests");
        for (key, history) in revisions {
            assert!(
                history.is_sorted_by(|a, b| a.received_at < b.received_at),
                "times of {key:?}"
            );
            for (at, revision) in history.iter().enumerate() {
                assert_eq!(revision.revision as usize, at + 1, "{key:?}");
                let Reported::Value(value) = revision.content.figures[0].reported else {
                    panic!("{revision:?}")
                };
                assert_eq!(self.answered[&value], (key.clone(), revision.revision));
            }
            assert_eq!(state.heads[key].revision as usize, history.len(), "{key:?}");
        }
    }

    /// Each revision has exactly one audit entry.
    pub(crate) fn assert_every_revision_is_in_the_trail(&self, state: &State) {
        let recorded = state.trail.iter().filter(|entry| entry.outcome == "recorded");
        let mut noted: Vec<&str> = recorded.filter_map(|entry| entry.about.as_deref()).collect();
        noted.sort_unstable();
        let mut revisions: Vec<String> = state
            .revisions
            .values()
            .map(|revision| format!("{}/{}", revision.id, revision.revision))
            .collect();
        revisions.sort_unstable();
        assert_eq!(noted, revisions, "the trail holds each revision once");
    }

    /// Every total is the sum of the last acknowledged reports of the units at or below it.
    pub(crate) fn assert_totals_are_what_was_acknowledged(&self, state: &State, scope: &Scope) {
        let mut last: BTreeMap<UnitId, (i32, i64)> = BTreeMap::new();
        for (value, (key, revision)) in &self.answered {
            let newest = last.entry(key.unit).or_default();
            *newest = (*newest).max((*revision, *value));
        }
        let said = last.into_iter().map(|(unit, (_, value))| (unit, value)).collect();
        for place in scope.tree.places().filter(|place| place.has_children()) {
            assert_total(state, place, &said);
        }
    }
}

/// At any moment, a total without marks at or below it is the sum of the current reports at or below it.
pub(crate) fn assert_unmarked_totals_are_right(state: &State, scope: &Scope) {
    let mut said: BTreeMap<UnitId, i64> = BTreeMap::new();
    for (key, head) in &state.heads {
        if let Some(revision) = state.revisions.get(&(head.id.0, head.revision))
            && let Reported::Value(value) = revision.content.figures[0].reported
        {
            said.insert(key.unit, value);
        }
    }
    for place in scope.tree.places().filter(|place| place.has_children()) {
        let marked = |unit: Place<'_>| state.marks.values().any(|(key, _)| key.unit == unit.id());
        if !place.at_or_below().any(marked) {
            assert_total(state, place, &said);
        }
    }
}

fn assert_total(state: &State, place: Place<'_>, said: &BTreeMap<UnitId, i64>) {
    let reported: Vec<i64> = place
        .at_or_below()
        .filter_map(|unit| said.get(&unit.id()).copied())
        .collect();
    let stored = state.totals.iter().find(|(key, _)| key.unit == place.id());
    let served = stored.and_then(|(_, stored)| stored.total.rows[0].value);
    let right = (!reported.is_empty()).then(|| reported.iter().sum());
    assert_eq!(served, right, "the total of {}", place.code());
    let counted = stored.map_or(0, |(_, stored)| stored.total.completeness.reported as usize);
    assert_eq!(counted, reported.len(), "the completeness of {}", place.code());
}
