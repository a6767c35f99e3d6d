//! The comparison: plain PostgreSQL with one role and one schema for each tenant, nothing granted to others.

use anyhow::{Context, Result};
use palisade_proof::{Address, Lab, Tokens};
use rand::SeedableRng;
use rand::rngs::StdRng;

/// A database of its own in the cluster of an administrator's connection string.
pub(super) struct Plain {
    admin: String,
    database: String,
    tenants: Vec<(Lab, Address)>,
}

impl Plain {
    pub(super) fn make(url: &str, number: u8, seed: u64) -> Result<Self> {
        let config: tokio_postgres::Config = url.parse().context("--compare must be a connection string")?;
        let host = super::place(&config).context("--compare")?;
        let run = rand::random::<u32>();
        let database = format!("leak_plain_{run:08x}");
        let mut rng = StdRng::seed_from_u64(seed ^ 2);
        let mut tenants = Vec::new();
        for index in 0..number {
            let letters: String = (0..20).map(|_| char::from(b'a' + rand::random::<u8>() % 26)).collect();
            let schema = format!("t_{letters}");
            let lab = Lab {
                slug: format!("plain-{run:08x}-{index}"),
                space: schema.clone(),
                tokens: Tokens::random(&mut rng),
                schema: schema.clone(),
            };
            let password = format!("{:032x}", rand::random::<u128>());
            let address = Address {
                host: host.clone(),
                user: format!("{schema}_owner"),
                password,
                database: database.clone(),
            };
            tenants.push((lab, address));
        }
        let plain = Self { admin: url.to_owned(), database, tenants };
        plain.prepare().inspect_err(|_| drop(plain.delete()))?;
        Ok(plain)
    }

    pub(super) fn tenants(&self) -> Vec<(Lab, Address)> {
        self.tenants.clone()
    }

    /// What the best of plain roles and grants does.
    fn prepare(&self) -> Result<()> {
        let roles: String = self
            .tenants
            .iter()
            .map(|(_, a)| format!("CREATE ROLE {} LOGIN PASSWORD '{}'; ", a.user, a.password))
            .collect();
        execute(&self.admin, None, &roles)?;
        execute(&self.admin, None, &format!("CREATE DATABASE {}", self.database))?;
        let mut sql = format!(
            "REVOKE ALL ON DATABASE {} FROM PUBLIC; REVOKE ALL ON SCHEMA public FROM PUBLIC; ",
            self.database
        );
        for (lab, address) in &self.tenants {
            let (schema, role, database) = (&lab.schema, &address.user, &self.database);
            sql.push_str(&format!(
                "GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {role}; CREATE SCHEMA {schema} AUTHORIZATION {role};
                 ALTER ROLE {role} SET search_path = {schema}; CREATE TABLE {schema}.users (id int); ALTER TABLE {schema}.users OWNER TO {role}; "
            ));
        }
        execute(&self.admin, Some(&self.database), &sql)
    }

    /// Removes what a run has made, so that another can make it.
    pub(super) fn empty(&self) -> Result<()> {
        execute(&self.admin, None, &format!("DROP DATABASE {} WITH (FORCE)", self.database))?;
        let roles: String = self.tenants.iter().map(|(_, a)| format!("DROP ROLE {}; ", a.user)).collect();
        execute(&self.admin, None, &roles)?;
        self.prepare()
    }

    pub(super) fn delete(&self) -> Result<()> {
        execute(&self.admin, None, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.database))?;
        let roles: String =
            self.tenants.iter().map(|(_, a)| format!("DROP ROLE IF EXISTS {}; ", a.user)).collect();
        execute(&self.admin, None, &roles)
    }
}

/// Runs statements as the administrator.
pub(super) fn execute(url: &str, database: Option<&str>, sql: &str) -> Result<()> {
    let mut config: tokio_postgres::Config = url.parse()?;
    if let Some(database) = database {
        config.dbname(database);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (client, connection) =
            config.connect(tokio_postgres::NoTls).await.context("connecting as the administrator")?;
        let driven = tokio::spawn(connection);
        client.batch_execute(sql).await?;
        drop(client);
        let _ = driven.await;
        Ok(())
    })
}
