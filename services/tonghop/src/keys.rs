//! `tonghop key`: creates, lists and revokes access keys.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use tonghop_access::Token;
use tonghop_domain::{Key, KeyId, MAX_LABEL_CHARS, Origin, UnitCode, UnitId, label_fault};
use tonghop_process::{Failure, Settings};
use tonghop_storage::{NewKey, Store};

use crate::arguments::KeyAction;
use crate::database::open_existing;
use crate::output::print;

pub(crate) async fn keys(settings: &Settings, action: KeyAction) -> Result<(), Failure> {
    let store = open_existing(settings).await?;
    match action {
        KeyAction::Create {
            role,
            unit,
            date,
            label,
            expires,
        } => {
            if label_fault(&label).is_some() {
                return Err(Failure::configuration(format!(
                    "--label has more than {MAX_LABEL_CHARS} characters, or control characters"
                )));
            }
            let day = date.unwrap_or_else(|| Utc::now().date_naive());
            let unit = unit_with_code(&store, unit.as_ref(), day)?;
            let new = NewKey {
                role,
                unit,
                label,
                expires_at: expires,
            };
            let token = Token::generate();
            let key = store
                .create_key(token.id(), token.digest(), new, Origin::OPERATOR)
                .await?;
            print(&format!("{}\n{}\n", line(&store, &key), token.reveal()));
            Ok(())
        }
        KeyAction::List => {
            let keys = store.keys().await?;
            let lines: String = keys
                .iter()
                .map(|(key, _)| format!("{}\n", line(&store, key)))
                .collect();
            print(&lines);
            Ok(())
        }
        KeyAction::Revoke { id } => revoke(&store, id).await,
    }
}

async fn revoke(store: &Store, id: KeyId) -> Result<(), Failure> {
    if store.revoke_key(id.clone(), Origin::OPERATOR).await? {
        print(&format!("The key {id} is revoked.\n"));
        Ok(())
    } else {
        Err(Failure::runtime(format!(
            "there is no key {id}, or it is already revoked"
        )))
    }
}

/// The unit with a code on a day; without a code, the root.
pub(crate) fn unit_with_code(
    store: &Store,
    code: Option<&UnitCode>,
    day: NaiveDate,
) -> Result<UnitId, Failure> {
    let catalogue = store.catalogue();
    let unit = match code {
        Some(code) => catalogue.unit_called(code, day),
        None => catalogue.root(),
    };
    let name = || code.map_or_else(|| "the root".into(), |code| format!("the unit {code}"));
    let unit =
        unit.ok_or_else(|| Failure::configuration(format!("the catalogue does not have {}", name())))?;
    Ok(unit.id)
}

/// A key as one line, without its secret.
fn line(store: &Store, key: &Key) -> String {
    let units = store.catalogue().units();
    let unit = units.iter().find(|unit| unit.id == key.unit);
    let unit = unit.map_or_else(
        || format!("a unit that is not in the catalogue (id {})", key.unit.0),
        |unit| format!("{} ({})", unit.code, unit.names.vi),
    );
    let time = |time: Option<DateTime<Utc>>, none: &str| {
        time.map_or_else(
            || none.to_owned(),
            |time| time.to_rfc3339_opts(SecondsFormat::Secs, true),
        )
    };
    let (expires, used) = (time(key.expires_at, "never"), time(key.last_used_at, "never"));
    let label: String = key.label.chars().flat_map(char::escape_debug).collect();
    format!(
        "{} {}, {} of {unit}, created {}, expires {expires}, last used {used}: {label}",
        key.id,
        key.state(Utc::now()).as_str(),
        key.role,
        time(Some(key.created_at), ""),
    )
}
