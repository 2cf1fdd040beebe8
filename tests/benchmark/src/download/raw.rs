//! The bare loops: files of the same size from the same server over TLS, each written under a temporary name and renamed.
//! Nothing is synced, as in the product's cache (`shared/cache/src/part.rs` says why).
//!
//! - [`requests`]: of URLs in memory
//! - [`tasks`]: of the tasks of a topic, each file hashed, and a message for each to another topic: all that the stage must do,
//!   without checks, retries, traces and metrics

use std::fs;
use std::net::AddrParseError;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt, stream};
use rdkafka::message::Message as _;
use reqwest::Client;
use sha2::{Digest, Sha256};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

use crate::bench::Bench;
use crate::kafka::{PARTITIONS, Sender, each_record};
use crate::messages::{task_of, url};
use xact_contracts::messages::{CachedDownload, DownloadTask, Message, encode};
use xact_testkit::samples::HOSTS;
use xact_testkit::usage::cpu_seconds;
use xact_testkit::{Result, context};

const WHAT: &str = "the bare loop of downloads";

/// Records between the consumer and the requests.
const QUEUE: usize = 1000;

/// Figures of a loop.
pub(super) struct Raw {
    /// Files per second.
    pub(super) rate: f64,
    /// CPU seconds for 1,000 files.
    pub(super) cpu: f64,
}

impl Raw {
    fn of(files: u64, begun: Instant, cpu_before: f64) -> Result<Self> {
        #[expect(clippy::cast_precision_loss, reason = "a few million")]
        let files = files as f64;
        Ok(Self {
            rate: files / begun.elapsed().as_secs_f64(),
            cpu: (cpu_seconds(std::process::id())? - cpu_before) * 1000.0 / files,
        })
    }
}

/// Requests URLs that are in memory.
pub(super) fn requests(bench: &Bench, concurrency: usize, files: u64) -> Result<Raw> {
    let downloads = Downloads::new(bench, &format!("requests-{concurrency}"))?;
    let urls: Vec<String> = (0..files)
        .map(|number| url(&format!("raw-{concurrency}-{number:08}")))
        .collect();
    let (begun, cpu_before) = (Instant::now(), cpu_seconds(std::process::id())?);
    downloads.run(
        stream::iter(urls.into_iter().map(|url| (url, ()))),
        concurrency,
        |(), _| Ok(()),
    )?;
    Raw::of(files, begun, cpu_before)
}

/// Reads tasks, requests their URLs, and sends the messages that the product sends.
pub(super) fn tasks(bench: &Bench, concurrency: usize, files: u64) -> Result<Raw> {
    let broker = bench.kafka.bootstrap();
    let (from, to) = (
        format!("bare.pending.{concurrency}"),
        format!("bare.cached.{concurrency}"),
    );
    bench.kafka.create_topic(&from, PARTITIONS.unsigned_abs())?;
    bench.kafka.create_topic(&to, PARTITIONS.unsigned_abs())?;
    let downloads = Downloads::new(bench, &format!("tasks-{concurrency}"))?;
    let traces = (0..files).map(|number| format!("bare-{concurrency}-{number:08}"));
    Sender::new(broker)?.fill(&from, traces, |trace_id| task_of(trace_id, &url(trace_id)))?;
    let sender = Sender::new(broker)?;
    let (queue, mut records) = mpsc::channel(QUEUE);
    let reader = {
        let broker = broker.to_owned();
        thread::spawn(move || {
            each_record(&broker, &from, PARTITIONS, files, |record| {
                let task = DownloadTask::decode(record.payload().unwrap_or_default());
                let sent = queue.blocking_send(task.map_err(context(WHAT))?);
                sent.map_err(context(WHAT))
            })
        })
    };
    let first = records.blocking_recv();
    // As for the product, the start of the client is not in it.
    let (begun, cpu_before) = (Instant::now(), cpu_seconds(std::process::id())?);
    let rest = stream::unfold(
        records,
        |mut records| async move { Some((records.recv().await?, records)) },
    );
    let tasks = stream::iter(first).chain(rest);
    let tasks = tasks.map(|task| (task.attachment_url.clone(), task));
    downloads.run(Box::pin(tasks), concurrency, |task, bytes| {
        let now = jiff::Timestamp::now();
        let (length, sha256) = (bytes.len() as u64, hex::encode(Sha256::digest(bytes)));
        let cached = CachedDownload::of_task(task, "a/file".to_owned(), length, None, sha256, now);
        sender.send(&to, cached.trace_id().as_bytes(), &encode(&cached))?;
        sender.serve(Duration::ZERO);
        Ok(())
    })?;
    sender.flush()?;
    let raw = Raw::of(files, begun, cpu_before)?;
    reader.join().map_err(|_| context(WHAT)("the consumer panicked"))??;
    Ok(raw)
}

/// The client, the threads and the folder of a loop.
struct Downloads {
    client: Client,
    runtime: Runtime,
    /// It is removed at the end of the run: deleting files makes the creation of the product's more expensive (`processes` says why).
    folder: PathBuf,
}

impl Downloads {
    fn new(bench: &Bench, name: &str) -> Result<Self> {
        let samples = &bench.fleet.samples;
        let ca = fs::read(&samples.ca_file).map_err(context(WHAT))?;
        let ca = reqwest::Certificate::from_pem(&ca).map_err(context(WHAT))?;
        let parsed = samples.https.parse();
        let address = parsed.map_err(|error: AddrParseError| context(WHAT)(error))?;
        // The product uses HTTP/1.1 too.
        let mut client = Client::builder().no_proxy().http1_only().tls_certs_merge([ca]);
        for host in HOSTS {
            client = client.resolve(host, address);
        }
        let folder = bench.fleet.dir.join(format!("raw-{name}"));
        fs::create_dir(&folder).map_err(context(WHAT))?;
        // As many threads as a handler has (handlers/README.md).
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Ok(Self {
            client: client.build().map_err(context(WHAT))?,
            runtime: runtime.map_err(context(WHAT))?,
            folder,
        })
    }

    /// Stores the file of each URL, and passes its content on with what belongs to it.
    fn run<T: Send + 'static>(
        &self,
        urls: impl Stream<Item = (String, T)> + Unpin,
        concurrency: usize,
        mut stored: impl FnMut(T, &[u8]) -> Result<()>,
    ) -> Result<()> {
        self.runtime.block_on(async {
            let downloads = urls.enumerate().map(|(number, (url, of))| {
                let client = self.client.clone();
                let (part, whole) = (
                    self.folder.join(format!("{number}.part")),
                    self.folder.join(number.to_string()),
                );
                // One task per request, as in the product.
                tokio::spawn(async move {
                    let answer = client.get(url).send().await;
                    let answer = answer
                        .and_then(reqwest::Response::error_for_status)
                        .map_err(context(WHAT))?;
                    let bytes = answer.bytes().await.map_err(context(WHAT))?;
                    let content = bytes.clone();
                    let store = move || fs::write(&part, &content).and_then(|()| fs::rename(&part, &whole));
                    let written = tokio::task::spawn_blocking(store).await;
                    written.map_err(context(WHAT))?.map_err(context(WHAT))?;
                    Ok((of, bytes))
                })
            });
            let mut downloads = downloads.buffer_unordered(concurrency);
            while let Some(download) = downloads.next().await {
                let (of, bytes) = download.map_err(context(WHAT))??;
                stored(of, &bytes)?;
            }
            Ok(())
        })
    }
}
