//! The service inside the test's own process: a SQLite file, no broker, and no program to build first.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use clap::Parser;
use tokio::runtime::Handle;
use tokio::task::block_in_place;
use tokio_util::sync::CancellationToken;
use tonghop_access::{Gate, KeyRules, RateLimits, Token};
use tonghop_api::{ServerConfig, ServerOptions};
use tonghop_domain::{Origin, Role, UnitCode};
use tonghop_events::{Bus, Health, relay};
use tonghop_metrics::Metrics;
use tonghop_storage::{NewKey, Store};

use crate::options::Options;

/// A service that stops when it is dropped.
#[derive(Debug)]
pub(crate) struct InProcess {
    store: Store,
    stop: CancellationToken,
}

/// Reads the options of the server as a program does.
#[derive(Debug, Parser)]
struct Server {
    #[command(flatten)]
    options: ServerOptions,
}

impl InProcess {
    /// Starts the service and returns it with its address.
    pub(crate) async fn start(database_url: &str, options: &Options) -> (Self, SocketAddr) {
        let catalogue = match &options.catalogue {
            Some(folder) => tonghop_catalogue::load(folder),
            None => tonghop_catalogue::built_in(),
        };
        let url = database_url.parse().expect("a database URL");
        let store = Store::open(&url, catalogue.expect("a valid catalogue"))
            .await
            .expect("the SQLite file can be opened");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("the listener has an address");
        let service = Self {
            store,
            stop: CancellationToken::new(),
        };
        service.run(listener, options);
        (service, address)
    }

    /// Runs the server, the relay and the aggregator as `tonghop serve` does, until the service is dropped.
    fn run(&self, listener: TcpListener, options: &Options) {
        let (consuming, relaying) = (Health::default(), Health::default());
        let brokers = vec![("consumer", consuming.clone()), ("relay", relaying.clone())];
        let metrics = Metrics::new(&self.store, brokers);
        let gate = Gate::new(
            self.store.clone(),
            RateLimits::new(options.key_rate),
            KeyRules::default(),
        );
        let settings = tonghop_api::Settings {
            metrics: metrics.clone(),
            server: server_config(options),
        };
        let aggregator = tonghop_aggregator::Settings {
            sweep_interval: Duration::from_millis(options.sweep_interval_ms),
        };
        let (store, stop) = (self.store.clone(), self.stop.clone());
        tokio::spawn(async move {
            let bus = Bus::in_process();
            let (served, (), ()) = tokio::join!(
                tonghop_api::serve(vec![listener], gate, settings, stop.clone()),
                tonghop_aggregator::run(store.clone(), &bus, aggregator, &consuming, &metrics, &stop),
                relay(&store, &bus, store.outbox_changed(), &relaying, &stop),
            );
            served.expect("the server runs until it is stopped");
        });
    }

    /// Creates an access key from the arguments of `tonghop key create` and returns its token.
    pub(crate) fn create_key(&self, arguments: &[&str]) -> String {
        let argument = |name: &str| {
            let at = arguments.iter().position(|argument| *argument == name);
            at.map(|at| arguments[at + 1])
        };
        let catalogue = self.store.catalogue();
        let today = chrono::Utc::now().date_naive();
        let unit = argument("--unit").map(|code| code.parse::<UnitCode>().expect("a unit code"));
        let unit = match &unit {
            Some(code) => {
                let day = argument("--date").map_or(today, |day| day.parse().expect("a day"));
                catalogue.unit_called(code, day)
            }
            None => catalogue.root(),
        };
        let new = NewKey {
            role: argument("--role")
                .and_then(|role| role.parse::<Role>().ok())
                .expect("a role"),
            unit: unit.expect("the catalogue has the unit").id,
            within: Vec::new(),
            label: argument("--label").unwrap_or_default().to_owned(),
            expires_at: argument("--expires").map(|time| time.parse().expect("a time")),
        };
        let token = Token::generate();
        let creating = self
            .store
            .create_key(token.id(), token.digest(), new, Origin::OPERATOR);
        block_in_place(|| Handle::current().block_on(creating)).expect("the key is stored");
        token.reveal().to_owned()
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The options of the server that are set by environment variables elsewhere.
fn server_config(options: &Options) -> ServerConfig {
    let arguments = options.settings.iter().map(|(variable, value)| {
        let name = match *variable {
            "TONGHOP_CORS_ORIGINS" => "--cors-origins",
            other => panic!("{other} does not exist in this process: use another way of running"),
        };
        format!("{name}={value}")
    });
    let arguments = ["in-process".to_owned()].into_iter().chain(arguments);
    let server = Server::try_parse_from(arguments).expect("options of the server");
    server.options.read().expect("options of the server")
}
