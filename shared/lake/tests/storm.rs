//! Six concurrent writers of one table with common keys, while it is compacted and rows are removed: no key is duplicated
//! or lost, and all end in bounded time.
#![cfg(feature = "delta")]
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::task::JoinSet;

use support::*;
use xact_contracts::ids::AppId;
use xact_lake::{AttachmentRow, Sourced};

const WRITERS: i64 = 6;
const ROUNDS: i64 = 15;
/// An append may conflict with every other writer several times; only a hang takes longer.
const STORM_TIMEOUT: Duration = Duration::from_secs(300);

fn app_id(writer: i64) -> AppId {
    AppId::new("g", "t", i32::try_from(writer).unwrap())
}

/// Returns a writer's rows of a round: one with its own key, one with a key of two writers, and one with a key of all.
fn rows(writer: i64, round: i64) -> Vec<Sourced<AttachmentRow>> {
    let keys = [
        format!("own-{writer}-{round}"),
        format!("pair-{}-{round}", writer % (WRITERS / 2)),
        format!("all-{round}"),
    ];
    let row = |(n, key): (i64, &String)| sourced_from(&app_id(writer), 3 * round + n, key);
    (0..).zip(&keys).map(row).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_writers_compactions_and_removals_leave_each_key_once() {
    let (_folder, location, first) = new_table();
    // Rows that are removed during the storm.
    let doomed = attachments("doomed", 0..ROUNDS);
    for row in doomed.clone() {
        add(&first, [row]).await;
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
        writers.spawn(async move {
            for AttachmentRow { media_id, .. } in doomed {
                let removed = first.remove(ids([media_id.as_str()])).await.unwrap();
                assert_eq!(removed.rows, 1, "{media_id}");
            }
        });
        let compacted = table::<AttachmentRow>(&location);
        writers.spawn(async move {
            for _ in 0..5 {
                compacted.optimize(64 * 1024, || false).await.unwrap();
            }
        });
        writers.join_all().await;
    };
    tokio::time::timeout(STORM_TIMEOUT, storm)
        .await
        .expect("the storm ends");

    let written = (0..WRITERS).flat_map(|writer| (0..ROUNDS).flat_map(move |round| rows(writer, round)));
    let expected: BTreeSet<String> = written.map(|sourced| sourced.row.media_id).collect();
    let fresh = table::<AttachmentRow>(&location);
    assert_eq!(texts(&fresh, "media_id").await, Vec::from_iter(expected));
    let apps: Vec<AppId> = (0..WRITERS).map(app_id).collect();
    let positions = fresh.positions(&apps).await.unwrap();
    assert!(positions.len() == apps.len() && positions.values().all(|next| *next == 3 * ROUNDS));
}
