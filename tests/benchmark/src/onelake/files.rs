//! Measures uploads of files: 100 KB in one request each, and 100 MiB in blocks.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};

use crate::onelake::emulator::Emulator;
use crate::onelake::raw::{Body, Raw};
use crate::report::Report;
use xact_lake::{Content, FileStore, open};
use xact_testkit::{Result, context, failed};

const SMALL_BYTES: usize = 100_000;
/// Product and bare loop are measured in turn, so that both run under the same load of the machine.
const ROUNDS: usize = 3;
/// Files per round for each concurrent upload.
const FILES_PER_UPLOAD: usize = 40;

const MIB: usize = 1024 * 1024;
const LARGE_BYTES: usize = 100 * MIB;
/// Block size of the product.
const BLOCK_BYTES: usize = 4 * MIB;
/// Concurrent uploads, files, and blocks that the product then has in flight: four per file, eight in total (32 MiB).
const LARGE: [(usize, usize, usize); 2] = [(1, 3, 4), (5, 5, 8)];

/// A file to upload.
struct Source {
    file: Arc<File>,
    bytes: u64,
    sha256: String,
}

impl Source {
    fn new(emulator: &Emulator, content: &[u8]) -> Result<Self> {
        let path = emulator.dir.join("source");
        let cannot = context("the source file");
        File::create(&path)
            .and_then(|mut file| file.write_all(content))
            .map_err(&cannot)?;
        Ok(Self {
            file: Arc::new(File::open(&path).map_err(&cannot)?),
            bytes: content.len() as u64,
            sha256: hex::encode(Sha256::digest(content)),
        })
    }
}

pub(crate) async fn measure(emulator: &Emulator, report: &mut Report) -> Result<()> {
    let location = emulator.location("Files/product")?;
    let store = open(&location, &emulator.connection(&location)?).map_err(context("the files"))?;
    let raw = emulator.raw()?;
    for concurrency in [10, 50] {
        small(emulator, &store, &raw, concurrency, report).await?;
    }
    for (uploads, files, blocks) in LARGE {
        large(emulator, &store, &raw, (uploads, files, blocks), report).await?;
    }
    Ok(())
}

async fn small(
    emulator: &Emulator,
    store: &Arc<dyn FileStore>,
    raw: &Raw,
    concurrency: usize,
    report: &mut Report,
) -> Result<()> {
    let content = vec![7; SMALL_BYTES];
    let (source, body) = (Source::new(emulator, &content)?, Body::new(content));
    let raw_file = |path: String| {
        let (raw, body) = (raw.clone(), body.clone());
        async move { raw.put_blob(&format!("Files/raw/{path}"), body).await }
    };
    let product_file = |path: String| put(store, &source, path);
    let (mut raw_time, mut product_time) = (Duration::ZERO, Duration::ZERO);
    // The first round opens the connections and is not counted.
    for round in 0..=ROUNDS {
        let files = concurrency * if round == 0 { 1 } else { FILES_PER_UPLOAD };
        let raw = timed(files, concurrency, raw_file).await?;
        emulator.server.clear_requests();
        let product = timed(files, concurrency, product_file).await?;
        let requests = emulator.server.bill().total().requests;
        if requests != files as u64 {
            return Err(failed("the files", format!("{requests} requests for {files} files")));
        }
        if round > 0 {
            raw_time += raw;
            product_time += product;
        }
        emulator.delete("Files/raw")?;
        emulator.delete("Files/product")?;
    }
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let rate = |time: Duration| (ROUNDS * concurrency * FILES_PER_UPLOAD) as f64 / time.as_secs_f64();
    let what = format!("files of 100 KB, {concurrency} at a time, {}", emulator.latency);
    report.pair(what, "files/s", rate(product_time), rate(raw_time));
    Ok(())
}

async fn large(
    emulator: &Emulator,
    store: &Arc<dyn FileStore>,
    raw: &Raw,
    (uploads, files, blocks): (usize, usize, usize),
    report: &mut Report,
) -> Result<()> {
    let source = Source::new(emulator, &vec![7; LARGE_BYTES])?;
    let block = Body::new(vec![7; BLOCK_BYTES]);
    let in_flight = blocks.div_ceil(uploads).min(4);
    let permits = Arc::new(tokio::sync::Semaphore::new(blocks));
    let raw_file = |path: String| {
        let (raw, block, permits) = (raw.clone(), block.clone(), Arc::clone(&permits));
        async move { raw_blocks(&raw, &format!("Files/raw/{path}"), block, in_flight, &permits).await }
    };
    let product_file = |path: String| put(store, &source, path);
    let raw_time = timed(files, uploads, raw_file).await?;
    let product_time = timed(files, uploads, product_file).await?;
    emulator.delete("Files/raw")?;
    emulator.delete("Files/product")?;
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let rate = |time: Duration| (files * LARGE_BYTES) as f64 / 1e6 / time.as_secs_f64();
    let what = format!("files of 100 MiB, {uploads} at a time, {}", emulator.latency);
    report.pair(what, "MB/s", rate(product_time), rate(raw_time));
    Ok(())
}

async fn raw_blocks(
    raw: &Raw,
    path: &str,
    block: Body,
    in_flight: usize,
    permits: &tokio::sync::Semaphore,
) -> Result<()> {
    let ids: Vec<String> = (0..LARGE_BYTES / BLOCK_BYTES)
        .map(|number| format!("block-{number:010}"))
        .collect();
    stream::iter(ids.clone())
        .map(|id| {
            let block = block.clone();
            async move {
                let _permit = permits.acquire().await;
                raw.put_block(path, &id, block).await
            }
        })
        .buffer_unordered(in_flight)
        .try_for_each(|()| std::future::ready(Ok(())))
        .await?;
    raw.put_block_list(path, &ids).await
}

fn put(store: &Arc<dyn FileStore>, source: &Source, path: String) -> impl Future<Output = Result<()>> + Send + use<> {
    let (store, file, bytes, sha256) = (
        Arc::clone(store),
        Arc::clone(&source.file),
        source.bytes,
        source.sha256.clone(),
    );
    async move {
        let content = Content { bytes, sha256: &sha256 };
        store
            .put_file(&path, xact_lake::FileSource::File(file), content)
            .await
            .map_err(context("an upload"))
    }
}

/// Returns the duration of `files` uploads, `concurrency` at a time, each in its own task as in the upload stage.
async fn timed<F>(files: usize, concurrency: usize, upload: impl Fn(String) -> F) -> Result<Duration>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let begun = Instant::now();
    stream::iter(0..files)
        .map(|number| tokio::spawn(upload(format!("{}/file-{number:06}.pdf", number % 16))))
        .buffer_unordered(concurrency)
        .map(|done| done.map_err(context("an upload"))?)
        .try_for_each(|()| std::future::ready(Ok(())))
        .await?;
    Ok(begun.elapsed())
}
