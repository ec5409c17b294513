//! `tonghop key`: access keys. Works beside a running service.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use tonghop_access::Token;
use tonghop_domain::{Key, KeyId, MAX_LABEL_CHARS, Origin, Role, UnitCode, UnitId, label_fault};
use tonghop_storage::{DatabaseUrl, NewKey, Store};

use crate::arguments::{KeyAction, Settings};
use crate::failure::{Failure, failed, print, wrong_setting};
use crate::maintenance::open_existing;

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
                return Err(wrong_setting(format!(
                    "--label takes at most {MAX_LABEL_CHARS} characters, and no control characters"
                )));
            }
            let day = date.unwrap_or_else(|| Utc::now().date_naive());
            let unit = unit_called(&store, unit.as_ref(), day)?;
            let new = NewKey {
                role,
                unit,
                label,
                expires_at: expires,
            };
            let token = Token::generate();
            let key = store
                .create_key(token.id(), token.digest(), new, Origin::OPERATOR)
                .await
                .map_err(failed)?;
            print(&format!("{}\n{}\n", line(&store, &key), token.reveal()));
            Ok(())
        }
        KeyAction::List => {
            let keys = store.keys().await.map_err(failed)?;
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
    if store
        .revoke_key(id.clone(), Origin::OPERATOR)
        .await
        .map_err(failed)?
    {
        print(&format!("The key {id} is revoked.\n"));
        Ok(())
    } else {
        Err(failed(format!("there is no key {id}, or it was revoked before")))
    }
}

/// The unit that a key shall act on; without a code the root.
pub(crate) fn unit_called(store: &Store, code: Option<&UnitCode>, day: NaiveDate) -> Result<UnitId, Failure> {
    let catalogue = store.catalogue();
    let unit = match code {
        Some(code) => catalogue.unit_called(code, day),
        None => catalogue.root(),
    };
    let name = || code.map_or_else(|| "the root".into(), |code| format!("the unit {code}"));
    let unit = unit.ok_or_else(|| wrong_setting(format!("the catalogue does not have {}", name())))?;
    Ok(unit.id)
}

/// A key in one line, without its secret.
fn line(store: &Store, key: &Key) -> String {
    let units = store.catalogue().units();
    let unit = units.iter().find(|unit| unit.id == key.unit);
    let unit = unit.map_or_else(
        || format!("a unit that is gone (id {})", key.unit.0),
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
        "{} {}, {} of {unit}, made {}, expires {expires}, last used {used}: {label}",
        key.id,
        key.state(Utc::now()).as_str(),
        key.role,
        time(Some(key.created_at), ""),
    )
}

/// Without any key nobody could use a new service: the first one, of an administrator, goes into a file beside the
/// database that only its owner can read. On PostgreSQL `tonghop key create` makes it.
pub(crate) async fn provide_first(url: &DatabaseUrl, store: &Store) -> Result<(), Failure> {
    let DatabaseUrl::Sqlite(path) = url else {
        return Ok(());
    };
    if !store.keys().await.map_err(failed)?.is_empty() {
        return Ok(());
    }
    let token = Token::generate();
    let mut file = path.as_os_str().to_owned();
    file.push(".admin-key");
    let file = PathBuf::from(file);
    write_for_owner_only(&file, token.reveal())
        .map_err(|error| failed(format!("{}: {error}", file.display())))?;
    let new = NewKey {
        role: Role::Admin,
        unit: unit_called(store, None, Utc::now().date_naive())?,
        label: "the first key".into(),
        expires_at: None,
    };
    store
        .create_key(token.id(), token.digest(), new, Origin::OPERATOR)
        .await
        .map_err(failed)?;
    print(&format!(
        "The first key, of an administrator, is in {}. Move it to a safe place.\n",
        file.display()
    ));
    Ok(())
}

/// Over what is left of a start that did not get as far as to keep the key.
fn write_for_owner_only(path: &Path, text: &str) -> std::io::Result<()> {
    if path.exists() {
        std::fs::remove_file(path)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}
