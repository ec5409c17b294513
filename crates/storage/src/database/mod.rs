//! Access to the databases: addresses, connections and transactions, tables, statement builders and rights.

pub(crate) mod acting_as;
pub(crate) mod announcement;
pub(crate) mod backup;
pub(crate) mod clock;
pub(crate) mod connection;
pub(crate) mod pool;
pub(crate) mod postgres;
pub(crate) mod roles;
pub(crate) mod row_security;
pub(crate) mod schema;
pub(crate) mod service_lock;
pub(crate) mod sqlite_file;
pub(crate) mod sqlite_settings;
pub(crate) mod sqlstate;
pub(crate) mod transaction;
pub(crate) mod unnest;
pub(crate) mod url;
pub(crate) mod uuid;
pub(crate) mod watermark;
pub(crate) mod write_health;
pub(crate) mod write_probe;
