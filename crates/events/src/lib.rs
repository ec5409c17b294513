//! Carries announcements from the outbox to whoever refreshes totals, over RabbitMQ or inside one process.
//!
//! An announcement is a hint: losing, doubling or reordering some can delay a total and never change it. So this
//! crate may give up on a message, never on a connection. [`relay`] moves announcements from an
//! [`Outbox`](tonghop_domain::Outbox) to a [`Bus`] and settles those the bus has confirmed; [`consume`] hands them in
//! batches to a [`Judge`]. Both run until they are told to stop and reconnect by themselves. What nobody could act upon
//! lies among the [`DeadLetters`], to be looked at and dropped.
//!
//! This is the only crate that names lapin. It knows nothing of SQL, HTTP or how totals are made.
//!
//! ```
//! use tonghop_domain::Announcement;
//! use tonghop_events::{Bus, Health, Judge, Verdict, consume};
//! use tokio_util::sync::CancellationToken;
//!
//! struct Refresh;
//!
//! impl Judge for Refresh {
//!     async fn judge(&self, news: &[Announcement]) -> Verdict {
//!         // Read again whatever the news says may be stale.
//!         if news.is_empty() { Verdict::Poison } else { Verdict::Done }
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let stop = CancellationToken::new();
//! # stop.cancel();
//! consume(&Bus::in_process(), &Refresh, &Health::default(), &stop).await;
//! # });
//! ```

mod back_off;
mod bus;
mod cloud_event;
mod consumer;
mod dead_letters;
mod health;
mod in_process;
mod line;
mod link;
mod publisher;
mod relay;
mod settings;
mod topology;

pub use bus::{Bus, Judge, Verdict, consume, relay};
pub use cloud_event::{Unreadable, decode, encode};
pub use dead_letters::{DeadLetter, DeadLetters, DeadLettersError, Death};
pub use health::{Health, Queued};
pub use in_process::InProcess;
pub use relay::{Interrupted, Publish, Windows};
pub use settings::{AmqpSettings, InvalidAmqpAuthority, InvalidAmqpUrl};
