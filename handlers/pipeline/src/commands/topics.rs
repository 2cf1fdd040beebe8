//! `topics create|list|lag`.

use clap::Subcommand;

use crate::outcome::{CommandResult, ExitStatus};
use crate::ui::Table;
use xact_config::{Environment, Settings};
use xact_kafka::admin::topics::{self, LagReader};

/// Commands on topics.
#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum Topics {
    /// Create the topics that are missing
    Create,
    /// List the topics with their partitions
    List,
    /// Show how far each group is behind; exit 1 if a topic is missing
    Lag,
}

/// Carries out one of them.
#[allow(clippy::print_stdout)]
pub(crate) async fn run(environment: &Environment, action: Topics) -> CommandResult {
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
            Ok(ExitStatus::Ok)
        }
        Topics::List => {
            let states = tokio::task::spawn_blocking(move || topics::list(&settings)).await??;
            let mut table = Table::new(&["topic", "partitions", "expected"]);
            for state in &states {
                let partitions = state
                    .partitions
                    .map_or_else(|| "missing".to_owned(), |count| count.to_string());
                table.add_row([state.name.clone(), partitions, state.wanted.to_string()]);
            }
            println!("{table}");
            Ok(ExitStatus::from(states.iter().all(|state| state.partitions.is_some())))
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
            let mut table = Table::new(&["group", "topic", "partition", "committed", "end", "lag"]);
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
            Ok(ExitStatus::from(missing.is_empty()))
        }
    }
}
