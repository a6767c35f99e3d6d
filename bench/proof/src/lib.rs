//! Attacks a running installation the way a hostile tenant would, and decides by what comes back on the wire, not by what
//! the code believes.
//!
//! - `lab`: what the victims have: every kind of object carries a token that nobody else has.
//! - `oracle`: tokens in what the attacker received. Pure.
//! - `wire`: a raw client; every byte that it receives goes past the oracle.
//! - `generate`: hostile SQL by grammar and spelling; `mutate`: the corpus, changed; `garble`: the protocol itself.
//! - `smith`: SQLsmith as a tenant, behind a relay.
//! - `twin`: the same statements to a private database, whose answers must be equal.
//! - `victim`: goes on working meanwhile, and looks at its own state before and after.
//! - `run`: all attackers for a time; `shrink`: the smallest text that still leaks.
//! - `report`: what was attacked, how often and what leaked; signed, as JSON and HTML.
//!
//! Everything that is random comes from one seed: the same seed makes the same statements for each attacker, though what
//! meets what in time differs.

mod garble;
mod generate;
mod lab;
mod mutate;
mod oracle;
mod report;
mod run;
mod shrink;
mod smith;
mod twin;
mod victim;
mod wire;

pub use lab::{Lab, Tokens};
pub use oracle::{Finding, Oracle};
pub use report::{Leak, Outcome, Report, Verified, html, signed, verify};
pub use run::{Attacker, Options, Progress, run};
pub use twin::{Compared, Difference, Pair, compare};
pub use wire::{Address, log_in};
