//! The sending end of a bus, as the relay sees it.

use tonghop_domain::Envelope;
use uuid::Uuid;

/// Publishes announcements and knows which of them can no longer be lost.
pub trait Publish: Sync {
    /// Publishes a window and returns the ids of the announcements that the bus has confirmed. The others may or may not
    /// have arrived, and must be kept.
    fn publish(&self, window: &[Envelope]) -> impl Future<Output = Vec<Uuid>> + Send;

    /// Whether another window can be published. If not, a new connection is needed.
    fn is_usable(&self) -> bool;
}
