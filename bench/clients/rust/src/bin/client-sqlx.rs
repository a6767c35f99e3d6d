//! sqlx in the client matrix: `client-sqlx URL SCRIPT` (the script is not played: what is shown is what sqlx does by
//! itself: its type loading, its statement cache, its migrations with their lock).

use std::borrow::Cow;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use palisade_clients::emit;
use serde_json::{Value, json};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::{PgListener, PgPool, PgPoolCopyExt, PgPoolOptions};
use sqlx::types::Json;
use sqlx::{Column, Connection, Executor, Row, TypeInfo};

#[derive(Debug, Clone, Copy, PartialEq, sqlx::Type)]
#[sqlx(type_name = "bill_state", rename_all = "lowercase")]
enum State {
    New,
    Paid,
}

#[derive(Debug, sqlx::FromRow)]
struct Bill {
    id: i64,
    amount: i32,
    state: State,
    tags: Vec<String>,
    extra: Json<Value>,
    made: DateTime<Utc>,
}

type Outcome = Result<Value, sqlx::Error>;

fn migrator(failing: bool) -> Migrator {
    let step = |version, name: &'static str, sql: &'static str| {
        Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, Cow::Borrowed(sql), false)
    };
    let mut migrations = vec![
        step(1, "bills", "CREATE TYPE bill_state AS ENUM ('new', 'paid');
            CREATE TABLE bill (id bigserial PRIMARY KEY, amount int NOT NULL CHECK (amount >= 0), state bill_state NOT NULL DEFAULT 'new',
              tags text[] NOT NULL DEFAULT '{}', extra jsonb NOT NULL DEFAULT '{}', made timestamptz NOT NULL)"),
        step(2, "index", "CREATE INDEX bill_by_state ON bill (state)"),
    ];
    if failing {
        migrations.push(step(3, "fails", "CREATE TABLE lost (a int); SELECT 1 / 0"));
    }
    Migrator { migrations: Cow::Owned(migrations), ..Migrator::DEFAULT }
}

async fn migrations(pool: &PgPool) -> Outcome {
    migrator(false).run(pool).await.map_err(|e| sqlx::Error::Protocol(e.to_string()))?;
    migrator(false).run(pool).await.map_err(|e| sqlx::Error::Protocol(e.to_string()))?;
    let done = sqlx::query("SELECT version, description, success FROM _sqlx_migrations ORDER BY 1").fetch_all(pool).await?;
    Ok(done.iter().map(|r| json!([r.get::<i64, _>(0), r.get::<String, _>(1), r.get::<bool, _>(2)])).collect())
}

async fn failing_migration(pool: &PgPool) -> Outcome {
    let failed = migrator(true).run(pool).await.err().map(|e| e.to_string());
    let lost: Option<String> = sqlx::query_scalar("SELECT to_regclass('lost')::text").fetch_one(pool).await?;
    Ok(json!([failed, lost]))
}

async fn own_types(pool: &PgPool) -> Outcome {
    let mut out = Vec::new();
    for n in 0..5 {
        let state = if n % 2 == 0 { State::New } else { State::Paid };
        let made = DateTime::from_timestamp(1_700_000_000 + n, 0).unwrap_or_default();
        let bill: Bill = sqlx::query_as("INSERT INTO bill (amount, state, tags, extra, made) VALUES ($1, $2, $3, $4, $5) RETURNING *")
            .bind(n as i32 * 10).bind(state).bind(vec!["a,b".to_owned(), format!("\"{n}\"")]).bind(Json(json!({ "n": n }))).bind(made)
            .fetch_one(pool).await?;
        out.push(json!([bill.id, bill.amount, format!("{:?}", bill.state), bill.tags, bill.extra.0, bill.made.to_rfc3339()]));
    }
    Ok(out.into())
}

async fn array_of_own_type(pool: &PgPool) -> Outcome {
    let states: Vec<State> = sqlx::query_scalar("SELECT array_agg(state ORDER BY id) FROM bill").fetch_one(pool).await?;
    let found: i64 = sqlx::query_scalar("SELECT count(*) FROM bill WHERE state = ANY($1)").bind(&states[..2]).fetch_one(pool).await?;
    Ok(json!([format!("{states:?}"), found]))
}

async fn described(pool: &PgPool) -> Outcome {
    let described = pool.describe("SELECT id, amount, state, tags, extra, made FROM bill WHERE id = $1 AND state = $2").await?;
    let columns: Vec<Value> = described.columns.iter().zip(&described.nullable).map(|(c, may_be_null)| json!([c.name(), c.type_info().name(), may_be_null])).collect();
    Ok(json!([columns, described.parameters.map(|p| format!("{p:?}").len() > 0)]))
}

