//! Tables in OneLake: GUIDs instead of names, deletes one by one, roles.
#![cfg(feature = "delta")]
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use onelake_emulator::{Fault, Item, Rule, Verb};
use support::*;
use xact_lake::{AttachmentRow, Location, Table, TableOptions, Vacuum};

fn table_at(location: &Location) -> Arc<Table<AttachmentRow>> {
    let options = TableOptions {
        connection: EMULATOR.connection(location),
        ..TableOptions::default()
    };
    Arc::new(Table::new(location.clone(), options))
}

fn path() -> String {
    format!("Tables/{}", Uuid::new_v4())
}

#[tokio::test]
async fn a_table_by_name_and_by_guid_is_the_same() {
    let path = path();
    let by_name = table_at(&EMULATOR.location(&path));
    add(&by_name, [attachment("a")]).await;
    let item = Item::new(WORKSPACE, ITEM);
    let host = EMULATOR.server.addr();
    let by_guid = format!("abfss://{}@{host}/{}/{path}", item.workspace_guid(), item.guid());
    let by_guid = table_at(&Location::parse(&by_guid).unwrap());
    add(&by_guid, ["a", "b"].map(attachment)).await;
    assert_eq!(texts(&by_name, "media_id").await, ["a", "b"]);
}

#[tokio::test]
async fn a_vacuum_deletes_one_by_one() {
    let table = table_at(&EMULATOR.location(&path()));
    for key in ["a", "b", "c"] {
        add(&table, [attachment(key)]).await;
    }
    table.optimize(128 * 1024 * 1024, || false).await.unwrap();
    let before = EMULATOR.server.requests(Verb::Delete).requests;
    let vacuum = Vacuum::delete(Duration::ZERO).allow_short_retention();
    let vacuumed = table.vacuum(vacuum).await.unwrap();
    assert_eq!(vacuumed.unwrap().files.len(), 3);
    assert!(EMULATOR.server.requests(Verb::Delete).requests >= before + 3);
    assert_eq!(EMULATOR.server.requests(Verb::Batch).requests, 0);
    assert_eq!(texts(&table, "media_id").await, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_missing_role_is_named_and_the_append_can_be_repeated() {
    let path = path();
    let table = table_at(&EMULATOR.location(&path));
    add(&table, [attachment("a")]).await;
    let rule = Rule::new(Fault::Forbidden).times(20);
    let place = format!("/{WORKSPACE}/{ITEM}/{path}/");
    EMULATOR.server.add_fault(rule.below(&place));
    let error = table.append(unsourced([attachment("b")]), none()).await.unwrap_err();
    let text = error.to_string();
    assert!(error.is_transient(), "{text}");
    assert!(text.contains("role Contributor") && text.contains(WORKSPACE), "{text}");
    EMULATOR.server.clear_faults();
    add(&table, [attachment("b")]).await;
    assert_eq!(texts(&table, "media_id").await, ["a", "b"]);
}
