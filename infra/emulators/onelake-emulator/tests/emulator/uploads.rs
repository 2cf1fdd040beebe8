//! Guarantees of uploads over the Blob protocol: atomic, never over an existing blob, and verified.

use crate::support::{Answer, FILES, Lake};

const BLOCK: (&str, &str) = ("x-ms-blob-type", "BlockBlob");
const NEW: (&str, &str) = ("If-None-Match", "*");
/// Of `hello`.
const MD5: &str = "XUFAKrxLKna5cZ2REBfFkg==";
const CRC64: &str = "V0JSBnCFdzM=";
/// Of `other`.
const OTHER_MD5: &str = "eV8yArF8trw9S3cdjGyerw==";
const OTHER_CRC64: &str = "khqMBK+EUSA=";

async fn put_block(lake: &Lake, path: &str, headers: &[(&str, &str)], body: &'static str) -> Answer {
    let url = format!("{path}?comp=block&blockid=QQ%3D%3D");
    lake.send("PUT", &url, headers, body).await
}

async fn commit(lake: &Lake, path: &str, headers: &[(&str, &str)]) -> Answer {
    let list = "<BlockList><Uncommitted>QQ==</Uncommitted></BlockList>";
    lake.send("PUT", &format!("{path}?comp=blocklist"), headers, list).await
}

#[tokio::test]
async fn a_new_blob_needs_no_folder_and_keeps_its_properties() {
    let lake = Lake::start().await;
    let path = format!("{FILES}/FNOL/2026/11/29/roof.jpg");
    let headers = [
        BLOCK,
        NEW,
        ("Content-MD5", MD5),
        ("x-ms-blob-content-md5", MD5),
        ("x-ms-blob-content-type", "image/jpeg"),
        ("x-ms-meta-sha256", "2cf24dba"),
    ];
    assert_eq!(lake.send("PUT", &path, &headers, "hello").await.status, 201);
    let head = lake.head(&path).await;
    for (name, value) in [
        ("content-length", "5"),
        ("content-md5", MD5),
        ("content-type", "image/jpeg"),
        ("x-ms-meta-sha256", "2cf24dba"),
        ("x-ms-resource-type", "file"),
    ] {
        assert_eq!(head.header(name), value, "{name}");
    }
    let again = lake.send("PUT", &path, &headers, "hello").await;
    assert_eq!(again.outcome(), (409, "BlobAlreadyExists"));
    let folder = lake.head(&format!("{FILES}/FNOL/2026")).await;
    assert_eq!((folder.status, folder.header("x-ms-resource-type")), (200, "directory"));
}

#[tokio::test]
async fn a_body_with_a_wrong_checksum_is_refused() {
    let lake = Lake::start().await;
    let path = format!("{FILES}/a");
    for (name, value, code) in [
        ("Content-MD5", OTHER_MD5, "Md5Mismatch"),
        ("x-ms-content-crc64", OTHER_CRC64, "Crc64Mismatch"),
        ("x-ms-content-crc64", "AAAA", "InvalidHeaderValue"),
    ] {
        let put = lake.send("PUT", &path, &[BLOCK, (name, value)], "hello").await;
        assert_eq!(put.outcome(), (400, code), "{name}");
        let block = put_block(&lake, &path, &[(name, value)], "hello").await;
        assert_eq!(block.outcome(), (400, code), "{name}");
    }
    let both = [BLOCK, ("Content-MD5", MD5), ("x-ms-content-crc64", CRC64)];
    let both = lake.send("PUT", &path, &both, "hello").await;
    assert_eq!(both.outcome(), (400, "InvalidHeaderValue"), "one of them is enough");
    assert_eq!(lake.head(&path).await.status, 404);
    let nothing = lake.get(&format!("{path}?comp=blocklist&blocklisttype=all")).await;
    assert_eq!(nothing.status, 404, "no block was kept");

    let put = lake
        .send("PUT", &path, &[BLOCK, ("x-ms-content-crc64", CRC64)], "hello")
        .await;
    assert_eq!(
        (put.status, put.header("x-ms-content-crc64"), put.header("content-md5")),
        (201, CRC64, MD5)
    );
    let block = put_block(&lake, &path, &[("x-ms-content-crc64", CRC64)], "hello").await;
    assert_eq!((block.status, block.header("x-ms-content-crc64")), (201, CRC64));
    let block = put_block(&lake, &path, &[("Content-MD5", MD5)], "hello").await;
    assert_eq!((block.status, block.header("content-md5")), (201, MD5));
    let list = "<BlockList><Uncommitted>QQ==</Uncommitted></BlockList>";
    let url = format!("{path}?comp=blocklist");
    let wrong = lake.send("PUT", &url, &[("x-ms-content-crc64", CRC64)], list).await;
    assert_eq!(wrong.outcome(), (400, "Crc64Mismatch"), "the list is verified as well");
}

