//! `console`: dead letters are previewed, replayed and resolved, by people with roles, also two at once.

use serde_json::{Value, json};

use xact_testkit::console::{self, ConsoleClient, fields};
use xact_testkit::dead_letters::{SECRET, letter, plant, unreadable, with};
use xact_testkit::{Fleet, Result, assert_contains};

const OPERATOR: &str = "operator-token-operator-token-operator-token";
const OTHER: &str = "another-token-another-token-another-token-x";
const VIEWER: &str = "viewer-token-viewer-token-viewer-token-viewer";

/// Starts a console with three people.
fn console(fleet: &mut Fleet) -> Result<String> {
    let tokens = format!("anna:operate:{OPERATOR},ben:operate:{OTHER},carl:view:{VIEWER}");
    console::start(fleet, &[("CONSOLE_SIGN_IN", "token"), ("CONSOLE_TOKENS", &tokens)])
}

/// Returns the fields of an entry that `dlq list --all --json` prints.
fn entry(fleet: &Fleet, trace_id: &str) -> Result<Value> {
    let answer = fleet.run(&["dlq", "list", "--all", "--trace-id", trace_id, "--json"])?;
    Ok(answer.json_lines().remove(0))
}

#[test]
fn a_group_is_replayed_after_a_preview_and_an_entry_resolved() -> Result<()> {
    let mut fleet = Fleet::shared("console-dlq", &[])?;
    fleet.start_all()?;
    let topic = fleet.topic("dlq");
    let broken = |id: &str| with(letter(id), &[("/final_error", "503 after 31 s".into())]);
    plant(
        &fleet.broker,
        &topic,
        &[
            broken("one"),
            with(broken("two"), &[("/final_error", "503 after 7 s".into())]),
            with(
                broken("homeless"),
                &[("/original_task/assignment_id", "unknown".into())],
            ),
            unreadable("odd", "{ <b>"),
        ],
    )?;
    let address = console(&mut fleet)?;
    let anna = ConsoleClient::signed_in(&address, OPERATOR)?;
    let list = anna.page("/dead-letters", 200)?;
    assert_contains(&list, &["4 wait", "# after # s", "unreadable event", "anna, operate"]);
    assert!(!list.contains(SECRET));

    // One group: what would be sent, and what would fail again.
    let preview = anna.page("/dead-letters/replay?reason=%23+after+%23+s&stage=download", 200)?;
    assert_contains(
        &preview,
        &["2 messages would be sent", "downloads.pending", "names no assignment"],
    );
    // What fails after the preview is not part of it.
    plant(&fleet.broker, &topic, &[broken("later")])?;
    let ended = anna.ended(&anna.submit(&preview, "/dead-letters/replay")?)?;
    assert_contains(&ended, &["2 replayed, 1 refused", "Started by anna"]);
    fleet.wait_no_lag()?;
    let rows = fleet.tables()?.attachments;
    let ids: Vec<&Value> = rows.iter().map(|row| &row["trace_id"]).collect();
    assert!(
        ids.len() == 2 && ids.contains(&&json!("one")) && ids.contains(&&json!("two")),
        "{ids:?}"
    );
    assert_eq!(
        (&entry(&fleet, "two")?["state"], &entry(&fleet, "two")?["settled_by"]),
        (&json!("replayed"), &json!("anna"))
    );
    assert_eq!(entry(&fleet, "later")?["state"], "waiting");
    assert_contains(
        &anna.page("/dead-letters", 200)?,
        &["3 wait, 2 were replayed or resolved"],
    );
    // The same form again: nothing is sent twice.
    let ended = anna.ended(&anna.submit(&preview, "/dead-letters/replay")?)?;
    assert_contains(
        &ended,
        &["0 replayed", "2 of the preview were settled by somebody else"],
    );

    // One entry, from its page.
    let odd = entry(&fleet, "odd")?;
    let path = format!("/dead-letters/{}:{}", odd["partition"], odd["offset"]);
    let page = anna.page(&path, 200)?;
    let link = page
        .split("href=\"")
        .find(|link| link.starts_with("/dead-letters/resolve?"))
        .unwrap_or_default();
    let link = link.split('"').next().unwrap_or_default();
    let preview = anna.page(link, 200)?;
    assert_contains(&preview, &["1 dead letter would be marked"]);
    assert_contains(
        &anna.ended(&anna.submit(&preview, "/dead-letters/resolve")?)?,
        &["1 resolved"],
    );
    assert_contains(&anna.page(&path, 200)?, &["resolved", "Settled by", "anna"]);
    let audit = fleet["console"].process.log();
    assert_contains(
        &audit,
        &["audit", "\"user\":\"anna\"", "resolve 1 dead letter", "1 resolved"],
    );
    assert!(!audit.contains(OPERATOR) && !audit.contains(SECRET));
    Ok(())
}

