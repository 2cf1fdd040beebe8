//! Azurite and the emulator get the same requests, and give the same answers except for the listed differences.

use std::collections::BTreeMap;

use reqwest::Client;

use crate::signed::send;
use crate::support::{Answer, Lake};
use xact_testkit::Azurite;

/// The expected differences: the step, what differs in it, and why. A listed difference that does not occur is an error.
#[rustfmt::skip]
const DIFFERENCES: &[(&str, &str, &str)] = &[
    // OneLake's own.
    ("create a container", EVERYTHING, "workspaces are made in Fabric"),
    ("delete a container", EVERYTHING, "so there was none"),
    (
        "put below a blob",
        EVERYTHING,
        "a hierarchical namespace has files and folders",
    ),
    ("list by prefix", "body", "and shows its folders"),
    (
        "list by another delimiter",
        EVERYTHING,
        "and knows no delimiter but the slash",
    ),
    (
        "put a name that ends with a dot",
        EVERYTHING,
        "names that Windows cannot hold are refused",
    ),
    (
        "put beside the items",
        EVERYTHING,
        "what is in a workspace is in an item",
    ),
    ("put a batch", EVERYTHING, "OneLake finds no item in its URL"),
    ("read without a name", EVERYTHING, "OneLake challenges for a token"),
    // Where the service's documentation is with us.
    (
        "read with a wrong signature",
        "x-ms-error-code",
        "the code is AuthenticationFailed",
    ),
    (
        "read with a wrong signature",
        "body",
        "the code is AuthenticationFailed",
    ),
    (
        "put with a wrong signature",
        "x-ms-error-code",
        "the code is AuthenticationFailed",
    ),
    ("put with a wrong signature", "body", "the code is AuthenticationFailed"),
    ("read", "x-ms-blob-content-md5", "only with a range"),
    ("read nothing", "x-ms-blob-content-md5", "only with a range"),
    ("read one with headers", "x-ms-blob-content-md5", "only with a range"),
    ("read the copy", "x-ms-blob-content-md5", "only with a range"),
    (
        "read from the end",
        EVERYTHING,
        "a range that begins at the end is none: 416",
    ),
    ("get metadata", EVERYTHING, "Azurite takes it for a read of the blob"),
    ("put another block", "content-md5", "a block's is answered where the request has one"),
    ("commit blocks", "content-md5", "a list's is answered where the request has one"),
    ("commit some of the old blocks", "content-md5", "a list's is answered where the request has one"),
    ("read what was made of blocks", "content-md5", "what is made of blocks has only what its client gave it"),
    ("read what is left of the blocks", "content-md5", "what is made of blocks has only what its client gave it"),
    (
        "list uncommitted blocks",
        "etag",
        "only of a blob that is there",
    ),
    (
        "list uncommitted blocks",
        "last-modified",
        "only of a blob that is there",
    ),
];

/// Instead of the name of a header.
const EVERYTHING: &str = "everything";

/// Headers that must have the same values.
const SAME: &[&str] = &[
    "x-ms-error-code",
    "content-length",
    "content-type",
    "content-range",
    "content-md5",
    "content-encoding",
    "content-language",
    "content-disposition",
    "cache-control",
    "accept-ranges",
    "x-ms-blob-type",
    "x-ms-blob-content-md5",
    "x-ms-blob-content-length",
    "x-ms-copy-status",
    "x-ms-lease-state",
    "x-ms-lease-status",
    "x-ms-meta-colour",
    "x-ms-meta-size",
    "x-ms-request-server-encrypted",
    "x-ms-server-encrypted",
    "x-ms-client-request-id",
];

/// Headers that both answers must have, or neither.
const PRESENT: &[&str] = &[
    "etag",
    "last-modified",
    "x-ms-request-id",
    "date",
    "server",
    "x-ms-copy-id",
    "x-ms-creation-time",
];

/// A request to both. `{etag}` in a header is the last ETag of the same server, `{url}` its address.
struct Step {
    /// The status of Azurite: two servers that refuse everything would be equal as well.
    status: u16,
    what: &'static str,
    method: &'static str,
    path: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
}

const fn step(
    status: u16,
    what: &'static str,
    method: &'static str,
    path: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
) -> Step {
    Step {
        status,
        what,
        method,
        path,
        headers,
        body,
    }
}

