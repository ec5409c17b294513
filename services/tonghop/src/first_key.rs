//! The first access key of an embedded service.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use chrono::Utc;
use tonghop_access::Token;
use tonghop_domain::{Origin, Role};
use tonghop_process::Failure;
use tonghop_storage::{DatabaseUrl, NewKey, Store};

use crate::keys::unit_of_key;
use crate::output::print;

/// Creates the first key of a new SQLite database, because nobody could use the service without one: an administrator's,
/// in a file beside the database that only its owner can read. On PostgreSQL, `tonghop key create` creates it.
pub(crate) async fn create_first_key(url: &DatabaseUrl, store: &Store) -> Result<(), Failure> {
    let DatabaseUrl::Sqlite(path) = url else {
        return Ok(());
    };
    if !store.keys().await?.is_empty() {
        return Ok(());
    }
    let token = Token::generate();
    let mut file = path.as_os_str().to_owned();
    file.push(".admin-key");
    let file = PathBuf::from(file);
    write_for_owner(&file, token.reveal()).map_err(|error| Failure::file(&file, &error))?;
    let new = NewKey {
        role: Role::Admin,
        unit: unit_of_key(store.catalogue(), None, None, Utc::now())?,
        within: Vec::new(),
        label: "the first key".into(),
        expires_at: None,
    };
    store
        .create_key(token.id(), token.digest(), new, Origin::OPERATOR)
        .await?;
    print(&format!(
        "The first access key, an administrator's, is in {}. Move it to a safe place.\n",
        file.display()
    ));
    Ok(())
}

/// Writes a file that only its owner can read. Replaces the file of an earlier start that failed before it stored the key.
fn write_for_owner(path: &Path, text: &str) -> std::io::Result<()> {
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
