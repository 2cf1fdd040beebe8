//! Six writers at once on one table, with keys in common, while it is compacted and rows are removed: no key twice, none
//! lost, and an end in bounded time.
#![cfg(feature = "delta")]
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use support::*;
use xact_contracts::ids::AppId;
use xact_lake::{AttachmentRow, Source, Sourced};

const WRITERS: i64 = 6;
const ROUNDS: i64 = 15;
/// An append may be overtaken by every other writer, some times over; a hang is another thing.
const PATIENCE: Duration = Duration::from_secs(300);

fn app_id(writer: i64) -> AppId {
    AppId::new("g", "t", i32::try_from(writer).unwrap())
}

/// A writer's rows of a round: one of its own, one that the next writer has as well, and one that all have.
fn rows(writer: i64, round: i64) -> Vec<Sourced<AttachmentRow>> {
    let keys = [
        format!("own-{writer}-{round}"),
        format!("pair-{}-{round}", writer % (WRITERS / 2)),
        format!("all-{round}"),
    ];
    let row = |(n, key): (i64, &String)| Sourced {
        row: attachment(key),
        source: Some(Source {
            app_id: app_id(writer),
            offset: 3 * round + n,
        }),
    };
    (0..).zip(&keys).map(row).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_writers_a_compaction_and_removals_at_once_leave_each_key_once() {
    let (_folder, location) = folder();
    // Rows to be removed in the storm.
    let first = table::<AttachmentRow>(&location);
    let doomed: Vec<String> = (0..ROUNDS).map(|n| format!("doomed-{n}")).collect();
    for key in &doomed {
        first.append(unsourced([attachment(key)]), none()).await.unwrap();
    }

    let storm = async {
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            let table = table::<AttachmentRow>(&location);
            writers.spawn(async move {
                for round in 0..ROUNDS {
                    let next = BTreeMap::from([(app_id(writer), 3 * round + 3)]);
                    table.append(rows(writer, round), next).await.unwrap();
                }
            });
        }
        let table_of_remover = table::<AttachmentRow>(&location);
        writers.spawn(async move {
            for key in &doomed {
                let ids = BTreeMap::from([(DAY, HashSet::from([Arc::from(key.as_str())]))]);
                assert_eq!(table_of_remover.remove(ids).await.unwrap().rows, 1, "{key}");
            }
        });
        let compacted = table::<AttachmentRow>(&location);
        writers.spawn(async move {
            for _ in 0..5 {
                compacted.optimize(64 * 1024, |_| ()).await.unwrap();
            }
        });
        writers.join_all().await;
    };
    tokio::time::timeout(PATIENCE, storm).await.expect("the storm ends");

    let mut expected: Vec<String> = (0..WRITERS)
        .flat_map(|writer| (0..ROUNDS).flat_map(move |round| rows(writer, round)))
        .map(|sourced| sourced.row.media_id)
        .collect();
    expected.sort();
    expected.dedup();
    let fresh = table::<AttachmentRow>(&location);
    assert_eq!(texts(&fresh, "media_id").await, expected);
    let apps: Vec<AppId> = (0..WRITERS).map(app_id).collect();
    let positions = fresh.positions(&apps).await.unwrap();
    assert!(positions.len() == apps.len() && positions.values().all(|next| *next == 3 * ROUNDS));
}
