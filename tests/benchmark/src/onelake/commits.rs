//! Measures commits of 2,000 rows, by one owner of the table and by several.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use deltalake::parquet::arrow::ArrowWriter;
use futures::future::try_join_all;

use crate::onelake::emulator::Emulator;
use crate::onelake::raw::{Body, Raw};
use crate::report::Report;
use crate::results::rows::row;
use onelake_emulator::Verb;
use xact_contracts::ids::AppId;
use xact_lake::{AttachmentRow, Source, Sourced, Table, TableOptions, TableRow, writer_properties};
use xact_testkit::{Result, context};

/// Default of `RESULT_BATCH_SIZE`.
const ROWS: usize = 2000;
const OWNERS: [usize; 3] = [1, 2, 6];
/// Time for which each owner commits one batch after the other, as with a backlog.
const DURATION: Duration = Duration::from_secs(15);
/// Size of a log entry that adds one file.
const ENTRY_BYTES: usize = 2000;

/// Commits of all owners in one measurement.
struct Measured {
    /// For each owner, the duration of each commit in seconds.
    commits: Vec<Vec<f64>>,
    elapsed: Duration,
}

impl Measured {
    fn rows_per_second(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
        let rows = (self.count() * ROWS) as f64;
        rows / self.elapsed.as_secs_f64()
    }

    fn count(&self) -> usize {
        self.commits.iter().map(Vec::len).sum()
    }

    /// Returns a percentile of the durations of all commits.
    fn seconds(&self, percent: usize) -> f64 {
        let mut all: Vec<f64> = self.commits.iter().flatten().copied().collect();
        all.sort_unstable_by(f64::total_cmp);
        let at = (all.len() * percent / 100).min(all.len().saturating_sub(1));
        all.get(at).copied().unwrap_or(f64::NAN)
    }
}

pub(crate) async fn measure(emulator: &Emulator, report: &mut Report) -> Result<()> {
    let raw = emulator.raw()?;
    let latency = &emulator.latency;
    let mut of_one = f64::NAN;
    for owners in OWNERS {
        let bare = bare(&raw, owners).await?;
        let product = product(emulator, owners).await?;
        let rows = product.rows_per_second();
        if owners == 1 {
            of_one = rows;
            let what = format!("a commit of 2,000 rows, p50, one owner, {latency}");
            report.pair(what, "s", product.seconds(50), bare.seconds(50));
        }
        let what = format!("rows into one table, owners: {owners}, {latency}");
        report.pair(what, "rows/s", rows, bare.rows_per_second());
        if owners > 1 {
            let what = format!("the same, and (raw) the rows/s of one owner, {latency}");
            report.pair(what, "rows/s", rows, of_one);
        }
        details(emulator, &product, owners, report);
    }
    Ok(())
}

/// Reports conflicts, requests, price and durations of the commits of the product.
fn details(emulator: &Emulator, product: &Measured, owners: usize, report: &mut Report) {
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let per_commit = |count: u64| count as f64 / product.count() as f64;
    let puts = emulator.server.requests(Verb::PutBlob).statuses;
    let conflicts = puts.get(&409).copied().unwrap_or(0);
    let bill = emulator.server.bill().total();
    let price = per_commit(bill.micro_cu_seconds) / 1e6;
    let of = format!("owners: {owners}");
    report.figure(format!("conflicts, {of}"), "409s/commit", per_commit(conflicts));
    report.figure(format!("requests, {of}"), "requests/commit", per_commit(bill.requests));
    report.figure(format!("price, {of}"), "CU s/commit", price);
    report.figure(format!("a commit, p95, {of}"), "s", product.seconds(95));
    if owners > 1 {
        let fewest = product.commits.iter().map(Vec::len).min().unwrap_or(0) * owners;
        let even = format!("the slowest owner's commits, of its even part, {of}");
        report.figure(even, "", per_commit(fewest as u64));
    }
}