#[test]
fn two_people_at_once_send_each_message_once() -> Result<()> {
    const LETTERS: usize = 60;
    let mut fleet = Fleet::shared("console-two", &[])?;
    let letters: Vec<Value> = (0..LETTERS).map(|number| letter(&format!("two-{number}"))).collect();
    plant(&fleet.broker, &fleet.topic("dlq"), &letters)?;
    let address = console(&mut fleet)?;
    let people = [
        ConsoleClient::signed_in(&address, OPERATOR)?,
        ConsoleClient::signed_in(&address, OTHER)?,
    ];
    let previews = [
        people[0].page("/dead-letters/replay", 200)?,
        people[1].page("/dead-letters/replay", 200)?,
    ];
    let responses = [
        people[0].submit(&previews[0], "/dead-letters/replay")?,
        people[1].submit(&previews[1], "/dead-letters/replay")?,
    ];
    let ends = [people[0].ended(&responses[0])?, people[1].ended(&responses[1])?];
    assert_contains(&ends[0], &["60 replayed"]);
    assert_contains(
        &ends[1],
        &["0 replayed", "60 of the preview were settled by somebody else"],
    );
    assert_eq!(fleet.records("pending")?.len(), LETTERS);
    Ok(())
}

#[test]
fn only_people_with_the_role_change_something_and_only_from_the_console() -> Result<()> {
    let mut fleet = Fleet::shared("console-roles", &[])?;
    plant(&fleet.broker, &fleet.topic("dlq"), &[letter("kept")])?;
    let address = console(&mut fleet)?;
    let nobody = ConsoleClient::new(&address);
    assert_contains(
        &nobody.page("/dead-letters?all=yes", 401)?,
        &["Sign in", "value=\"/dead-letters?all=yes\""],
    );
    nobody.page("/overview", 401)?;
    nobody.page("/assets/console.css", 200)?;
    assert_eq!(nobody.post("/sign-in", &[("token", "wrong")], &[])?.status, 401);
    let carl = ConsoleClient::signed_in(&address, VIEWER)?;
    let page = carl.page("/dead-letters", 200)?;
    assert!(
        page.contains("carl, view") && !page.contains("/dead-letters/replay"),
        "{page}"
    );
    let preview = carl.page("/dead-letters/replay", 200)?;
    assert_contains(&preview, &["1 message would be sent"]);
    assert_eq!(fields(&preview, "/dead-letters/replay"), None);

    let anna = ConsoleClient::signed_in(&address, OPERATOR)?;
    let preview = anna.page("/dead-letters/replay", 200)?;
    let form = fields(&preview, "/dead-letters/replay").unwrap_or_default();
    let form: Vec<_> = form
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let without: Vec<_> = form.iter().filter(|(name, _)| *name != "form-token").copied().collect();
    let other = format!("http://{address}.attacker.example");
    for (client, form, headers, reason) in [
        (&carl, &form, &[][..], "carl may view, not change"),
        (
            &anna,
            &without,
            &[],
            "the page was opened before the console was started",
        ),
        (
            &anna,
            &form,
            &[("Origin", other.as_str())],
            "another site sent this form",
        ),
        (&anna, &form, &[("Origin", "null")], "another site sent this form"),
        (
            &anna,
            &form,
            &[("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate")],
            "another site sent this form",
        ),
    ] {
        let response = client.post("/dead-letters/replay", form, headers)?;
        assert_eq!(response.status, 403, "{reason}");
        assert_contains(&response.body, &[reason]);
    }
    assert_eq!(nobody.post("/dead-letters/replay", &form, &[])?.status, 401);
    // A session that has ended: the page after the sign-in is none that a form without its fields would open.
    let ended = nobody.post("/dead-letters/replay", &form, &[])?;
    assert_contains(&ended.body, &["Sign in", "name=\"target\" value=\"/\""]);
    assert_contains(&anna.page("/tables/maintain", 405)?, &["that of a form"]);
    let large = "x".repeat(100_000);
    assert_eq!(
        anna.post("/dead-letters/replay", &[("reason", &large)], &[])?.status,
        413
    );
    assert_eq!(
        anna.post("/dead-letters/replay", &[form[0], ("stage", "nowhere")], &[])?
            .status,
        400
    );
    assert_eq!(entry(&fleet, "kept")?["state"], "waiting");
    // Headers that the platform would add are those of anybody here.
    let entra = [
        ("X-MS-CLIENT-PRINCIPAL-NAME", "anna"),
        ("X-MS-CLIENT-PRINCIPAL", "e30="),
    ];
    assert_eq!(nobody.post("/dead-letters/replay", &form, &entra)?.status, 401);
    Ok(())
}
