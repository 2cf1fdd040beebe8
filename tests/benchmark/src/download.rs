//! Measures the download stage: tasks to cached files, next to two bare loops ([`raw`]) with the same number of threads.

mod raw;

use crate::bench::{Bench, READING_INTERVAL, observe};
use crate::kafka::{Sender, Topic};
use crate::messages::{task_of, url};
use crate::report::Report;
use xact_testkit::Result;
use xact_testkit::usage::cpu_seconds;

const PENDING: &str = "xact.downloads.pending";
const CACHED: &str = "xact.downloads.cached";

pub(crate) fn measure(bench: &mut Bench, files: u64, report: &mut Report) -> Result<()> {
    let cached = Topic::new(bench.kafka.bootstrap(), CACHED, 6)?;
    let sender = Sender::new(bench.kafka.bootstrap())?;
    let mut done = 0;
    for concurrency in [10_usize, 50] {
        let requests = raw::requests(bench, concurrency, files)?;
        let tasks = raw::tasks(bench, concurrency, files)?;
        // The worker starts only when its backlog is complete.
        let traces = (0..files).map(|number| format!("bench-{concurrency}-{number:08}"));
        sender.fill(PENDING, traces, |trace_id| task_of(trace_id, &url(trace_id)))?;
        let settings = [("DOWNLOAD_CONCURRENCY", &*concurrency.to_string())];
        bench.fleet.spawn("download", "download", &settings)?;
        bench.fleet.wait_ready(&["download"])?;
        let process = bench.fleet["download"].process.id();
        // The start of the process is not in it.
        let product = observe(
            "all files are cached",
            files,
            READING_INTERVAL,
            || cpu_seconds(process),
            || Ok(cached.count()?.saturating_sub(done)),
        )?;
        done += files;
        bench.fleet.stop(&["download"])?;
        let what = format!("download, 9 KB files, concurrency {concurrency}");
        report.pair(&*what, "files/s", product.rate(), requests.rate);
        report.pair(
            format!("{what}, beside all that a message takes"),
            "files/s",
            product.rate(),
            tasks.rate,
        );
        let cpu = format!("{what}: CPU time, 1,000 files");
        report.pair(&*cpu, "s", product.per(1000), requests.cpu);
        report.pair(
            format!("{cpu}, beside all that a message takes"),
            "s",
            product.per(1000),
            tasks.cpu,
        );
    }
    Ok(())
}
