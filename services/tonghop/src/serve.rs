//! `tonghop serve`: API, relay and aggregator in one process.

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tonghop_access::{Gate, keep_sealed, warn_without_head_file};
use tonghop_events::{Health, relay};
use tonghop_metrics::Metrics;
use tonghop_process::{Failure, Settings, handle_signals};
use tonghop_storage::{DatabaseUrl, ServiceLock, Store};

use crate::arguments::ServeOptions;
use crate::audit::seal_file;
use crate::first_key::create_first_key;

/// Serves until SIGTERM or SIGINT. A caller that passes `started` gets the store once requests are accepted, and creates
/// the keys itself.
pub(crate) async fn serve(
    settings: &Settings,
    options: &ServeOptions,
    started: Option<oneshot::Sender<Store>>,
) -> Result<(), Failure> {
    let ServeOptions { server, aggregator } = options;
    let (url, bus) = (settings.database()?, settings.bus()?);
    let config = server.read().map_err(Failure::configuration)?;
    let reloaded = config.clone();
    let stop = handle_signals(move || reloaded.reload())?;
    let listeners = server.listen().bind()?;
    let lock = ServiceLock::take(&url).map_err(|error| Failure::database(&url, &error))?;
    let opening = stop.run_until_cancelled(open(settings, &url)).await;
    let Some(store) = opening.transpose()? else {
        return Ok(());
    };
    if started.is_none() {
        create_first_key(&url, &store).await?;
    }
    let (consuming, relaying) = (Health::default(), Health::default());
    let brokers = vec![("consumer", consuming.clone()), ("relay", relaying.clone())];
    let metrics = Metrics::new(&store, brokers);
    let seal_file = seal_file(&url, server.audit_heads());
    warn_without_head_file(seal_file.as_ref());
    // The workers stop after the API, so that what was accepted last is still announced and refreshed.
    let workers_stop = CancellationToken::new();
    let serving = async {
        if let Some(started) = started {
            started.send(store.clone()).ok();
        }
        let gate = Gate::new(store.clone(), server.rate_limits(), server.key_rules());
        let settings = tonghop_api::Settings {
            metrics: metrics.clone(),
            server: config,
        };
        let served = tonghop_api::serve(listeners, gate, settings, stop.clone()).await;
        store.close().await;
        workers_stop.cancel();
        served
    };
    tracing::info!(listen = %server.listen(), database = %url, "serving");
    let aggregating = tonghop_aggregator::run(
        store.clone(),
        &bus,
        aggregator.settings(),
        &consuming,
        &metrics,
        &workers_stop,
    );
    let (served, (), (), ()) = tokio::join!(
        serving,
        keep_sealed(&store, seal_file.as_ref(), &workers_stop),
        aggregating,
        relay(&store, &bus, store.outbox_changed(), &relaying, &workers_stop),
    );
    drop(lock);
    tracing::info!("stopped");
    served.map_err(Failure::runtime)
}

/// Opens the database, and checks that its file is not damaged, which reads all of it.
async fn open(settings: &Settings, url: &DatabaseUrl) -> Result<Store, Failure> {
    let store = settings.open_store(url).await?;
    let checked = store.check_file().await;
    checked.map_err(|error| Failure::database(url, &error))?;
    Ok(store)
}
