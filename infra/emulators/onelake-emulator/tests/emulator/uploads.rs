//! Guarantees of uploads over the Blob protocol: atomic, never over an existing blob, and verified.

use crate::support::{Answer, BLOCK, Lake, NEW};

/// Of `hello`.
const MD5: &str = "XUFAKrxLKna5cZ2REBfFkg==";
const CRC64: &str = "V0JSBnCFdzM=";
/// Of `other`.
const OTHER_MD5: &str = "eV8yArF8trw9S3cdjGyerw==";
const OTHER_CRC64: &str = "khqMBK+EUSA=";

/// The headers of an upload: its MD5, and what is kept with the blob.
const HEADERS: [(&str, &str); 4] = [
    NEW,
    ("x-ms-blob-content-md5", MD5),
    ("x-ms-blob-content-type", "image/jpeg"),
    ("x-ms-meta-sha256", "2cf24dba"),
];

async fn put_block(lake: &Lake, path: &str, headers: &[(&str, &str)], body: &'static str) -> Answer {
    let url = format!("{path}?comp=block&blockid=QQ%3D%3D");
    lake.send("PUT", &url, headers, body).await
}

async fn commit(lake: &Lake, path: &str, headers: &[(&str, &str)]) -> Answer {
    let list = "<BlockList><Uncommitted>QQ==</Uncommitted></BlockList>";
    lake.send("PUT", &format!("{path}?comp=blocklist"), headers, list).await
}

async fn assert_kept(lake: &Lake, path: &str) {
    let head = lake.head(path).await;
    let names = [
        "content-length",
        "content-md5",
        "content-type",
        "x-ms-meta-sha256",
        "x-ms-resource-type",
    ];
    assert_eq!(head.headers(names), ["5", MD5, "image/jpeg", "2cf24dba", "file"]);
}

#[tokio::test]
async fn a_new_blob_needs_no_folder_and_keeps_its_properties() {
    let lake = Lake::start().await;
    let path = "FNOL/2026/11/29/roof.jpg";
    let headers = [&HEADERS[..], &[("Content-MD5", MD5)]].concat();
    assert_eq!(lake.put_with(&headers, path, "hello").await, "201");
    assert_kept(&lake, path).await;
    assert_eq!(lake.put_with(&headers, path, "hello").await, "409 BlobAlreadyExists");
    let folder = lake.head("FNOL/2026").await;
    assert_eq!((folder.status, folder.header("x-ms-resource-type")), (200, "directory"));
}

#[tokio::test]
async fn a_body_with_a_wrong_checksum_is_refused() {
    let lake = Lake::start().await;
    for (name, value, outcome) in [
        ("Content-MD5", OTHER_MD5, "400 Md5Mismatch"),
        ("x-ms-content-crc64", OTHER_CRC64, "400 Crc64Mismatch"),
        ("x-ms-content-crc64", "AAAA", "400 InvalidHeaderValue"),
    ] {
        let header = [(name, value)];
        assert_eq!(lake.put_with(&header, "a", "hello").await, outcome, "{name}");
        assert_eq!(put_block(&lake, "a", &header, "hello").await, outcome, "{name}");
    }
    let (md5, crc64) = (("Content-MD5", MD5), ("x-ms-content-crc64", CRC64));
    let both = lake.put_with(&[md5, crc64], "a", "hello").await;
    assert_eq!(both, "400 InvalidHeaderValue", "one of them is enough");
    assert_eq!(lake.head("a").await.status, 404);
    let nothing = lake.get("a?comp=blocklist&blocklisttype=all").await;
    assert_eq!(nothing.status, 404, "no block was kept");

    let names = ["x-ms-content-crc64", "content-md5"];
    let put = lake.put_with(&[crc64], "a", "hello").await;
    assert_eq!((put.status, put.headers(names)), (201, [CRC64, MD5]));
    let block = put_block(&lake, "a", &[crc64], "hello").await;
    assert_eq!((block.status, block.headers(names)), (201, [CRC64, ""]));
    let block = put_block(&lake, "a", &[md5], "hello").await;
    assert_eq!((block.status, block.headers(names)), (201, ["", MD5]));
    let wrong = commit(&lake, "a", &[crc64]).await;
    assert_eq!(wrong, "400 Crc64Mismatch", "the list is verified as well");
}

#[tokio::test]
async fn a_block_list_makes_a_new_blob_at_once_and_only_once() {
    let lake = Lake::start().await;
    let path = "FNOL/big.bin";
    assert_eq!(put_block(&lake, path, &[], "hello").await, "201");
    assert_eq!(lake.head(path).await.status, 404, "nothing shows before the list");
    assert_eq!(commit(&lake, path, &HEADERS).await, "201");
    assert_kept(&lake, path).await;
    assert_eq!(put_block(&lake, path, &[], "other").await, "201");
    assert_eq!(commit(&lake, path, &HEADERS).await, "409 BlobAlreadyExists");
    assert_eq!(lake.get(path).await.text(), "hello");
    assert_eq!(commit(&lake, path, &HEADERS[1..]).await, "201");
    assert_eq!(lake.get(path).await.text(), "other");
}

#[tokio::test]
async fn a_folder_at_the_path_and_a_file_above_it_are_conflicts() {
    let lake = Lake::start().await;
    let folder = lake.send("PUT", "folder?resource=directory", &[], "").await;
    assert_eq!(folder, "201");
    lake.put("file", "hello").await;

    // Conditions are checked first.
    for (path, if_new) in [("folder", "409 BlobAlreadyExists"), ("file/below", "409 PathConflict")] {
        assert_eq!(lake.put(path, "x").await, "409 PathConflict", "{path}");
        assert_eq!(lake.send("PUT", path, &[BLOCK, NEW], "x").await, if_new, "{path}");
        assert_eq!(put_block(&lake, path, &[], "hello").await, "201", "{path}");
        assert_eq!(commit(&lake, path, &[NEW]).await, if_new, "{path}");
        assert_eq!(commit(&lake, path, &[]).await, "409 PathConflict", "{path}");
    }
    let names = ["x-ms-resource-type", "x-ms-meta-hdi_isfolder"];
    assert_eq!(lake.head("folder").await.headers(names), ["directory", "true"]);
    assert_eq!(lake.get("file").await.text(), "hello");
    assert_eq!(lake.head("file/below").await, "404 BlobNotFound");
}

#[tokio::test]
async fn blocks_cannot_be_put_to_a_file_of_the_data_lake_protocol() {
    let lake = Lake::start().await;
    let refused = "409 BlobOperationNotSupported";
    lake.write("a", "by dfs").await;
    assert_eq!(put_block(&lake, "a", &[], "hello").await, refused);
    assert_eq!(commit(&lake, "a", &[]).await, refused);
    assert_eq!(lake.rename("a", "b").await, "201");
    assert_eq!(put_block(&lake, "b", &[], "hello").await, refused, "also not elsewhere");
    assert_eq!(lake.put("b", "").await, "201", "a whole blob replaces it");
    assert_eq!(put_block(&lake, "b", &[], "hello").await, "201");
    assert_eq!(commit(&lake, "b", &[]).await, "201");
    assert_eq!(lake.get("b").await.text(), "hello");
}
