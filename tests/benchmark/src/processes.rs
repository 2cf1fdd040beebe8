//! Measures the throughput of a stage by the number of its processes: 1, 2 and 3 of its own binary share six partitions.
//!
//! The processes join their group while the topic is empty. Once each is ready and has an equal share of the partitions, they are
//! frozen (SIGSTOP), the backlog is sent, and they are resumed. So the figures contain neither the start of a process, nor
//! rebalances, nor the sender, which would take one of the cores. They run from the first item that is done to the last; those of
//! the table to its last complete batches.
//! What was written is then compared with what was sent, id by id.
//!
//! CPU-bound stages cannot be faster with more processes than the machine has cores to spare: the broker and the server of the
//! files run on it too. `download` is therefore measured a second time with files that the server delays by 50 ms, as a
//! remote server does: then a process waits for most of the time, and more processes pay.

use std::time::Duration;

use rdkafka::message::Message;
use serde::Deserialize;

use crate::bench::{Bench, Observed, fleet, observe};
use crate::exact::assert_exactly_once;
use crate::kafka::{PARTITIONS, Sender, Topic, each_record};
use crate::messages::{delayed_url, event_of, task_of, trace_id, url};
use crate::report::Report;
use crate::results::rows::{media_id, result_of};
use crate::table_log::{TableLog, media_ids};
use xact_testkit::usage::{busy_cpu_seconds, cpu_seconds};
use xact_testkit::{Fleet, Kafka, Result, context, failed, ids};

const PROCESSES: [usize; 3] = [1, 2, 3];
/// Time between two readings, which cost the broker CPU time.
const READING_INTERVAL: Duration = Duration::from_millis(20);
/// Default of `RESULT_BATCH_SIZE`.
const BATCH: u64 = 2000;
/// Folder of the table that the result processor writes.
const TABLE: &str = "tables/xact_attachments";

