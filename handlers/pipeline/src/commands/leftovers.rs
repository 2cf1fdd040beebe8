//! `leftovers`: lists and deletes unfinished files of killed uploads.
//!
//! Versions before 0.2 wrote each file in `ONELAKE_BASE_PATH/.xact-uploads` and renamed it when it was complete. Current
//! versions write no temporary files in OneLake; a local lake still has them.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::onelake_cost;
use crate::outcome::{CommandResult, ExitStatus};
use crate::ui::text::visible;
use xact_config::{Environment, Settings};

/// Deletes in flight.
const DELETES: usize = 16;
/// Paths that the text answer shows; `--json` has all.
const SHOWN: usize = 20;

/// Arguments of `leftovers`.
#[derive(Debug, Args)]
pub(crate) struct Leftovers {
    /// Leaves younger files alone: an upload of a version before 0.2, or to a local lake, may still be writing them
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..))]
    older_than_hours: u64,
    /// Delete them; without it this is a dry run
    #[arg(long)]
    execute: bool,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Lists what is there and deletes it if told to. Repeating it is harmless.
#[allow(clippy::print_stdout)]
pub(crate) async fn run(environment: &Environment, arguments: Leftovers) -> CommandResult {
    let settings = Settings::from_environment(environment)?;
    let files = upload::open_files(&settings)?;
    let hours = arguments.older_than_hours;
    let age = Duration::from_secs(hours.saturating_mul(3600));
    let mut found = files.leftovers(age).await?;
    found.sort();

    if arguments.execute {
        let mut deleted = 0;
        let mut running = JoinSet::new();
        let mut waiting = found.iter();
        loop {
            while running.len() < DELETES
                && let Some((path, _)) = waiting.next()
            {
                let (files, path) = (files.clone(), path.clone());
                running.spawn(async move { files.delete_leftover(&path).await });
            }
            let Some(result) = running.join_next().await else { break };
            result?.map_err(|error| {
                let count = found.len();
                format!("{error}. {deleted} of {count} files were deleted; run the command again to continue")
            })?;
            deleted += 1;
        }
    }

    let bytes: u64 = found.iter().map(|(_, bytes)| bytes).sum();
    let bill = files.bill();
    if arguments.json {
        let list: Vec<Value> = found
            .iter()
            .map(|(path, bytes)| json!({"path": path, "bytes": bytes}))
            .collect();
        let mut answer = json!({"location": settings.onelake_base_path, "older_than_hours": hours, "files": list,
            "bytes": bytes, "deleted": arguments.execute});
        onelake_cost::add_to_json(&mut answer, bill.as_ref());
        println!("{answer:#}");
        return Ok(ExitStatus::Ok);
    }
    for (path, bytes) in found.iter().take(SHOWN) {
        println!("{bytes:>12}  {}", visible(path));
    }
    if found.len() > SHOWN {
        println!("and {} more; --json lists all", found.len() - SHOWN);
    }
    let count = match found.len() {
        1 => "1 unfinished file".to_owned(),
        count => format!("{count} unfinished files"),
    };
    let done = if arguments.execute { " deleted" } else { "" };
    let at = &settings.onelake_base_path;
    println!("{at}: {count} older than {hours} h, {bytes} bytes{done}");
    if let Some(bill) = bill {
        println!("{}", onelake_cost::in_text(&bill));
    }
    if !arguments.execute && !found.is_empty() {
        println!("dry run: pass --execute to apply");
    }
    Ok(ExitStatus::Ok)
}
