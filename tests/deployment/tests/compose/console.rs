//! The console of the stack: at a fixed port of this machine, behind a sign-in.

use serde_json::Value;

use crate::stack::{compose, handler, read, service, texts, variable};

const PORT: &str = "17014";

#[test]
fn it_is_published_at_the_address_that_it_answers_to() {
    let console = service("console");
    assert_eq!(handler(console), Some("xact-pipeline"));
    let command = texts(&console["command"]);
    assert_eq!(command[..2], ["console", "--listen"]);
    let (address, port) = command[2].rsplit_once(':').unwrap();
    assert_eq!(address, "0.0.0.0", "a port of the container is published from there");
    let ports = console["ports"].as_array().unwrap();
    assert_eq!(ports.len(), 1);
    assert_eq!(ports[0]["published"], PORT);
    assert_eq!(ports[0]["target"].to_string(), port);
    let url = format!("http://localhost:{PORT}");
    assert_eq!(variable(console, "CONSOLE_URL"), Some(url.as_str()));
    let asked = format!("127.0.0.1:{port}");
    let test = ["CMD", "/xact-pipeline", "console", "--live", "--listen", &asked];
    assert_eq!(texts(&console["healthcheck"]["test"]), test);
    for page in ["infra/compose.yaml", "README.md"] {
        assert!(read(page).contains(&url), "{page}");
    }
}

/// `NAME:ROLE:TOKEN`, of a given or the default token.
fn token(variables: &[(&str, &str)]) -> (String, String, String) {
    let output = compose(&["config", "--format", "json"], variables);
    let stack: Value = serde_json::from_slice(&output.stdout).unwrap();
    let console = &stack["services"]["console"];
    assert_eq!(variable(console, "CONSOLE_SIGN_IN"), Some("token"));
    let tokens = variable(console, "CONSOLE_TOKENS").unwrap();
    let mut parts = tokens.splitn(3, ':').map(str::to_owned);
    let mut next = || parts.next().unwrap();
    (next(), next(), next())
}

#[test]
fn a_token_signs_in_which_the_pages_name() {
    let (_, role, by_default) = token(&[]);
    assert_eq!(role, "operate");
    assert!(by_default.len() >= 32, "{by_default}");
    for page in ["infra/compose.yaml", "README.md"] {
        assert!(
            read(page).contains(&format!("token {by_default}")) || read(page).contains(&format!("`{by_default}`")),
            "{page}"
        );
    }
    let own = "0123456789abcdef0123456789abcdef";
    assert_eq!(token(&[("XACT_CONSOLE_TOKEN", own)]).2, own);
}

#[test]
fn it_has_what_the_operators_commands_have_and_its_own_sign_in() {
    let names = |name: &str| -> Vec<&String> { service(name)["environment"].as_object().unwrap().keys().collect() };
    let of_pipeline = names("pipeline");
    let added: Vec<&String> = names("console")
        .into_iter()
        .filter(|name| !of_pipeline.contains(name))
        .collect();
    let expected = ["CONSOLE_HANDLERS", "CONSOLE_SIGN_IN", "CONSOLE_TOKENS", "CONSOLE_URL"];
    assert_eq!(added, expected);
    let handlers = variable(service("console"), "CONSOLE_HANDLERS").unwrap();
    let stages = xact_contracts::topology::STAGES.map(|row| format!("{}:8000", row.name));
    let mut asked: Vec<&str> = handlers.split(',').collect();
    asked.sort_unstable();
    let mut all: Vec<&str> = stages.iter().map(String::as_str).collect();
    all.sort_unstable();
    assert_eq!(asked, all);
    let missing: Vec<&&String> = of_pipeline
        .iter()
        .filter(|name| !names("console").contains(name))
        .collect();
    // The file is of the dlq stage.
    assert_eq!(missing, [&"AUDIT_LOG_PATH"]);
}

#[test]
fn it_takes_neither_cores_nor_memory_from_the_stages() {
    let console = service("console");
    assert_eq!(console["cpus"], 1.0);
    let memory: u64 = console["mem_limit"].as_str().unwrap().parse().unwrap();
    assert_eq!(memory, 1 << 30);
    assert!(console["pids_limit"].as_u64().is_some());
}
