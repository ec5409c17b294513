//! `tonghop key`: creates, lists and revokes access keys.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use tonghop_access::Token;
use tonghop_domain::{
    Actor, Catalogue, Key, KeyId, KeyState, MAX_LABEL_CHARS, Origin, TokenDigest, UnitCode, UnitId,
    label_error,
};
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
            if label_error(&label).is_some() {
                return Err(Failure::configuration(format!(
                    "--label has more than {MAX_LABEL_CHARS} characters, or control characters"
                )));
            }
            let unit = unit_of_key(store.catalogue(), unit.as_ref(), date, Utc::now())?;
            let new = NewKey {
                role,
                unit,
                within: Vec::new(),
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
                .map(|(key, _)| format!("{}{}\n", line(&store, key), review(key, &keys)))
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

/// The unit of a new key: the one with a code on `date`, or today in the catalogue's time zone; without a code the root.
pub(crate) fn unit_of_key(
    catalogue: &Catalogue,
    code: Option<&UnitCode>,
    date: Option<NaiveDate>,
    now: DateTime<Utc>,
) -> Result<UnitId, Failure> {
    let day = date.unwrap_or_else(|| catalogue.today(now));
    let unit = match code {
        Some(code) => catalogue.unit_called(code, day),
        None => catalogue.root(),
    };
    let name = || code.map_or_else(|| "the root".into(), |code| format!("the unit {code}"));
    let unit =
        unit.ok_or_else(|| Failure::configuration(format!("the catalogue does not have {}", name())))?;
    Ok(unit.id)
}

/// What to say of a valid key whose creator was revoked: somebody should review it.
fn review(key: &Key, all: &[(Key, TokenDigest)]) -> &'static str {
    let is_revoked = |creator: &KeyId| {
        all.iter()
            .any(|(key, _)| key.id == *creator && key.revoked_at.is_some())
    };
    match &key.created_by {
        Actor::Key(creator) if key.state(Utc::now()) == KeyState::Valid && is_revoked(creator) => {
            " [review: its creator's key is revoked]"
        }
        _ => "",
    }
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
    let creator = &key.created_by;
    let label: String = key.label.chars().flat_map(char::escape_debug).collect();
    format!(
        "{} {}, {} of {unit}, created {} by {creator}, expires {expires}, last used {used}: {label}",
        key.id,
        key.state(Utc::now()).as_str(),
        key.role,
        time(Some(key.created_at), ""),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On 1 July 2025 at 01:30 in Viet Nam it is still 30 June in UTC.
    #[test]
    fn a_key_is_for_the_unit_that_has_the_code_today_in_viet_nam() {
        let folder = tempfile::tempdir().unwrap();
        let data = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/catalogue/data");
        for file in ["dimensions.csv", "indicators.csv", "forms.toml"] {
            std::fs::copy(data.join(file), folder.path().join(file)).unwrap();
        }
        let units = std::fs::read_to_string(data.join("units.csv")).unwrap();
        let successor = "866,Phường Cao Lãnh,Cao Lanh Ward,commune,VN,2025-07-01,\n";
        std::fs::write(folder.path().join("units.csv"), units + successor).unwrap();
        let catalogue = tonghop_catalogue::load(folder.path()).unwrap();
        let code: UnitCode = "866".parse().unwrap();
        let name_at = |now: &str, date: Option<&str>| {
            let date = date.map(|date| date.parse().unwrap());
            let Ok(id) = unit_of_key(&catalogue, Some(&code), date, now.parse().unwrap()) else {
                panic!("the catalogue has the unit");
            };
            let unit = catalogue.units().iter().find(|unit| unit.id == id);
            unit.unwrap().names.vi.clone()
        };
        assert_eq!(name_at("2025-06-30T23:59:59+07:00", None), "Thành phố Cao Lãnh");
        assert_eq!(name_at("2025-07-01T01:30:00+07:00", None), "Phường Cao Lãnh");
        let before = Some("2025-06-30");
        assert_eq!(name_at("2025-07-01T01:30:00+07:00", before), "Thành phố Cao Lãnh");
    }
}