async fn transactions(pool: &PgPool) -> Outcome {
    let mut outer = pool.begin().await?;
    sqlx::query("UPDATE bill SET amount = amount + 1 WHERE id = 1").execute(&mut *outer).await?;
    let mut inner = outer.begin().await?;
    let failed = sqlx::query("UPDATE bill SET amount = -1").execute(&mut *inner).await.err().map(|e| error(&e));
    inner.rollback().await?;
    outer.commit().await?;
    let mut dropped = pool.begin().await?;
    sqlx::query("DELETE FROM bill").execute(&mut *dropped).await?;
    drop(dropped);
    let left: (i64, i64) = sqlx::query_as("SELECT count(*), sum(amount) FROM bill").fetch_one(pool).await?;
    Ok(json!([failed, left.0, left.1]))
}

async fn streamed(pool: &PgPool) -> Outcome {
    let mut rows = sqlx::query_scalar::<_, i32>("SELECT generate_series(1, 5000)").fetch(pool);
    let (mut count, mut sum) = (0, 0_i64);
    while let Some(n) = rows.try_next().await? {
        (count, sum) = (count + 1, sum + i64::from(n));
    }
    Ok(json!([count, sum]))
}

async fn several_statements(pool: &PgPool) -> Outcome {
    let done = pool.execute("CREATE TABLE two (a int); INSERT INTO two VALUES (1), (2); DROP TABLE two").await?;
    Ok(json!(done.rows_affected()))
}

async fn copied(pool: &PgPool) -> Outcome {
    pool.execute("CREATE TABLE copied (a int, b text)").await?;
    let mut copy = pool.copy_in_raw("COPY copied FROM STDIN").await?;
    copy.send(&b"1\tone\n2\ttwo\n"[..]).await?;
    let rows = copy.finish().await?;
    let out: Vec<u8> = pool.copy_out_raw("COPY copied TO STDOUT (FORMAT csv)").await?
        .try_fold(Vec::new(), |mut all, bytes| async move { all.extend_from_slice(&bytes); Ok(all) }).await?;
    Ok(json!([rows, String::from_utf8_lossy(&out)]))
}

async fn listened(pool: &PgPool) -> Outcome {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen("bills").await?;
    sqlx::query("SELECT pg_notify('bills', 'one')").execute(pool).await?;
    let heard = tokio::time::timeout(Duration::from_secs(5), listener.recv()).await.map_err(|_| sqlx::Error::PoolTimedOut)??;
    Ok(json!([heard.channel(), heard.payload()]))
}

async fn wrong(pool: &PgPool) -> Outcome {
    let mut out = Vec::new();
    for sql in ["SELECT * FROM nowhere", "SELEC 1", "INSERT INTO bill (id, amount, made) VALUES (1, 1, now())", "SELECT 1 / 0", "SELECT nope FROM bill"] {
        out.push(json!(sqlx::query(sql).execute(pool).await.err().map(|e| error(&e))));
    }
    Ok(out.into())
}

async fn pinged(pool: &PgPool) -> Outcome {
    let mut connection = pool.acquire().await?;
    connection.ping().await?;
    let cached = connection.cached_statements_size();
    connection.clear_cached_statements().await?;
    Ok(json!([cached > 0, connection.cached_statements_size()]))
}

fn error(e: &sqlx::Error) -> Value {
    match e.as_database_error() {
        Some(e) => json!([e.code(), e.message(), e.constraint(), e.table()]),
        None => json!(e.to_string()),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let url = std::env::args().nth(1).ok_or_else(|| anyhow::anyhow!("usage: client-sqlx URL SCRIPT"))?;
    let pool = PgPoolOptions::new().max_connections(3).connect(&url).await?;
    emit("migrations", migrations(&pool).await, error);
    emit("a migration that fails", failing_migration(&pool).await, error);
    emit("own types", own_types(&pool).await, error);
    emit("array of an own type", array_of_own_type(&pool).await, error);
    emit("described", described(&pool).await, error);
    emit("transactions", transactions(&pool).await, error);
    emit("streamed", streamed(&pool).await, error);
    emit("several statements", several_statements(&pool).await, error);
    emit("copied", copied(&pool).await, error);
    emit("listened", listened(&pool).await, error);
    emit("wrong", wrong(&pool).await, error);
    emit("pinged", pinged(&pool).await, error);
    pool.close().await;
    Ok(())
}
