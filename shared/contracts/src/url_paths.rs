//! `IGNORED_URL_PATHS`: places in events where URLs are known not to be attachments.

/// JSON paths as in [`crate::messages::Irregularities`], such as `$.payload.links.self`. A `*` at the end matches any rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UrlPaths(Vec<String>);

impl UrlPaths {
    /// Reads a comma-separated list.
    ///
    /// # Errors
    /// The entry that is not a path.
    pub fn parse(list: &str) -> Result<Self, String> {
        let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let paths = entries.map(|entry| match entry.strip_prefix("$.") {
            Some(rest) if !rest.is_empty() => Ok(entry.to_owned()),
            _ => Err(entry.to_owned()),
        });
        Ok(Self(paths.collect::<Result<_, _>>()?))
    }

    /// Whether a path is one of these.
    #[must_use]
    pub fn contains(&self, path: &str) -> bool {
        self.0.iter().any(|known| match known.strip_suffix('*') {
            // `[*]` is the index of a list.
            Some(beginning) if !known.ends_with("[*") => path.starts_with(beginning),
            _ => path == known,
        })
    }

    /// Returns those of the paths that are not in this list.
    pub fn others<'p>(&self, paths: &'p [String]) -> impl Iterator<Item = &'p str> {
        paths.iter().map(String::as_str).filter(|path| !self.contains(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_whole_or_beginnings() {
        let known = UrlPaths::parse(" $.payload.links.self, $.schema*,$.files[*].icon,,").unwrap();
        for path in ["$.payload.links.self", "$.schema", "$.schemas.a", "$.files[*].icon"] {
            assert!(known.contains(path), "{path}");
        }
        for path in "$.payload.links.self2 $.payload.links $.files[*].icons $.files".split(' ') {
            assert!(!known.contains(path), "{path}");
        }
        assert!(!UrlPaths::default().contains("$.a"));
        for wrong in ["payload.links", "$", "$.", "$.a,b"] {
            assert!(UrlPaths::parse(wrong).is_err(), "{wrong}");
        }
    }
}
