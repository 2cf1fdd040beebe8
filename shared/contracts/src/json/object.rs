//! A JSON object whose members are found by name and returned as they are written.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::value::{Text, text_of};

/// The members of a JSON object in their order, including repeated names.
#[derive(Debug, Default)]
pub struct Object<'a>(Vec<(Text<'a>, &'a RawValue)>);

/// Members that objects of real events have at most, as a rule.
const USUAL_MEMBERS: usize = 8;

impl<'a> Object<'a> {
    /// Reads the members of an object.
    ///
    /// # Errors
    /// When the text is not a JSON object.
    pub fn parse(json: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }

    /// Returns the members in their order.
    pub fn members(&self) -> impl ExactSizeIterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (&*name.0, *value))
    }

    /// Returns the values of any of these names, best match first: exact names in the order given, then names that differ only in
    /// case and underscores. Of a repeated name, the later value comes first.
    pub fn all<'o>(&'o self, names: &'o [&str]) -> impl Iterator<Item = &'a RawValue> + 'o {
        let of = |is_wanted: fn(&str, &str) -> bool| {
            names.iter().flat_map(move |wanted| {
                let members = self.0.iter().rev();
                members.filter(move |(name, _)| is_wanted(&name.0, wanted))
            })
        };
        let exact = of(|name, wanted| name == wanted);
        let similar = of(|name, wanted| name != wanted && is_same_name(name, wanted));
        exact.chain(similar).map(|(_, value)| *value)
    }

    /// Returns the first text among [`Self::all`].
    #[must_use]
    pub fn text(&self, names: &[&str]) -> Option<String> {
        self.all(names).find_map(text_of)
    }
}

/// Whether two names differ only in case and underscores: `assignment_id`, `assignmentId`, `AssignmentID`.
#[must_use]
pub fn is_same_name(one: &str, other: &str) -> bool {
    let letters = |name| {
        str::bytes(name)
            .filter(|byte| *byte != b'_')
            .map(|byte| byte.to_ascii_lowercase())
    };
    letters(one).eq(letters(other))
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut members = Vec::with_capacity(USUAL_MEMBERS);
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Object(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exact_name_comes_before_a_similar_one_and_a_later_value_before_an_earlier() {
        let object =
            Object::parse(r#"{"TraceId":1,"trace_id":2,"traceId":3,"trace_id":4,"other":5,"TRACE_ID":6}"#).unwrap();
        let found: Vec<&str> = object.all(&["trace_id", "traceId"]).map(RawValue::get).collect();
        assert_eq!(found[..3], ["4", "2", "3"]);
        assert_eq!(object.text(&["trace_id"]).as_deref(), Some("4"));
        assert_eq!(object.text(&["tr_ace_iD"]).as_deref(), Some("6"));
        assert_eq!(object.text(&["traceids"]), None);
    }

    #[test]
    fn numbers_keep_their_digits() {
        let object = Object::parse(r#"{"a": 123456789012345678901, "b": 0.10, "c": 1e400, "d": -0}"#).unwrap();
        let texts = ["a", "b", "c", "d"].map(|name| object.text(&[name]).unwrap());
        assert_eq!(texts, ["123456789012345678901", "0.10", "1e400", "-0"]);
    }
}
