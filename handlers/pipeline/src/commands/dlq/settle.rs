//! `dlq replay` and `dlq resolve`: first what would be done is counted, then it is asked, then it is done.
//!
//! An entry is marked only after its message is acknowledged. Killed in between, it still waits, and doing it again sends
//! the same message with the same keys: nothing is lost, and no row is added twice.

use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;

use jiff::Timestamp;
use serde_json::json;
use tokio::sync::mpsc;

use super::arguments::{Filter, Settle};
use super::entries::Entries;
use super::entry::{Action, Entry, Mark, Place};
use super::replay_plan::{self, Rules};
use super::view::no_entry;
use crate::outcome::{CommandResult, ExitStatus};
use crate::ui::Table;
use crate::ui::confirm::confirmed;
use crate::ui::text::cell;
use xact_config::Settings;
use xact_contracts::redaction::redact_text;
use xact_contracts::topology::TopicRole;
use xact_kafka::Outgoing;
use xact_kafka::admin::Tombstones;
use xact_operations::delivery::Delivery;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Entries that are sent, acknowledged and marked together.
const BATCH: usize = 20;
/// Bytes of messages in such a batch, unless one alone is larger.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Rows of the table of what would be done.
const ROWS: usize = 100;

/// What was found, without the messages.
struct Found {
    entries: Entries,
    chosen: HashSet<Place>,
    refused: u64,
    /// Messages by the topic that they go to.
    targets: BTreeMap<String, u64>,
    rows: Vec<[String; 4]>,
}

/// One entry on its way.
struct Step {
    place: Place,
    /// What a replay sends.
    outgoing: Option<Outgoing>,
}

/// Carries out a replay or a resolve.
#[allow(clippy::print_stdout, clippy::print_stderr)]
pub(super) async fn run(settings: Settings, action: Action, what: Settle) -> CommandResult {
    if what.entries.is_empty() && what.filter.is_empty() && !what.everything {
        return Err("name entries (PARTITION:OFFSET), or filters, or --everything".into());
    }
    let (dry_run, yes, as_json) = (what.dry_run, what.yes, what.json);
    let now = Timestamp::now();
    let found = {
        let settings = settings.clone();
        tokio::task::spawn_blocking(move || find(&settings, action, &what, now)).await??
    };
    if as_json {
        // Those that are done come later, one by one.
        for row in found.rows.iter().filter(|row| dry_run || row[1] == "refused") {
            println!("{}", line_of(row));
        }
    } else if dry_run || found.refused > 0 {
        print_plan(&found, dry_run);
    }
    let count = found.chosen.len();
    let verb = match action {
        Action::Replayed => "replay",
        Action::Resolved => "resolve",
    };
    let targets: Vec<String> = found
        .targets
        .iter()
        .map(|(topic, count)| format!("{count} to {topic}"))
        .collect();
    let targets = if targets.is_empty() {
        String::new()
    } else {
        format!(" ({})", targets.join(", "))
    };
    if dry_run || count == 0 {
        eprintln!(
            "{count} to {verb}{targets}, {} refused; nothing was done",
            found.refused
        );
        return Ok(ExitStatus::from(found.refused == 0));
    }
    let letters = if count == 1 { "dead letter" } else { "dead letters" };
    if !confirmed(&format!("{verb} {count} {letters}{targets}?"), yes)? {
        eprintln!("nothing was done");
        return Ok(ExitStatus::No);
    }
    let refused = found.refused;
    let done = carry_out(settings, action, found, as_json, now).await?;
    if !as_json {
        println!("{done} {}, {refused} refused", action.as_str());
    }
    Ok(ExitStatus::from(refused == 0 && done == count))
}

/// Whether an entry is asked for.
fn is_chosen(entry: &Entry, places: &[Place], filter: &Filter) -> bool {
    filter.takes(entry) && (places.is_empty() || places.contains(&entry.place))
}

/// Reads all entries and keeps what is to be done. Blocks.
fn find(settings: &Settings, action: Action, what: &Settle, now: Timestamp) -> Result<Found, Error> {
    let entries = Entries::open(settings, &what.entries)?;
    let mut unseen: HashSet<Place> = what.entries.iter().copied().collect();
    let mut chosen = HashSet::new();
    let mut refused = 0;
    let mut targets: BTreeMap<String, u64> = BTreeMap::new();
    let mut rows = Vec::new();
    let as_json = what.json;
    let rules = Rules::new(settings, now);
    entries.visit(|entry| {
        unseen.remove(&entry.place);
        if !is_chosen(&entry, &what.entries, &what.filter) {
            return ControlFlow::Continue(());
        }
        let verdict = match (entry.mark, action) {
            // A filter passes over what is settled; who names an entry wants to know.
            (Some(_), _) if what.entries.is_empty() => return ControlFlow::Continue(()),
            (Some(mark), _) => Err(format!("it was {} already", mark.action.as_str())),
            (None, Action::Resolved) => Ok(None),
            (None, Action::Replayed) => replay_plan::plan(&entry, &rules)
                .map(|outgoing| Some(outgoing.topic))
                .map_err(|refusal| refusal.to_string()),
        };
        let row = |word: &str, text: &str| {
            let trace_id = entry.trace_id().unwrap_or("-");
            [
                entry.place.to_string(),
                word.to_owned(),
                redact_text(trace_id),
                redact_text(text),
            ]
        };
        let row = match verdict {
            Ok(topic) => {
                chosen.insert(entry.place);
                let text = topic
                    .as_deref()
                    .map_or_else(|| "marked".to_owned(), |topic| format!("to {topic}"));
                if let Some(topic) = topic {
                    *targets.entry(topic).or_default() += 1;
                }
                row("yes", &text)
            }
            Err(reason) => {
                refused += 1;
                row("refused", &reason)
            }
        };
        if as_json || rows.len() < ROWS {
            rows.push(row);
        }
        ControlFlow::Continue(())
    })?;
    if let Some(place) = unseen.into_iter().min() {
        return Err(no_entry(settings, place).into());
    }
    Ok(Found {
        entries,
        chosen,
        refused,
        targets,
        rows,
    })
}

