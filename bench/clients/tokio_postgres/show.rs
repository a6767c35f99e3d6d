//! What values, results and errors look like in a transcript.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::error::Error;
use tokio_postgres::types::{FromSql, Kind, Type};
use tokio_postgres::{Row, SimpleQueryMessage};

/// Longer values, in bytes, are shown by length and digest.
const LONG: usize = 2000;
/// More rows than these are shown by number and digest.
const MANY: usize = 200;
/// From here on oids are the installation's own.
const OWN_OIDS: u32 = 16384;

/// A value's bytes as the server sent them, with their type.
struct Raw(Value);

impl<'a> FromSql<'a> for Raw {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let readable = [Type::TEXT, Type::NAME, Type::VARCHAR, Type::JSON].contains(ty)
            || matches!(ty.kind(), Kind::Enum(_));
        Ok(Self(match std::str::from_utf8(raw) {
            Ok(text) if readable => short(text),
            _ => short(&format!("{} {}", named(ty), data_encoding::HEXLOWER.encode(raw))),
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(Value::Null))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

fn named(ty: &Type) -> String {
    if ty.oid() < OWN_OIDS { ty.name().to_owned() } else { format!("own {}", ty.name()) }
}

fn digest(text: &str) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(text.as_bytes()))
}

/// A text, or its length and digest.
pub(crate) fn short(text: &str) -> Value {
    if text.len() <= LONG { text.into() } else { format!("{} bytes, {}", text.len(), digest(text)).into() }
}

fn few(rows: Vec<Value>) -> Value {
    if rows.len() <= MANY {
        return rows.into();
    }
    let number = rows.len();
    json!({ "rows": number, "digest": digest(&Value::from(rows).to_string()) })
}

/// Rows with their columns' names and types.
pub(crate) fn rows(found: &[Row]) -> Value {
    let columns: Vec<Value> = found
        .first()
        .map_or(&[][..], Row::columns)
        .iter()
        .map(|c| json!([c.name(), named(c.type_())]))
        .collect();
    let values = found
        .iter()
        .map(|row| {
            (0..row.len())
                .map(|i| row.try_get::<_, Raw>(i).map_or_else(|e| e.to_string().into(), |r| r.0))
                .collect()
        })
        .collect();
    json!({ "columns": columns, "rows": few(values) })
}

/// What a simple query answered, in order.
pub(crate) fn messages(found: &[SimpleQueryMessage]) -> Value {
    let each = found.iter().map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            (0..row.len()).map(|i| row.get(i).map_or(Value::Null, short)).collect()
        }
        SimpleQueryMessage::CommandComplete(count) => json!({ "complete": count }),
        SimpleQueryMessage::RowDescription(columns) => columns.iter().map(|c| c.name().to_owned()).collect(),
        _ => "a message that this client does not know".into(),
    });
    few(each.collect())
}

/// The fields of an error that people see and programs ask for.
pub(crate) fn error(e: &tokio_postgres::Error) -> Value {
    let Some(db) = e.as_db_error() else {
        return json!({ "client": format!("{e}: {:?}", e.source().map(ToString::to_string)) });
    };
    fields(db)
}

/// The same of a notice.
pub(crate) fn fields(db: &tokio_postgres::error::DbError) -> Value {
    json!({
        "severity": db.severity(), "code": db.code().code(), "message": db.message(), "detail": db.detail(), "hint": db.hint(),
        "position": db.position().map(|p| format!("{p:?}")), "where": db.where_(), "schema": db.schema(), "table": db.table(),
        "column": db.column(), "datatype": db.datatype(), "constraint": db.constraint(),
    })
}
