//! The script's parameters, in the binary form of the type that the server asks for.

use bytes::{BufMut, BytesMut};
use serde_json::Value;
use std::error::Error;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

/// One parameter of the script: `{"t": type, "v": value}` or `{"t": "text", "repeat": [part, times]}`.
#[derive(Debug)]
pub(crate) struct Param(pub(crate) Value);

type Sent = Result<IsNull, Box<dyn Error + Sync + Send>>;

impl ToSql for Param {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Sent {
        if let Some([part, times]) = self.0["repeat"].as_array().map(Vec::as_slice) {
            let times = usize::try_from(times.as_u64().unwrap_or(0))?;
            return part.as_str().unwrap_or("").repeat(times).to_sql(ty, out);
        }
        match &self.0["v"] {
            Value::Null => Ok(IsNull::Yes),
            value => put(value, ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

fn put(value: &Value, ty: &Type, out: &mut BytesMut) -> Sent {
    match *ty {
        Type::INT2 => i16::try_from(integer(value)?)?.to_sql(ty, out),
        Type::INT4 => i32::try_from(integer(value)?)?.to_sql(ty, out),
        Type::INT8 => integer(value)?.to_sql(ty, out),
        Type::FLOAT8 => value.as_f64().ok_or("not a number")?.to_sql(ty, out),
        Type::BOOL => value.as_bool().ok_or("not a boolean")?.to_sql(ty, out),
        Type::JSON | Type::JSONB => value.to_sql(ty, out),
        Type::NUMERIC => numeric(text(value)?, out),
        Type::BYTEA => data_encoding::HEXLOWER.decode(text(value)?.as_bytes())?.to_sql(ty, out),
        Type::UUID => {
            out.put_slice(&data_encoding::HEXLOWER.decode(text(value)?.replace('-', "").as_bytes())?);
            Ok(IsNull::No)
        }
        Type::DATE => date(text(value)?, out),
        Type::TIMESTAMPTZ => instant(text(value)?, out),
        Type::INT4_ARRAY => list(value)?
            .iter()
            .map(integer)
            .map(|n| Ok(i32::try_from(n?)?))
            .collect::<Result<Vec<_>, Box<dyn Error + Sync + Send>>>()?
            .to_sql(ty, out),
        Type::TEXT_ARRAY => list(value)?.iter().map(text).collect::<Result<Vec<_>, _>>()?.to_sql(ty, out),
        // Text and the installation's own enums are sent as their characters.
        _ => {
            out.put_slice(text(value)?.as_bytes());
            Ok(IsNull::No)
        }
    }
}

fn text(value: &Value) -> Result<&str, Box<dyn Error + Sync + Send>> {
    value.as_str().ok_or_else(|| "not a text".into())
}

fn list(value: &Value) -> Result<&Vec<Value>, Box<dyn Error + Sync + Send>> {
    value.as_array().ok_or_else(|| "not a list".into())
}

fn integer(value: &Value) -> Result<i64, Box<dyn Error + Sync + Send>> {
    match value {
        Value::String(s) => Ok(s.parse()?),
        other => other.as_i64().ok_or_else(|| "not an integer".into()),
    }
}

/// PostgreSQL's binary numeric: groups of four decimal digits around the point.
fn numeric(digits: &str, out: &mut BytesMut) -> Sent {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let scale = u16::try_from(fraction.len())?;
    let padded = format!("{:0>1$}", whole, whole.len().div_ceil(4) * 4)
        + &format!("{:0<1$}", fraction, fraction.len().div_ceil(4) * 4);
    let groups = padded
        .as_bytes()
        .chunks(4)
        .map(|c| Ok(std::str::from_utf8(c)?.parse()?))
        .collect::<Result<Vec<u16>, Box<dyn Error + Sync + Send>>>()?;
    out.put_u16(u16::try_from(groups.len())?);
    out.put_u16(u16::try_from(whole.len().div_ceil(4))?.wrapping_sub(1));
    out.put_u16(0);
    out.put_u16(scale);
    groups.iter().for_each(|g| out.put_u16(*g));
    Ok(IsNull::No)
}

/// Days since 2000-01-01, from `YYYY-MM-DD` of the Gregorian calendar.
fn days(date: &str) -> Result<i64, Box<dyn Error + Sync + Send>> {
    let mut parts = date.splitn(3, '-').map(str::parse::<i64>);
    let (year, month, day) =
        (parts.next().ok_or("no year")??, parts.next().ok_or("no month")??, parts.next().ok_or("no day")??);
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let from_year_0 =
        365 * y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + (153 * m + 2) / 5 + day - 1;
    Ok(from_year_0 - 730_425)
}

fn date(text: &str, out: &mut BytesMut) -> Sent {
    out.put_i32(i32::try_from(days(text)?)?);
    Ok(IsNull::No)
}

/// Microseconds since 2000-01-01 UTC, from `YYYY-MM-DDThh:mm:ss.ffffff+00:00`.
fn instant(text: &str, out: &mut BytesMut) -> Sent {
    let (day, rest) = text.split_once('T').ok_or("no time")?;
    let time = rest.strip_suffix("+00:00").ok_or("not UTC")?;
    let (clock, micros) = time.split_once('.').unwrap_or((time, "0"));
    let seconds = clock.split(':').try_fold(0, |sum, part| part.parse::<i64>().map(|n| sum * 60 + n))?;
    out.put_i64((days(day)? * 86_400 + seconds) * 1_000_000 + format!("{micros:0<6}").parse::<i64>()?);
    Ok(IsNull::No)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_count_from_2000() {
        for (date, expected) in [
            ("2000-01-01", 0),
            ("2000-03-01", 60),
            ("1999-12-31", -1),
            ("2024-02-29", 8825),
            ("1815-12-10", -67_227),
        ] {
            assert_eq!(days(date).unwrap(), expected, "{date}");
        }
    }

    #[test]
    fn numerics_are_groups_of_four_digits() {
        let mut out = BytesMut::new();
        numeric("12345.678", &mut out).unwrap();
        assert_eq!(&out[..], [0, 3, 0, 1, 0, 0, 0, 3, 0, 1, 0x09, 0x29, 0x1a, 0x7c]);
    }
}
