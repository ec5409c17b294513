//! `tonghop audit`: lists, verifies and exports the audit trail.

use std::path::PathBuf;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;
use tonghop_domain::{Actor, AuditEntry, UnitCode, UnitId};
use tonghop_process::{Failure, Settings};
use tonghop_storage::{AuditPlace, DatabaseUrl, SealFile, Store};

use crate::arguments::AuditAction;
use crate::database::open_existing;
use crate::output::print;

/// How many entries are read per query.
const PAGE: usize = 1000;

/// The file of audit heads: the configured one, or the one beside the SQLite file.
pub(crate) fn seal_file(url: &DatabaseUrl, configured: Option<PathBuf>) -> Option<SealFile> {
    let beside = || match url {
        DatabaseUrl::Sqlite(path) => {
            let mut file = path.as_os_str().to_owned();
            file.push(".audit-heads");
            Some(PathBuf::from(file))
        }
        DatabaseUrl::Postgres(_) => None,
    };
    configured.or_else(beside).map(SealFile::at)
}

pub(crate) async fn audit(
    settings: &Settings,
    action: AuditAction,
    heads: Option<PathBuf>,
) -> Result<(), Failure> {
    let file = seal_file(&settings.database()?, heads);
    let store = open_existing(settings).await?;
    match action {
        AuditAction::List { actor, unit, since } => {
            let filter = Filter {
                actor,
                units: unit.map(|code| units_with_code(&store, &code)).transpose()?,
                since,
            };
            for_each(&store, |place, entry| {
                if filter.matches(place, entry) {
                    print(&text_line(&store, place, entry));
                }
            })
            .await
        }
        AuditAction::Verify => verify(&store, file).await,
        AuditAction::Export => for_each(&store, |place, entry| print(&json_line(&store, place, entry))).await,
    }
}

/// Calls `act` for every entry, oldest first.
async fn for_each(store: &Store, mut act: impl FnMut(&AuditPlace, &AuditEntry)) -> Result<(), Failure> {
    let mut after = None;
    loop {
        let entries = store.audit_entries(after, PAGE).await?;
        for (place, entry) in &entries {
            act(place, entry);
        }
        match entries.last() {
            Some((last, _)) => after = Some(last.clone()),
            None => return Ok(()),
        }
    }
}

/// Which entries to list.
struct Filter {
    actor: Option<Actor>,
    units: Option<Vec<UnitId>>,
    since: Option<DateTime<Utc>>,
}

impl Filter {
    fn matches(&self, place: &AuditPlace, entry: &AuditEntry) -> bool {
        let is_on = |units: &Vec<UnitId>| entry.unit.is_some_and(|unit| units.contains(&unit));
        self.since.is_none_or(|since| place.at >= since)
            && self
                .actor
                .as_ref()
                .is_none_or(|actor| *actor == entry.origin.actor)
            && self.units.as_ref().is_none_or(is_on)
    }
}

/// Every unit that has or had a code.
fn units_with_code(store: &Store, code: &UnitCode) -> Result<Vec<UnitId>, Failure> {
    let units = store.catalogue().units().iter();
    let matching: Vec<UnitId> = units
        .filter(|unit| unit.code == *code)
        .map(|unit| unit.id)
        .collect();
    if matching.is_empty() {
        return Err(Failure::configuration(format!(
            "the catalogue does not have the unit {code}"
        )));
    }
    Ok(matching)
}

fn unit_code(store: &Store, id: UnitId) -> String {
    let units = store.catalogue().units();
    let unit = units.iter().find(|unit| unit.id == id);
    unit.map_or_else(|| format!("id {}", id.0), |unit| unit.code.to_string())
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// An entry as one line of text.
fn text_line(store: &Store, place: &AuditPlace, entry: &AuditEntry) -> String {
    let mut words = vec![
        time(place.at),
        entry.origin.actor.to_string(),
        entry.action.clone(),
        entry.outcome.clone(),
    ];
    words.extend(entry.form.as_ref().map(ToString::to_string));
    words.extend(entry.period.map(|period| period.to_string()));
    words.extend(entry.unit.map(|unit| unit_code(store, unit)));
    words.extend(entry.about.clone());
    if entry.count != 1 {
        words.push(format!("{} times", entry.count));
    }
    words.extend(entry.origin.address.map(|address| format!("from {address}")));
    words.extend(entry.origin.request_id.as_ref().map(|id| format!("request {id}")));
    format!("{}\n", words.join(" "))
}

/// An entry as one line of JSON.
fn json_line(store: &Store, place: &AuditPlace, entry: &AuditEntry) -> String {
    let value = json!({
        "batch": place.batch.to_string(),
        "number": place.number,
        "at": time(place.at),
        "actor": entry.origin.actor.to_string(),
        "action": entry.action,
        "outcome": entry.outcome,
        "form": entry.form.as_ref().map(ToString::to_string),
        "period": entry.period.map(|period| period.to_string()),
        "unit": entry.unit.map(|unit| unit_code(store, unit)),
        "unit_id": entry.unit.map(|unit| unit.0),
        "about": entry.about,
        "address": entry.origin.address,
        "request_id": entry.origin.request_id,
        "count": entry.count,
        "proof": entry.proof,
        "digest": entry.digest(place.batch, place.at, place.number),
    });
    format!("{value}\n")
}

/// Recomputes the chain, compares it with the recorded heads, and prints each fault.
async fn verify(store: &Store, file: Option<SealFile>) -> Result<(), Failure> {
    let recorded = match &file {
        Some(file) => file.heads().map_err(|error| Failure::file(file.path(), &error))?,
        None => Vec::new(),
    };
    if recorded.is_empty() {
        print(
            "No heads are recorded outside the database, so a trail that was cut off or replaced cannot be detected.\n",
        );
    }
    let compared = recorded.len();
    let found = store.verify_audit(recorded).await?;
    for fault in &found.faults {
        print(&format!("{fault}\n"));
    }
    let head = found.head.map_or_else(
        || "no seal".into(),
        |head| format!("seal {} {}", head.number, head.digest),
    );
    print(&format!(
        "{} entries sealed, {} not yet sealed; {compared} recorded heads compared; the head is {head}\n",
        found.sealed, found.unsealed
    ));
    match found.faults.len() {
        0 => Ok(()),
        1 => Err(Failure::runtime("the audit trail was changed: 1 fault")),
        faults => Err(Failure::runtime(format!(
            "the audit trail was changed: {faults} faults"
        ))),
    }
}
