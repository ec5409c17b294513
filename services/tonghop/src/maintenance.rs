//! Commands on the database: migrate, verify, rebuild. All but the first work beside a running service.

use chrono::Duration;
use tonghop_storage::{DatabaseUrl, Difference, Store};

use crate::arguments::{Settings, store_failure};
use crate::failure::{Failure, failed, print, wrong_setting};

/// Brings the database to this version and makes the catalogue its own.
pub(crate) async fn migrate(settings: &Settings) -> Result<(), Failure> {
    let url = settings.database()?;
    let catalogue = settings.catalogue()?;
    Store::migrate(&url, &catalogue)
        .await
        .map_err(|error| store_failure(&url, &error))?;
    print(&format!("{url} is migrated and has the catalogue.\n"));
    Ok(())
}

/// Recounts every total and prints each difference.
pub(crate) async fn verify(settings: &Settings) -> Result<(), Failure> {
    let store = open_existing(settings).await?;
    let (mut checked, mut skipped, mut differing) = (0, 0, 0);
    for scope in store.scopes().await.map_err(failed)? {
        let roots = scope.tree.places().filter(|place| place.parent().is_none());
        for root in roots {
            let verification = store.verify(&scope, root.code()).await.map_err(failed)?;
            checked += verification.checked;
            skipped += verification.skipped;
            differing += verification.differing.len();
            for difference in &verification.differing {
                print(&format!(
                    "{} {}: {}\n",
                    scope.form.code,
                    scope.period,
                    described(difference)
                ));
            }
        }
    }
    print(&format!(
        "{checked} numbers checked, {skipped} totals skipped (changes pending), {differing} differ\n"
    ));
    if differing > 0 {
        Err(failed(
            "the totals differ from the submissions; `tonghop rebuild` mends them",
        ))
    } else {
        Ok(())
    }
}

/// Opens a database that is there: a mistyped path shall not be answered by an empty one.
async fn open_existing(settings: &Settings) -> Result<Store, Failure> {
    let url = settings.database()?;
    if let DatabaseUrl::Sqlite(path) = &url
        && !path.exists()
    {
        return Err(wrong_setting(format!(
            "there is no database at {}",
            path.display()
        )));
    }
    settings.open(&url).await
}

fn described(difference: &Difference) -> String {
    let indicator = difference
        .indicator
        .as_ref()
        .map(|code| format!(" {code}"))
        .unwrap_or_default();
    let cell: String = difference
        .breakdown
        .iter()
        .map(|(dimension, code)| format!(" {dimension}={code}"))
        .collect();
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".into());
    let (served, recomputed) = (text(&difference.served), text(&difference.recomputed));
    format!(
        "unit {}{indicator}{cell} {}: served {served}, recomputed {recomputed}",
        difference.unit, difference.number
    )
}

/// Marks every total and refreshes until nothing is marked. Readers see the old or the new total, never another.
pub(crate) async fn rebuild(settings: &Settings) -> Result<(), Failure> {
    let store = open_existing(settings).await?;
    let marked = store.mark_all().await.map_err(failed)?;
    // Marks of this rebuild, and those they leave on the totals above; not what comes in meanwhile.
    let until = store.now().await.map_err(failed)? + Duration::microseconds(1);
    loop {
        let stale = store.stale(until, 1000).await.map_err(failed)?;
        if stale.is_empty() {
            break;
        }
        for key in stale {
            store.refresh(&key).await.map_err(failed)?;
        }
    }
    print(&format!(
        "{marked} totals were refreshed from the submissions, and those above them.\n"
    ));
    Ok(())
}
