//! What all workers share.

use actix_web::web::{Bytes, Data, ServiceConfig, get};
use tonghop_metrics::Metrics;
use tonghop_storage::Store;

use crate::access::authorized::Locked;
use crate::access::key_cache::Keys;
use crate::middleware::cors::Origins;
use crate::middleware::request_metrics::Requests;
use crate::openapi::operations::Methods;
use crate::request::body::Room;
use crate::server::options::Front;
use crate::server::router::{openapi, openapi_json};
use crate::service::docs::Document;
use crate::service::metrics::get_metrics;
use crate::submissions::batch::Places;
use crate::submissions::wait::Wait;
use crate::totals::verification::Turn;

/// What all workers share.
#[derive(Clone)]
pub(crate) struct Shared {
    store: Data<Locked>,
    wait: Data<Wait>,
    keys: Data<Keys>,
    methods: Data<Methods>,
    document: Data<Document>,
    turn: Data<Turn>,
    room: Data<Room>,
    places: Data<Places>,
    origins: Data<Origins>,
    requests: Data<Requests>,
    metrics: Data<Metrics>,
}

impl Shared {
    pub(crate) fn new(store: &Store, wait: &Wait, keys: &Keys, front: &Front, metrics: Metrics) -> Self {
        let document = openapi();
        let requests = Requests::of(&document);
        requests.register(&metrics, keys.trail().strangers());
        Self {
            store: Data::new(Locked::new(store.clone())),
            wait: Data::new(wait.clone()),
            keys: Data::new(keys.clone()),
            methods: Data::new(Methods::of(&document)),
            document: Data::new(Document(Bytes::from(openapi_json()))),
            turn: Data::default(),
            room: Data::default(),
            places: Data::default(),
            origins: Data::new(front.origins()),
            requests: Data::new(requests),
            metrics: Data::new(metrics),
        }
    }

    pub(crate) fn put_into(&self, config: &mut ServiceConfig) {
        config
            .app_data(self.store.clone())
            .app_data(self.wait.clone())
            .app_data(self.keys.clone())
            .app_data(self.methods.clone())
            .app_data(self.document.clone())
            .app_data(self.turn.clone())
            .app_data(self.room.clone())
            .app_data(self.places.clone())
            .app_data(self.origins.clone())
            .app_data(self.requests.clone())
            .app_data(self.metrics.clone())
            .route("/metrics", get().to(get_metrics));
    }
}
