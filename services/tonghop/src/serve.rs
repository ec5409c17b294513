//! `tonghop serve`: api, relay and aggregator in one process.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tonghop_access::{Gate, RateLimits, keep_sealed, warn_without_head_file};
use tonghop_events::{Health, relay};
use tonghop_metrics::Metrics;
use tonghop_storage::{ServiceLock, Store};

use crate::arguments::{ServeOptions, Settings, store_failure};
use crate::audit::seal_file;
use crate::failure::{Failure, failed, wrong_setting};
use crate::keys::provide_first;

/// Serves until SIGTERM or SIGINT. `started`, who sees to keys himself, is told once requests are answered.
pub(crate) async fn serve(
    settings: &Settings,
    options: &ServeOptions,
    started: Option<oneshot::Sender<Store>>,
) -> Result<(), Failure> {
    let url = settings.database()?;
    let bus = settings.bus()?;
    let front = options.front.read().map_err(wrong_setting)?;
    let listener = tonghop_api::bind(options.listen).map_err(wrong_setting)?;
    let lock = ServiceLock::take(&url).map_err(|error| store_failure(&url, &error))?;
    let store = settings.open(&url).await?;
    if started.is_none() {
        provide_first(&url, &store).await?;
    }
    let stop = CancellationToken::new();
    let signalled = stop_on_signal(stop.clone()).map_err(failed)?;
    let (consuming, relaying) = (Health::default(), Health::default());
    let brokers = vec![("consumer", consuming.clone()), ("relay", relaying.clone())];
    let metrics = Metrics::new(&store, brokers);
    let aggregator = tonghop_aggregator::Settings {
        sweep_interval: Duration::from_millis(options.sweep_interval_ms),
    };
    let seal_file = seal_file(&url, options.audit_heads.clone());
    warn_without_head_file(seal_file.as_ref());
    // The workers end after the api, so that what was accepted last is still announced and refreshed.
    let workers_stop = CancellationToken::new();
    let serving = async {
        if let Some(started) = started {
            started.send(store.clone()).ok();
        }
        let gate = Gate::new(store.clone(), RateLimits::new(options.key_rate));
        let settings = tonghop_api::Settings {
            metrics: metrics.clone(),
            front,
        };
        let served = tonghop_api::serve(listener, gate, settings, stop.clone()).await;
        stop.cancel();
        store.close().await;
        workers_stop.cancel();
        served
    };
    tracing::info!(listen = %options.listen, database = %url, "serving");
    let (served, (), (), (), ()) = tokio::join!(
        serving,
        keep_sealed(&store, seal_file.as_ref(), &workers_stop),
        tonghop_aggregator::run(
            store.clone(),
            &bus,
            aggregator,
            &consuming,
            &metrics,
            &workers_stop
        ),
        relay(&store, &bus, store.outbox_changed(), &relaying, &workers_stop),
        signalled,
    );
    drop(lock);
    served.map_err(failed)
}

/// Ends the work on SIGTERM or SIGINT.
fn stop_on_signal(stop: CancellationToken) -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("stopping: SIGTERM"),
            _ = interrupt.recv() => tracing::info!("stopping: interrupted"),
            () = stop.cancelled() => {}
        }
        stop.cancel();
    })
}