const BLOCK: (&str, &str) = ("x-ms-blob-type", "BlockBlob");
const A: &str = "/claims/Lake.Lakehouse/Files/a";
const EMPTY: &str = "/claims/Lake.Lakehouse/Files/empty";
const NEW: &str = "/claims/Lake.Lakehouse/Files/new";
const NONE: &str = "/claims/Lake.Lakehouse/Files/none";
const ODD: &str = "/claims/Lake.Lakehouse/Files/d%C3%AE r/%23%25 (1)+&=,;.jpg";
const FUTURE: &str = "Fri, 01 Jan 2100 00:00:00 GMT";
const PAST: &str = "Sat, 01 Jan 2000 00:00:00 GMT";

#[rustfmt::skip]
const STEPS: &[Step] = &[
    // Containers.
    step(409, "create a container that is there", "PUT", "/claims?restype=container", &[], ""),
    step(200, "look at a container", "HEAD", "/claims?restype=container", &[], ""),
    step(200, "get a container's properties", "GET", "/claims?restype=container", &[], ""),
    step(404, "look at a missing container", "HEAD", "/nobody?restype=container", &[], ""),
    step(404, "list a missing container", "GET", "/nobody?restype=container&comp=list", &[], ""),
    step(404, "put into a missing container", "PUT", "/nobody/Lake.Lakehouse/Files/a", &[BLOCK], "x"),
    step(404, "read from a missing container", "GET", "/nobody/Lake.Lakehouse/Files/a", &[], ""),
    step(201, "create a container", "PUT", "/another?restype=container", &[], ""),
    step(202, "delete a container", "DELETE", "/another?restype=container", &[], ""),
    // Put Blob.
    step(201, "put", "PUT", A, &[BLOCK], "hello"),
    step(409, "put only if new, but it is there", "PUT", A, &[BLOCK, ("If-None-Match", "*")], "hello"),
    step(201, "put over it", "PUT", A, &[BLOCK, ("Content-Type", "text/plain")], "hello world"),
    step(201, "put if it is the one that I know", "PUT", A, &[BLOCK, ("If-Match", "{etag}"), ("x-ms-meta-colour", "red")], "0123456789"),
    step(412, "put if it is one that it is not", "PUT", A, &[BLOCK, ("If-Match", "\"0x8D000000000000\"")], "x"),
    step(412, "put if it is not the one that it is", "PUT", A, &[BLOCK, ("If-None-Match", "{etag}")], "x"),
    step(412, "put over a missing one", "PUT", NONE, &[BLOCK, ("If-Match", "\"0x8D000000000000\"")], "x"),
    step(412, "put unless it was changed since", "PUT", A, &[BLOCK, ("If-Unmodified-Since", PAST)], "x"),
    step(412, "put if it was changed since", "PUT", A, &[BLOCK, ("If-Modified-Since", FUTURE)], "x"),
    step(201, "put only if new", "PUT", NEW, &[BLOCK, ("If-None-Match", "*")], "new"),
    step(201, "put nothing", "PUT", EMPTY, &[BLOCK], ""),
    step(201, "put with its MD5", "PUT", NEW, &[BLOCK, ("Content-MD5", "XUFAKrxLKna5cZ2REBfFkg==")], "hello"),
    step(400, "put with another MD5", "PUT", NEW, &[BLOCK, ("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg==")], "hello"),
    step(400, "put without a type", "PUT", NEW, &[], "x"),
    step(400, "put of an unknown type", "PUT", NEW, &[("x-ms-blob-type", "RoundBlob")], "x"),
    step(201, "put with all its headers", "PUT", ODD, &[BLOCK, ("x-ms-blob-content-type", "image/jpeg"), ("x-ms-blob-content-encoding", "identity"), ("x-ms-blob-content-language", "en"), ("x-ms-blob-content-disposition", "inline"), ("x-ms-blob-cache-control", "no-cache"), ("x-ms-meta-colour", "red"), ("x-ms-meta-size", "10")], "image"),
    // Get Blob and its properties.
    step(200, "read", "GET", A, &[], ""),
    step(200, "read one with headers", "GET", ODD, &[], ""),
    step(200, "read nothing", "GET", EMPTY, &[], ""),
    step(404, "read a missing one", "GET", NONE, &[], ""),
    step(200, "look", "HEAD", A, &[], ""),
    step(200, "look at one with headers", "HEAD", ODD, &[], ""),
    step(404, "look at a missing one", "HEAD", NONE, &[], ""),
    step(206, "read a part", "GET", A, &[("Range", "bytes=2-4")], ""),
    step(206, "read a part by the other header", "GET", A, &[("x-ms-range", "bytes=2-4")], ""),
    step(206, "read from a place", "GET", A, &[("x-ms-range", "bytes=7-")], ""),
    step(206, "read beyond the end", "GET", A, &[("x-ms-range", "bytes=8-99")], ""),
    step(206, "read from the end", "GET", A, &[("x-ms-range", "bytes=10-")], ""),
    step(416, "read a part of nothing", "GET", EMPTY, &[("x-ms-range", "bytes=0-9")], ""),
    step(206, "read a part with its MD5", "GET", A, &[("x-ms-range", "bytes=2-4"), ("x-ms-range-get-content-md5", "true")], ""),
    step(304, "read if it has changed", "GET", A, &[("If-None-Match", "{etag}")], ""),
    step(412, "read if it has not changed", "GET", A, &[("If-Match", "\"0x8D000000000000\"")], ""),
    step(304, "read if it has changed since", "GET", A, &[("If-Modified-Since", FUTURE)], ""),
    step(412, "read unless it has changed since", "GET", A, &[("If-Unmodified-Since", PAST)], ""),
    step(304, "look if it has changed", "HEAD", A, &[("If-None-Match", "{etag}")], ""),
    step(412, "look if it has not changed", "HEAD", A, &[("If-Match", "\"0x8D000000000000\"")], ""),
    // Blocks.
    step(201, "put a block", "PUT", "/claims/Lake.Lakehouse/Files/blocks?comp=block&blockid=QQ%3D%3D", &[], "aaa"),
    step(201, "put another block", "PUT", "/claims/Lake.Lakehouse/Files/blocks?comp=block&blockid=Qg%3D%3D", &[("Content-MD5", "Ia0L2Da5DQj0z2QLTCmOfA==")], "bb"),
    step(400, "put a block with another MD5", "PUT", "/claims/Lake.Lakehouse/Files/blocks?comp=block&blockid=Qw%3D%3D", &[("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg==")], "c"),
    step(400, "put a block without an id", "PUT", "/claims/Lake.Lakehouse/Files/blocks?comp=block", &[], "x"),
    step(400, "put a block whose id is no base64", "PUT", "/claims/Lake.Lakehouse/Files/blocks?comp=block&blockid=%25%25", &[], "x"),
    step(404, "put a block into a missing container", "PUT", "/nobody/Lake.Lakehouse/Files/a?comp=block&blockid=QQ%3D%3D", &[], "x"),
    step(404, "look at uncommitted blocks", "HEAD", "/claims/Lake.Lakehouse/Files/blocks", &[], ""),
    step(200, "list uncommitted blocks", "GET", "/claims/Lake.Lakehouse/Files/blocks?comp=blocklist&blocklisttype=all", &[], ""),
    step(400, "commit a block that was not put", "PUT", "/claims/Lake.Lakehouse/Files/blocks?comp=blocklist", &[], "<BlockList><Latest>WlpaWg==</Latest></BlockList>"),
    step(400, "commit what is no list", "PUT", "/claims/Lake.Lakehouse/Files/blocks?comp=blocklist", &[], "<BlockList><Latest>"),
    step(201, "commit blocks", "PUT", "/claims/Lake.Lakehouse/Files/blocks?comp=blocklist", &[("x-ms-blob-content-type", "text/plain"), ("x-ms-meta-colour", "red")], "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList><Latest>Qg==</Latest><Uncommitted>QQ==</Uncommitted></BlockList>"),
    step(200, "read what was made of blocks", "GET", "/claims/Lake.Lakehouse/Files/blocks", &[], ""),
    step(200, "list blocks", "GET", "/claims/Lake.Lakehouse/Files/blocks?comp=blocklist&blocklisttype=all", &[], ""),
    step(200, "list blocks as they come", "GET", "/claims/Lake.Lakehouse/Files/blocks?comp=blocklist", &[], ""),
    step(409, "commit blocks only if new", "PUT", "/claims/Lake.Lakehouse/Files/blocks?comp=blocklist", &[("If-None-Match", "*")], "<BlockList><Committed>Qg==</Committed></BlockList>"),
    step(201, "commit some of the old blocks", "PUT", "/claims/Lake.Lakehouse/Files/blocks?comp=blocklist", &[], "<BlockList><Committed>Qg==</Committed></BlockList>"),
    step(200, "read what is left of the blocks", "GET", "/claims/Lake.Lakehouse/Files/blocks", &[], ""),
    step(404, "list blocks of a missing one", "GET", "/claims/Lake.Lakehouse/Files/none?comp=blocklist", &[], ""),
    // Copy.
    step(202, "copy", "PUT", "/claims/Lake.Lakehouse/Files/copy", &[("x-ms-copy-source", "{url}/claims/Lake.Lakehouse/Files/a")], ""),
    step(200, "read the copy", "GET", "/claims/Lake.Lakehouse/Files/copy", &[], ""),
    step(409, "copy only if new", "PUT", "/claims/Lake.Lakehouse/Files/copy", &[("x-ms-copy-source", "{url}/claims/Lake.Lakehouse/Files/a"), ("If-None-Match", "*")], ""),
    step(404, "copy a missing one", "PUT", "/claims/Lake.Lakehouse/Files/copy", &[("x-ms-copy-source", "{url}/claims/Lake.Lakehouse/Files/none")], ""),
    step(202, "copy with other metadata", "PUT", "/claims/Lake.Lakehouse/Files/copy", &[("x-ms-copy-source", "{url}/claims/Lake.Lakehouse/Files/a"), ("x-ms-meta-size", "10")], ""),
    step(200, "look at the copy", "HEAD", "/claims/Lake.Lakehouse/Files/copy", &[], ""),
    // Metadata and headers.
    step(200, "set metadata", "PUT", "/claims/Lake.Lakehouse/Files/a?comp=metadata", &[("x-ms-meta-size", "10")], ""),
    step(200, "get metadata", "GET", "/claims/Lake.Lakehouse/Files/a?comp=metadata", &[], ""),
    step(200, "look at metadata", "HEAD", "/claims/Lake.Lakehouse/Files/a?comp=metadata", &[], ""),
    step(404, "set metadata of a missing one", "PUT", "/claims/Lake.Lakehouse/Files/none?comp=metadata", &[("x-ms-meta-size", "10")], ""),
    step(200, "set headers", "PUT", "/claims/Lake.Lakehouse/Files/a?comp=properties", &[("x-ms-blob-content-type", "image/png"), ("x-ms-blob-cache-control", "no-store")], ""),
    step(200, "look at what was set", "HEAD", A, &[], ""),
    // Lists.
    step(200, "list by prefix", "GET", "/claims?restype=container&comp=list&prefix=Lake.Lakehouse/Files/", &[], ""),
    step(200, "list a level", "GET", "/claims?restype=container&comp=list&prefix=Lake.Lakehouse/Files/&delimiter=/", &[], ""),
    step(200, "list a page", "GET", "/claims?restype=container&comp=list&prefix=Lake.Lakehouse/Files/&delimiter=/&maxresults=2", &[], ""),
    step(200, "list with metadata", "GET", "/claims?restype=container&comp=list&prefix=Lake.Lakehouse/Files/a&include=metadata", &[], ""),
    step(200, "list where nothing is", "GET", "/claims?restype=container&comp=list&prefix=nothing", &[], ""),
    step(400, "list no page", "GET", "/claims?restype=container&comp=list&maxresults=0", &[], ""),
    step(200, "list by another delimiter", "GET", "/claims?restype=container&comp=list&delimiter=-", &[], ""),
    // Delete.
    step(412, "delete if it is one that it is not", "DELETE", NEW, &[("If-Match", "\"0x8D000000000000\"")], ""),
    step(202, "delete", "DELETE", NEW, &[], ""),
    step(404, "delete a missing one", "DELETE", NEW, &[], ""),
    // Who asks.
    step(403, "read without a name", "GET", A, &[("Authorization", "")], ""),
    step(403, "read with a wrong signature", "GET", A, &[("Authorization", "SharedKey devstoreaccount1:AAAA")], ""),
    step(403, "put with a wrong signature", "PUT", A, &[("Authorization", "SharedKey devstoreaccount1:AAAA"), BLOCK], "x"),
    // What a storage account without folders, items and batches knows nothing of.
    step(201, "put below a blob", "PUT", "/claims/Lake.Lakehouse/Files/a/b", &[BLOCK], "x"),
    step(201, "put a name that ends with a dot", "PUT", "/claims/Lake.Lakehouse/Files/a.", &[BLOCK], "x"),
    step(201, "put beside the items", "PUT", "/claims/stray", &[BLOCK], "x"),
    step(202, "put a batch", "POST", "/claims?restype=container&comp=batch", &[("Content-Type", "multipart/mixed; boundary=b")], "--b--"),
];

