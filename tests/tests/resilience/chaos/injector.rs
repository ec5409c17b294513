//! Causes faults, and measures how long the service needs to recover from each.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::time::sleep;
use tonghop_tests::{FORM, PERIOD, PROVINCE};

use super::clients::{CLIENTS, Request, Traffic};
use super::faults::{Episode, Fault, Kind, Reach};
use super::site::{Part, Site};

/// The unit and the indicator that are reported to each api process after a fault. No other client reports them, so the
/// province's total of each equals the last report.
const PROBES: [(&str, &str); 2] = [("87-SLDTBXH", "TT.PANO"), ("87-TTBTXH", "TT.APPHICH")];
/// The timeout of a request, longer than any deadline of the service.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// A wait that takes longer has hung.
const RECOVERY_LIMIT: Duration = Duration::from_secs(20);

pub(crate) struct Injector<'a> {
    pub(crate) site: &'a Site,
    pub(crate) traffic: &'a Traffic,
}

impl Injector<'_> {
    /// Causes the faults of an episode and returns when the last of them ended.
    pub(crate) async fn strike(&self, episode: &Episode) -> Instant {
        let second = async {
            match &episode.second {
                None => None,
                Some((wait, fault)) => {
                    sleep(*wait).await;
                    Some(self.strike_once(fault).await)
                }
            }
        };
        let (first, second) = tokio::join!(self.strike_once(&episode.first), second);
        second.map_or(first, |second| first.max(second))
    }

    /// Causes one fault from its beginning to its end.
    async fn strike_once(&self, fault: &Fault) -> Instant {
        let (database, broker) = (&self.site.database, &self.site.broker);
        let parts: Vec<&Part> = match fault.reach {
            Reach::One(at) => vec![&self.site.parts[at]],
            Reach::All => self.site.parts.iter().collect(),
        };
        let lasts = sleep(fault.lasts);
        match fault.kind {
            Kind::KillApi | Kind::KillAggregator => {
                parts[0].kill();
                lasts.await;
                return parts[0].run().await;
            }
            Kind::FreezeApi | Kind::FreezeAggregator => {
                parts[0].signal("STOP");
                lasts.await;
                parts[0].signal("CONT");
            }
            Kind::RestartDatabase | Kind::KillDatabase => {
                match fault.kind {
                    Kind::RestartDatabase => database.stop().await,
                    _ => database.kill().await,
                }
                lasts.await;
                database.restart().await;
            }
            Kind::RestartBroker | Kind::KillBroker => {
                match fault.kind {
                    Kind::RestartBroker => broker.stop().await,
                    _ => broker.kill().await,
                }
                lasts.await;
                broker.restart().await;
            }
            Kind::BrokerAlarm => {
                broker.raise_alarm().await;
                lasts.await;
                broker.end_alarm().await;
            }
            Kind::CutDatabase | Kind::StallDatabase | Kind::HalfOpenDatabase => {
                let links: Vec<_> = parts.iter().map(|part| &part.to_database).collect();
                break_links(&links, fault.kind, lasts).await;
            }
            Kind::CutBroker | Kind::StallBroker | Kind::HalfOpenBroker => {
                let links: Vec<_> = parts.iter().map(|part| &part.to_broker).collect();
                break_links(&links, fault.kind, lasts).await;
            }
            Kind::Duplicates => {
                self.traffic.twice.store(true, Ordering::Relaxed);
                lasts.await;
                self.traffic.twice.store(false, Ordering::Relaxed);
            }
        }
        Instant::now()
    }

    /// Waits until each api process has accepted a report and serves the province's total with it, while the clients
    /// continue. Returns how long after `ended` the slower process did.
    pub(crate) async fn recover(&self, ended: Instant, number: usize) -> Duration {
        tokio::join!(self.probe(0, ended, number), self.probe(1, ended, number));
        ended.elapsed()
    }

    async fn probe(&self, api: usize, ended: Instant, number: usize) {
        let (unit, indicator) = PROBES[api];
        let request = Request {
            sender: CLIENTS + api,
            key: format!("probe-{api}-{number}"),
            unit,
            indicator,
            value: number as i64,
        };
        let hangs = |what: &str| {
            assert!(
                ended.elapsed() < RECOVERY_LIMIT,
                "{what} by api {api} after {RECOVERY_LIMIT:?}"
            );
            sleep(Duration::from_millis(20))
        };
        let answer = loop {
            match self.traffic.send(api, &request, ANSWER_LIMIT).await {
                Some(answer) => break answer,
                None => hangs("no report was taken").await,
            }
        };
        let path = format!("/v1/totals?form={FORM}&period={PERIOD}&unit={PROVINCE}&indicator={indicator}");
        loop {
            let totals = self.traffic.read(api, &path).await.unwrap_or(Value::Null);
            if totals["totals"][0]["value"] == request.value {
                return request.answered(self.traffic, answer);
            }
            hangs("the province's total is not served with the report").await;
        }
    }
}

/// Applies one kind of fault to several connections at once.
async fn break_links(links: &[&tonghop_testkit::FaultProxy], kind: Kind, lasts: impl Future<Output = ()>) {
    match kind {
        Kind::HalfOpenDatabase | Kind::HalfOpenBroker => {
            return links.iter().for_each(|link| link.half_open());
        }
        Kind::CutDatabase | Kind::CutBroker => links.iter().for_each(|link| link.cut()),
        _ => links.iter().for_each(|link| link.stall()),
    }
    lasts.await;
    links.iter().for_each(|link| link.restore());
}
