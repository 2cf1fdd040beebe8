//! `explain URL`: what the rules say of an attachment URL, without a request.

use super::printable::visible;
use super::topics::table;
use crate::Outcome;
use contracts::url_guard::UrlPolicy;
use contracts::{file_rules, presigned, redaction, time};
use jiff::Timestamp;
use runtime::config::{Environment, Settings};

/// Prints each rule's verdict; false if one refuses.
#[allow(clippy::print_stdout)]
pub(crate) fn run(environment: &Environment, url: &str, media_type: Option<&str>) -> Outcome {
    let settings = Settings::from_environment(environment)?;
    let policy = UrlPolicy::new(&settings.allowed_hosts, settings.dev.is_some());
    let mut verdicts: Vec<(String, Result<String, String>)> = policy
        .explain(url)
        .into_iter()
        .map(|verdict| (verdict.rule.to_owned(), verdict.verdict))
        .collect();
    if let Ok(parsed) = policy.check(url) {
        let file_type = file_rules::allowed_type(&parsed);
        verdicts.push((
            "file type".to_owned(),
            file_type.as_ref().map(ToString::to_string).map_err(ToString::to_string),
        ));
        if let (Ok(file_type), Some(media_type)) = (file_type, media_type) {
            let declared = file_type.check_declared(Some(media_type));
            verdicts.push((
                "declared type".to_owned(),
                declared
                    .map(|()| format!("{media_type} fits"))
                    .map_err(|refusal| refusal.to_string()),
            ));
        }
        let now = Timestamp::now();
        if let Some(start) = presigned::start(&parsed) {
            let at = format!("{}, {}", start.kind.as_str(), time::format(start.at));
            let found = match start.is_ahead(now) {
                true => format!("not valid yet, and waited for: {at}"),
                false => at,
            };
            verdicts.push(("valid from".to_owned(), Ok(found)));
        }
        let expiry = presigned::expiry(&parsed).map_or_else(
            || Ok("not presigned, or without a readable expiry".to_owned()),
            |expiry| {
                let at = format!("{}, {}", expiry.kind.as_str(), time::format(expiry.expires_at));
                if expiry.is_expired(now) {
                    Err(format!("expired: {at}"))
                } else {
                    Ok(at)
                }
            },
        );
        verdicts.push(("expiry".to_owned(), expiry));
    }
    let mut rows = table(&["rule", "verdict", "what it found"]);
    for (rule, verdict) in &verdicts {
        let (word, text) = match verdict {
            Ok(found) => ("ok", found),
            Err(reason) => ("refused", reason),
        };
        rows.add_row([rule.as_str(), word, visible(text).as_str()]);
    }
    println!("{rows}");
    if let Ok(fetched) = policy.check(url) {
        println!(
            "as it is fetched: {}",
            visible(&redaction::redact_url(fetched.as_str()))
        );
    }
    // What is explained is mostly hostile: the terminal obeys none of it.
    println!("as it is stored: {}", visible(&redaction::redact_url(url)));
    Ok(verdicts.iter().all(|(_, verdict)| verdict.is_ok()))
}
