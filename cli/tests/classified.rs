//! What the server itself has in its own schemas is on the lists in `policies/data`: every function, relation and type. The
//! server is the one that the installation finds; `bench/versions/run.sh` lets it be PostgreSQL 14 to 18 in turn.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and prints what it counted"
)]

mod common;

use common::{Installation, connect};
use palisade_policies::names;
use tokio_postgres::Client;

async fn names_of(client: &Client, sql: &str) -> Vec<(String, String)> {
    client.query(sql, &[]).await.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// Those of a kind that no list knows.
fn unknown(what: &str, all: &[(String, String)], is_known: impl Fn(&str, &str) -> bool) -> Vec<String> {
    println!("{} {what}", all.len());
    let missing = all.iter().filter(|(schema, name)| !is_known(schema, name));
    missing.map(|(schema, name)| format!("{what}: {schema}.{name}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_the_server_has_of_its_own_is_classified() {
    let palisade = Installation::start("classified", false);
    let admin = connect(&palisade.env()["PALISADE_DATABASE_URL"]).await;
    let version = names_of(&admin, "SELECT '', current_setting('server_version')").await;
    println!("PostgreSQL {}", version[0].1);
    let functions = "SELECT DISTINCT 'pg_catalog', proname::text FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace";
    let relations = "SELECT n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname IN ('pg_catalog', 'information_schema') AND c.relkind IN ('r', 'v', 'm')";
    // Arrays of a catalog's rows are on no list: nobody needs them, and what is on none is refused.
    let types =
        "SELECT 'pg_catalog', typname::text FROM pg_type t WHERE typnamespace = 'pg_catalog'::regnamespace
        AND NOT EXISTS (SELECT FROM pg_type e WHERE e.oid = t.typelem AND e.typrelid <> 0)";
    let functions = names_of(&admin, functions).await;
    assert!(functions.len() > 2500, "the server has PostgreSQL's functions");
    let mut missing = unknown("functions", &functions, |_, name| names::is_classified_function(name));
    missing.extend(unknown("relations", &names_of(&admin, relations).await, names::is_classified_relation));
    missing.extend(unknown("types", &names_of(&admin, types).await, |_, name| names::is_catalog_type(name)));
    assert!(missing.is_empty(), "not classified:\n{}", missing.join("\n"));
}