/// A server, and its last ETag.
struct Side<'a> {
    client: &'a Client,
    address: String,
    etag: String,
}

impl Side<'_> {
    async fn send(&mut self, step: &Step) -> Answer {
        let url = format!("http://{}/devstoreaccount1", self.address);
        let headers: Vec<(String, String)> = step
            .headers
            .iter()
            .map(|(name, value)| {
                (
                    (*name).to_owned(),
                    value.replace("{etag}", &self.etag).replace("{url}", &url),
                )
            })
            .collect();
        let answer = send(
            self.client,
            &self.address,
            step.method,
            step.path,
            &headers,
            step.body.into(),
        )
        .await;
        if (200..300).contains(&answer.status) && step.path == A {
            self.etag = answer.header("etag").to_owned();
        }
        answer
    }
}

/// Returns the parts of an answer that are compared.
fn aspects(step: &Step, answer: &Answer) -> BTreeMap<&'static str, String> {
    let is_success = answer.status < 300;
    let mut aspects = BTreeMap::from([("status", answer.status.to_string()), ("body", said(step, answer))]);
    for name in SAME {
        aspects.insert(name, answer.header(name).to_owned());
    }
    for name in PRESENT {
        let shown = if answer.header(name).is_empty() {
            "absent"
        } else {
            "present"
        };
        aspects.insert(name, shown.to_owned());
    }
    if !is_success || step.path.contains("comp=") {
        // Texts of errors and lists are of different lengths and spellings.
        aspects.remove("content-length");
        aspects.remove("content-type");
    }
    if !is_success {
        // Azurite leaves it out; the service and we do not.
        aspects.remove("x-ms-client-request-id");
    }
    if answer.status >= 400 && answer.header("x-ms-error-code").is_empty() && step.method != "HEAD" {
        // What Azurite's parser refuses has no code.
        aspects.retain(|aspect, _| *aspect == "status");
    }
    aspects
}

