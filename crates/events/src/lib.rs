//! Carries announcements from the outbox to the code that refreshes totals, over RabbitMQ or inside one process.
//!
//! An announcement is a hint: losing, duplicating or reordering some can delay a total and never change it. So this
//! crate may give up on a message, but never on a connection. [`relay`] moves announcements from an
//! [`Outbox`](tonghop_domain::Outbox) to a [`Bus`] and settles those that the bus has confirmed; [`consume`] passes them in
//! batches to a [`Handler`]. Both reconnect by themselves and run until they are stopped. Messages that could not be acted
//! on go to the [`DeadLetters`], where an operator can list and drop them.
//!
//! This is the only crate that names lapin. It knows nothing of SQL, HTTP or how totals are made.
//!
//! ```
//! use tonghop_domain::Announcement;
//! use tonghop_events::{Bus, Disposition, Handler, Health, consume};
//! use tokio_util::sync::CancellationToken;
//!
//! struct Refresh;
//!
//! impl Handler for Refresh {
//!     async fn handle(&self, announcements: &[Announcement]) -> Disposition {
//!         // Refresh the totals that may be stale.
//!         if announcements.is_empty() { Disposition::DeadLetter } else { Disposition::Ack }
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let stop = CancellationToken::new();
//! # stop.cancel();
//! consume(&Bus::in_process(), &Refresh, &Health::default(), &stop).await;
//! # });
//! ```

mod amqp;
mod back_off;
mod bus;
mod cloud_event;
mod handler;
mod health;
mod in_process;
mod outbox_drain;
mod publish;

pub use amqp::dead_letters::{DeadLetter, DeadLetters, DeadLettersError, Death};
pub use amqp::settings::{AmqpSettings, InvalidAmqpCa, InvalidAmqpUrl};
pub use bus::{Bus, consume, relay};
pub use cloud_event::{DecodeError, decode, encode};
pub use handler::{Disposition, Handler};
pub use health::{Health, QueueDepths};
pub use in_process::InProcess;
pub use outbox_drain::{Interrupted, OutboxDrain};
pub use publish::Publish;
