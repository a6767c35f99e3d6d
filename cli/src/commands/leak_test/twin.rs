//! The private database whose answers a tenant's must equal: one ordinary role that owns the schema `public`.

use anyhow::{Context, Result};
use palisade_proof::Address;

use super::plain::execute;

/// A database of its own in the cluster of an administrator's connection string.
pub(super) struct Private {
    admin: String,
    pub(super) address: Address,
}

impl Private {
    pub(super) fn make(url: &str) -> Result<Self> {
        let config: tokio_postgres::Config = url.parse().context("--twin must be a connection string")?;
        let run = rand::random::<u32>();
        let address = Address {
            host: super::place(&config).context("--twin")?,
            user: format!("twin_owner_{run:08x}"),
            password: format!("{:032x}", rand::random::<u128>()),
            database: format!("twin_{run:08x}"),
        };
        let private = Self { admin: url.to_owned(), address };
        private.prepare().inspect_err(|_| drop(private.delete()))?;
        Ok(private)
    }

    fn prepare(&self) -> Result<()> {
        let Address { user, password, database, .. } = &self.address;
        execute(&self.admin, None, &format!("CREATE ROLE {user} LOGIN PASSWORD '{password}'"))?;
        execute(&self.admin, None, &format!("CREATE DATABASE {database} TEMPLATE template0"))?;
        let sql = format!(
            "REVOKE ALL ON DATABASE {database} FROM PUBLIC; GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {user};
             ALTER SCHEMA public OWNER TO {user}"
        );
        execute(&self.admin, Some(database), &sql)
    }

    pub(super) fn delete(&self) -> Result<()> {
        let Address { user, database, .. } = &self.address;
        execute(&self.admin, None, &format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"))?;
        execute(&self.admin, None, &format!("DROP ROLE IF EXISTS {user}"))
    }
}
