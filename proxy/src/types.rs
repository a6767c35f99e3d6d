//! The types that a client gives to a statement's parameters by number (Parse). PostgreSQL lets anybody name any type of
//! the database that way, and then tells its columns and labels.

use std::collections::HashSet;

use palisade_policies::names;
use parking_lot::Mutex;

/// Numbers below this are of the types that PostgreSQL was made with (`FirstNormalObjectId`).
const FIRST_OWN: u32 = 16_384;
/// Most types of one login that are remembered as its tenant's; beyond it they are asked for again.
const REMEMBERED: usize = 4_096;

/// A type that must be named in the statement itself, where its values are looked at.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TypeName(pub(crate) &'static str);

/// What is known of one login's types.
#[derive(Default)]
pub(crate) struct Types {
    permitted: Mutex<HashSet<u32>>,
}

impl Types {
    /// The types of a Parse (count and numbers) that PostgreSQL must be asked about.
    ///
    /// # Errors
    /// A type that is shown as a name: none may be given by number.
    pub(crate) fn ask(&self, types: &[u8]) -> Result<Vec<u32>, TypeName> {
        let numbers = types.get(2..).unwrap_or_default().chunks_exact(4);
        let numbers = numbers.map(|bytes| u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
        let mut unknown = Vec::new();
        for number in numbers {
            if let Some(name) = names::object_type(number) {
                return Err(TypeName(name));
            }
            if number >= FIRST_OWN && !unknown.contains(&number) && !self.permitted.lock().contains(&number) {
                unknown.push(number);
            }
        }
        Ok(unknown)
    }

    /// PostgreSQL said that these are the tenant's.
    pub(crate) fn permit(&self, types: Vec<u32>) {
        if types.is_empty() {
            return;
        }
        let mut permitted = self.permitted.lock();
        if permitted.len() + types.len() > REMEMBERED {
            permitted.clear();
        }
        permitted.extend(types);
    }

    /// Definitions have changed: a number may be another type's one day.
    pub(crate) fn forget(&self) {
        self.permitted.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(numbers: &[u32]) -> Vec<u8> {
        let count = u16::try_from(numbers.len()).unwrap_or_default();
        let mut bytes = count.to_be_bytes().to_vec();
        numbers.iter().for_each(|number| bytes.extend_from_slice(&number.to_be_bytes()));
        bytes
    }

    #[test]
    fn unknown_types_are_asked_for_once() {
        let types = Types::default();
        for (numbers, want) in [
            (&[][..], Ok(vec![])),
            (&[0, 23, 25, 1043], Ok(vec![])),
            (&[23, 18_000, 18_000, 18_001], Ok(vec![18_000, 18_001])),
            (&[23, 2205], Err(TypeName("regclass"))),
            (&[1008], Err(TypeName("regproc"))),
        ] {
            assert_eq!(types.ask(&message(numbers)), want, "{numbers:?}");
        }
        types.permit(vec![18_000]);
        assert_eq!(types.ask(&message(&[18_000, 18_001])), Ok(vec![18_001]));
        types.forget();
        assert_eq!(types.ask(&message(&[18_000])), Ok(vec![18_000]));
    }
}
