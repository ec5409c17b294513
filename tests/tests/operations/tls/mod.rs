//! What goes over the network is encrypted, and goes to nobody else than was meant.

mod dribbling;
mod https;
mod postgres;
mod rabbitmq;
mod raw;
mod reload;
