//! Measures the download stage: tasks to cached files.

use std::time::Instant;

use futures::StreamExt;
use serde_json::json;

use crate::bench::{Bench, rate};
use crate::ingest::url;
use crate::kafka::{Sender, Topic};
use crate::report::Report;
use xact_testkit::events::task;
use xact_testkit::samples::HOSTS;
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
        for number in 0..files {
            let trace_id = format!("bench-{concurrency}-{number:08}");
            let bytes = task(&trace_id, &url(&trace_id), &json!({}));
            sender.send(PENDING, trace_id.as_bytes(), &bytes)?;
        }
        sender.flush()?;
        let settings = [("DOWNLOAD_CONCURRENCY", &*concurrency.to_string())];
        bench.fleet.spawn("download", "download", &settings)?;
        bench.fleet.wait_ready(&["download"])?;
        let product = rate("all files are cached", files, || {
            Ok(cached.count()?.saturating_sub(done))
        })?;
        done += files;
        bench.fleet.stop(&["download"])?;
        let what = format!("download, 9 KB files, concurrency {concurrency}");
        report.pair(what, "files/s", product, raw);
    }
    Ok(())
}

/// Measures bare requests: the same number of files of the same size from the same server over TLS, read and discarded.
fn requests(bench: &Bench, concurrency: usize, files: u64) -> Result<f64> {
    let what = "the raw loop";
    let ca = std::fs::read(&bench.fleet.samples.ca_file).map_err(context(what))?;
    let ca = reqwest::Certificate::from_pem(&ca).map_err(context(what))?;
    let address = bench
        .fleet
        .samples
        .https
        .parse()
        .map_err(|error: std::net::AddrParseError| context(what)(error))?;
    let runtime = tokio::runtime::Runtime::new().map_err(context(what))?;
    runtime.block_on(async {
        let mut client = reqwest::Client::builder().no_proxy().tls_certs_merge([ca]);
        for host in HOSTS {
            client = client.resolve(host, address);
        }
        let client = client.build().map_err(context(what))?;
        let begun = Instant::now();
        let mut answers = futures::stream::iter(0..files)
            .map(|number| {
                let url = url(&format!("raw-{concurrency}-{number:08}"));
                let client = client.clone();
                // One task per request, as in the product: otherwise one thread would do all the work.
                async move {
                    let got =
                        tokio::spawn(async move { client.get(url).send().await?.error_for_status()?.bytes().await });
                    got.await
                }
            })
            .buffer_unordered(concurrency);
        while let Some(answer) = answers.next().await {
            answer.map_err(context(what))?.map_err(context(what))?;
        }
        #[allow(clippy::cast_precision_loss)]
        Ok(files as f64 / begun.elapsed().as_secs_f64())
    })
}
