//! `console`: the overview follows events, a stopped stage, held retries, and a broker that is away, and states what it costs.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::one_lake;
use xact_testkit::events::{event, task};
use xact_testkit::{Fleet, Kafka, Result, assert_contains, context, failed, http, ports};

/// Time limit of a wait for an update that shows something.
const TIMEOUT: Duration = Duration::from_secs(180);

/// A page that is open, without a browser.
struct Page {
    address: String,
    stream: BufReader<TcpStream>,
}

impl Page {
    fn open(address: &str) -> Result<Self> {
        Ok(Self {
            address: address.to_owned(),
            stream: Self::stream(address).map_err(context("open the stream of events"))?,
        })
    }

    fn stream(address: &str) -> std::io::Result<BufReader<TcpStream>> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        // A response without chunks.
        stream.write_all(format!("GET /overview/events HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes())?;
        Ok(BufReader::new(stream))
    }

    /// Returns the next line; `None` at the end of the stream.
    fn line(&mut self) -> Result<Option<String>> {
        let mut line = String::new();
        let read = self
            .stream
            .read_line(&mut line)
            .map_err(context("read the stream of events"))?;
        Ok((read > 0).then(|| line.trim_end().to_owned()))
    }

    /// Returns the content of the next event of this name that has all of the parts. A stream lasts for some minutes; then the
    /// page opens another one, as a browser does.
    fn wait(&mut self, name: &str, parts: &[&str]) -> Result<String> {
        let deadline = Instant::now() + TIMEOUT;
        let (mut event, mut last) = (String::new(), String::new());
        while Instant::now() < deadline {
            let Some(line) = self.line()? else {
                if event == "ended" {
                    return Err(failed("the page opens no other stream", last));
                }
                *self = Self::open(&self.address)?;
                continue;
            };
            if let Some(name) = line.strip_prefix("event:") {
                name.trim().clone_into(&mut event);
            } else if let Some(data) = line.strip_prefix("data:")
                && event == name
            {
                if parts.iter().all(|part| data.contains(part)) {
                    return Ok(data.to_owned());
                }
                data.clone_into(&mut last);
            }
        }
        Err(failed(format!("no {name} with {parts:?}"), last))
    }
}

/// Starts the console of a fleet, and returns its address.
fn console(fleet: &mut Fleet, settings: &[(&str, &str)]) -> Result<String> {
    let address = format!("127.0.0.1:{}", ports::free()?);
    fleet.spawn_with("console", "xact-pipeline", &["console", "--listen", &address], settings)?;
    fleet.wait_until("the console responds", || http::get(&address, "/").ok())?;
    Ok(address)
}

/// Returns an event of now.
fn event_of_today(trace_id: &str) -> Result<Vec<u8>> {
    let url = format!("https://claimxperience.com/ok/9000/{trace_id}/a.pdf");
    let mut event: Value = serde_json::from_slice(&event(trace_id, &json!([url]))).map_err(context("an event"))?;
    event["timestamp"] = json!(Timestamp::now().to_string());
    Ok(event.to_string().into_bytes())
}

fn send(fleet: &Fleet, name: &str, count: usize) -> Result<()> {
    for number in 0..count {
        let trace_id = format!("{name}-{number}");
        fleet.send("raw", &trace_id, &event_of_today(&trace_id)?)?;
    }
    Ok(())
}

#[test]
fn an_open_page_follows_events_a_stopped_stage_and_held_retries() -> Result<()> {
    let mut fleet = Fleet::shared("overview", &[])?;
    fleet.start_all()?;
    send(&fleet, "before", 2)?;
    fleet.wait_no_lag()?;
    let handlers = [&fleet["download"].address, &fleet["upload"].address]
        .map(String::as_str)
        .join(",");
    let address = console(&mut fleet, &[("CONSOLE_HANDLERS", &handlers)])?;
    let mut page = Page::open(&address)?;
    // Rows of today, written before the page was opened.
    let shown = page.wait("overview", &["Files, ", "from event to row", "asleep: nothing waits"])?;
    assert_contains(
        &shown,
        &[
            "2, 17.58 KiB",
            "(p95)",
            "The tables are local",
            "estimated by the published prices",
        ],
    );
    assert!(
        !shown.contains("does not answer") && !shown.contains("stuck"),
        "{shown}"
    );

    send(&fleet, "while", 20)?;
    let moved = page.wait("picture", &["events: ", "working", r#"class="line moves""#])?;
    assert!(moved.contains(r#"role="img""#) && !moved.contains("style="), "{moved}");
    fleet.wait_no_lag()?;
    page.wait("picture", &["asleep"])?;

    fleet.stop(&["upload"])?;
    send(&fleet, "stopped", 1)?;
    let due = Timestamp::now() + SignedDuration::from_mins(10);
    let held = task(
        "held",
        "https://claimxperience.com/ok/9000/held/a.pdf",
        &json!({"retry_at": due.to_string()}),
    );
    fleet.send("pending.retry.1s", "held", &held)?;
    let shown = page.wait("overview", &["stuck: nothing finished since", "held until"])?;
    assert_contains(&shown, &["does not answer", ", in 9m"]);
    assert_eq!(shown.matches("stuck: nothing finished").count(), 1, "{shown}");
    page.wait("picture", &["stuck for", "due in"])?;

    fleet.start(&["upload"])?;
    fleet.wait_until("the stage works again", || {
        let (_, text) = http::get(&address, "/overview").ok()?;
        (!text.contains("stuck:") && text.contains("held until")).then_some(())
    })?;
    // An open stream does not keep the console from stopping.
    fleet.stop(&["console"])?;
    while page.line()?.is_some() {}
    Ok(())
}

#[test]
fn a_page_stays_open_while_the_broker_is_away_and_the_fifth_stream_replaces_the_first() -> Result<()> {
    let mut kafka = Kafka::start()?;
    let mut fleet = Fleet::new(kafka.bootstrap(), "overview-away", &[])?;
    let address = console(&mut fleet, &[])?;
    let mut pages = Vec::new();
    for _ in 0..4 {
        let mut page = Page::open(&address)?;
        // Which stream is the oldest is the order in which the console began them.
        page.wait("overview", &["nothing waits"])?;
        pages.push(page);
    }
    let mut fifth = Page::open(&address)?;
    fifth.wait("overview", &["nothing waits"])?;
    pages[0].wait("overview", &[r#"hx-get="/overview""#])?;
    pages[0].wait("ended", &[])?;
    assert_eq!(pages[0].line()?.as_deref(), Some(""));
    assert_eq!(pages[0].line()?, None, "the first stream has ended");
    drop(pages);

    kafka.stop()?;
    fifth.wait("overview", &["role=\"alert\"", "asks again"])?;
    // The page itself needs no broker.
    assert_eq!(http::get(&address, "/")?.0, 200);
    kafka.restart()?;
    fifth.wait("overview", &["nothing waits"])?;
    Ok(())
}

#[test]
fn the_page_states_what_one_lake_bills_for_it() -> Result<()> {
    let (mut fleet, lake) = one_lake::fleet("overview-costs", &[])?;
    fleet.start(&["event-writer"])?;
    send(&fleet, "billed", 3)?;
    fleet["event-writer"].wait_sum("delta_events_written_total", 3.0)?;
    fleet.stop(&["event-writer"])?;
    lake.admin("DELETE", "requests", "")?;
    let address = console(&mut fleet, &[])?;
    assert!(
        lake.bill()?["total"]["requests"] == 0 || lake.bill()?["total"].is_null(),
        "nobody has looked"
    );
    // The first page waits for the tables, for some seconds.
    let shown = fleet.wait_until("the tables are read", || {
        let (_, text) = http::get(&address, "/overview").ok()?;
        text.contains("OneLake billed").then_some(text)
    })?;
    let bill = lake.bill()?;
    let (requests, cost) = (&bill["total"]["requests"], bill["total"]["cu_seconds"].as_f64());
    let billed = format!(
        "OneLake billed {requests} requests, {:.4} CU seconds",
        cost.unwrap_or_default()
    );
    assert_contains(&shown, &[&billed, "3, to their row"]);
    for _ in 0..3 {
        http::get(&address, "/overview")?;
    }
    assert_eq!(lake.bill()?, bill, "a minute has not passed");
    Ok(())
}
