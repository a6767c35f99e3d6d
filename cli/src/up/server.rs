//! The database that both planes use: the private one, or one named by URL.

use anyhow::{Context, Result, bail};
use tokio_postgres::{Client, NoTls};

use crate::up::layout::Layout;
use crate::up::postgres::PrivatePostgres;
use crate::up::say;

/// The database that holds Palisade's tables and the tenants.
pub(crate) const DATABASE: &str = "palisade";
/// Oldest server that is supported, as `server_version_num` counts.
const OLDEST_SERVER: i32 = 140_000;

/// Where the database is, and the private cluster if it is ours to stop.
pub(crate) struct Server {
    /// The administrator's connection string.
    pub(crate) url: String,
    private: Option<PrivatePostgres>,
}

impl Server {
    /// Starts the private cluster, or checks the one that the URL names.
    pub(crate) fn open(layout: &Layout, url: Option<&str>) -> Result<Self> {
        if let Some(url) = url {
            block_on(check(url))?;
            say("using the PostgreSQL of --database-url");
            return Ok(Self { url: url.to_owned(), private: None });
        }
        let private = PrivatePostgres::start(layout)?;
        if let Err(error) = block_on(create_database(&private.url("postgres"))) {
            // Nothing else uses it yet; a stop that fails too says nothing new.
            let _ = private.stop();
            return Err(error);
        }
        Ok(Self { url: private.url(DATABASE), private: Some(private) })
    }

    /// Host and port, and the database, as the proxy needs them.
    pub(crate) fn address(&self) -> Result<(String, String)> {
        let config: tokio_postgres::Config = self.url.parse().context("the database's connection string")?;
        let host = match config.get_hosts().first() {
            Some(tokio_postgres::config::Host::Tcp(host)) => host.clone(),
            _ => bail!("the database's connection string must name a TCP host"),
        };
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let database = config.get_dbname().context("the database's connection string names no database")?;
        Ok((format!("{host}:{port}"), database.to_owned()))
    }

    /// Stops the private cluster.
    pub(crate) fn stop(&self) -> Result<()> {
        match &self.private {
            Some(private) => private.stop().context("stopping PostgreSQL"),
            None => Ok(()),
        }
    }
}

fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting a runtime")?
        .block_on(future)
}

/// Connects; the connection's task ends with the client.
pub(crate) async fn connect(url: &str) -> Result<Client> {
    let (client, connection) =
        tokio_postgres::connect(url, NoTls).await.context("connecting to PostgreSQL")?;
    tokio::spawn(connection);
    Ok(client)
}

async fn create_database(url: &str) -> Result<()> {
    let client = connect(url).await?;
    let found = client.query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&DATABASE]).await?;
    if found.is_none() {
        client
            .batch_execute(&format!("CREATE DATABASE {DATABASE} TEMPLATE template0 ENCODING 'UTF8'"))
            .await?;
    }
    Ok(())
}

/// Says in one sentence what is missing on a server of the user's own.
async fn check(url: &str) -> Result<()> {
    let client = connect(url).await?;
    let row = client
        .query_one(
            "SELECT current_setting('server_version_num')::int, current_setting('server_version'),
                    r.rolsuper, pg_get_userbyid(d.datdba), current_user::text, pg_encoding_to_char(d.encoding)::text
             FROM pg_database d, pg_roles r WHERE d.datname = current_database() AND r.rolname = current_user",
            &[],
        )
        .await?;
    let (number, version): (i32, String) = (row.get(0), row.get(1));
    if number < OLDEST_SERVER {
        bail!("PostgreSQL {version} is too old; 14 or newer is needed");
    }
    if !row.get::<_, bool>(2) {
        bail!(
            "the role \"{}\" is not a superuser; this release needs one, to hide the catalog from tenants (docs/operations.md lists the rights)",
            row.get::<_, String>(4)
        );
    }
    let encoding: String = row.get(5);
    if encoding != "UTF8" {
        bail!("the database's encoding is {encoding}; UTF8 is needed");
    }
    Ok(())
}
