//! What the rules say about an attachment URL, without a request.

use jiff::Timestamp;
use serde::Serialize;
use url::Url;

use xact_config::Settings;
use xact_contracts::file_rules::{self, Declared, FileRefusedError, FileType};
use xact_contracts::{presigned, redaction, time};

/// The answer of [`explain`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainAnswer {
    /// Every rule with its verdict.
    pub rules: Vec<Rule>,
    /// The URL as it is requested, without its secrets; `None`: it is refused.
    pub fetched: Option<String>,
    /// The URL as it is stored, without its secrets.
    pub stored: String,
}

impl ExplainAnswer {
    /// Returns whether every rule accepts the URL.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.rules.iter().all(|rule| rule.verdict == RuleStatus::Ok)
    }
}

/// A rule and what it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// The name of the rule.
    pub rule: &'static str,
    /// Whether it accepts the URL.
    pub verdict: RuleStatus,
    /// What it found.
    pub text: String,
}

/// The verdict of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, strum::Display)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum RuleStatus {
    /// The URL is accepted.
    Ok,
    /// The URL is refused.
    Refused,
}

impl Rule {
    fn new(rule: &'static str, found: Result<String, String>) -> Self {
        let (verdict, text) = match found {
            Ok(text) => (RuleStatus::Ok, text),
            Err(text) => (RuleStatus::Refused, text),
        };
        Self { rule, verdict, text }
    }
}

/// Applies every rule to a URL, and to the MIME type that its server declares.
#[must_use]
pub fn explain(settings: &Settings, url: &str, media_type: Option<&str>, now: Timestamp) -> ExplainAnswer {
    let policy = settings.url_policy();
    let verdicts = policy.explain(url).into_iter();
    let mut rules: Vec<Rule> = verdicts
        .map(|verdict| Rule::new(verdict.rule, verdict.verdict))
        .collect();
    let accepted = policy.check(url).ok();
    if let Some(url) = &accepted {
        rules.extend(of_file(url, media_type));
        rules.extend(of_signature(url, now));
    }
    ExplainAnswer {
        rules,
        fetched: accepted.map(|url| redaction::redact_url(url.as_str())),
        stored: redaction::redact_url(url),
    }
}

fn of_file(url: &Url, media_type: Option<&str>) -> Vec<Rule> {
    let named = file_rules::named_type(url);
    let mut rules = vec![Rule::new("file type", named_verdict(&named))];
    if let (Ok(named), Some(media_type)) = (named, media_type) {
        rules.push(Rule::new("declared type", declared_verdict(named, media_type)));
    }
    rules
}

fn of_signature(url: &Url, now: Timestamp) -> Vec<Rule> {
    let mut rules = Vec::new();
    if let Some(start) = presigned::start(url) {
        let at = format!("{}, {}", start.kind.as_str(), time::format(start.at));
        let found = if start.is_ahead(now) {
            format!("not valid yet; the pipeline waits for it: {at}")
        } else {
            at
        };
        rules.push(Rule::new("valid from", Ok(found)));
    }
    let expiry = match presigned::expiry(url) {
        None => Ok("not presigned, or without a readable expiry".to_owned()),
        Some(expiry) => match format!("{}, {}", expiry.kind.as_str(), time::format(expiry.expires_at)) {
            at if expiry.is_expired(now) => Err(format!("expired: {at}")),
            at => Ok(at),
        },
    };
    rules.push(Rule::new("expiry", expiry));
    rules
}

/// Returns what the file name says. The content of the file decides, once it is downloaded.
fn named_verdict(named: &Result<Option<FileType>, FileRefusedError>) -> Result<String, String> {
    match named {
        Ok(Some(kind)) => Ok(kind.to_string()),
        Ok(None) => Ok(
            "not named: the content must prove an accepted type, or the server's Content-Disposition must name one"
                .to_owned(),
        ),
        Err(error) => Err(error.to_string()),
    }
}

/// Returns what a declared MIME type means for a file of that name.
fn declared_verdict(named: Option<FileType>, media_type: &str) -> Result<String, String> {
    let Some(kind) = named else {
        return Ok(format!(
            "{media_type} is not decisive: the content must prove an accepted type"
        ));
    };
    match file_rules::compare(kind, Some(media_type)) {
        Declared::Nothing => Ok(format!("{media_type} does not name a file type")),
        Declared::Fits => Ok(format!("{media_type} matches")),
        Declared::Active if kind.is_text() => Err(format!(
            "{media_type} is a type that browsers or systems execute, and text cannot prove otherwise: a {kind} file with this declaration is refused"
        )),
        Declared::Differs(_) | Declared::Active => Ok(format!(
            "{media_type} is not a type of a {kind} file: the content decides, and the difference is logged"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_type_or_none_is_accepted_and_another_is_refused() {
        let verdict = |url: &str| {
            let url = Url::parse(&format!("https://claimxperience.com/{url}")).unwrap();
            named_verdict(&file_rules::named_type(&url))
        };
        assert_eq!(verdict("a.heif"), Ok("HEIC".to_owned()));
        let unnamed = verdict("download.ashx?id=1").unwrap();
        assert!(unnamed.contains("the content must prove"), "{unnamed}");
        assert!(verdict("setup.exe").unwrap_err().contains("files of type `exe`"));
    }

    #[test]
    fn only_a_text_declared_as_executable_is_refused() {
        let kind = |extension: &str| FileType::from_extension(extension);
        for (named, declared, words) in [
            (kind("pdf"), "\"application/pdf\"", "matches"),
            (kind("pdf"), "application/force-download", "does not name"),
            (kind("pdf"), "text/html", "the content decides"),
            (kind("jpg"), "image/heic", "the content decides"),
            (kind("csv"), "application/pdf", "the content decides"),
            (None, "text/html", "not decisive"),
        ] {
            let verdict = declared_verdict(named, declared).unwrap();
            assert!(verdict.contains(words), "{declared}: {verdict}");
        }
        let refused = declared_verdict(kind("csv"), "text/html").unwrap_err();
        assert!(refused.contains("refused"), "{refused}");
        assert!(declared_verdict(kind("html"), "text/html").is_ok());
    }
}
