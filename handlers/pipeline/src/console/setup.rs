//! Settings with their source, versions, and the preflight.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::actions::{Ended, Resource, Start};
use super::change::Change;
use super::context::Context;
use super::layout::{self, PageError, form_token, scroll, text};
use super::user::User;
use xact_config::EffectiveVariable;
use xact_operations::check::{CheckResult, Depth, Verdict, check as preflight};
use xact_operations::{OperationError, versions};

/// `GET /setup`.
pub(super) async fn page(State(context): State<Context>, user: User) -> Markup {
    let content = html! {
        h2 { "Check" }
        p {
            "Tests everything that the pipeline needs, and says what to do where it fails, as " code { "xact-pipeline check" }
            ". It writes a test file and deletes it."
        }
        @if user.may_operate() {
            form method="post" action="/setup/check" { (form_token(&user)) button { "Check now" } }
        } @else {
            p { "Somebody with the role operate can start it." }
        }
        h2 { "Versions" }
        dl { @for (name, version) in versions() { dt { (name) } dd { (text(&version)) } } }
        h2 { "Settings" }
        p {
            "As this process has read them when it started. What is set in the environment precedes " code { ".env" }
            ", and a flag of the command line precedes both."
        }
        @for group in context.variables.chunk_by(|a, b| a.group == b.group) { (settings(group)) }
    };
    layout::page("/setup", "Setup", &user, &content)
}

fn settings(group: &[EffectiveVariable]) -> Markup {
    let name = group.first().map_or("", |one| one.group);
    html! {
        (scroll(&format!("Settings: {name}"), &html! { table.settings {
            caption { (name) }
            thead { tr {
                th scope="col" { "Variable" } th scope="col" { "Value" } th scope="col" { "Source" } th scope="col" { "What it does" }
            } }
            tbody {
                @for one in group {
                    tr {
                        th scope="row" { code { (one.variable.name) } }
                        td.lines { @if one.shown.is_empty() { "–" } @else { (text(&one.shown)) } }
                        td { (one.source) }
                        td { (one.variable.help()) }
                    }
                }
            }
        } }))
    }
}

/// `POST /setup/check`: takes until the slowest service answers.
pub(super) async fn check(State(context): State<Context>, change: Change) -> Result<Response, PageError> {
    let start = Start {
        name: "check".to_owned(),
        resource: Resource::Check,
        back: "/setup",
    };
    let settings = context.settings.clone();
    let work = async move {
        let results = preflight(&settings, Depth::Plain, |_| ()).await;
        Ok::<_, OperationError>(ended(&results))
    };
    context.actions.start(&change.user, start, |_| work)
}

fn ended(results: &[CheckResult]) -> Ended {
    let count = |verdict: Verdict| {
        results
            .iter()
            .filter(|result| result.finding.verdict == verdict)
            .count()
    };
    let (failed, warnings) = (count(Verdict::Failed), count(Verdict::Warning));
    Ended {
        is_well: failed == 0,
        summary: format!("{} checks: {failed} failed, {warnings} with a warning.", results.len()),
        content: html! { (scroll("Check results", &html! {
            table {
                thead { tr { th scope="col" { "Check" } th scope="col" { "Verdict" } th scope="col" { "What was found, and what to do" } } }
                tbody {
                    @for result in results {
                        @let verdict = result.finding.verdict.to_string();
                        tr {
                            th scope="row" { (text(&result.check)) }
                            td { span.state data-state=(verdict) { (verdict) } }
                            td.lines { (text(&result.finding.text)) }
                        }
                    }
                }
            }
        })) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xact_config::Environment;
    use xact_operations::check::Finding;

    #[test]
    fn settings_have_value_source_and_help_and_no_secret() {
        let mut environment = Environment::default();
        environment.set("INVOKE_TOKEN", "PLANTED");
        environment.set("LOG_LEVEL", "<DEBUG>");
        let variables = environment.effective();
        let groups: Vec<_> = variables.chunk_by(|a, b| a.group == b.group).collect();
        let shown: String = groups.iter().map(|group| settings(group).into_string()).collect();
        for part in [
            "<caption>Telemetry</caption>",
            "<td class=\"lines\">[set]</td><td>command line</td>",
            "&lt;DEBUG&gt;",
            "Attempts after the first, 0 to 100",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert!(!shown.contains("PLANTED"));
    }

    #[test]
    fn a_check_that_failed_is_no_good_end() {
        let result = |verdict| CheckResult {
            check: "topics".to_owned(),
            finding: Finding {
                verdict,
                text: "create them <now>".to_owned(),
            },
        };
        let well = ended(&[result(Verdict::Ok), result(Verdict::Warning)]);
        assert!(
            well.is_well && well.summary.contains("1 with a warning"),
            "{}",
            well.summary
        );
        let failed = ended(&[result(Verdict::Failed)]);
        let shown = failed.content.into_string();
        assert!(!failed.is_well && shown.contains("create them &lt;now&gt;"), "{shown}");
    }
}
