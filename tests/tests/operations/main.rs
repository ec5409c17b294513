//! What an operator of the service meets: commands, backups, the audit trail, metrics, TLS, containers.

mod audit;
mod audit_verification;
mod backup;
mod broker_users;
mod commands;
mod containers;
mod damage;
mod monitoring;
mod national_scale;
mod proxies;
mod startup;
mod tls;
