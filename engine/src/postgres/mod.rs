//! PostgreSQL as the place of journal and archive: addresses, sessions with deadlines, tables, and the head row.

mod address;
pub(crate) mod connect;
pub(crate) mod head;
pub(crate) mod schema;
pub(crate) mod session;

pub use address::Address;
pub(crate) use connect::Caller;
