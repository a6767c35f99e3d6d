//! What each kind of step does in tokio-postgres.

use crate::param::Param;
use crate::show;
use anyhow::Context;
use futures::future::{BoxFuture, FutureExt, join_all, poll_fn};
use futures::{SinkExt, TryStreamExt, pin_mut};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Config, Error, NoTls, Notification};

/// How long a cancelled statement runs before it is cancelled.
const BEFORE_CANCEL: Duration = Duration::from_millis(500);
/// Longest wait for a notification.
const NOTIFICATION_WAIT: Duration = Duration::from_secs(5);

#[derive(Default)]
struct Heard {
    notices: Vec<Value>,
    notifications: Vec<Notification>,
}

/// One connection that plays steps, and what it heard between them.
pub(crate) struct Player {
    config: Config,
    client: Client,
    heard: Arc<Mutex<Heard>>,
}

type Played = Result<Value, Error>;

async fn open(config: &Config, heard: Arc<Mutex<Heard>>) -> Result<Client, Error> {
    let (client, mut connection) = config.connect(NoTls).await?;
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
            let mut heard = heard.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            match message {
                AsyncMessage::Notice(notice) => heard.notices.push(show::fields(&notice)),
                AsyncMessage::Notification(n) => heard.notifications.push(n),
                _ => {}
            }
        }
    });
    Ok(client)
}

fn parameters(step: &Value) -> Vec<Param> {
    step["params"].as_array().map(|all| all.iter().cloned().map(Param).collect()).unwrap_or_default()
}

fn borrowed(params: &[Param]) -> Vec<&(dyn ToSql + Sync)> {
    params.iter().map(|p| p as &(dyn ToSql + Sync)).collect()
}

fn text<'a>(step: &'a Value, key: &str) -> &'a str {
    step[key].as_str().unwrap_or("")
}

fn or_error(played: Played) -> Value {
    played.unwrap_or_else(|e| json!({ "error": show::error(&e) }))
}

impl Player {
    /// Connects with a URL.
    pub(crate) async fn open(url: &str) -> anyhow::Result<Self> {
        let config: Config = url.parse().context("the URL is not a connection string")?;
        let heard = Arc::new(Mutex::new(Heard::default()));
        Ok(Self { client: open(&config, Arc::clone(&heard)).await?, config, heard })
    }

