//! Blobs that are made of blocks.

use crate::support::{FILES, Lake};

async fn put_block(lake: &Lake, path: &str, id: &str, body: &'static str) {
    let answer = lake
        .send("PUT", &format!("{path}?comp=block&blockid={id}"), &[], body)
        .await;
    assert_eq!(answer.status, 201, "{answer:?}");
}

async fn commit(lake: &Lake, path: &str, list: &str) -> (u16, String) {
    let body = format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>{list}</BlockList>");
    let answer = lake.send("PUT", &format!("{path}?comp=blocklist"), &[], body).await;
    (answer.status, answer.header("x-ms-error-code").to_owned())
}

#[tokio::test]
async fn a_blob_is_made_of_blocks_new_and_old() {
    let lake = Lake::start().await;
    let path = format!("{FILES}/a");
    put_block(&lake, &path, "QQ==", "aaa").await;
    put_block(&lake, &path, "Qg==", "bb").await;
    assert_eq!(lake.head(&path).await.status, 404, "uncommitted blocks are not a blob");
    let list = lake.get(&format!("{path}?comp=blocklist&blocklisttype=all")).await;
    let uncommitted = "<CommittedBlocks></CommittedBlocks><UncommittedBlocks><Block><Name>QQ==</Name><Size>3</Size></Block><Block><Name>Qg==</Name><Size>2</Size></Block></UncommittedBlocks>";
    assert!(list.text().contains(uncommitted), "{}", list.text());

    assert_eq!(
        commit(&lake, &path, "<Latest>Qg==</Latest><Uncommitted>QQ==</Uncommitted>")
            .await
            .0,
        201
    );
    assert_eq!(lake.get(&path).await.text(), "bbaaa");
    put_block(&lake, &path, "Qw==", "c").await;
    put_block(&lake, &path, "QQ==", "AAA").await;
    let mixed = "<Committed>QQ==</Committed><Latest>QQ==</Latest><Latest>Qw==</Latest><Committed>Qg==</Committed>";
    assert_eq!(commit(&lake, &path, mixed).await.0, 201);
    assert_eq!(lake.get(&path).await.text(), "aaaAAAcbb");
    let list = lake.get(&format!("{path}?comp=blocklist&blocklisttype=all")).await;
    assert!(
        list.text().contains("<UncommittedBlocks></UncommittedBlocks>"),
        "{}",
        list.text()
    );
    assert_eq!(list.header("x-ms-blob-content-length"), "9");
}

#[tokio::test]
async fn a_block_list_with_an_unknown_block_changes_nothing() {
    let lake = Lake::start().await;
    let path = format!("{FILES}/a");
    put_block(&lake, &path, "QQ==", "aaa").await;
    let refused = (400, "InvalidBlockList".to_owned());
    for list in [
        "<Latest>Qg==</Latest>",
        "<Committed>QQ==</Committed>",
        "<Latest>QQ==</Latest><Uncommitted>Qg==</Uncommitted>",
    ] {
        assert_eq!(commit(&lake, &path, list).await, refused, "{list}");
    }
    assert_eq!(
        commit(&lake, &path, "<Other>QQ==</Other>").await,
        (400, "InvalidXmlDocument".to_owned())
    );
    assert_eq!(lake.head(&path).await.status, 404);
    assert_eq!(commit(&lake, &path, "<Latest>QQ==</Latest>").await.0, 201);
    for id in ["", "%25", &"QUFB".repeat(22)] {
        let answer = lake
            .send("PUT", &format!("{path}?comp=block&blockid={id}"), &[], "x")
            .await;
        assert_eq!(answer.outcome(), (400, "InvalidQueryParameterValue"), "{id}");
    }
    let nothing = lake.get(&format!("{FILES}/none?comp=blocklist")).await;
    assert_eq!(nothing.outcome(), (404, "BlobNotFound"));
}
