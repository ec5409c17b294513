//! `tonghop migrate`: brings the database to this version.

use tonghop_process::{Failure, Settings};
use tonghop_storage::{AGGREGATOR_ROLE, API_ROLE, DatabaseUrl, Store};

use crate::output::print;

/// Brings the database to this version, stores the catalogue in it, and grants PostgreSQL's roles their rights.
pub(crate) async fn migrate(settings: &Settings) -> Result<(), Failure> {
    let url = settings.database()?;
    let catalogue = settings.catalogue()?;
    Store::migrate(&url, &catalogue)
        .await
        .map_err(|error| Failure::database(&url, &error))?;
    print(&format!("{url} is migrated and has the catalogue.\n"));
    if matches!(url, DatabaseUrl::Postgres(_)) {
        let granted = Store::grant(&url)
            .await
            .map_err(|error| Failure::database(&url, &error))?;
        print(&grant_result(granted));
    }
    Ok(())
}

fn grant_result(granted: bool) -> String {
    if granted {
        format!("The roles {API_ROLE} and {AGGREGATOR_ROLE} have their rights in it.\n")
    } else {
        format!(
            "The roles {API_ROLE} and {AGGREGATOR_ROLE} do not exist, and this user may not create them: let a superuser \
             create them by CREATE ROLE, then migrate again. Until then the service's processes need the owner's rights.\n"
        )
    }
}
