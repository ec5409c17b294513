//! Admits requests.

use std::net::IpAddr;
use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;
use tokio_util::sync::CancellationToken;
use tonghop_domain::Caller;
use tonghop_storage::{Store, StoreError};

use crate::audit_context::{AuditContext, Client, Operation};
use crate::audit_log::AuditLog;
use crate::audit_writer::AuditWriter;
use crate::authorized::AuthorizedStore;
use crate::feed::Feed;
use crate::key_cache::KeyCache;
use crate::key_rules::{KeyCreations, KeyRules};
use crate::rate_limit::{Quota, RateLimits};
use crate::refusal::{KeyRefusal, Refusal};
use crate::refused_lines::RefusalPace;
use crate::shares::{Holder, Resource, Share, ShareUsedUp, Shares};
use crate::token::Token;
use crate::waiters::Waiters;

/// How a caller identifies themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// Not at all.
    Missing,
    /// With something that is not written as keys are.
    Malformed,
    /// With the token of a key, which may be valid or not.
    Token(Token),
}

impl Credentials {
    /// The credentials in a text that should be a token.
    pub fn parse(text: &str) -> Self {
        text.parse().map_or(Self::Malformed, Self::Token)
    }
}

/// The one way into the store. Each process has one; clones share it.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    keys: KeyCache,
    limits: Arc<RateLimits>,
    audit: AuditLog,
    waiters: Waiters,
    feed: Feed,
    shares: Shares,
    key_creations: Arc<KeyCreations>,
    refusal_pace: Arc<RefusalPace>,
}

/// What must run beside a gate.
#[derive(Debug)]
pub struct GateTasks {
    gate: Gate,
    writer: AuditWriter,
}

impl Gate {
    /// A gate to a store, and the tasks that must run beside it.
    pub fn new(store: Store, limits: RateLimits, rules: KeyRules) -> (Self, GateTasks) {
        let (audit, queues) = AuditLog::new();
        let writer = AuditWriter::new(audit.clone(), queues, store.clone());
        let gate = Self(Arc::new(Inner {
            keys: KeyCache::new(store.clone()),
            waiters: Waiters::default(),
            feed: Feed::new(),
            shares: Shares::default(),
            key_creations: Arc::new(KeyCreations::new(rules)),
            refusal_pace: Arc::new(RefusalPace::new()),
            store,
            limits: Arc::new(limits),
            audit,
        }));
        let tasks = GateTasks {
            gate: gate.clone(),
            writer,
        };
        (gate, tasks)
    }

    /// Admits a connection from an address, for as long as the share is kept.
    ///
    /// # Errors
    /// The clients of the address have as many connections as they may.
    pub fn admit_connection(&self, address: IpAddr) -> Result<Share, ShareUsedUp> {
        let mut share = self.0.shares.of(Holder::at(address), Resource::Connections);
        share.take(1).map(|()| share)
    }

    /// Admits a request for a document that needs no key: waits for the turn of its address.
    ///
    /// # Errors
    /// The clients of the address have asked for more than they may.
    pub async fn admit_document(&self, address: Option<IpAddr>) -> Result<(), Refusal> {
        match address {
            Some(address) => self.0.limits.wait_for_document(&Holder::at(address)).await,
            None => Ok(()),
        }
    }

    /// Admits a request: checks its key, and counts it against the key's quota if there is a limit.
    ///
    /// # Errors
    /// The key is missing or not valid, its quota is used up, or keys could not be read. Refused changes are counted in
    /// the audit trail, under the key if there is one.
    pub async fn admit(
        &self,
        credentials: Credentials,
        client: Client,
        operation: Operation,
    ) -> Result<(AuthorizedStore, Option<Quota>), Refusal> {
        let admitted = self.identify(&credentials, &client).await;
        if let Err(refusal) = &admitted {
            self.count_refusal(refusal, &credentials, &client, &operation);
        }
        let (caller, quota) = admitted?;
        // A key that may not read figures may not use any operation of the OpenAPI document.
        let is_allowed = caller.role.reads() || operation.id.is_none();
        let context = AuditContext::new(client, operation, caller.key.clone());
        if !is_allowed {
            context.count_refusal(&self.0.audit, "forbidden");
            return Err(Refusal::Role);
        }
        let Inner {
            store,
            keys,
            audit,
            waiters,
            feed,
            shares,
            key_creations,
            refusal_pace,
            limits,
        } = &*self.0;
        let store = AuthorizedStore {
            store: store.on_behalf_of(&caller.key),
            keys: keys.clone(),
            audit: audit.clone(),
            waiters: waiters.clone(),
            feed: feed.clone(),
            shares: shares.clone(),
            key_creations: key_creations.clone(),
            refusal_pace: refusal_pace.clone(),
            limits: limits.clone(),
            caller,
            context,
        };
        Ok((store, quota))
    }

    async fn identify(
        &self,
        credentials: &Credentials,
        client: &Client,
    ) -> Result<(Caller, Option<Quota>), Refusal> {
        let token = match credentials {
            Credentials::Missing => return Err(Refusal::NoKey),
            Credentials::Malformed => return Err(Refusal::Key(KeyRefusal::Malformed)),
            Credentials::Token(token) => token,
        };
        let limits = &self.0.limits;
        let caller = self.0.keys.caller(token, client.address, limits).await?;
        let quota = limits.count_request(&caller.key)?;
        Ok((caller, quota))
    }

    fn count_refusal(
        &self,
        refusal: &Refusal,
        credentials: &Credentials,
        client: &Client,
        operation: &Operation,
    ) {
        let outcome = match refusal {
            Refusal::NoKey | Refusal::Key(KeyRefusal::Malformed | KeyRefusal::Unknown) => {
                self.rejected_without_key().inc();
                return;
            }
            Refusal::Key(_) => "invalid-key",
            Refusal::RateLimited { .. } => "rate-limited",
            _ => return,
        };
        if let Credentials::Token(token) = credentials
            && self.0.keys.contains(&token.id())
        {
            let context = AuditContext::new(client.clone(), operation.clone(), token.id());
            context.count_refusal(&self.0.audit, outcome);
        }
    }

    /// The counter of rejected requests without a valid key.
    pub fn rejected_without_key(&self) -> &Counter {
        self.0.audit.rejected_without_key()
    }

    /// Whether the database answers and accepts changes. Needs no key.
    ///
    /// # Errors
    /// It does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.0.store.ping().await
    }
}

impl GateTasks {
    /// Reads keys, changes, and totals that callers wait for until `stop`; writes the audit trail until `served`, when
    /// no request runs any more; and finally writes which keys were used.
    pub async fn run(self, stop: &CancellationToken, served: &CancellationToken) {
        let Inner {
            store,
            keys,
            limits,
            waiters,
            feed,
            key_creations,
            refusal_pace,
            ..
        } = &*self.gate.0;
        let forget_idle = || {
            limits.forget_idle();
            key_creations.forget_idle();
            refusal_pace.forget_idle();
        };
        tokio::join!(
            keys.run(forget_idle, stop),
            waiters.run(store, stop),
            feed.run(store, stop),
            self.writer.run(served),
        );
        keys.write_uses().await;
    }
}
