//! How answers are shown: tables for people, JSON for scripts.

use std::io::{ErrorKind, Read, Write};

use anyhow::{Context, Result};
use serde_json::Value;

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 64 << 10;

/// A JSON value as plain text: strings without quotes, null as nothing.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Prints a value as indented JSON.
pub(crate) fn print_json(value: &Value) -> Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Prints bytes as they come. Ends the process quietly where the reader has gone; what breaks off on our side is an error.
pub(crate) fn pour(mut from: impl Read, broke_off: &'static str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let length = from.read(&mut chunk).context(broke_off)?;
        let Some(read) = chunk.get(..length).filter(|read| !read.is_empty()) else {
            return Ok(out.flush()?);
        };
        match out.write_all(read) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
            written => written.context("writing to the standard output")?,
        }
    }
}

/// Prints rows below a head, each column as wide as its widest cell.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([head[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &[String]| {
        let padded: Vec<String> =
            cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        println!("{}", padded.join("  ").trim_end());
    };
    line(&head.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>());
    for row in rows {
        line(row);
    }
}

/// The array below a key, or nothing.
pub(crate) fn items<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}
