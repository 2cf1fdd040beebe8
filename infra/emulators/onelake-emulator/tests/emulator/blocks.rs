//! Blobs that are made of blocks.

use crate::support::{Answer, Lake};

const BLOCKS: &str = "a?comp=blocklist&blocklisttype=all";

async fn put_block(lake: &Lake, id: &str, body: &'static str) -> Answer {
    let url = format!("a?comp=block&blockid={id}");
    lake.send("PUT", &url, &[], body).await
}

async fn commit(lake: &Lake, list: &str) -> Answer {
    let body = format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>{list}</BlockList>");
    lake.send("PUT", "a?comp=blocklist", &[], body).await
}

#[tokio::test]
async fn a_blob_is_made_of_blocks_new_and_old() {
    let lake = Lake::start().await;
    assert_eq!(put_block(&lake, "QQ==", "aaa").await, "201");
    assert_eq!(put_block(&lake, "Qg==", "bb").await, "201");
    assert_eq!(lake.head("a").await.status, 404, "uncommitted blocks are not a blob");
    let list = lake.get(BLOCKS).await;
    let uncommitted = "<CommittedBlocks></CommittedBlocks><UncommittedBlocks><Block><Name>QQ==</Name><Size>3</Size></Block><Block><Name>Qg==</Name><Size>2</Size></Block></UncommittedBlocks>";
    assert!(list.text().contains(uncommitted), "{list:?}");

    let new = "<Latest>Qg==</Latest><Uncommitted>QQ==</Uncommitted>";
    assert_eq!(commit(&lake, new).await, "201");
    assert_eq!(lake.get("a").await.text(), "bbaaa");
    assert_eq!(put_block(&lake, "Qw==", "c").await, "201");
    assert_eq!(put_block(&lake, "QQ==", "AAA").await, "201");
    let mixed = "<Committed>QQ==</Committed><Latest>QQ==</Latest><Latest>Qw==</Latest><Committed>Qg==</Committed>";
    assert_eq!(commit(&lake, mixed).await, "201");
    assert_eq!(lake.get("a").await.text(), "aaaAAAcbb");
    let list = lake.get(BLOCKS).await;
    let none = "<UncommittedBlocks></UncommittedBlocks>";
    assert!(list.text().contains(none), "{list:?}");
    assert_eq!(list.header("x-ms-blob-content-length"), "9");
}

#[tokio::test]
async fn a_block_list_with_an_unknown_block_changes_nothing() {
    let lake = Lake::start().await;
    assert_eq!(put_block(&lake, "QQ==", "aaa").await, "201");
    for (list, outcome) in [
        ("<Latest>Qg==</Latest>", "400 InvalidBlockList"),
        ("<Committed>QQ==</Committed>", "400 InvalidBlockList"),
        (
            "<Latest>QQ==</Latest><Uncommitted>Qg==</Uncommitted>",
            "400 InvalidBlockList",
        ),
        ("<Other>QQ==</Other>", "400 InvalidXmlDocument"),
    ] {
        assert_eq!(commit(&lake, list).await, outcome, "{list}");
    }
    assert_eq!(lake.head("a").await.status, 404);
    assert_eq!(commit(&lake, "<Latest>QQ==</Latest>").await, "201");
    for id in ["", "%25", &"QUFB".repeat(22)] {
        let answer = put_block(&lake, id, "x").await;
        assert_eq!(answer, "400 InvalidQueryParameterValue", "{id}");
    }
    assert_eq!(lake.get("none?comp=blocklist").await, "404 BlobNotFound");
}
