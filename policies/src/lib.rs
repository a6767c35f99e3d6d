//! Palisade's SQL wall: read, judge, rewrite. Pure: no socket, clock, task or file.
//!
//! ```text
//! text ─ limits ─▶ read::read ─▶ Reading ─▶ judge::Judge::judge ─▶ Verdict
//!                   │    │                    (casbin, memo)        ├ Permit { rewritten text, effects, rules }
//!        grammar (libpg_query)                                      └ Denial { SQLSTATE, PostgreSQL's words, reason }
//!                   └ witness (sqlparser)
//! ```
//!
//! - [`access`]: what a statement names, each with its action, spelling and place in the text.
//! - [`effect`]: what a statement does to the session.
//! - [`limits`]: the named limits that hold before any parser sees a text.
//! - [`read`]: text to [`read::Reading`], by two independent readers.
//! - [`explain`]: the same for people who ask why.
//! - [`judge`]: policy (casbin) over accesses; a denial is in PostgreSQL's own words.
//! - [`rewrite`]: byte patches in the original text, never a re-print.
//! - [`privileges`]: the same policy as PostgreSQL's own grants, the second wall.
//! - [`names`]: what PostgreSQL itself owns: catalog relations and functions, and how each is treated.
//!
//! Invariants: nothing here reads tables of another tenant by name; an unknown node, statement, function or class is
//! a denial; a permit's text, read again, has exactly the permitted accesses.

pub mod access;
pub mod effect;
pub mod explain;
pub mod judge;
pub mod limits;
pub mod names;
pub mod privileges;
pub mod read;
pub mod rewrite;
pub mod settings;
pub mod verdict;

pub use access::{Access, Action, Class, Place, Reader};
pub use effect::Effect;
pub use explain::{Explanation, explain, shape};
pub use judge::{Fault, Judge, Namespace, Observed, PolicyError};
pub use limits::Limits;
pub use privileges::{Privileges, privileges};
pub use read::{ReadError, Reading, Statement};
pub use verdict::{Denial, Patch, Permit, Reason, Verdict};