/// Returns the part of a body that is compared: the code of an error, the names in a list, the bytes of a blob.
fn said(step: &Step, answer: &Answer) -> String {
    let body = String::from_utf8_lossy(&answer.body);
    if answer.status >= 400 {
        between(&body, "<Code>", "</Code>").join(" ")
    } else if step.path.contains("comp=list") {
        let blobs = between(&body, "<Blob><Name>", "</Name>").join(" ");
        let prefixes = between(&body, "<BlobPrefix><Name>", "</Name>").join(" ");
        let metadata = between(&body, "<Metadata>", "</Metadata>").join(" ");
        let is_last = body.contains("<NextMarker/>") || body.contains("<NextMarker></NextMarker>");
        format!("blobs {blobs}, prefixes {prefixes}, metadata {metadata}, last {is_last}")
    } else if step.path.contains("comp=blocklist") {
        let names = |list: &str| {
            let list = between(&body, &format!("<{list}>"), &format!("</{list}>")).concat();
            between(&list, "<Name>", "</Name>").join(" ")
        };
        format!(
            "committed {}, uncommitted {}",
            names("CommittedBlocks"),
            names("UncommittedBlocks")
        )
    } else {
        body.into_owned()
    }
}

fn between<'a>(text: &'a str, begin: &str, end: &str) -> Vec<&'a str> {
    let parts = text.split(begin).skip(1);
    parts.map(|part| part.split(end).next().unwrap_or_default()).collect()
}

