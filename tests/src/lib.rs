//! Runs the real programs on real servers and talks to them over HTTP, for the stories in `tests/tests`.

mod app;
mod authority;
mod corruption;
mod process;
mod volume;

use std::path::PathBuf;

use reqwest::{Client, ClientBuilder};
use serde_json::{Value, json};
use tonghop_tls::Trust;

pub use app::{Answer, Options, Revisions, TestApp, Way};
pub use authority::{Authority, Pair};
pub use corruption::corrupt;
pub use process::{Ended, Process, run_to_end};
pub use volume::Volume;

/// Tells each story, a function of the same name in the caller's module `stories`, on both ways of running.
#[macro_export]
macro_rules! on_both_ways {
    ($($story:ident),* $(,)?) => {
        $(mod $story {
            #[tokio::test(flavor = "multi_thread")]
            async fn embedded() {
                super::stories::$story($crate::Way::Embedded).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn servers() {
                super::stories::$story($crate::Way::Servers).await;
            }
        })*
    };
}

/// The form of the source report.
pub const FORM: &str = "ngay-30-7";
/// Its period.
pub const PERIOD: &str = "2021-07";
/// Its province.
pub const PROVINCE: &str = "87";

/// A program of this workspace, built by `cargo build --bins` before the tests, of the same profile as who asks.
///
/// # Panics
/// When it was not built.
pub fn program(name: &str) -> PathBuf {
    let this = std::env::current_exe().expect("a program knows where it is");
    let mut folders = this.ancestors().skip(1);
    let mut folder = folders.next().expect("a program lies in a folder");
    // Tests lie in target/PROFILE/deps, programs in target/PROFILE.
    if folder.ends_with("deps") {
        folder = folders.next().expect("tests lie in target/PROFILE/deps");
    }
    let built = folder.join(name);
    assert!(
        built.exists(),
        "{} is missing: run `cargo build --workspace --bins` first",
        built.display()
    );
    built
}

/// An HTTP client, that takes any certificate if it meets one.
///
/// # Panics
/// When rustls cannot be set up.
pub fn http_client() -> ClientBuilder {
    http_client_trusting(&Trust::danger_accept_any_certificate().expect("a trust"))
}

/// An HTTP client that takes these certificates.
pub fn http_client_trusting(trust: &Trust) -> ClientBuilder {
    Client::builder()
        .no_proxy()
        .tls_backend_preconfigured(trust.client_config())
}

/// A submission of the source report's form and period.
pub fn submission(unit: &str, figures: Value) -> Value {
    json!({ "form": FORM, "period": PERIOD, "unit": unit, "figures": figures })
}

/// A submission with one number: broadcasts.
pub fn broadcasts(unit: &str, number: i64) -> Value {
    submission(unit, json!([{ "indicator": "TT.PT", "value": number }]))
}
