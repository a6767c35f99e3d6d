//! The audit trail's evidence. Pure: no sockets, clocks, tasks or files.
//!
//! Every event of both planes gets a number in one log, in the order in which the events reach the catalog. The log is a
//! Merkle tree (RFC 6962, section 2.1), and its head is signed from time to time ([`Checkpoint`], a C2SP signed note).
//! Whoever has kept a checkpoint can tell whether anything before it was changed, removed, inserted, reordered or cut off.
//!
//! - `canonical`: an event as the bytes that are hashed.
//! - `merkle`: the tree, as the few hashes that it can be continued from.
//! - `checkpoint`: the signed head.
//! - `check`: what is wrong with a log.
//! - `bundle`: a log as a file, for whoever checks it elsewhere.
//! - `export`: events in the formats of other tools.

mod bundle;
mod canonical;
mod check;
mod checkpoint;
mod export;
mod merkle;

pub use bundle::{BUNDLE_VERSION, Header, Line, Summary, parse};
pub use canonical::leaf;
pub use check::{Checker, Fault, RETIRE, Report, Retired, Row};
pub use checkpoint::{Checkpoint, CheckpointError, Key, PublicKey};
pub use export::{Format, Writer};
pub use merkle::{Hash, Tree};
