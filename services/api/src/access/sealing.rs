//! Keeps the audit trail sealed.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tonghop_storage::{SealFile, Store};

/// How often the trail is sealed.
const INTERVAL: Duration = Duration::from_secs(1);

/// Seals the audit trail every second until `stop`, and then once more, and notes the heads of the chain in a file if
/// there is one.
pub async fn keep_sealed(store: &Store, file: Option<&SealFile>, stop: &CancellationToken) {
    if let Some(file) = file {
        check_last(store, file).await;
    }
    while !stop.is_cancelled() {
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = stop.cancelled() => {}
        }
        match store.seal().await {
            Ok(Some(head)) => {
                let noted = file.map_or(Ok(()), |file| file.note(&head));
                if let Err(error) = noted {
                    let seal = head.number;
                    tracing::error!(%error, seal, "the head of the audit trail was not noted in its file");
                }
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the audit trail was not sealed"),
        }
    }
}

/// Tells the log when no heads are noted.
pub fn warn_without_file(file: Option<&SealFile>) {
    if file.is_none() {
        tracing::warn!(
            "the heads of the audit trail are noted nowhere but in the database: set TONGHOP_AUDIT_HEADS to a file"
        );
    }
}

/// That the database still has what was noted last.
async fn check_last(store: &Store, file: &SealFile) {
    let noted = match file.heads() {
        Ok(heads) => heads.into_iter().max_by_key(|head| head.number),
        Err(error) => {
            tracing::error!(%error, "the file with the heads of the audit trail cannot be read");
            None
        }
    };
    let Some(noted) = noted else { return };
    match store.seal_digest(noted.number).await {
        Ok(Some(digest)) if digest == noted.digest => {}
        Ok(_) => {
            let seal = noted.number;
            tracing::error!(
                seal,
                "the audit trail is not what it was: run `tonghop audit verify`"
            );
        }
        Err(error) => tracing::warn!(%error, "the audit trail was not compared with its file"),
    }
}
