//! What both planes share: ids, physical names, secrets, the tenant snapshot, audit events. Pure: no socket, clock,
//! task or file.
//!
//! - [`address`]: whose a client's address is.
//! - [`ids`]: a newtype for every id, parsed at the edge.
//! - [`names`]: physical names in PostgreSQL, made from the tenant's id and nothing else.
//! - [`secrets`]: derived server passwords, client secrets and their SCRAM verifiers.
//! - [`snapshot`]: what the data plane needs to know about tenants.
//! - [`tls`]: how connections to PostgreSQL are encrypted, and what ties a login to them.
//! - [`audit`]: one event schema for both planes.

pub mod address;
pub mod audit;
pub mod ids;
pub mod names;
pub mod secrets;
pub mod snapshot;
pub mod tls;
