//! `tonghop healthcheck`: asks a running service whether it is ready.

use std::path::Path;

use tonghop_process::Failure;

use crate::http_client::{ServiceClient, is_loopback};

/// Succeeds if the service answers with 2xx. Sends no secret, so for a loopback address the certificate is not verified
/// unless the caller names an authority.
pub(crate) async fn healthcheck(url: &str, ca: Option<&Path>) -> Result<(), Failure> {
    let client = match ca {
        None if is_loopback(url)? => ServiceClient::local(url)?,
        ca => ServiceClient::new(url, ca)?,
    };
    client.check("").await
}
