//! Measures an append of one batch as its table grows: commits since the last checkpoint, dates, and files of one date.
//!
//! The OneLake emulator counts requests without a latency, so the seconds are those of the program. The tables are valid, but
//! made quickly: one data file is written, and log entries add copies of it (hard links) under other names. Memory is that
//! of a process of its own, which appends to the emulator's folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use jiff::ToSpan;
use jiff::civil::{Date, date};
use serde_json::{Value, json};

use crate::onelake::emulator::Emulator;
use crate::report::Report;
use crate::results::rows::row;
use xact_contracts::onelake_billing::BillingClass;
use xact_lake::{AttachmentRow, Location, Sourced, Table, TableOptions};
use xact_testkit::{Result, context, failed};

/// Default of `RESULT_BATCH_SIZE`.
const BATCH: usize = 2000;
/// Rows of each data file that the table has already.
const ROWS_OF_FILE: usize = 20;
/// Files that one log entry adds.
const FILES_OF_ENTRY: usize = 1000;
/// The date that the batch belongs to.
const DAY: Date = date(2024, 12, 31);

/// What a table has before the append.
#[derive(Clone, Copy)]
struct Size {
    commits_since_checkpoint: usize,
    dates: usize,
    files_of_the_date: usize,
}

const SMALL: Size = Size {
    commits_since_checkpoint: 1,
    dates: 1,
    files_of_the_date: 1,
};

pub(crate) fn measure(report: &mut Report) -> Result<()> {
    let emulator = Emulator::start(Duration::ZERO)?;
    let runtime = tokio::runtime::Runtime::new().map_err(context("a runtime"))?;
    let commits = [1, 10, 100, 1000].map(|commits_since_checkpoint| Size {
        commits_since_checkpoint,
        ..SMALL
    });
    let dates = Size { dates: 1000, ..SMALL };
    let files = [1000, 50_000].map(|files_of_the_date| Size {
        files_of_the_date,
        ..SMALL
    });
    for (number, size) in commits.into_iter().chain([dates]).chain(files).enumerate() {
        let name = format!("Tables/growth-{number}");
        let folder = emulator.folder(&name);
        runtime.block_on(create(&folder, size))?;
        runtime.block_on(appends(&emulator, &name, size, report))?;
        let peak = memory_of_process(&folder)?;
        report.figure(format!("{}: peak memory of a process", text(size)), "MiB", peak);
        emulator.delete(&name)?;
    }
    Ok(())
}

fn text(size: Size) -> String {
    let Size {
        commits_since_checkpoint: commits,
        dates,
        files_of_the_date: files,
    } = size;
    format!("commits {commits}, dates {dates}, files of the date {files}")
}

/// Creates a table of this size: a checkpoint of its files, and then commits that each add a file of another date.
async fn create(folder: &Path, size: Size) -> Result<()> {
    let table = open(Location::Local(folder.to_owned()), TableOptions::default());
    append(&table, "original", ROWS_OF_FILE).await?;
    let mut log = Log::after_first_append(folder)?;
    let of_date = std::iter::repeat_n(DAY, size.files_of_the_date - 1);
    let other = |number: usize| DAY.saturating_sub(i64::try_from(number).unwrap_or(0).days());
    let added: Vec<Date> = of_date.chain((1..size.dates).map(other)).collect();
    for dates in added.chunks(FILES_OF_ENTRY) {
        log.add(dates)?;
    }
    let checkpoint = table.checkpoint().await;
    checkpoint.map_err(context("a checkpoint"))?;
    (0..size.commits_since_checkpoint).try_for_each(|_| log.add(&[date(2000, 1, 1)]))
}

