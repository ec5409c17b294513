//! The page with the metrics of a process that runs more than the api.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::Data;
use futures_util::future::BoxFuture;

use crate::access::Access;
use crate::problem::Problem;

type Write = dyn Fn() -> BoxFuture<'static, String> + Send + Sync;

/// A page that somebody else writes; cheap to clone.
#[derive(Clone)]
pub struct MetricsPage {
    media_type: &'static str,
    write: Arc<Write>,
}

impl MetricsPage {
    /// A page of a media type, written anew for each reader.
    pub fn new(
        media_type: &'static str,
        write: impl Fn() -> BoxFuture<'static, String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            media_type,
            write: Arc::new(write),
        }
    }
}

impl std::fmt::Debug for MetricsPage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MetricsPage")
    }
}

/// Answers the page, to administrators.
pub(crate) async fn get_metrics(page: Data<MetricsPage>, access: Access) -> Result<HttpResponse, Problem> {
    access.check_administers()?;
    let others = (page.write)().await;
    let others = others.trim_end_matches("# EOF\n");
    let strangers = access.strangers();
    let text = format!(
        "{others}# HELP tonghop_refused_without_key Requests without a valid key that were refused\n\
         # TYPE tonghop_refused_without_key counter\n\
         tonghop_refused_without_key_total {strangers}\n# EOF\n"
    );
    Ok(HttpResponse::Ok().content_type(page.media_type).body(text))
}