#[tokio::test]
async fn a_block_list_makes_a_new_blob_at_once_and_only_once() {
    let lake = Lake::start().await;
    let path = format!("{FILES}/FNOL/big.bin");
    let headers = [
        NEW,
        ("x-ms-blob-content-md5", MD5),
        ("x-ms-blob-content-type", "image/png"),
        ("x-ms-meta-sha256", "2cf24dba"),
    ];
    assert_eq!(put_block(&lake, &path, &[], "hello").await.status, 201);
    assert_eq!(lake.head(&path).await.status, 404, "nothing shows before the list");
    assert_eq!(commit(&lake, &path, &headers).await.status, 201);
    let head = lake.head(&path).await;
    for (name, value) in [
        ("content-length", "5"),
        ("content-md5", MD5),
        ("content-type", "image/png"),
        ("x-ms-meta-sha256", "2cf24dba"),
    ] {
        assert_eq!(head.header(name), value, "{name}");
    }
    assert_eq!(put_block(&lake, &path, &[], "other").await.status, 201);
    assert_eq!(
        commit(&lake, &path, &headers).await.outcome(),
        (409, "BlobAlreadyExists")
    );
    assert_eq!(lake.get(&path).await.text(), "hello");
    assert_eq!(commit(&lake, &path, &headers[1..]).await.status, 201);
    assert_eq!(lake.get(&path).await.text(), "other");
}

#[tokio::test]
async fn a_folder_at_the_path_and_a_file_above_it_are_conflicts() {
    let lake = Lake::start().await;
    let folder = format!("{FILES}/folder");
    let url = format!("{folder}?resource=directory");
    assert_eq!(lake.send("PUT", &url, &[], "").await.status, 201);
    lake.put(&format!("{FILES}/file"), "hello").await;
    let below = format!("{FILES}/file/below");

    assert_eq!(lake.put(&folder, "x").await.outcome(), (409, "PathConflict"));
    let new = lake.send("PUT", &folder, &[BLOCK, NEW], "x").await;
    assert_eq!(new.outcome(), (409, "BlobAlreadyExists"), "conditions come first");
    let head = lake.head(&folder).await;
    assert_eq!(
        (head.header("x-ms-resource-type"), head.header("x-ms-meta-hdi_isfolder")),
        ("directory", "true")
    );
    assert_eq!(lake.put(&below, "x").await.outcome(), (409, "PathConflict"));
    let new = lake.send("PUT", &below, &[BLOCK, NEW], "x").await;
    assert_eq!(new.outcome(), (409, "PathConflict"));
    for (path, code) in [(&folder, "BlobAlreadyExists"), (&below, "PathConflict")] {
        assert_eq!(put_block(&lake, path, &[], "hello").await.status, 201, "{path}");
        assert_eq!(commit(&lake, path, &[NEW]).await.outcome(), (409, code), "{path}");
        assert_eq!(
            commit(&lake, path, &[]).await.outcome(),
            (409, "PathConflict"),
            "{path}"
        );
    }
    assert_eq!(lake.get(&format!("{FILES}/file")).await.text(), "hello");
    assert_eq!(lake.head(&below).await.outcome(), (404, "BlobNotFound"));
}

#[tokio::test]
async fn blocks_cannot_be_put_to_a_file_of_the_data_lake_protocol() {
    let lake = Lake::start().await;
    let path = format!("{FILES}/a");
    lake.write(&path, "by dfs").await;
    assert_eq!(
        put_block(&lake, &path, &[], "hello").await.outcome(),
        (409, "BlobOperationNotSupported")
    );
    assert_eq!(
        commit(&lake, &path, &[]).await.outcome(),
        (409, "BlobOperationNotSupported")
    );
    let renamed = format!("{FILES}/b");
    assert_eq!(lake.rename(&path, &renamed, &[]).await.status, 201);
    assert_eq!(
        put_block(&lake, &renamed, &[], "hello").await.status,
        409,
        "also not elsewhere"
    );
    assert_eq!(lake.put(&renamed, "").await.status, 201, "a whole blob replaces it");
    assert_eq!(put_block(&lake, &renamed, &[], "hello").await.status, 201);
    assert_eq!(commit(&lake, &renamed, &[]).await.status, 201);
    assert_eq!(lake.get(&renamed).await.text(), "hello");
}