/// Measures the first append of a process, which opens the table, and the second one.
async fn appends(emulator: &Emulator, name: &str, size: Size, report: &mut Report) -> Result<()> {
    let location = emulator.location(name)?;
    let options = TableOptions {
        connection: emulator.connection(&location)?,
        ..TableOptions::default()
    };
    let table = open(location, options);
    for which in ["first", "next"] {
        emulator.server.clear_requests();
        let begun = Instant::now();
        append(&table, which, BATCH).await?;
        let seconds = begun.elapsed().as_secs_f64();
        let what = format!("{}: {which} append", text(size));
        report.figure(what.clone(), "s", seconds);
        let bill = emulator.server.bill();
        for class in BillingClass::ALL {
            let requests = bill.of(class).requests;
            if requests > 0 {
                #[expect(clippy::cast_precision_loss, reason = "some thousands")]
                report.figure(format!("{what}, {}", class.name()), "requests", requests as f64);
            }
        }
    }
    Ok(())
}

fn open(location: Location, options: TableOptions) -> Table<AttachmentRow> {
    Table::new(location, options)
}

/// Appends rows whose keys begin with `prefix`.
async fn append(table: &Table<AttachmentRow>, prefix: &str, rows: usize) -> Result<()> {
    let row = |number: usize| Sourced {
        row: row(&format!("{prefix}-{number:08}")),
        source: None,
    };
    let appended = table.append((0..rows).map(row).collect(), Default::default()).await;
    match appended.map_err(context("an append"))?.added {
        added if added == rows => Ok(()),
        added => Err(failed("an append", format!("it added {added} rows of {rows}"))),
    }
}

/// The log of a table, to which entries are added without writing data.
struct Log {
    folder: PathBuf,
    version: usize,
    files: usize,
    /// The action that added the first data file.
    add: Value,
}

impl Log {
    fn after_first_append(folder: &Path) -> Result<Self> {
        let entry = fs::read_to_string(folder.join("_delta_log/00000000000000000001.json"));
        let entry = entry.map_err(context("the first append"))?;
        let actions = entry
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let add = actions.into_iter().find(|action| action["add"].is_object());
        Ok(Self {
            folder: folder.to_owned(),
            version: 1,
            files: 0,
            add: add.ok_or_else(|| failed("the first append", "it added no file"))?,
        })
    }

    /// Adds an entry with a file for each of the dates.
    fn add(&mut self, dates: &[Date]) -> Result<()> {
        let what = "a log entry";
        let original = self.add["add"]["path"].as_str().unwrap_or_default().to_owned();
        let mut entry = json!({"commitInfo": {"timestamp": 0, "operation": "WRITE"}}).to_string();
        for date in dates {
            let path = format!("event_date={date}/copy-{:06}.parquet", self.files);
            let link = self.folder.join(&path);
            if let Some(folder) = link.parent() {
                fs::create_dir_all(folder).map_err(context(what))?;
            }
            fs::hard_link(self.folder.join(&original), link).map_err(context(what))?;
            let mut action = self.add.clone();
            action["add"]["path"] = path.into();
            action["add"]["partitionValues"]["event_date"] = date.to_string().into();
            entry.push('\n');
            entry.push_str(&action.to_string());
            self.files += 1;
        }
        self.version += 1;
        let name = format!("_delta_log/{:020}.json", self.version);
        fs::write(self.folder.join(name), entry).map_err(context(what))
    }
}

/// Returns the peak memory in MiB of a process that appends two batches.
fn memory_of_process(folder: &Path) -> Result<f64> {
    let what = "a process that appends";
    let program = std::env::current_exe().map_err(context(what))?;
    let output = Command::new(program).arg("--append-to").arg(folder).output();
    let output = output.map_err(context(what))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let kib: f64 = text.trim().parse().map_err(context(&format!("{what}: {text}")))?;
    Ok(kib / 1024.0)
}

/// Appends two batches, and prints the peak memory of this process in KiB.
pub(crate) fn append_to(folder: &Path) -> Result<()> {
    let what = "the memory of this process";
    let runtime = tokio::runtime::Runtime::new().map_err(context("a runtime"))?;
    runtime.block_on(async {
        let table = open(Location::Local(folder.to_owned()), TableOptions::default());
        append(&table, "process", BATCH).await?;
        append(&table, "process-again", BATCH).await
    })?;
    let status = fs::read_to_string("/proc/self/status").map_err(context(what))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|peak| peak.split_whitespace().next());
    println!("{}", kib.ok_or_else(|| failed(what, "the kernel reports no memory"))?);
    Ok(())
}
