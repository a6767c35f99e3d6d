//! ErrorResponse and NoticeResponse.

use crate::frame::{c_string, message};

/// The fields of an error or notice, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(Vec<(u8, String)>);

impl Fields {
    /// An error with the fields that every error has.
    #[must_use]
    pub fn new(severity: &str, sqlstate: &str, text: &str) -> Self {
        let fields = [(b'S', severity), (b'V', severity), (b'C', sqlstate), (b'M', text)];
        Self(fields.into_iter().map(|(tag, value)| (tag, value.to_owned())).collect())
    }

    /// Adds a field where there is a value.
    #[must_use]
    pub fn with(mut self, tag: u8, value: Option<&str>) -> Self {
        self.0.extend(value.map(|value| (tag, value.to_owned())));
        self
    }

    /// Gives a field that is there another value.
    #[must_use]
    pub fn replaced(mut self, tag: u8, value: &str) -> Self {
        for (_, old) in self.0.iter_mut().filter(|(t, _)| *t == tag) {
            value.clone_into(old);
        }
        self
    }

    /// Takes a message's body apart; `None` where it is not one.
    #[must_use]
    pub fn read(mut body: &[u8]) -> Option<Self> {
        let mut fields = Vec::new();
        loop {
            let (&tag, rest) = body.split_first()?;
            if tag == 0 {
                return Some(Self(fields));
            }
            let (value, rest) = c_string(rest)?;
            fields.push((tag, String::from_utf8_lossy(value).into_owned()));
            body = rest;
        }
    }

    /// A field's value.
    #[must_use]
    pub fn get(&self, tag: u8) -> Option<&str> {
        self.0.iter().find(|(t, _)| *t == tag).map(|(_, value)| value.as_str())
    }

    /// Changes every field's value, or takes the field out where the answer is `None`.
    pub fn map(&mut self, change: impl Fn(u8, &str) -> Option<String>) {
        self.0 = self.0.drain(..).filter_map(|(tag, value)| Some((tag, change(tag, &value)?))).collect();
    }

    /// The whole message: `E` for an error, `N` for a notice.
    #[must_use]
    pub fn message(&self, tag: u8) -> Vec<u8> {
        let mut body = Vec::new();
        for (field, value) in &self.0 {
            body.push(*field);
            // A zero byte would end the field early.
            body.extend(value.bytes().filter(|b| *b != 0));
            body.push(0);
        }
        body.push(0);
        message(tag, &body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_read_back() {
        let made = Fields::new("ERROR", "42P01", "relation \"x\" does not exist")
            .with(b'H', Some("a\0b"))
            .with(b'D', None);
        let bytes = made.message(b'E');
        let read = Fields::read(&bytes[5..]).unwrap();
        assert_eq!((read.get(b'C'), read.get(b'H'), read.get(b'D')), (Some("42P01"), Some("ab"), None));
        assert_eq!(Fields::read(b"Sabc"), None);
    }
}
