//! `topics create|list|lag`.

use comfy_table::{Table, presets};

use crate::Outcome;
use crate::cli::Topics;
use xact_config::{Environment, Settings};
use xact_kafka::admin::topics::{self, LagReader};

/// Carries out one of them.
#[allow(clippy::print_stdout)]
pub(crate) async fn run(environment: &Environment, action: Topics) -> Outcome {
    let settings = Settings::from_environment(environment)?;
    match action {
        Topics::Create => {
            let created = topics::create(&settings).await?;
            for topic in &created {
                println!("created {topic}");
            }
            if created.is_empty() {
                println!("all topics were there already");
            }
            Ok(true)
        }
        Topics::List => {
            let states = tokio::task::spawn_blocking(move || topics::list(&settings)).await??;
            let mut table = table(&["topic", "partitions", "expected"]);
            for state in &states {
                let partitions = state
                    .partitions
                    .map_or_else(|| "missing".to_owned(), |count| count.to_string());
                table.add_row([state.name.clone(), partitions, state.wanted.to_string()]);
            }
            println!("{table}");
            Ok(states.iter().all(|state| state.partitions.is_some()))
        }
        Topics::Lag => {
            let (lags, missing) = tokio::task::spawn_blocking(move || {
                let states = topics::list(&settings)?.into_iter();
                let missing: Vec<String> = states
                    .filter(|state| state.partitions.is_none())
                    .map(|state| state.name)
                    .collect();
                Ok::<_, xact_kafka::admin::AdminError>((LagReader::new(&settings)?.read()?, missing))
            })
            .await??;
            let mut table = table(&["group", "topic", "partition", "committed", "end", "lag"]);
            for lag in lags {
                table.add_row([
                    lag.group.clone(),
                    lag.topic.clone(),
                    lag.partition.to_string(),
                    lag.committed
                        .map_or_else(|| "-".to_owned(), |offset| offset.to_string()),
                    lag.end.to_string(),
                    lag.lag().to_string(),
                ]);
            }
            println!("{table}");
            if !missing.is_empty() {
                println!(
                    "missing: {}. Create them (`topics create`), or set the pipeline's own RETRY_DELAYS and topic names",
                    missing.join(", ")
                );
            }
            Ok(missing.is_empty())
        }
    }
}

/// An empty table in the style of all commands.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(header);
    table
}
