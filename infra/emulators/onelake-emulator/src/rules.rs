//! Rules: which requests have a fault. They are set over `/__admin/faults` or
//! [`OneLake::add_fault`](crate::OneLake::add_fault).

use std::fmt::Display;
use std::str::FromStr;

use axum::http::{HeaderMap, Method};
use parking_lot::Mutex;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::faults::Fault;
use crate::verbs::{Protocol, Verb};

/// A fault, the requests that match, and which of those have the fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What goes wrong.
    #[serde(with = "text")]
    pub fault: Fault,
    /// Only requests of this method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Only requests of this verb.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_text")]
    pub verb: Option<Verb>,
    /// Only requests in this protocol. With `cut-before`, its host seems unreachable.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_text")]
    pub protocol: Option<Protocol>,
    /// Only paths with this prefix, decoded and without an account: `/claims/Lake.Lakehouse/Files/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Number of matching requests without the fault at the beginning.
    #[serde(default)]
    pub skip: u64,
    /// Number of faults after which the rule ends. Default: one, or no end with `every`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// Only every nth matching request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<u64>,
    /// `Retry-After` of `throttled` and `unavailable`, in seconds.
    #[serde(default = "one")]
    pub retry_after_seconds: u64,
    /// The delay of `slow`, in milliseconds.
    #[serde(default)]
    pub delay_ms: u64,
}

fn one() -> u64 {
    1
}

impl Rule {
    /// Affects the next request.
    #[must_use]
    pub fn new(fault: Fault) -> Self {
        Self {
            fault,
            method: None,
            verb: None,
            protocol: None,
            path: None,
            skip: 0,
            times: None,
            every: None,
            retry_after_seconds: 1,
            delay_ms: 0,
        }
    }

    /// Affects the next request of this verb.
    #[must_use]
    pub fn on(fault: Fault, verb: Verb) -> Self {
        Self {
            verb: Some(verb),
            ..Self::new(fault)
        }
    }

    /// Affects the next `times` requests instead of one.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// Affects every nth request, without an end.
    #[must_use]
    pub fn every(mut self, every: u64) -> Self {
        self.every = Some(every);
        self
    }

    /// Only requests in this protocol.
    #[must_use]
    pub fn over(mut self, protocol: Protocol) -> Self {
        self.protocol = Some(protocol);
        self
    }

    /// Only paths with this prefix.
    #[must_use]
    pub fn below(mut self, path: &str) -> Self {
        self.path = Some(path.to_owned());
        self
    }

    /// Returns why the rule is not valid.
    pub(crate) fn validation_error(&self) -> Option<&'static str> {
        if self.every == Some(0) || self.times == Some(0) {
            return Some("`every` and `times` count from 1");
        }
        let method = self.method.as_deref().unwrap_or("GET");
        let error = Method::from_bytes(method.as_bytes()).err();
        error.map(|_| "`method` is not an HTTP method")
    }

    fn matches(&self, request: &RequestFacts<'_>) -> bool {
        let is_method = |wanted: &str| wanted.eq_ignore_ascii_case(request.method.as_str());
        let is_below = |wanted: &str| request.paths.iter().any(|path| path.starts_with(wanted));
        self.fault.applies_to(request.headers)
            && self.method.as_deref().is_none_or(is_method)
            && self.verb.is_none_or(|wanted| wanted == request.verb)
            && self.protocol.is_none_or(|wanted| wanted == request.protocol)
            && self.path.as_deref().is_none_or(is_below)
    }
}

/// What rules compare in a request.
pub(crate) struct RequestFacts<'a> {
    pub(crate) method: &'a Method,
    pub(crate) protocol: Protocol,
    pub(crate) verb: Verb,
    pub(crate) headers: &'a HeaderMap,
    /// The path as requested, and with the names in the folder.
    pub(crate) paths: [&'a str; 2],
}

/// A value as its text.
mod text {
    use super::*;

    pub(super) fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// An optional value as its text.
mod optional_text {
    use super::*;

    pub(super) fn serialize<T: Display, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
        value.as_ref().map(T::to_string).serialize(serializer)
    }

    pub(super) fn deserialize<'de, T, D>(from: D) -> Result<Option<T>, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        let parsed = Option::<String>::deserialize(from)?.map(|text| text.parse());
        parsed.transpose().map_err(D::Error::custom)
    }
}

/// A rule that has not ended.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ActiveRule {
    pub(crate) id: u64,
    #[serde(flatten)]
    pub(crate) rule: Rule,
    /// Requests that matched.
    pub(crate) matched: u64,
    /// Requests that had the fault.
    pub(crate) hit: u64,
}

