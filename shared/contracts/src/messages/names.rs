//! Field names in another case than snake case.

use serde_json::{Map, Value};

/// Renames the fields of an object to snake case: `MediaId` and `mediaID` become `media_id`. A field that exists in snake
/// case as well keeps its value. Returns `None` for a value that is not an object or needs no renaming.
pub(super) fn in_snake_case(value: Value) -> Option<Value> {
    let Value::Object(object) = value else { return None };
    if object.keys().all(|name| snake_case(name) == *name) {
        return None;
    }
    let mut renamed = Map::new();
    let (snake, others): (Vec<_>, Vec<_>) = object.into_iter().partition(|(name, _)| snake_case(name) == *name);
    for (name, value) in snake.into_iter().chain(others) {
        renamed.entry(snake_case(&name)).or_insert(value);
    }
    Some(Value::Object(renamed))
}

fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    let mut is_after_lower = false;
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && is_after_lower {
            snake.push('_');
        }
        is_after_lower = letter.is_ascii_lowercase() || letter.is_ascii_digit();
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_become_snake_case_and_snake_case_wins() {
        let value = json!({"MediaId": 1, "media_id": 2, "TRACE_ID": 3, "blobPath": 4, "Sha256": 5, "mediaID": 6});
        let expected = json!({"media_id": 2, "trace_id": 3, "blob_path": 4, "sha256": 5});
        assert_eq!(in_snake_case(value), Some(expected.clone()));
        assert_eq!(in_snake_case(expected), None);
        assert_eq!(in_snake_case(json!([1])), None);
    }
}
