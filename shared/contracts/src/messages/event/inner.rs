//! The inner objects of an event: `payload`, `data`, or both.

use serde_json::value::RawValue;

use crate::json::{self, Kind, Object};

/// Names of the inner objects, in order of precedence.
const NAMES: [&str; 2] = ["payload", "data"];

/// The texts of the inner objects of an event. A field that the first one does not have is taken from the next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inner(Vec<String>);

/// The values that the objects were read from, with their names.
type Read<'a> = Vec<(&'static str, &'a RawValue)>;

impl Inner {
    /// Returns the inner objects, and the values that they were read from with their names. A value may be an object, or a
    /// string that holds one; null, blank strings, empty objects and values of another type give way to the next.
    ///
    /// # Errors
    /// If there is no object, and a value that should be one has another type.
    pub(super) fn read<'a>(object: &Object<'a>) -> Result<(Self, Read<'a>), String> {
        let mut texts = Vec::new();
        let mut read = Vec::new();
        let mut problem = None;
        let mut has_object = false;
        for name in NAMES {
            for value in object.all(&[name]) {
                match object_text(name, value) {
                    Ok(Some(text)) => {
                        has_object = true;
                        if !is_empty(&text) {
                            texts.push(text);
                            read.push((name, value));
                        }
                    }
                    Ok(None) => {}
                    Err(reason) => {
                        problem.get_or_insert(reason);
                    }
                }
            }
        }
        match problem {
            Some(reason) if !has_object => Err(reason),
            _ => Ok((Self(texts), read)),
        }
    }

    /// Returns the members of each object, in order of precedence.
    #[must_use]
    pub fn parse(&self) -> Vec<Object<'_>> {
        // Each is an object.
        let objects = self.0.iter().map(|text| Object::parse(text).unwrap_or_default());
        objects.collect()
    }
}

/// Whether the text of an object has no member.
fn is_empty(object: &str) -> bool {
    object
        .strip_prefix('{')
        .is_none_or(|rest| rest.trim_start().starts_with('}'))
}

/// Returns the text of the object that a value is or holds; `None` for null and blank strings.
fn object_text(name: &str, value: &RawValue) -> Result<Option<String>, String> {
    match Kind::of(value) {
        Kind::Object => Ok(Some(value.get().to_owned())),
        Kind::Null => Ok(None),
        Kind::String => {
            let text = json::string(value).unwrap_or_default();
            let text = json::readable(text.trim().as_bytes())
                .map_err(|reason| format!("{name} is a string that cannot be read: {reason}"))?;
            if text.trim().is_empty() {
                return Ok(None);
            }
            let inside: &RawValue =
                serde_json::from_str(&text).map_err(|error| format!("{name} is a string that is not JSON: {error}"))?;
            match Kind::of(inside) {
                Kind::Object => Ok(Some(inside.get().to_owned())),
                other => Err(format!("{name} is a string that holds {other}, not an object")),
            }
        }
        other => Err(format!("{name} is {other}, not an object")),
    }
}