/// Where a stage writes.
#[derive(Clone, Copy)]
enum Output {
    /// A message each to the topic of this role.
    Topic(&'static str),
    /// A row each to the table of attachments.
    Table,
}

/// A backlog, and what a stage makes of it.
#[derive(Clone, Copy)]
struct Work {
    /// Name in topics and groups.
    name: &'static str,
    what: &'static str,
    /// Items whose CPU time is reported, with their name.
    items: (u64, &'static str),
    unit: &'static str,
    stage: &'static str,
    count: u64,
    /// Role of the topic.
    input: &'static str,
    message: fn(&str) -> Vec<u8>,
    output: Output,
    /// Returns the media id of a trace in the output.
    media_id: fn(&str) -> String,
}

/// CPU seconds at one moment.
struct Used {
    /// Of all processes of the stage.
    processes: f64,
    /// Of everything on the machine.
    machine: f64,
}

pub(crate) fn measure(bench: &Bench, events: u64, files: u64, report: &mut Report) -> Result<()> {
    // Kept until all is measured: ext4 does not use the inodes of deleted files again for some minutes, and searches past each of
    // them when a file is created, which would double the CPU time of the downloads that follow.
    let mut fleets = Vec::new();
    for work in works(events, files) {
        let mut of_one = None;
        for processes in PROCESSES {
            let (observed, fleet) = run(&bench.kafka, &work, processes)?;
            fleets.push(fleet);
            let (rate, cpu, busy) = figures(&observed, work.items.0);
            let Work {
                what,
                items: (_, items),
                unit,
                ..
            } = work;
            let what = format!(
                "{what}, {processes} {}",
                if processes == 1 { "process" } else { "processes" }
            );
            let cpu_of = format!("{what}: CPU time of all, {items}");
            match of_one {
                None => {
                    of_one = Some((rate, cpu));
                    report.figure(&*what, unit, rate);
                    report.figure(cpu_of, "s", cpu);
                }
                Some((rate_of_one, cpu_of_one)) => {
                    report.pair(format!("{what}, next to one"), unit, rate, rate_of_one);
                    report.pair(cpu_of, "s", cpu, cpu_of_one);
                }
            }
            report.figure(format!("{what}: busy cores of the machine"), "cores", busy);
        }
    }
    Ok(())
}

fn works(events: u64, files: u64) -> [Work; 4] {
    let download = Work {
        name: "download",
        what: "download, 9 KB files",
        items: (1000, "1,000 files"),
        unit: "files/s",
        stage: "download",
        count: files,
        input: "pending",
        message: |trace_id| task_of(trace_id, &url(trace_id)),
        output: Output::Topic("cached"),
        media_id: |trace_id| ids::media_id(trace_id, &url(trace_id)),
    };
    [
        Work {
            name: "ingest",
            what: "ingest",
            items: (100_000, "100,000 events"),
            unit: "events/s",
            stage: "event-ingester",
            count: events,
            input: "raw",
            message: event_of,
            output: Output::Topic("pending"),
            ..download
        },
        download,
        Work {
            name: "delayed",
            what: "download, 9 KB files after 50 ms",
            message: |trace_id| task_of(trace_id, &delayed_url(trace_id)),
            media_id: |trace_id| ids::media_id(trace_id, &delayed_url(trace_id)),
            ..download
        },
        Work {
            name: "results",
            what: "results into Delta",
            items: (100_000, "100,000 rows"),
            unit: "rows/s",
            stage: "result-processor",
            count: events,
            input: "results",
            message: result_of,
            output: Output::Table,
            media_id,
        },
    ]
}

/// Returns the rate, the CPU seconds of `items` items, and busy cores.
#[expect(clippy::cast_precision_loss, reason = "a few million")]
fn figures(observed: &Observed<Used>, items: u64) -> (f64, f64, f64) {
    let Observed { before, after, .. } = observed;
    let part = items as f64 / observed.items as f64;
    (
        observed.rate(),
        (after.processes - before.processes) * part,
        (after.machine - before.machine) / observed.seconds,
    )
}

/// Measures one number of processes. Returns the figures, and the fleet with its files.
fn run(kafka: &Kafka, work: &Work, processes: usize) -> Result<(Observed<Used>, Fleet)> {
    let what = format!("{} with {processes} processes", work.name);
    let mut fleet = fleet(kafka, &format!("{}-{processes}", work.name))?;
    let names: Vec<String> = (1..=processes)
        .map(|number| format!("{}-{number}", work.stage))
        .collect();
    for name in &names {
        fleet.spawn(name, work.stage, &[])?;
    }
    fleet.wait_ready(&names)?;
    let has_shares = |fleet: &Fleet| names.iter().all(|name| has_share(fleet, name, processes));
    fleet.wait_until(&format!("{what} share the partitions"), || {
        has_shares(&fleet).then_some(())
    })?;

    for name in &names {
        fleet[name].process.pause()?;
    }
    let sender = Sender::new(kafka.bootstrap())?;
    sender.fill(&fleet.topic(work.input), (0..work.count).map(trace_id), work.message)?;
    for name in &names {
        fleet[name].process.resume()?;
    }
    let used = || {
        let mut sum = 0.0;
        for name in &names {
            sum += cpu_seconds(fleet[name].process.id())?;
        }
        Ok(Used {
            processes: sum,
            machine: busy_cpu_seconds()?,
        })
    };
    let mut done = done(&fleet, work)?;
    // A process waits a second before it commits its last, incomplete batch.
    let incomplete = match work.output {
        Output::Topic(_) => 0,
        Output::Table => BATCH * processes as u64,
    };
    let measured = work.count.saturating_sub(incomplete).max(work.count / 2);
    let observed = observe(&what, measured, READING_INTERVAL, used, &mut done)?;
    fleet.wait_until(&format!("{what} have done all"), || match done() {
        Ok(count) => (count >= work.count).then_some(Ok(())),
        Err(error) => Some(Err(error)),
    })??;
    if !has_shares(&fleet) {
        let detail = "the group was rebalanced meanwhile: send less (--events, --files)";
        return Err(failed(what, detail));
    }
    // What is in flight is written now, if anything is.
    fleet.stop(&names)?;
    let expected = (0..work.count).map(|number| (work.media_id)(&trace_id(number)));
    assert_exactly_once(&what, expected, written(&fleet, work)?)?;
    Ok((observed, fleet))
}

/// Returns whether a process has an equal share of the partitions.
fn has_share(fleet: &Fleet, name: &str, processes: usize) -> bool {
    let assigned = fleet[name].sum("kafka_consumer_assigned_partitions", &[]);
    #[expect(clippy::cast_precision_loss, reason = "three at most")]
    let share = f64::from(PARTITIONS) / processes as f64;
    assigned.is_ok_and(|assigned| assigned == share)
}

/// Returns what counts the items that are done.
fn done(fleet: &Fleet, work: &Work) -> Result<Box<dyn FnMut() -> Result<u64>>> {
    Ok(match work.output {
        Output::Topic(role) => {
            let topic = Topic::new(&fleet.broker, &fleet.topic(role), PARTITIONS)?;
            Box::new(move || topic.count())
        }
        Output::Table => {
            let mut log = TableLog::new(&fleet.dir.join(TABLE));
            Box::new(move || log.count())
        }
    })
}

/// Returns the media ids in the output.
fn written(fleet: &Fleet, work: &Work) -> Result<Vec<String>> {
    let Output::Topic(role) = work.output else {
        return media_ids(&fleet.dir.join(TABLE));
    };
    let topic = fleet.topic(role);
    let count = Topic::new(&fleet.broker, &topic, PARTITIONS)?.count()?;
    let mut ids = Vec::new();
    each_record(&fleet.broker, &topic, PARTITIONS, count, |message| {
        let message: HasMediaId =
            serde_json::from_slice(message.payload().unwrap_or_default()).map_err(context(&*topic))?;
        ids.push(message.media_id);
        Ok(())
    })?;
    Ok(ids)
}

/// The part of a message that is compared.
#[derive(Deserialize)]
struct HasMediaId {
    media_id: String,
}