#[allow(clippy::print_stdout)]
fn print_plan(found: &Found, dry_run: bool) {
    let mut shown = Table::new(&["entry", "", "trace id", "what"]);
    for row in found.rows.iter().filter(|row| dry_run || row[1] == "refused") {
        shown.add_row(row.iter().map(|text| cell(text)));
    }
    println!("{shown}");
    let all = found.chosen.len() as u64 + found.refused;
    if all > found.rows.len() as u64 {
        println!("… of {all} in all; --json shows every one");
    }
}

fn line_of([entry, word, trace_id, text]: &[String; 4]) -> serde_json::Value {
    let (partition, offset) = entry.split_once(':').unwrap_or_default();
    let number = |text: &str| text.parse::<i64>().ok();
    json!({
        "partition": number(partition), "offset": number(offset), "trace_id": trace_id,
        "action": if word == "refused" { "refused" } else { "planned" }, "detail": text,
    })
}

/// Reads the chosen entries again, batch by batch, sends and marks them; returns how many.
#[allow(clippy::print_stdout, clippy::print_stderr)]
async fn carry_out(
    settings: Settings,
    action: Action,
    found: Found,
    as_json: bool,
    now: Timestamp,
) -> Result<usize, Error> {
    let marks = Tombstones::new(&settings.internal_cluster, &settings.topics.dlq)?;
    let internal = Delivery::new(&settings.internal_cluster)?;
    let events = match &settings.events_cluster {
        Some(cluster) => Some(Delivery::new(cluster)?),
        None => None,
    };
    let count = found.chosen.len();
    let topics = settings.topics.clone();
    let (batches, mut arriving) = mpsc::channel(1);
    let reading = tokio::task::spawn_blocking(move || read_batches(&found, action, &settings, now, &batches));
    let mut done = 0;
    while let Some(batch) = arriving.recv().await {
        let batch: Vec<Step> = batch;
        let of_events = |out: &Outgoing| events.is_some() && topics.role_of(&out.topic) == Some(TopicRole::Raw);
        let outgoing = batch.iter().filter_map(|step| step.outgoing.clone());
        let (to_events, to_internal): (Vec<_>, Vec<_>) = outgoing.partition(of_events);
        internal.send(&to_internal).await?;
        if let Some(events) = &events {
            events.send(&to_events).await?;
        }
        let at = Timestamp::now();
        let tombstones: Vec<_> = batch
            .iter()
            .map(|step| Mark::tombstone(step.place, action, at))
            .collect();
        marks.write(&tombstones).await?;
        done += batch.len();
        if as_json {
            for step in &batch {
                println!(
                    "{}",
                    json!({"partition": step.place.partition, "offset": step.place.offset, "action": action.as_str(),
                        "topic": step.outgoing.as_ref().map(|out| &out.topic)})
                );
            }
        }
        if count > BATCH {
            eprintln!("{done} of {count} {}", action.as_str());
        }
    }
    reading.await??;
    Ok(done)
}

/// Blocks while the receiver is busy.
fn read_batches(
    found: &Found,
    action: Action,
    settings: &Settings,
    now: Timestamp,
    batches: &mpsc::Sender<Vec<Step>>,
) -> Result<(), Error> {
    let mut batch = Vec::new();
    let mut bytes = 0;
    let rules = Rules::new(settings, now);
    found.entries.visit(|entry| {
        if !found.chosen.contains(&entry.place) {
            return ControlFlow::Continue(());
        }
        let outgoing = match action {
            Action::Resolved => None,
            // It was planned before, by the same clock: it is not refused now.
            Action::Replayed => match replay_plan::plan(&entry, &rules) {
                Ok(outgoing) => Some(outgoing),
                Err(_) => return ControlFlow::Continue(()),
            },
        };
        bytes += outgoing.as_ref().map_or(0, |out| out.value.len());
        batch.push(Step {
            place: entry.place,
            outgoing,
        });
        if batch.len() < BATCH && bytes < BATCH_BYTES {
            return ControlFlow::Continue(());
        }
        bytes = 0;
        // Nobody receives any more: sending failed, and that is reported.
        match batches.blocking_send(std::mem::take(&mut batch)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    })?;
    if !batch.is_empty() {
        let _ = batches.blocking_send(batch);
    }
    Ok(())
}
