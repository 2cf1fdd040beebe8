//! `console`: days, tables and setup with a sign-in. What somebody who may operate starts is done, and nobody else starts it.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use xact_testkit::console::{self, ConsoleClient, fields};
use xact_testkit::events::good_event;
use xact_testkit::{Fleet, Result, assert_contains, python};

const ANNA: &str = "anna-0123456789abcdef0123456789abcdef";
const BEN: &str = "ben-0123456789abcdef0123456789abcdef0";
const DAY: &str = "/days/2024-12-31";

/// Starts the console of a fleet, in which Anna may operate and Ben may view.
fn console(fleet: &mut Fleet) -> Result<(ConsoleClient, ConsoleClient)> {
    let tokens = format!("anna:operate:{ANNA},ben:view:{BEN}");
    let settings = [("CONSOLE_SIGN_IN", "token"), ("CONSOLE_TOKENS", tokens.as_str())];
    let address = console::start(fleet, &settings)?;
    Ok((
        ConsoleClient::signed_in(&address, ANNA)?,
        ConsoleClient::signed_in(&address, BEN)?,
    ))
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let rest = text
        .split_once(before)
        .unwrap_or_else(|| panic!("no {before:?}: {text}"))
        .1;
    rest.split_once(after)
        .unwrap_or_else(|| panic!("no {after:?}: {rest}"))
        .0
}

/// Sends a form of a page with these fields, and returns the page of its action when it has ended.
fn run(client: &ConsoleClient, page: &str, action: &str, given: &[(&str, &str)]) -> Result<String> {
    let page = client.page(page, 200)?;
    let mut form = fields(&page, action).unwrap_or_else(|| panic!("no form leads to {action}: {page}"));
    form.retain(|(name, _)| name == "form-token");
    form.extend(
        given
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    );
    let form: Vec<(&str, &str)> = form
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    client.ended(&client.post(action, &form, &[])?)
}

/// Returns the files of the tables, with their contents.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.display().to_string(), fs::read(&path).unwrap());
        }
    }
    found
}

/// Loses the row of an attachment.
fn lose(fleet: &Fleet, trace_id: &str) -> Result<()> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../change_rows.py");
    let table = fleet.dir.join("tables/xact_attachments").display().to_string();
    let condition = format!("trace_id = '{trace_id}'");
    python::run_script(&script, ["delete", &table, &condition]).map(drop)
}

