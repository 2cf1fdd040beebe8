//! `console`: days, tables and setup with a sign-in. What somebody who may operate starts is done, and nobody else starts it.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use xact_testkit::events::good_event;
use xact_testkit::http::{self, Visitor};
use xact_testkit::{Fleet, Result, assert_contains, ports, python};

const ANNA: &str = "anna-0123456789abcdef0123456789abcdef";
const BEN: &str = "ben-0123456789abcdef0123456789abcdef0";
const DAY: &str = "/days/2024-12-31";

/// Starts the console of a fleet, in which Anna may operate and Ben may view.
fn console(fleet: &mut Fleet) -> Result<(Visitor, Visitor)> {
    let address = format!("127.0.0.1:{}", ports::free()?);
    let tokens = format!("anna:operate:{ANNA},ben:view:{BEN}");
    let settings = [("CONSOLE_SIGN_IN", "token"), ("CONSOLE_TOKENS", &tokens)];
    fleet.spawn_with(
        "console",
        "xact-pipeline",
        &["console", "--listen", &address],
        &settings,
    )?;
    fleet.wait_until("the console responds", || http::get(&address, "/health/live").ok())?;
    Ok((Visitor::sign_in(&address, ANNA)?, Visitor::sign_in(&address, BEN)?))
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

/// Returns the form token of a page.
fn form_token(visitor: &Visitor, path: &str) -> Result<String> {
    let (status, page) = visitor.get(path)?;
    assert_eq!(status, 200, "{page}");
    Ok(between(&page, "name=\"form-token\" value=\"", "\"").to_owned())
}

/// Starts an action, and returns what its page shows when it has ended.
fn run(fleet: &Fleet, visitor: &Visitor, page: &str, path: &str, fields: &[(&str, &str)]) -> Result<String> {
    let token = form_token(visitor, page)?;
    let (status, location) = visitor.post(path, &[&[("form-token", token.as_str())], fields].concat())?;
    assert_eq!(status, 303, "{location}");
    fleet.wait_until("the action has ended", || {
        let (_, shown) = visitor.get(&location).ok()?;
        shown.contains("Ended at").then_some(shown)
    })
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

    let (_, empty) = ben.get("/days?month=2024-12")?;
    assert_contains(
        &empty,
        &["reconcile --yesterday --record", "2025-01", "xact_reconciliation"],
    );
    for (path, part) in [("/days?month=12.2024", "2026-11"), ("/days/31.12.2024", "2026-11-29")] {
        let (status, page) = ben.get(path)?;
        assert_eq!(status, 400, "{page}");
        assert_contains(&page, &[part]);
    }
    let (_, today) = ben.get("/days/today")?;
    assert_contains(&today, &["Every attachment is in exactly one place", "Read at"]);

    // Nobody else starts anything.
    let token = form_token(&anna, DAY)?;
    for path in ["/days/2024-12-31/reconcile", "/tables/maintain", "/setup/check"] {
        let with = |token: &'static str| [("form-token", token)];
        let given = [("form-token", token.as_str())];
        let refused = [
            (ben.post(path, &given)?, "may view"),
            (anna.post(path, &with("0123"))?, "open the page again"),
            (anna.post(path, &[])?, "open the page again"),
            (anna.post_from("https://evil.example", path, &given)?, "another site"),
        ];
        for ((status, page), part) in refused {
            assert_eq!(status, 403, "{path}: {page}");
            assert_contains(&page, &[part]);
        }
    }
    let (_, actions) = anna.get("/actions")?;
    assert_contains(&actions, &["Nothing was started"]);

    // What was lost is found, leads to its event, and is recorded.
    let found = run(&fleet, &anna, DAY, "/days/2024-12-31/reconcile", &[("record", "yes")])?;
    assert_contains(&found, &["1 missing, 0 duplicate", "Recorded in", "days-lost"]);
    let link = between(&found, "<a href=\"/find?", "\"").replace("&amp;", "&");
    let (status, event) = ben.get(&format!("/find?{link}"))?;
    assert_eq!(status, 200, "{event}");
    assert_contains(&event, &["Event days-lost"]);
    let (_, month) = ben.get("/days?month=2024-12")?;
    assert_contains(
        &month,
        &["does not balance", "1 missing", "Of 1 recorded dates: 2 events"],
    );
    let (_, day) = ben.get(DAY)?;
    assert_contains(&day, &["Recorded checks", "1 missing", "role operate"]);
    assert!(!day.contains("Reconcile now"), "{day}");

    // The dry run changes nothing; the run does what it says, and then nothing is left to do.
    let tables = fleet.dir.join("tables");
    let before = files(&tables);
    let (_, plan) = ben.get("/tables/plan")?;
    let rewritten = "xact_events: 2 of 2 files";
    assert_contains(&plan, &[rewritten, "checkpoint of version", "nothing was changed"]);
    let command = fleet.run(&["maintain", "--dry-run"])?.success()?;
    assert_contains(&command, &[rewritten]);
    assert_eq!(before, files(&tables), "the dry run writes and deletes nothing");
    let limits = [("max-minutes", "5"), ("max-cu-seconds", "")];
    let done = run(&fleet, &anna, "/tables", "/tables/maintain", &limits)?;
    assert_contains(&done, &["Everything is maintained", "xact_events: 2 files", "became 1"]);
    let (_, plan) = ben.get("/tables/plan")?;
    assert_contains(&plan, &["maintain would change nothing"]);
    let (_, shown) = ben.get("/tables")?;
    assert_contains(&shown, &["xact_reconciliation", "Read at", "role operate"]);

    let (status, _) = anna.get("/setup/check")?;
    assert_eq!(status, 405, "opening an address checks nothing");
    let checked = run(&fleet, &anna, "/setup", "/setup/check", &[])?;
    assert_contains(&checked, &["topics, all on one cluster", "table xact_events"]);
    let (_, setup) = ben.get("/setup")?;
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
    let (status, page) = ben.get("/days?month=2024-11")?;
    assert_eq!(status, 502, "{page}");
    assert_contains(&page, &["is damaged", "RESTORE TABLE"]);
    let plan: Value = serde_json::from_str(&fleet.run(&["maintain", "--dry-run", "--json"])?.text).unwrap();
    assert_eq!(plan["failures"][0]["of"], "xact_reconciliation", "{plan}");
    assert_eq!(plan["changes"], json!(false), "{plan}");
    Ok(())
}
