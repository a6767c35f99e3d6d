//! One file a subcommand.

pub(crate) mod audit;
pub(crate) mod config;
pub(crate) mod drift;
pub(crate) mod explain;
pub(crate) mod healthcheck;
pub(crate) mod keys;
pub(crate) mod leak_test;
pub(crate) mod migrate;
pub(crate) mod operation;
pub(crate) mod out;
pub(crate) mod plan;
pub(crate) mod policy;
pub(crate) mod report;
pub(crate) mod serve;
pub(crate) mod status;
pub(crate) mod template;
pub(crate) mod tenant;
pub(crate) mod token;
pub(crate) mod up;
