//! TLS: connections are encrypted and lead to the intended server.

mod https;
mod postgres;
mod rabbitmq;
mod raw;
mod reload;
mod slow_clients;