#[test]
fn operators_reconcile_maintain_and_check_and_viewers_only_see_it() -> Result<()> {
    let mut fleet = Fleet::shared("console-days", &[])?;
    fleet.start_pipeline()?;
    for trace_id in ["days-kept", "days-lost"] {
        // Two files of each table.
        fleet.send("raw", trace_id, &good_event(trace_id))?;
        fleet.wait_no_lag()?;
    }
    fleet.stop(&["pipeline"])?;
    lose(&fleet, "days-lost")?;
    let (anna, ben) = console(&mut fleet)?;

    let empty = ben.page("/days?month=2024-12", 200)?;
    assert_contains(
        &empty,
        &["reconcile --yesterday --record", "2025-01", "xact_reconciliation"],
    );
    for (path, part) in [("/days?month=12.2024", "2026-11"), ("/days/31.12.2024", "2026-11-29")] {
        assert_contains(&ben.page(path, 400)?, &[part]);
    }
    let today = ben.page("/days/today", 200)?;
    assert_contains(&today, &["Every attachment is in exactly one place", "Read at"]);

    // Nobody else starts anything.
    let page = anna.page(DAY, 200)?;
    let token = between(&page, "name=\"form-token\" value=\"", "\"");
    for path in ["/days/2024-12-31/reconcile", "/tables/maintain", "/setup/check"] {
        let (form, elsewhere) = ([("form-token", token)], [("Origin", "https://evil.example")]);
        for (response, part) in [
            (ben.post(path, &form, &[])?, "may view"),
            (anna.post(path, &[("form-token", "0123")], &[])?, "open the page again"),
            (anna.post(path, &[], &[])?, "open the page again"),
            (anna.post(path, &form, &elsewhere)?, "another site"),
        ] {
            assert_eq!(response.status, 403, "{path}: {}", response.body);
            assert_contains(&response.body, &[part]);
        }
    }
    assert_contains(&anna.page("/actions", 200)?, &["No action has been started"]);

    // What was lost is found, leads to its event, and is recorded.
    let found = run(&anna, DAY, "/days/2024-12-31/reconcile", &[("record", "yes")])?;
    assert_contains(&found, &["1 missing, 0 duplicate", "Recorded in", "days-lost"]);
    let link = between(&found, "<a href=\"/find?", "\"").replace("&amp;", "&");
    let event = ben.page(&format!("/find?{link}"), 200)?;
    assert_contains(&event, &["Event days-lost"]);
    let month = ben.page("/days?month=2024-12", 200)?;
    assert_contains(
        &month,
        &["does not balance", "1 missing", "Of 1 recorded dates: 2 events"],
    );
    let day = ben.page(DAY, 200)?;
    assert_contains(&day, &["Recorded checks", "1 missing", "role operate"]);
    assert!(!day.contains("Reconcile now"), "{day}");

    // The dry run changes nothing; the run does what it says, and then nothing is left to do.
    let tables = fleet.dir.join("tables");
    let before = files(&tables);
    let plan = ben.page("/tables/plan", 200)?;
    let rewritten = "xact_events: 2 of 2 files";
    assert_contains(&plan, &[rewritten, "checkpoint of version", "nothing was changed"]);
    let command = fleet.run(&["maintain", "--dry-run"])?.success()?;
    assert_contains(&command, &[rewritten]);
    assert_eq!(before, files(&tables), "the dry run writes and deletes nothing");
    let limits = [("max-minutes", "5"), ("max-cu-seconds", "")];
    let done = run(&anna, "/tables", "/tables/maintain", &limits)?;
    assert_contains(&done, &["Everything is maintained", "xact_events: 2 files", "became 1"]);
    let plan = ben.page("/tables/plan", 200)?;
    assert_contains(&plan, &["maintain would change nothing"]);
    let shown = ben.page("/tables", 200)?;
    assert_contains(&shown, &["xact_reconciliation", "Read at", "role operate"]);

    // Opening the address checks nothing.
    anna.page("/setup/check", 405)?;
    let checked = run(&anna, "/setup", "/setup/check", &[])?;
    assert_contains(&checked, &["topics, all on one cluster", "table xact_events"]);
    let setup = ben.page("/setup", 200)?;
    assert_contains(
        &setup,
        &["CONSOLE_TOKENS", "[set]", "environment", "librdkafka", "role operate"],
    );
    assert!(!setup.contains(ANNA));

    // A damaged table is an error that says what to do; the other tables are shown.
    let log = tables.join("xact_reconciliation/_delta_log");
    let newest = fs::read_dir(&log).unwrap().count();
    fs::write(log.join("_last_checkpoint"), "not JSON").unwrap();
    for version in 0..newest {
        let entry = log.join(format!("{version:020}.json"));
        if entry.exists() {
            fs::write(entry, "not JSON").unwrap();
        }
    }
    for entry in fs::read_dir(&log).unwrap() {
        let path = entry.unwrap().path();
        if path.display().to_string().contains("checkpoint.parquet") {
            fs::write(path, "not parquet").unwrap();
        }
    }
    let page = ben.page("/days?month=2024-11", 502)?;
    assert_contains(&page, &["is damaged", "RESTORE TABLE"]);
    let plan: Value = serde_json::from_str(&fleet.run(&["maintain", "--dry-run", "--json"])?.text).unwrap();
    assert_eq!(plan["failures"][0]["of"], "xact_reconciliation", "{plan}");
    assert_eq!(plan["changes"], json!(false), "{plan}");
    Ok(())
}
