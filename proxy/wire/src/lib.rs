//! The PostgreSQL protocol as the proxy needs it: frames, startup, SCRAM, errors. Pure: no socket, clock or task.
//!
//! - [`frame`]: headers in place, with limits.
//! - [`startup`]: the startup packet and its parameters.
//! - [`scram`]: the server's side of SCRAM-SHA-256 against a stored verifier.
//! - [`error`]: ErrorResponse and NoticeResponse: made, taken apart, put together.
//!
//! Source: the protocol chapter of PostgreSQL's manual ("Message Formats").

pub mod error;
pub mod frame;
pub mod scram;
pub mod startup;