#[tokio::test]
async fn the_blob_protocol_equals_azurite_except_for_listed_differences() {
    let azurite = tokio::task::spawn_blocking(Azurite::start).await.unwrap().unwrap();
    let lake = Lake::start().await;
    let mut reference = Side {
        client: &lake.client,
        address: azurite.address().to_owned(),
        etag: String::new(),
    };
    let mut ours = Side {
        client: &lake.client,
        address: lake.emulator.addr().to_string(),
        etag: String::new(),
    };
    let created = reference
        .send(&step(201, "", "PUT", "/claims?restype=container", &[], ""))
        .await;
    assert_eq!(created.status, 201, "{}", created.text());

    let mut unexpected = Vec::new();
    let mut shown = Vec::new();
    for step in STEPS {
        let (theirs, own) = (reference.send(step).await, ours.send(step).await);
        assert_eq!(theirs.status, step.status, "{}: Azurite itself", step.what);
        let own = aspects(step, &own);
        for (aspect, theirs) in aspects(step, &theirs) {
            // An aspect that counts for one of them alone is told by the status.
            let Some(own) = own.get(aspect).filter(|own| **own != theirs) else {
                continue;
            };
            match DIFFERENCES
                .iter()
                .position(|(what, differs, _)| *what == step.what && (*differs == aspect || *differs == EVERYTHING))
            {
                Some(place) => shown.push(place),
                None => unexpected.push(format!("{}: {aspect}: Azurite {theirs:?}, ours {own:?}", step.what)),
            }
        }
    }
    let stale = (0..DIFFERENCES.len()).filter(|place| !shown.contains(place));
    unexpected.extend(stale.map(|place| format!("no longer so: {:?}", DIFFERENCES[place])));
    assert!(
        unexpected.is_empty(),
        "{} differences:\n{}",
        unexpected.len(),
        unexpected.join("\n")
    );
}
