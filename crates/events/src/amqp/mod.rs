//! The bus over RabbitMQ: the only code that names lapin.

pub(crate) mod connection;
pub(crate) mod consumer;
pub(crate) mod dead_letters;
pub(crate) mod publisher;
pub(crate) mod reconnecting;
pub(crate) mod relay;
pub(crate) mod settings;
pub(crate) mod topology;
