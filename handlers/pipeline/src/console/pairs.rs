//! Names and values of a form or of the query of an address.

use url::form_urlencoded;

/// The pairs that have a value. Names may repeat.
#[derive(Debug, Clone, Default)]
pub(super) struct Pairs(Vec<(String, String)>);

impl Pairs {
    pub(super) fn parse(text: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(text).map(|(name, value)| (name.into_owned(), value.trim().to_owned()));
        Self(pairs.filter(|(_, value)| !value.is_empty()).collect())
    }

    /// Returns the pairs of the query of an address.
    pub(super) fn of_query(query: Option<&str>) -> Self {
        Self::parse(query.unwrap_or_default().as_bytes())
    }

    pub(super) fn one(name: &str, value: &str) -> Self {
        Self(vec![(name.to_owned(), value.to_owned())])
    }

    /// Sets the only value of a name.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.take(name);
        self.0.push((name.to_owned(), value.to_owned()));
    }

    /// Returns the first value of this name, or an empty text.
    pub(super) fn value(&self, name: &str) -> &str {
        self.iter()
            .find(|(found, _)| *found == name)
            .map_or("", |(_, value)| value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Removes all pairs of this name, and returns the first value.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let first = self
            .iter()
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value.to_owned());
        self.0.retain(|(found, _)| found != name);
        first
    }

    /// Returns them as the query of an address.
    pub(super) fn to_query(&self) -> String {
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&self.0)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_empty_ones_are_left_out() {
        let mut pairs = Pairs::parse(b"stage=download&category=&id=%3Cb%3E+x&id=second");
        assert_eq!((pairs.value("id"), pairs.value("category")), ("<b> x", ""));
        assert_eq!(pairs.take("id").as_deref(), Some("<b> x"));
        assert_eq!(pairs.take("id"), None);
        assert_eq!(pairs.to_query(), "stage=download");
    }
}
