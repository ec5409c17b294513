//! Keeps the audit trail sealed.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tonghop_storage::{SealFile, Store};

/// The interval between two seals.
const SEAL_INTERVAL: Duration = Duration::from_secs(1);

/// Seals the audit trail every second until `stop`, and then once more; appends the head of each seal to the head file
/// if there is one.
pub async fn keep_sealed(store: &Store, file: Option<&SealFile>, stop: &CancellationToken) {
    if let Some(file) = file {
        check_last_head(store, file).await;
    }
    while !stop.is_cancelled() {
        tokio::select! {
            () = tokio::time::sleep(SEAL_INTERVAL) => {}
            () = stop.cancelled() => {}
        }
        match store.seal().await {
            Ok(Some(head)) => {
                let appended = file.map_or(Ok(()), |file| file.note(&head));
                if let Err(error) = appended {
                    let seal = head.number;
                    tracing::error!(%error, seal, "the head of the audit trail could not be written to its file");
                }
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the audit trail could not be sealed"),
        }
    }
}

/// Warns when the heads are kept nowhere but in the database.
pub fn warn_without_head_file(file: Option<&SealFile>) {
    if file.is_none() {
        tracing::warn!(
            "the heads of the audit trail are kept nowhere but in the database: set TONGHOP_AUDIT_HEADS to a file"
        );
    }
}

/// Compares the last head in the file with the database.
async fn check_last_head(store: &Store, file: &SealFile) {
    let last = match file.heads() {
        Ok(heads) => heads.into_iter().max_by_key(|head| head.number),
        Err(error) => {
            tracing::error!(%error, "the file with the heads of the audit trail cannot be read");
            None
        }
    };
    let Some(last) = last else { return };
    match store.seal_digest(last.number).await {
        Ok(Some(digest)) if digest == last.digest => {}
        Ok(_) => {
            let seal = last.number;
            tracing::error!(
                seal,
                "the audit trail is not what it was: run `tonghop audit verify`"
            );
        }
        Err(error) => tracing::warn!(%error, "the audit trail could not be compared with its file"),
    }
}
