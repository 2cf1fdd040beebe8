//! `explain URL`: what the rules say of an attachment URL, without a request.

use jiff::Timestamp;

use crate::outcome::{CommandResult, ExitStatus};
use crate::ui::Table;
use crate::ui::text::visible;
use xact_config::{Environment, Settings};
use xact_contracts::file_rules::{self, Declared, FileRefusal, FileType};
use xact_contracts::url_guard::UrlPolicy;
use xact_contracts::{presigned, redaction, time};

/// Prints each rule's verdict; false if one refuses.
#[allow(clippy::print_stdout)]
pub(crate) fn run(environment: &Environment, url: &str, media_type: Option<&str>) -> CommandResult {
    let settings = Settings::from_environment(environment)?;
    let policy = UrlPolicy::new(&settings.allowed_hosts, settings.dev.is_some());
    let mut verdicts: Vec<(String, Result<String, String>)> = policy
        .explain(url)
        .into_iter()
        .map(|verdict| (verdict.rule.to_owned(), verdict.verdict))
        .collect();
    if let Ok(parsed) = policy.check(url) {
        let named = file_rules::named_type(&parsed);
        verdicts.push(("file type".to_owned(), named_verdict(&named)));
        if let (Ok(named), Some(media_type)) = (named, media_type) {
            verdicts.push(("declared type".to_owned(), declared_verdict(named, media_type)));
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
    let mut rows = Table::new(&["rule", "verdict", "what it found"]);
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
    Ok(ExitStatus::from(verdicts.iter().all(|(_, verdict)| verdict.is_ok())))
}

/// What the name says. The file itself is judged when it is downloaded: its content decides.
fn named_verdict(named: &Result<Option<FileType>, FileRefusal>) -> Result<String, String> {
    match named {
        Ok(Some(kind)) => Ok(kind.to_string()),
        Ok(None) => Ok(
            "not named: the content must prove an accepted kind, or the server's Content-Disposition name one"
                .to_owned(),
        ),
        Err(refusal) => Err(refusal.to_string()),
    }
}

/// What a declared type does to a file of that name.
fn declared_verdict(named: Option<FileType>, media_type: &str) -> Result<String, String> {
    let Some(kind) = named else {
        return Ok(format!(
            "{media_type} decides nothing: the content must prove an accepted kind"
        ));
    };
    match file_rules::compare(kind, Some(media_type)) {
        Declared::Nothing => Ok(format!("{media_type} says nothing of the file")),
        Declared::Fits => Ok(format!("{media_type} fits")),
        Declared::Active if kind.is_text() => Err(format!(
            "{media_type} is a type that browsers or systems run, and text proves nothing else: a {kind} file declared so is refused"
        )),
        Declared::Differs(_) | Declared::Active => Ok(format!(
            "{media_type} is no type of a {kind} file: the content decides, and the difference is reported"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_or_none_is_well_and_another_kind_is_not() {
        let verdict = |url: &str| {
            let url = url::Url::parse(&format!("https://claimxperience.com/{url}")).unwrap();
            named_verdict(&file_rules::named_type(&url))
        };
        assert_eq!(verdict("a.heif"), Ok("HEIC".to_owned()));
        assert!(
            verdict("download.ashx?id=1")
                .unwrap()
                .contains("the content must prove")
        );
        assert!(verdict("setup.exe").unwrap_err().contains("files of type `exe`"));
    }

    #[test]
    fn a_declared_type_refuses_a_text_that_it_says_is_run_and_nothing_else() {
        let kind = |extension: &str| FileType::from_extension(extension);
        for (named, declared, words) in [
            (kind("pdf"), "\"application/pdf\"", "fits"),
            (kind("pdf"), "application/force-download", "says nothing"),
            (kind("pdf"), "text/html", "the content decides"),
            (kind("jpg"), "image/heic", "the content decides"),
            (kind("csv"), "application/pdf", "the content decides"),
            (None, "text/html", "decides nothing"),
        ] {
            let verdict = declared_verdict(named, declared).unwrap();
            assert!(verdict.contains(words), "{declared}: {verdict}");
        }
        assert!(
            declared_verdict(kind("csv"), "text/html")
                .unwrap_err()
                .contains("refused")
        );
        assert!(declared_verdict(kind("html"), "text/html").is_ok());
    }
}
