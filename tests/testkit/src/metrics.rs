//! A scrape of `/metrics`, parsed strictly: input that Prometheus would reject is an error.

use std::collections::BTreeMap;

use crate::{Result, failed};

/// The samples of a scrape.
#[derive(Debug, Clone, Default)]
pub struct Metrics(Vec<Sample>);

/// A sample: name, labels, value.
#[derive(Debug, Clone, PartialEq)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Metrics {
    /// Parses the Prometheus text format.
    pub fn parse(text: &str) -> Result<Self> {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines
            .map(|line| sample(line).ok_or_else(|| failed("this line is not a Prometheus sample", line)))
            .collect::<Result<_>>()
            .map(Self)
    }

    /// Returns whether the metric has a sample; for a histogram, a bucket.
    pub fn has(&self, name: &str) -> bool {
        let bucket = format!("{name}_bucket");
        self.0.iter().any(|sample| sample.name == name || sample.name == bucket)
    }

    /// Returns the sum of the samples of a metric that have all of these labels; zero if there is none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.samples(name, labels).map(|sample| sample.value).sum()
    }

    /// Returns the values of a label over the samples of a metric.
    pub fn values_of(&self, name: &str, label: &str) -> Vec<String> {
        self.samples(name, &[])
            .filter_map(|sample| sample.labels.get(label).cloned())
            .collect()
    }

    fn samples<'a>(&'a self, name: &'a str, labels: &'a [(&str, &str)]) -> impl Iterator<Item = &'a Sample> {
        self.0.iter().filter(move |sample| {
            let has = |&(label, value): &(&str, &str)| sample.labels.get(label).is_some_and(|own| own == value);
            sample.name == name && labels.iter().all(has)
        })
    }
}

/// `name{label="value",…} 1.5`, with or without labels.
fn sample(line: &str) -> Option<Sample> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, labels_of(labels.strip_suffix('}')?)?),
        None => (series, BTreeMap::new()),
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    let value = match value {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        number => number.parse().ok()?,
    };
    let fits = !name.is_empty() && name.chars().all(is_name);
    fits.then(|| Sample {
        name: name.to_owned(),
        labels,
        value,
    })
}

fn labels_of(text: &str) -> Option<BTreeMap<String, String>> {
    let mut labels = BTreeMap::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, quoted) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut letters = quoted.char_indices();
        let end = loop {
            match letters.next()? {
                (at, '"') => break at,
                (_, '\\') => match letters.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (_, letter) => value.push(letter),
            }
        };
        labels.insert(name.to_owned(), value);
        rest = &quoted[end + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    Some(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_summed_by_labels() -> Result<()> {
        let text = "# HELP a b\n# TYPE a counter\na{t=\"x\",u=\"1\"} 2\na{t=\"x\",u=\"\\\"2,}\"} 3.5\na{t=\"y\"} 4\n\
                    h_bucket{le=\"+Inf\"} 7\nplain 1\n";
        let metrics = Metrics::parse(text)?;
        assert_eq!(metrics.sum("a", &[("t", "x")]), 5.5);
        assert_eq!(metrics.sum("a", &[]), 9.5);
        assert_eq!(metrics.values_of("a", "u"), ["1", "\"2,}"]);
        assert!(metrics.has("h") && metrics.has("plain") && !metrics.has("b"));
        Ok(())
    }

    #[test]
    fn input_that_prometheus_would_reject_is_an_error() {
        for line in ["a b", "{t=\"x\"} 1", "a{t=\"x} 1", "<html> 1"] {
            assert!(Metrics::parse(line).is_err(), "{line}");
        }
    }
}