impl ActiveRule {
    /// Counts a matching request, and returns whether it has the fault.
    fn count_match(&mut self) -> bool {
        self.matched += 1;
        let Some(index) = self.matched.checked_sub(self.rule.skip + 1) else {
            return false;
        };
        let is_turn = self.rule.every.is_none_or(|every| (index + 1) % every == 0);
        self.hit += u64::from(is_turn);
        is_turn
    }

    fn has_ended(&self) -> bool {
        let times = self.rule.times.or(self.rule.every.is_none().then_some(1));
        times.is_some_and(|times| self.hit >= times)
    }
}

/// The active rules, oldest first.
#[derive(Default)]
pub(crate) struct Rules(Mutex<(u64, Vec<ActiveRule>)>);

impl Rules {
    /// Adds a rule, and returns its number for [`remove`](Self::remove).
    pub(crate) fn add(&self, rule: Rule) -> u64 {
        let mut rules = self.0.lock();
        rules.0 += 1;
        let id = rules.0;
        let (matched, hit) = (0, 0);
        rules.1.push(ActiveRule { id, rule, matched, hit });
        id
    }

    /// Removes one rule, or all.
    pub(crate) fn remove(&self, id: Option<u64>) {
        let mut rules = self.0.lock();
        rules.1.retain(|active| id.is_some_and(|id| active.id != id));
    }

    pub(crate) fn active(&self) -> Vec<ActiveRule> {
        self.0.lock().1.clone()
    }

    /// Returns the first rule by which the request has a fault. Later rules do not count the request.
    pub(crate) fn hit(&self, request: &RequestFacts<'_>) -> Option<Rule> {
        let mut rules = self.0.lock();
        let mut matching = rules.1.iter_mut().filter(|active| active.rule.matches(request));
        let hit = matching.find_map(|active| active.count_match().then(|| active.rule.clone()));
        rules.1.retain(|active| !active.has_ended());
        hit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(rule: Rule, requests: usize) -> String {
        let rules = Rules::default();
        rules.add(rule);
        let request = RequestFacts {
            method: &Method::PATCH,
            protocol: Protocol::Dfs,
            verb: Verb::Append,
            headers: &HeaderMap::new(),
            paths: ["/ws/i/Files/a"; 2],
        };
        let hits = (0..requests).map(|_| rules.hit(&request));
        hits.map(|hit| if hit.is_some() { 'x' } else { '.' }).collect()
    }

    #[test]
    fn a_rule_affects_the_next_requests_or_every_nth() {
        let rule = || Rule::new(Fault::ErrorBefore);
        for (rule, hits) in [
            (rule(), "x..."),
            (rule().times(2), "xx.."),
            (rule().every(3), "..x..x..x"),
            (rule().every(2).times(2), ".x.x...."),
            (Rule { skip: 2, ..rule() }, "..x.."),
        ] {
            assert_eq!(pattern(rule.clone(), hits.len()), hits, "{rule:?}");
        }
    }

    #[test]
    fn a_rule_matches_by_verb_protocol_path_and_method() {
        let rule = || Rule::new(Fault::Slow);
        let of_method = |method: &str| Rule {
            method: Some(method.to_owned()),
            ..rule()
        };
        for (matching, other) in [
            (Rule::on(Fault::Slow, Verb::Append), Rule::on(Fault::Slow, Verb::Flush)),
            (rule().over(Protocol::Dfs), rule().over(Protocol::Blob)),
            (rule().below("/ws/i/"), rule().below("/other")),
            (of_method("patch"), of_method("GET")),
        ] {
            assert_eq!(pattern(matching.clone(), 1), "x", "{matching:?}");
            assert_eq!(pattern(other.clone(), 1), ".", "{other:?}");
        }
    }

    #[test]
    fn rules_are_json() {
        let text = r#"{"fault":"throttled","verb":"append","protocol":"dfs","times":3,"retry_after_seconds":2}"#;
        let rule: Rule = serde_json::from_str(text).unwrap();
        let expected = Rule {
            retry_after_seconds: 2,
            ..Rule::on(Fault::Throttled, Verb::Append).over(Protocol::Dfs).times(3)
        };
        assert_eq!(rule, expected);
        let again: Rule = serde_json::from_str(&serde_json::to_string(&rule).unwrap()).unwrap();
        assert_eq!(again, rule);
        for wrong in [
            r#"{"fault":"tired"}"#,
            r#"{"fault":"slow","verb":"walk"}"#,
            r#"{"fault":"slow","tims":3}"#,
            "{}",
        ] {
            assert!(serde_json::from_str::<Rule>(wrong).is_err(), "{wrong}");
        }
    }
}
