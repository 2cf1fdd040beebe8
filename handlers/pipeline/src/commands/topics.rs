//! `topics create|list|lag`.

use clap::Subcommand;
use jiff::Timestamp;

use crate::arguments::Output;
use crate::outcome::{CommandResult, ExitStatus};
use crate::ui::progress::Progress;
use crate::ui::{self, Table, or_dash};
use xact_config::{Environment, Settings};
use xact_operations::topics::{self, GroupLag, LagAnswer, OldestRecord};

/// Commands on topics.
#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum Topics {
    /// Create the topics that are missing
    Create(Output),
    /// List the topics with their partitions; exit 1 if a topic is missing
    List(Output),
    /// Show how far each group is behind; exit 1 if a topic is missing
    Lag {
        /// Show every partition
        #[arg(long)]
        partitions: bool,
        /// Read the next record of each partition with lag, and show the age of the oldest
        #[arg(long, conflicts_with = "partitions")]
        oldest: bool,
        #[command(flatten)]
        output: Output,
    },
}

/// Carries out one of them.
pub(crate) async fn run(environment: &Environment, action: Topics) -> CommandResult {
    let settings = Settings::from_environment(environment)?;
    match action {
        Topics::Create(output) => {
            let answer = topics::create(&settings).await?;
            output.print(&answer, |answer| {
                for topic in &answer.created {
                    ui::line(format_args!("created {topic}"));
                }
                if answer.created.is_empty() {
                    ui::line("all topics exist");
                }
            })?;
            Ok(ExitStatus::Ok)
        }
        Topics::List(output) => {
            let answer = topics::list(&settings).await?;
            output.print(&answer, |topics| {
                let mut table = Table::new(&["topic", "partitions", "expected"]);
                for topic in topics {
                    let partitions = topic.partitions.map(|count| count.to_string());
                    let partitions = partitions.unwrap_or_else(|| "missing".to_owned());
                    table.add_row([topic.topic.clone(), partitions, topic.expected.to_string()]);
                }
                table.print();
            })?;
            Ok(ExitStatus::from(answer.iter().all(|topic| topic.partitions.is_some())))
        }
        Topics::Lag {
            partitions,
            oldest,
            output,
        } => {
            let read = if oldest { OldestRecord::Read } else { OldestRecord::Skip };
            let progress = Progress::start("reading the lag of each group");
            let answer = topics::lag(&settings, read).await?;
            drop(progress);
            output.print(&answer, |answer| {
                if partitions {
                    by_partition(answer);
                } else {
                    by_group(answer, read);
                }
                if !answer.missing_topics.is_empty() {
                    ui::line(format_args!(
                        "missing: {}. Create them (`topics create`), or set RETRY_DELAYS and the topic names as the pipeline has them",
                        answer.missing_topics.join(", ")
                    ));
                }
            })?;
            Ok(ExitStatus::from(answer.missing_topics.is_empty()))
        }
    }
}

fn by_group(answer: &LagAnswer, oldest: OldestRecord) {
    let mut header = vec!["group", "topic", "lag", "worst partition", "its lag"];
    if oldest == OldestRecord::Read {
        header.push("oldest record");
    }
    let mut table = Table::new(&header);
    let now = Timestamp::now();
    for group in &answer.groups {
        let mut row = vec![
            group.group.clone(),
            group.topic.clone(),
            group.lag.to_string(),
            or_dash(group.worst_partition),
            or_dash(group.worst_partition.map(|_| group.worst_lag)),
        ];
        if oldest == OldestRecord::Read {
            row.push(age(group, now));
        }
        table.add_row(row);
    }
    table.print();
}

/// Returns an age in whole seconds, such as `2h 3m 10s ago`.
fn age(group: &GroupLag, now: Timestamp) -> String {
    or_dash(group.oldest_unfinished.map(|written| {
        let seconds = now.duration_since(written).as_secs().max(0);
        format!("{:#} ago", jiff::SignedDuration::from_secs(seconds))
    }))
}

fn by_partition(answer: &LagAnswer) {
    let mut table = Table::new(&["group", "topic", "partition", "committed", "end", "lag"]);
    for group in &answer.groups {
        for partition in &group.partitions {
            table.add_row([
                group.group.clone(),
                group.topic.clone(),
                partition.partition.to_string(),
                or_dash(partition.committed),
                partition.end.to_string(),
                partition.lag.to_string(),
            ]);
        }
    }
    table.print();
}
