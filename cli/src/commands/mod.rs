//! One file a subcommand.

pub(crate) mod audit;
pub(crate) mod config;
pub(crate) mod explain;
pub(crate) mod healthcheck;
pub(crate) mod keys;
pub(crate) mod serve;
pub(crate) mod tenant;
pub(crate) mod token;
pub(crate) mod up;
