//! `infra/runbooks`: what the pages quote and name exists. Their commands run in `tests/e2e/tests/pipeline/runbooks.rs`, and their
//! headings are compared with the alerts in `tests/deployment/tests/bicep/runbooks.rs`.

use std::process::Command;

use crate::guide::{code_spans, occurs_in, sources};
use crate::{path, stages, text, variables};

/// Words in capitals that are not variables of the program: placeholders, variables of others, levels and statements.
const OTHERS: [&str; 7] = [
    "TOPIC",
    "STAGE",
    "GROUP",
    "TIME",
    "URL",
    "XACT_SCALER_SECRET",
    "TRACE_ID",
];

/// The commands of the Azure CLI that the pages use: <https://learn.microsoft.com/cli/azure/reference-index>.
const AZURE: [&str; 18] = [
    "containerapp delete",
    "containerapp job execution list",
    "containerapp job start",
    "containerapp logs show",
    "containerapp revision list",
    "containerapp revision restart",
    "containerapp show",
    "containerapp update",
    "deployment group create",
    "deployment group what-if",
    "eventhubs namespace authorization-rule keys renew",
    "eventhubs namespace list",
    "eventhubs namespace show",
    "eventhubs namespace update",
    "login",
    "monitor metrics list",
    "storage account keys renew",
    "storage account list",
];

/// Returns the paths of the pages, below the root of the repository.
pub(crate) fn names() -> Vec<String> {
    let folder = "infra/runbooks";
    let files = std::fs::read_dir(path(folder)).unwrap();
    let mut names: Vec<String> = files
        .map(|file| format!("{folder}/{}", file.unwrap().file_name().to_string_lossy()))
        .collect();
    names.sort();
    names
}

/// Returns the pages with their paths.
fn pages() -> Vec<(String, String)> {
    names().into_iter().map(|name| (name.clone(), text(&name))).collect()
}

/// Returns a page without its blocks of code, and the blocks of these languages.
fn split<'a>(page: &'a str, languages: &[&str]) -> (String, Vec<&'a str>) {
    let parts: Vec<&str> = page.split("```").collect();
    let prose = parts.iter().step_by(2).copied().collect();
    let blocks = parts.iter().skip(1).step_by(2).filter_map(|block| {
        let (language, body) = block.split_once('\n')?;
        languages.contains(&language).then_some(body)
    });
    (prose, blocks.collect())
}

/// Returns what stands in double quotes behind a word, in each line that has the word.
fn in_quotes<'a>(page: &'a str, word: &'a str) -> impl Iterator<Item = &'a str> {
    let after = page.lines().filter_map(move |line| line.split_once(word));
    after.flat_map(|(_, rest)| rest.split('"').skip(1).step_by(2))
}

/// What the program prints stands in code quotes, with spaces, in the first column of a table.
#[test]
fn every_text_that_a_table_quotes_occurs_in_the_sources() {
    let sources = sources();
    let (mut count, mut missing) = (0, Vec::new());
    for (name, page) in pages() {
        let rows = page.lines().filter_map(|line| line.trim_start().strip_prefix("| "));
        for cell in rows.filter_map(|row| row.split(" | ").next()) {
            for quotation in code_spans(cell).into_iter().filter(|span| span.contains(' ')) {
                count += 1;
                if !sources.iter().any(|source| occurs_in(quotation, source)) {
                    missing.push(format!("{name}: {quotation}"));
                }
            }
        }
    }
    assert!(missing.is_empty(), "not in the sources: {missing:#?}");
    assert!(count > 30, "{count}");
}

#[test]
fn every_variable_exists() {
    let variables = variables();
    for (name, page) in pages() {
        for span in code_spans(&split(&page, &[]).0) {
            let word = span.split('=').next().unwrap();
            let is_name = word.len() > 2
                && word.contains('_')
                && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
            let is_known = OTHERS.contains(&word) || word == "NEXT_DATE" || variables.contains(&word.to_owned());
            assert!(!is_name || is_known, "{name}: {word} is not a variable");
        }
    }
}

#[test]
fn every_block_of_commands_is_valid_bash() {
    let mut count = 0;
    for (name, page) in pages() {
        for block in split(&page, &["sh", "bash", "azurecli"]).1 {
            let output = Command::new("bash").args(["-n", "-c", block]).output().unwrap();
            assert!(
                output.status.success(),
                "{name}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            count += 1;
        }
    }
    assert!(count > 50, "{count}");
}

/// Each block is of a language whose blocks are checked somewhere.
#[test]
fn every_block_has_a_known_language() {
    for (name, page) in pages() {
        for block in page.split("```").skip(1).step_by(2) {
            let language = block.lines().next().unwrap();
            let is_known = ["sh", "bash", "azurecli", "kusto", "sql", "text"].contains(&language);
            assert!(is_known, "{name}: {language:?}");
        }
    }
}

#[test]
fn every_command_of_the_scripts_and_of_azure_is_known() {
    let usage = |script: &str| {
        text(script)
            .lines()
            .take_while(|line| line.starts_with('#'))
            .collect::<String>()
    };
    let mut count = 0;
    for (name, page) in pages() {
        // Commands stand in blocks, and in prose in code quotes.
        let (prose, blocks) = split(&page, &["sh", "bash", "azurecli"]);
        let lines = blocks.iter().flat_map(|block| block.lines()).chain(code_spans(&prose));
        for line in lines.flat_map(|line| line.split("$(")).map(str::trim) {
            let words: Vec<&str> = line
                .split_whitespace()
                .skip_while(|word| word.ends_with(['(', '=']) || word.starts_with("XACT_"))
                .collect();
            match words.as_slice() {
                [script @ ("infra/rollout" | "infra/images"), verb, ..] => {
                    assert!(usage(script).contains(&format!("{script} {verb} ")), "{name}: {line}");
                }
                [script @ ("infra/operate" | "infra/preflight"), ..] => {
                    assert!(usage(script).contains(&format!("{script} GROUP ")), "{name}: {line}");
                }
                ["az", words @ ..] => {
                    let words = words.join(" ");
                    let is_known = AZURE.iter().any(|known| {
                        words
                            .strip_prefix(known)
                            .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
                    });
                    assert!(
                        is_known || words.starts_with("storage share-rm update "),
                        "{name}: {line}"
                    );
                }
                _ => continue,
            }
            count += 1;
        }
    }
    assert!(count > 30, "{count}");
}

#[test]
fn every_panel_line_and_unit_that_is_named_exists() {
    let dashboard: serde_json::Value = serde_json::from_str(&text("infra/grafana/dashboards/overview.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let sources = sources();
    let mut count = 0;
    for (name, page) in pages() {
        for title in in_quotes(&page, "panel") {
            assert!(
                panels.iter().any(|panel| panel["title"] == title),
                "{name}: panel {title}"
            );
            count += 1;
        }
        for line in page.split("line \"").skip(1).filter_map(|rest| rest.split('"').next()) {
            let is_known = sources.iter().any(|source| source.contains(&format!("\"{line}")));
            assert!(is_known, "{name}: line {line}");
            count += 1;
        }
        for unit in page
            .split("xact-pipeline@")
            .skip(1)
            .filter_map(|rest| rest.split(".service").next())
        {
            let is_known = unit == "STAGE" || unit == "*" || stages().contains(&unit);
            assert!(is_known, "{name}: unit {unit}");
            count += 1;
        }
    }
    assert!(count > 15, "{count}");
}