/// Measures the product. Each owner has its own table handle and connection, as a process has; the table exists already.
async fn product(emulator: &Emulator, owners: usize) -> Result<Measured> {
    let location = emulator.location(&format!("Tables/of_{owners}"))?;
    let mut tables = Vec::new();
    for owner in 0..owners {
        let options = TableOptions {
            connection: emulator.connection(&location)?,
            ..TableOptions::default()
        };
        let table: Table<AttachmentRow> = Table::new(location.clone(), options);
        append(&table, owner, 0).await?;
        tables.push(table);
    }
    emulator.server.clear_requests();
    let begun = Instant::now();
    let committing = tables.into_iter().enumerate().map(|(owner, table)| {
        tokio::spawn(async move {
            let mut seconds = Vec::new();
            while begun.elapsed() < DURATION {
                let (rows, positions) = batch(owner, seconds.len() + 1);
                let from = Instant::now();
                let appended = table.append(rows, positions).await;
                appended.map_err(context("a commit"))?;
                seconds.push(from.elapsed().as_secs_f64());
            }
            Ok::<_, xact_testkit::Error>(seconds)
        })
    });
    Ok(Measured {
        commits: joined(committing).await?,
        elapsed: begun.elapsed(),
    })
}

/// Measures the bare loop: the same rows as the same parquet files, then two requests in sequence. There are no conflicts,
/// since each file has its own name.
async fn bare(raw: &Raw, owners: usize) -> Result<Measured> {
    let begun = Instant::now();
    let committing = (0..owners).map(|owner| {
        let raw = raw.clone();
        tokio::spawn(async move {
            let mut seconds = Vec::new();
            while begun.elapsed() < DURATION {
                let name = format!("Tables/raw/of-{owners}/{owner}-{}", seconds.len());
                let (rows, _) = batch(owner, seconds.len() + 1);
                let from = Instant::now();
                raw.put_blob(&format!("{name}.parquet"), Body::new(encode(&rows)?))
                    .await?;
                raw.put_blob(&format!("{name}.json"), Body::new(vec![b' '; ENTRY_BYTES]))
                    .await?;
                seconds.push(from.elapsed().as_secs_f64());
            }
            Ok::<_, xact_testkit::Error>(seconds)
        })
    });
    Ok(Measured {
        commits: joined(committing).await?,
        elapsed: begun.elapsed(),
    })
}

async fn joined(tasks: impl Iterator<Item = tokio::task::JoinHandle<Result<Vec<f64>>>>) -> Result<Vec<Vec<f64>>> {
    let done = try_join_all(tasks).await;
    done.map_err(context("an owner"))?.into_iter().collect()
}

async fn append(table: &Table<AttachmentRow>, owner: usize, number: usize) -> Result<()> {
    let (rows, positions) = batch(owner, number);
    let appended = table.append(rows, positions).await;
    appended.map(drop).map_err(context("the first commit"))
}

/// Returns rows of the partition of this owner, and the position after them.
fn batch(owner: usize, number: usize) -> (Vec<Sourced<AttachmentRow>>, BTreeMap<AppId, i64>) {
    let app_id = AppId::new("xact-result-processor", "xact.downloads.results", owner as i32);
    let offset = |index: usize| i64::try_from(number * ROWS + index).unwrap_or(i64::MAX);
    let sourced = |index| Sourced {
        row: row(&format!("bench-{owner}-{:08}", offset(index))),
        source: Some(Source {
            app_id: app_id.clone(),
            offset: offset(index),
        }),
    };
    (
        (0..ROWS).map(sourced).collect(),
        BTreeMap::from([(app_id.clone(), offset(ROWS))]),
    )
}

fn encode(rows: &[Sourced<AttachmentRow>]) -> Result<Vec<u8>> {
    let rows: Vec<&AttachmentRow> = rows.iter().map(|sourced| &sourced.row).collect();
    let batch = AttachmentRow::to_record_batch(&rows).map_err(context("the raw rows"))?;
    let properties = writer_properties::<AttachmentRow>(rows.len());
    let cannot = context("the raw parquet file");
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).map_err(&cannot)?;
    writer.write(&batch).map_err(&cannot)?;
    writer.into_inner().map_err(&cannot)
}
