//! Measures the download stage: tasks to cached files, next to a bare loop that does the same outside of its process.

use std::fs;
use std::time::Instant;

use futures::StreamExt;
use serde_json::json;

use crate::bench::{Bench, READING_INTERVAL, observe};
use crate::kafka::{Sender, Topic};
use crate::messages::url;
use crate::report::Report;
use xact_testkit::events::task;
use xact_testkit::samples::HOSTS;
use xact_testkit::usage::cpu_seconds;
use xact_testkit::{Result, context};

const PENDING: &str = "xact.downloads.pending";
const CACHED: &str = "xact.downloads.cached";

pub(crate) fn measure(bench: &mut Bench, files: u64, report: &mut Report) -> Result<()> {
    let cached = Topic::new(bench.kafka.bootstrap(), CACHED, 6)?;
    let sender = Sender::new(bench.kafka.bootstrap())?;
    let mut done = 0;
    for concurrency in [10_usize, 50] {
        let raw = requests(bench, concurrency, files)?;
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
        report.pair(&*what, "files/s", product.rate(), raw.rate);
        report.pair(
            format!("{what}: CPU time, 1,000 files"),
            "s",
            product.per(1000),
            raw.cpu,
        );
    }
    Ok(())
}

/// Returns the task of a file.
pub(crate) fn task_of(trace_id: &str, url: &str) -> Vec<u8> {
    task(trace_id, url, &json!({}))
}

/// Figures of the bare loop.
struct Raw {
    /// Files per second.
    rate: f64,
    /// CPU seconds for 1,000 files.
    cpu: f64,
}

/// Measures bare requests: the same number of files of the same size from the same server over TLS, each written under a
/// temporary name and renamed. The URLs are in memory. Nothing is synced, as in the product's cache (`shared/cache/src/part.rs`
/// says why).
fn requests(bench: &Bench, concurrency: usize, files: u64) -> Result<Raw> {
    let what = "the raw loop";
    let ca = fs::read(&bench.fleet.samples.ca_file).map_err(context(what))?;
    let ca = reqwest::Certificate::from_pem(&ca).map_err(context(what))?;
    let address = bench
        .fleet
        .samples
        .https
        .parse()
        .map_err(|error: std::net::AddrParseError| context(what)(error))?;
    // It is removed at the end of the run: deleting files makes the creation of the product's more expensive (`processes` says why).
    let folder = bench.fleet.dir.join(format!("raw-downloads-{concurrency}"));
    fs::create_dir(&folder).map_err(context(what))?;
    let urls: Vec<String> = (0..files)
        .map(|number| url(&format!("raw-{concurrency}-{number:08}")))
        .collect();
    let runtime = tokio::runtime::Runtime::new().map_err(context(what))?;
    runtime.block_on(async {
        // The product uses HTTP/1.1 too.
        let mut client = reqwest::Client::builder().no_proxy().http1_only().tls_certs_merge([ca]);
        for host in HOSTS {
            client = client.resolve(host, address);
        }
        let client = client.build().map_err(context(what))?;
        let (begun, cpu_before) = (Instant::now(), cpu_seconds(std::process::id())?);
        let mut stored = futures::stream::iter(urls.into_iter().enumerate())
            .map(|(number, url)| {
                let client = client.clone();
                let (part, whole) = (folder.join(format!("{number}.part")), folder.join(number.to_string()));
                // One task per request, as in the product: otherwise one thread would do all the work.
                tokio::spawn(async move {
                    let answer = client
                        .get(url)
                        .send()
                        .await
                        .and_then(reqwest::Response::error_for_status);
                    let bytes = answer.map_err(context(what))?.bytes().await.map_err(context(what))?;
                    let store = move || fs::write(&part, &bytes).and_then(|()| fs::rename(&part, &whole));
                    let stored = tokio::task::spawn_blocking(store).await;
                    stored.map_err(context(what))?.map_err(context(what))
                })
            })
            .buffer_unordered(concurrency);
        while let Some(stored) = stored.next().await {
            stored.map_err(context(what))??;
        }
        #[allow(clippy::cast_precision_loss)]
        let rate = files as f64 / begun.elapsed().as_secs_f64();
        #[allow(clippy::cast_precision_loss)]
        let thousands = files as f64 / 1000.0;
        let cpu = (cpu_seconds(std::process::id())? - cpu_before) / thousands;
        Ok(Raw { rate, cpu })
    })
}
