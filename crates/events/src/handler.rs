//! What acts on announcements, and what it decides about them.

use tonghop_domain::Announcement;

/// What happens to a batch of announcements after it was handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// It was acted on: remove it.
    Ack,
    /// It cannot be acted on now: deliver it again after a pause.
    Requeue,
    /// It can never be acted on: move it to the dead letters, where an operator can look at it.
    DeadLetter,
}

/// Acts on announcements. It never sees the broker, so tests can call it directly.
pub trait Handler: Send + Sync {
    /// Handles a batch, which is never empty and may repeat announcements of earlier batches.
    fn handle(&self, announcements: &[Announcement]) -> impl Future<Output = Disposition> + Send;
}