    /// The notices that came since the last call.
    pub(crate) fn take_notices(&self) -> Vec<Value> {
        std::mem::take(&mut self.heard.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).notices)
    }

    /// Plays one step; an error is an outcome.
    pub(crate) fn step<'a>(&'a mut self, step: &'a Value) -> BoxFuture<'a, Value> {
        async move {
            or_error(match text(step, "op") {
                "query" => self.query(step).await,
                "simple" => self.client.simple_query(text(step, "sql")).await.map(|m| show::messages(&m)),
                "repeat" => self.repeat(step).await,
                "tx" => self.transaction(step, 0).await,
                "cursor" => self.cursor(step).await,
                "copy_in" => self.copy_in(step).await,
                "copy_out" => self.copy_out(step).await,
                "pipeline" => Ok(self.pipeline(step).await),
                "notify" => self.notify(step).await,
                "cancel" => Ok(self.cancel(step).await),
                "connect" => self.connect(step).await,
                other => Ok(json!({ "skipped": other })),
            })
        }
        .boxed()
    }

    async fn query(&self, step: &Value) -> Played {
        let params = parameters(step);
        let sql = text(step, "sql");
        let statement = self.client.prepare(sql).await?;
        if statement.columns().is_empty() {
            let count = self.client.execute(&statement, &borrowed(&params)).await?;
            return Ok(json!({ "count": count, "takes": types(&statement) }));
        }
        let mut found = show::rows(&self.client.query(&statement, &borrowed(&params)).await?);
        found["takes"] = types(&statement);
        Ok(found)
    }

    async fn repeat(&self, step: &Value) -> Played {
        let statement = self.client.prepare(text(step, "sql")).await?;
        let mut each = Vec::new();
        for params in step["params"].as_array().into_iter().flatten() {
            let params = parameters(&json!({ "params": params }));
            each.push(or_error(
                self.client.query(&statement, &borrowed(&params)).await.map(|r| show::rows(&r)),
            ));
        }
        Ok(json!({ "each": each }))
    }

    async fn transaction(&mut self, step: &Value, depth: usize) -> Played {
        let (open, commit, rollback) = match depth {
            0 => ("BEGIN".to_owned(), "COMMIT".to_owned(), "ROLLBACK".to_owned()),
            n => (format!("SAVEPOINT s{n}"), format!("RELEASE s{n}"), format!("ROLLBACK TO s{n}")),
        };
        self.client.batch_execute(&open).await?;
        let mut inner = Vec::new();
        for one in step["steps"].as_array().into_iter().flatten() {
            let outcome = match text(one, "op") {
                "tx" => or_error(Box::pin(self.transaction(one, depth + 1)).await),
                _ => self.step(one).await,
            };
            inner.push(json!([one["name"], outcome]));
        }
        let end = if text(step, "end") == "commit" { commit } else { rollback };
        let ended = or_error(self.client.simple_query(&end).await.map(|m| show::messages(&m)));
        Ok(json!({ "steps": inner, "end": ended }))
    }

    async fn cursor(&mut self, step: &Value) -> Played {
        let transaction = self.client.transaction().await?;
        let portal = transaction.bind(text(step, "sql"), &[]).await?;
        let batch = i32::try_from(step["batch"].as_i64().unwrap_or(1)).unwrap_or(1);
        let most = step["batches"].as_u64().unwrap_or(u64::MAX);
        let mut batches = Vec::new();
        loop {
            let rows = transaction.query_portal(&portal, batch).await?;
            if rows.is_empty() || batches.len() as u64 >= most {
                break;
            }
            batches.push(show::rows(&rows));
        }
        transaction.commit().await?;
        Ok(json!({ "batches": batches }))
    }

    async fn copy_in(&self, step: &Value) -> Played {
        let sink = self.client.copy_in(text(step, "sql")).await?;
        pin_mut!(sink);
        for line in text(step, "data").split_inclusive('\n') {
            sink.send(bytes::Bytes::copy_from_slice(line.as_bytes())).await?;
        }
        Ok(json!({ "count": sink.finish().await? }))
    }

    async fn copy_out(&self, step: &Value) -> Played {
        let parts: Vec<bytes::Bytes> = self.client.copy_out(text(step, "sql")).await?.try_collect().await?;
        Ok(json!({ "data": String::from_utf8_lossy(&parts.concat()) }))
    }

    /// All at once, as tokio-postgres pipelines futures that are polled together.
    async fn pipeline(&self, step: &Value) -> Value {
        let queries = step["queries"].as_array().into_iter().flatten();
        let each = join_all(queries.map(|q| self.query(q))).await;
        each.into_iter().map(or_error).collect()
    }

    async fn notify(&self, step: &Value) -> Played {
        let channel = text(step, "channel");
        self.client.batch_execute(&format!("LISTEN \"{channel}\"")).await?;
        let other = open(&self.config, Arc::default()).await?;
        other.execute("SELECT pg_notify($1, $2)", &[&channel, &text(step, "payload")]).await?;
        let started = Instant::now();
        while self.notifications(false).is_empty() && started.elapsed() < NOTIFICATION_WAIT {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.client.batch_execute(&format!("UNLISTEN \"{channel}\"")).await?;
        Ok(json!({ "notifications": self.notifications(true) }))
    }

    fn notifications(&self, take: bool) -> Vec<Value> {
        let mut heard = self.heard.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let found = heard.notifications.iter().map(|n| json!([n.channel(), n.payload()])).collect();
        if take {
            heard.notifications.clear();
        }
        found
    }

    async fn cancel(&self, step: &Value) -> Value {
        let token = self.client.cancel_token();
        let started = Instant::now();
        let canceller = async {
            tokio::time::sleep(BEFORE_CANCEL).await;
            token.cancel_query(NoTls).await
        };
        let (outcome, cancelled) = tokio::join!(self.query(step), canceller);
        json!({ "outcome": or_error(outcome), "sent": cancelled.is_ok(), "soon": started.elapsed() < Duration::from_secs(10) })
    }

    async fn connect(&self, step: &Value) -> Played {
        let mut config = self.config.clone();
        if let Some(password) = step["password"].as_str() {
            config.password(password);
        }
        if let Some(database) = step["database"].as_str() {
            config.dbname(database);
        }
        if let Some(options) = step["options"].as_str() {
            config.options(options);
        }
        let other = open(&config, Arc::default()).await?;
        let sql = step["sql"].as_str().unwrap_or("SELECT 1");
        Ok(show::messages(&other.simple_query(sql).await?))
    }
}

fn types(statement: &tokio_postgres::Statement) -> Value {
    statement.params().iter().map(|t| t.name().to_owned()).collect()
}
