//! Any text as an attachment URL: accepted ones are harmless, and `check` and `explain` agree.
#![no_main]

use libfuzzer_sys::fuzz_target;

use xact_contracts::url_guard::{DEFAULT_ALLOWED_HOSTS, UrlPolicy};
use xact_fuzz::{SECRET, harmless};

fuzz_target!(|text: &str| {
    let production = UrlPolicy::new(DEFAULT_ALLOWED_HOSTS);
    for policy in [production.clone(), production.in_dev_mode()] {
        judge(&policy, text);
        judge(&policy, &format!("https://claimxperience.com{text}"));
        judge(&policy, &format!("https://claimxperience.com/{text}"));
        let is_said = [format!("{text}?{SECRET}"), format!("https://{SECRET}:{SECRET}@{text}")]
            .iter()
            .flat_map(|url| policy.explain(url))
            .any(|rule| rule.verdict.unwrap_or_else(|refusal| refusal).contains(SECRET));
        assert!(!is_said);
    }
});

fn judge(policy: &UrlPolicy, raw: &str) {
    let checked = policy.check(raw);
    let verdicts = policy.explain(raw);
    let refusal = verdicts.iter().find_map(|rule| rule.verdict.as_ref().err());
    assert_eq!(checked.as_ref().map_err(ToString::to_string).err().as_ref(), refusal);
    for rule in &verdicts {
        let text = rule.verdict.as_ref().unwrap_or_else(|refusal| refusal);
        assert!(text.len() < 1000, "{}", rule.rule);
    }
    if let Ok(url) = checked {
        harmless(&url, policy);
        let (_, rest) = raw.split_once("://").unwrap();
        let host = rest.split(['/', '?', '#', ':']).next().unwrap();
        let host = host.strip_suffix('.').unwrap_or(host);
        assert!(url.host_str().unwrap().eq_ignore_ascii_case(host), "{raw:?}: {url}");
    }
}
