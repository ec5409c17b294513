//! The state that all workers share.

use std::io;

use actix_web::web::{Data, ServiceConfig, get};
use tonghop_access::Gate;
use tonghop_metrics::Metrics;

use crate::middleware::cors::Origins;
use crate::middleware::request_metrics::RequestMetrics;
use crate::openapi::operations::Operations;
use crate::server::options::ServerConfig;
use crate::server::proxies::TrustedProxies;
use crate::server::router::{openapi, openapi_json};
use crate::service::docs::Document;
use crate::service::metrics::get_metrics;

/// The state that all workers share.
#[derive(Clone)]
pub(crate) struct Shared {
    gate: Data<Gate>,
    operations: Data<Operations>,
    document: Data<Document>,
    origins: Data<Origins>,
    proxies: Data<TrustedProxies>,
    requests: Data<RequestMetrics>,
    metrics: Data<Metrics>,
    encryption: Data<Encryption>,
}

/// Whether the service encrypts its connections itself.
pub(crate) struct Encryption(pub(crate) bool);

impl Shared {
    /// # Errors
    /// The OpenAPI document cannot be compressed.
    pub(crate) fn new(gate: &Gate, config: &ServerConfig, metrics: Metrics) -> io::Result<Self> {
        let document = openapi();
        let requests = RequestMetrics::of(&document);
        requests.register(&metrics, gate.rejected_without_key());
        Ok(Self {
            gate: Data::new(gate.clone()),
            operations: Data::new(Operations::of(&document)),
            document: Data::new(Document::new(&openapi_json())?),
            origins: Data::new(config.origins()),
            proxies: Data::new(config.proxies()),
            requests: Data::new(requests),
            metrics: Data::new(metrics),
            encryption: Data::new(Encryption(config.encrypts())),
        })
    }

    pub(crate) fn configure(&self, config: &mut ServiceConfig) {
        config
            .app_data(self.gate.clone())
            .app_data(self.operations.clone())
            .app_data(self.document.clone())
            .app_data(self.origins.clone())
            .app_data(self.proxies.clone())
            .app_data(self.requests.clone())
            .app_data(self.metrics.clone())
            .app_data(self.encryption.clone())
            .route("/metrics", get().to(get_metrics));
    }
}
