//! Azurite and the emulator get the same requests, and give the same answers except for the listed differences.

use std::collections::BTreeMap;

use reqwest::Client;

use crate::blob_lists::between;
use crate::signed::send;
use crate::support::{Answer, BLOCK, Lake, NEW};
use xact_testkit::Azurite;

/// The expected differences: the step, what differs in it, and why. A listed difference that does not occur is an error.
#[rustfmt::skip]
const DIFFERENCES: &[(&str, &str, &str)] = &[
    // OneLake's own.
    ("create a container", EVERYTHING, "workspaces are made in Fabric"),
    ("delete a container", EVERYTHING, "so there was none"),
    ("put below a blob", EVERYTHING, "a hierarchical namespace has files and folders"),
    ("list by prefix", "body", "and shows its folders"),
    ("list by another delimiter", EVERYTHING, "and has no delimiter but the slash"),
    ("put a name that ends with a dot", EVERYTHING, "names that Windows cannot hold are refused"),
    ("put next to the items", EVERYTHING, "what is in a workspace is in an item"),
    ("put a batch", EVERYTHING, "OneLake finds no item in its URL"),
    ("read without credentials", EVERYTHING, "OneLake challenges for a token"),
    // Where the emulator does what the service's documentation says.
    ("read with a wrong signature", "x-ms-error-code", "the code is AuthenticationFailed"),
    ("read with a wrong signature", "body", "the code is AuthenticationFailed"),
    ("put with a wrong signature", "x-ms-error-code", "the code is AuthenticationFailed"),
    ("put with a wrong signature", "body", "the code is AuthenticationFailed"),
    ("read", "x-ms-blob-content-md5", "only with a range"),
    ("read nothing", "x-ms-blob-content-md5", "only with a range"),
    ("read one with headers", "x-ms-blob-content-md5", "only with a range"),
    ("read the copy", "x-ms-blob-content-md5", "only with a range"),
    ("read from the end", EVERYTHING, "a range that begins at the end is not valid: 416"),
    ("get metadata", EVERYTHING, "Azurite takes it for a read of the blob"),
    ("put another block", "content-md5", "the MD5 of a block is answered if the request has one"),
    ("commit blocks", "content-md5", "the MD5 of a list is answered if the request has one"),
    ("commit some of the old blocks", "content-md5", "the MD5 of a list is answered if the request has one"),
    ("read what was made of blocks", "content-md5", "a blob of blocks has only the MD5 that its client gave it"),
    ("read what is left of the blocks", "content-md5", "a blob of blocks has only the MD5 that its client gave it"),
    ("list uncommitted blocks", "etag", "only of a blob that exists"),
    ("list uncommitted blocks", "last-modified", "only of a blob that exists"),
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

/// A request to both servers: the status of Azurite (two servers that refuse everything would be equal as well), what is
/// done, `METHOD path`, headers and body. `{etag}` in a header is the last ETag of the same server, `{url}` its address.
type Step = (
    u16,
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
);

const FUTURE: &str = "Fri, 01 Jan 2100 00:00:00 GMT";
const PAST: &str = "Sat, 01 Jan 2000 00:00:00 GMT";

#[rustfmt::skip]
const STEPS: &[Step] = &[
    // Containers.
    (409, "create a container that is there", "PUT /claims?restype=container", &[], ""),
    (200, "look at a container", "HEAD /claims?restype=container", &[], ""),
    (200, "get a container's properties", "GET /claims?restype=container", &[], ""),
    (404, "look at a missing container", "HEAD /nobody?restype=container", &[], ""),
    (404, "list a missing container", "GET /nobody?restype=container&comp=list", &[], ""),
    (404, "put into a missing container", "PUT /nobody/Lake.Lakehouse/Files/a", &[BLOCK], "x"),
    (404, "read from a missing container", "GET /nobody/Lake.Lakehouse/Files/a", &[], ""),
    (201, "create a container", "PUT /another?restype=container", &[], ""),
    (202, "delete a container", "DELETE /another?restype=container", &[], ""),
    // Put Blob.
    (201, "put", "PUT /claims/Lake.Lakehouse/Files/a", &[BLOCK], "hello"),
    (409, "put only if new, but it is there", "PUT /claims/Lake.Lakehouse/Files/a", &[BLOCK, NEW], "hello"),
    (201, "put over it", "PUT /claims/Lake.Lakehouse/Files/a", &[BLOCK, ("Content-Type", "text/plain")], "hello world"),
    (201, "put if it is the one that I know", "PUT /claims/Lake.Lakehouse/Files/a", &[BLOCK, ("If-Match", "{etag}"), ("x-ms-meta-colour", "red")], "0123456789"),
    (412, "put if it is one that it is not", "PUT /claims/Lake.Lakehouse/Files/a", &[BLOCK, ("If-Match", "\"0x8D000000000000\"")], "x"),
    (412, "put if it is not the one that it is", "PUT /claims/Lake.Lakehouse/Files/a", &[BLOCK, ("If-None-Match", "{etag}")], "x"),
    (412, "put over a missing one", "PUT /claims/Lake.Lakehouse/Files/none", &[BLOCK, ("If-Match", "\"0x8D000000000000\"")], "x"),
    (412, "put unless it was changed since", "PUT /claims/Lake.Lakehouse/Files/a", &[BLOCK, ("If-Unmodified-Since", PAST)], "x"),
    (412, "put if it was changed since", "PUT /claims/Lake.Lakehouse/Files/a", &[BLOCK, ("If-Modified-Since", FUTURE)], "x"),
    (201, "put only if new", "PUT /claims/Lake.Lakehouse/Files/new", &[BLOCK, NEW], "new"),
    (201, "put nothing", "PUT /claims/Lake.Lakehouse/Files/empty", &[BLOCK], ""),
    (201, "put with its MD5", "PUT /claims/Lake.Lakehouse/Files/new", &[BLOCK, ("Content-MD5", "XUFAKrxLKna5cZ2REBfFkg==")], "hello"),
    (400, "put with another MD5", "PUT /claims/Lake.Lakehouse/Files/new", &[BLOCK, ("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg==")], "hello"),
    (400, "put without a type", "PUT /claims/Lake.Lakehouse/Files/new", &[], "x"),
    (400, "put of an unknown type", "PUT /claims/Lake.Lakehouse/Files/new", &[("x-ms-blob-type", "RoundBlob")], "x"),
    (201, "put with all its headers", "PUT /claims/Lake.Lakehouse/Files/d%C3%AE r/%23%25 (1)+&=,;.jpg", &[BLOCK, ("x-ms-blob-content-type", "image/jpeg"), ("x-ms-blob-content-encoding", "identity"), ("x-ms-blob-content-language", "en"), ("x-ms-blob-content-disposition", "inline"), ("x-ms-blob-cache-control", "no-cache"), ("x-ms-meta-colour", "red"), ("x-ms-meta-size", "10")], "image"),
    // Get Blob and its properties.
    (200, "read", "GET /claims/Lake.Lakehouse/Files/a", &[], ""),
    (200, "read one with headers", "GET /claims/Lake.Lakehouse/Files/d%C3%AE r/%23%25 (1)+&=,;.jpg", &[], ""),
    (200, "read nothing", "GET /claims/Lake.Lakehouse/Files/empty", &[], ""),
    (404, "read a missing one", "GET /claims/Lake.Lakehouse/Files/none", &[], ""),
    (200, "look", "HEAD /claims/Lake.Lakehouse/Files/a", &[], ""),
    (200, "look at one with headers", "HEAD /claims/Lake.Lakehouse/Files/d%C3%AE r/%23%25 (1)+&=,;.jpg", &[], ""),
    (404, "look at a missing one", "HEAD /claims/Lake.Lakehouse/Files/none", &[], ""),
    (206, "read a part", "GET /claims/Lake.Lakehouse/Files/a", &[("Range", "bytes=2-4")], ""),
    (206, "read a part by the other header", "GET /claims/Lake.Lakehouse/Files/a", &[("x-ms-range", "bytes=2-4")], ""),
    (206, "read from a place", "GET /claims/Lake.Lakehouse/Files/a", &[("x-ms-range", "bytes=7-")], ""),
    (206, "read beyond the end", "GET /claims/Lake.Lakehouse/Files/a", &[("x-ms-range", "bytes=8-99")], ""),
    (206, "read from the end", "GET /claims/Lake.Lakehouse/Files/a", &[("x-ms-range", "bytes=10-")], ""),
    (416, "read a part of nothing", "GET /claims/Lake.Lakehouse/Files/empty", &[("x-ms-range", "bytes=0-9")], ""),
    (206, "read a part with its MD5", "GET /claims/Lake.Lakehouse/Files/a", &[("x-ms-range", "bytes=2-4"), ("x-ms-range-get-content-md5", "true")], ""),
    (304, "read if it has changed", "GET /claims/Lake.Lakehouse/Files/a", &[("If-None-Match", "{etag}")], ""),
    (412, "read if it has not changed", "GET /claims/Lake.Lakehouse/Files/a", &[("If-Match", "\"0x8D000000000000\"")], ""),
    (304, "read if it has changed since", "GET /claims/Lake.Lakehouse/Files/a", &[("If-Modified-Since", FUTURE)], ""),
    (412, "read unless it has changed since", "GET /claims/Lake.Lakehouse/Files/a", &[("If-Unmodified-Since", PAST)], ""),
    (304, "look if it has changed", "HEAD /claims/Lake.Lakehouse/Files/a", &[("If-None-Match", "{etag}")], ""),
    (412, "look if it has not changed", "HEAD /claims/Lake.Lakehouse/Files/a", &[("If-Match", "\"0x8D000000000000\"")], ""),
    // Blocks.
    (201, "put a block", "PUT /claims/Lake.Lakehouse/Files/blocks?comp=block&blockid=QQ%3D%3D", &[], "aaa"),
    (201, "put another block", "PUT /claims/Lake.Lakehouse/Files/blocks?comp=block&blockid=Qg%3D%3D", &[("Content-MD5", "Ia0L2Da5DQj0z2QLTCmOfA==")], "bb"),
    (400, "put a block with another MD5", "PUT /claims/Lake.Lakehouse/Files/blocks?comp=block&blockid=Qw%3D%3D", &[("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg==")], "c"),
    (400, "put a block without an id", "PUT /claims/Lake.Lakehouse/Files/blocks?comp=block", &[], "x"),
    (400, "put a block whose id is not base64", "PUT /claims/Lake.Lakehouse/Files/blocks?comp=block&blockid=%25%25", &[], "x"),
    (404, "put a block into a missing container", "PUT /nobody/Lake.Lakehouse/Files/a?comp=block&blockid=QQ%3D%3D", &[], "x"),
    (404, "look at uncommitted blocks", "HEAD /claims/Lake.Lakehouse/Files/blocks", &[], ""),
    (200, "list uncommitted blocks", "GET /claims/Lake.Lakehouse/Files/blocks?comp=blocklist&blocklisttype=all", &[], ""),
    (400, "commit a block that was not put", "PUT /claims/Lake.Lakehouse/Files/blocks?comp=blocklist", &[], "<BlockList><Latest>WlpaWg==</Latest></BlockList>"),
    (400, "commit a body that is not a list", "PUT /claims/Lake.Lakehouse/Files/blocks?comp=blocklist", &[], "<BlockList><Latest>"),
    (201, "commit blocks", "PUT /claims/Lake.Lakehouse/Files/blocks?comp=blocklist", &[("x-ms-blob-content-type", "text/plain"), ("x-ms-meta-colour", "red")], "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList><Latest>Qg==</Latest><Uncommitted>QQ==</Uncommitted></BlockList>"),
    (200, "read what was made of blocks", "GET /claims/Lake.Lakehouse/Files/blocks", &[], ""),
    (200, "list blocks", "GET /claims/Lake.Lakehouse/Files/blocks?comp=blocklist&blocklisttype=all", &[], ""),
    (200, "list blocks as they come", "GET /claims/Lake.Lakehouse/Files/blocks?comp=blocklist", &[], ""),
    (409, "commit blocks only if new", "PUT /claims/Lake.Lakehouse/Files/blocks?comp=blocklist", &[NEW], "<BlockList><Committed>Qg==</Committed></BlockList>"),
    (201, "commit some of the old blocks", "PUT /claims/Lake.Lakehouse/Files/blocks?comp=blocklist", &[], "<BlockList><Committed>Qg==</Committed></BlockList>"),
    (200, "read what is left of the blocks", "GET /claims/Lake.Lakehouse/Files/blocks", &[], ""),
    (404, "list blocks of a missing one", "GET /claims/Lake.Lakehouse/Files/none?comp=blocklist", &[], ""),
    // Copy.
    (202, "copy", "PUT /claims/Lake.Lakehouse/Files/copy", &[("x-ms-copy-source", "{url}/claims/Lake.Lakehouse/Files/a")], ""),
    (200, "read the copy", "GET /claims/Lake.Lakehouse/Files/copy", &[], ""),
    (409, "copy only if new", "PUT /claims/Lake.Lakehouse/Files/copy", &[("x-ms-copy-source", "{url}/claims/Lake.Lakehouse/Files/a"), NEW], ""),
    (404, "copy a missing one", "PUT /claims/Lake.Lakehouse/Files/copy", &[("x-ms-copy-source", "{url}/claims/Lake.Lakehouse/Files/none")], ""),
    (202, "copy with other metadata", "PUT /claims/Lake.Lakehouse/Files/copy", &[("x-ms-copy-source", "{url}/claims/Lake.Lakehouse/Files/a"), ("x-ms-meta-size", "10")], ""),
    (200, "look at the copy", "HEAD /claims/Lake.Lakehouse/Files/copy", &[], ""),
    // Metadata and headers.
    (200, "set metadata", "PUT /claims/Lake.Lakehouse/Files/a?comp=metadata", &[("x-ms-meta-size", "10")], ""),
    (200, "get metadata", "GET /claims/Lake.Lakehouse/Files/a?comp=metadata", &[], ""),
    (200, "look at metadata", "HEAD /claims/Lake.Lakehouse/Files/a?comp=metadata", &[], ""),
    (404, "set metadata of a missing one", "PUT /claims/Lake.Lakehouse/Files/none?comp=metadata", &[("x-ms-meta-size", "10")], ""),
    (200, "set headers", "PUT /claims/Lake.Lakehouse/Files/a?comp=properties", &[("x-ms-blob-content-type", "image/png"), ("x-ms-blob-cache-control", "no-store")], ""),
    (200, "look at what was set", "HEAD /claims/Lake.Lakehouse/Files/a", &[], ""),
    // Lists.
    (200, "list by prefix", "GET /claims?restype=container&comp=list&prefix=Lake.Lakehouse/Files/", &[], ""),
    (200, "list a level", "GET /claims?restype=container&comp=list&prefix=Lake.Lakehouse/Files/&delimiter=/", &[], ""),
    (200, "list a page", "GET /claims?restype=container&comp=list&prefix=Lake.Lakehouse/Files/&delimiter=/&maxresults=2", &[], ""),
    (200, "list with metadata", "GET /claims?restype=container&comp=list&prefix=Lake.Lakehouse/Files/a&include=metadata", &[], ""),
    (200, "list where nothing is", "GET /claims?restype=container&comp=list&prefix=nothing", &[], ""),
    (400, "list no page", "GET /claims?restype=container&comp=list&maxresults=0", &[], ""),
    (200, "list by another delimiter", "GET /claims?restype=container&comp=list&delimiter=-", &[], ""),
    // Delete.
    (412, "delete if it is one that it is not", "DELETE /claims/Lake.Lakehouse/Files/new", &[("If-Match", "\"0x8D000000000000\"")], ""),
    (202, "delete", "DELETE /claims/Lake.Lakehouse/Files/new", &[], ""),
    (404, "delete a missing one", "DELETE /claims/Lake.Lakehouse/Files/new", &[], ""),
    // Who asks.
    (403, "read without credentials", "GET /claims/Lake.Lakehouse/Files/a", &[("Authorization", "")], ""),
    (403, "read with a wrong signature", "GET /claims/Lake.Lakehouse/Files/a", &[("Authorization", "SharedKey devstoreaccount1:AAAA")], ""),
    (403, "put with a wrong signature", "PUT /claims/Lake.Lakehouse/Files/a", &[("Authorization", "SharedKey devstoreaccount1:AAAA"), BLOCK], "x"),
    // What a storage account without folders, items and batches knows nothing of.
    (201, "put below a blob", "PUT /claims/Lake.Lakehouse/Files/a/b", &[BLOCK], "x"),
    (201, "put a name that ends with a dot", "PUT /claims/Lake.Lakehouse/Files/a.", &[BLOCK], "x"),
    (201, "put next to the items", "PUT /claims/stray", &[BLOCK], "x"),
    (202, "put a batch", "POST /claims?restype=container&comp=batch", &[("Content-Type", "multipart/mixed; boundary=b")], "--b--"),
];

/// The blob whose ETag is used.
const TAGGED: &str = " /claims/Lake.Lakehouse/Files/a";

/// A server, and its last ETag.
struct Side<'a> {
    client: &'a Client,
    address: String,
    etag: String,
}

impl<'a> Side<'a> {
    fn new(client: &'a Client, address: String) -> Self {
        let etag = String::new();
        Self { client, address, etag }
    }

    async fn send(&mut self, (_, _, request, headers, body): Step) -> Answer {
        let url = format!("http://{}/devstoreaccount1", self.address);
        let filled = |value: &str| value.replace("{etag}", &self.etag).replace("{url}", &url);
        let headers = headers.iter().map(|(name, value)| (name.to_lowercase(), filled(value)));
        let answer = send(self.client, &self.address, request, headers.collect(), body).await;
        if (200..300).contains(&answer.status) && request.ends_with(TAGGED) {
            self.etag = answer.header("etag").to_owned();
        }
        answer
    }
}

/// Returns the parts of an answer that are compared.
fn aspects(request: &str, answer: &Answer) -> BTreeMap<&'static str, String> {
    let is_success = answer.status < 300;
    let mut aspects = BTreeMap::from([
        ("status", answer.status.to_string()),
        ("body", compared_body(request, answer)),
    ]);
    for name in SAME {
        aspects.insert(name, answer.header(name).to_owned());
    }
    for name in PRESENT {
        let is_present = !answer.header(name).is_empty();
        aspects.insert(name, format!("present: {is_present}"));
    }
    if !is_success || request.contains("comp=") {
        // Texts of errors and lists are of different lengths and spellings.
        aspects.remove("content-length");
        aspects.remove("content-type");
    }
    if !is_success {
        // Azurite omits it; the service and the emulator do not.
        aspects.remove("x-ms-client-request-id");
    }
    if answer.status >= 400 && answer.header("x-ms-error-code").is_empty() && !request.starts_with("HEAD") {
        // What Azurite's parser refuses has no code.
        aspects.retain(|aspect, _| *aspect == "status");
    }
    aspects
}

/// Returns the part of a body that is compared: the code of an error, the names in a list, the bytes of a blob.
fn compared_body(request: &str, answer: &Answer) -> String {
    let body = String::from_utf8_lossy(&answer.body);
    if answer.status >= 400 {
        between(&body, "<Code>", "</Code>").join(" ")
    } else if request.contains("comp=list") {
        let blobs = between(&body, "<Blob><Name>", "</Name>").join(" ");
        let prefixes = between(&body, "<BlobPrefix><Name>", "</Name>").join(" ");
        let metadata = between(&body, "<Metadata>", "</Metadata>").join(" ");
        let is_last = body.contains("<NextMarker/>") || body.contains("<NextMarker></NextMarker>");
        format!("blobs {blobs}, prefixes {prefixes}, metadata {metadata}, last {is_last}")
    } else if request.contains("comp=blocklist") {
        let names = |list: &str| {
            let list = between(&body, &format!("<{list}>"), &format!("</{list}>")).concat();
            between(&list, "<Name>", "</Name>").join(" ")
        };
        let (committed, uncommitted) = (names("CommittedBlocks"), names("UncommittedBlocks"));
        format!("committed {committed}, uncommitted {uncommitted}")
    } else {
        body.into_owned()
    }
}

#[tokio::test]
async fn the_blob_protocol_equals_azurite_except_for_listed_differences() {
    let azurite = tokio::task::spawn_blocking(Azurite::start).await.unwrap().unwrap();
    let lake = Lake::start().await;
    let mut reference = Side::new(&lake.client, azurite.address().to_owned());
    let mut ours = Side::new(&lake.client, lake.emulator.addr().to_string());
    let create = (201, "", "PUT /claims?restype=container", &[][..], "");
    assert_eq!(reference.send(create).await, "201");

    let mut unexpected = Vec::new();
    let mut shown = Vec::new();
    for &step in STEPS {
        let (status, what, request, ..) = step;
        let (theirs, own) = (reference.send(step).await, ours.send(step).await);
        assert_eq!(theirs.status, status, "{what}: Azurite itself");
        let own = aspects(request, &own);
        for (aspect, theirs) in aspects(request, &theirs) {
            // The status shows that an aspect counts for one of them alone.
            let Some(own) = own.get(aspect).filter(|own| **own != theirs) else {
                continue;
            };
            let is_listed =
                |difference: &&(&str, &str, &str)| difference.0 == what && [aspect, EVERYTHING].contains(&difference.1);
            match DIFFERENCES.iter().find(is_listed) {
                Some(difference) => shown.push(difference),
                None => unexpected.push(format!("{what}: {aspect}: Azurite {theirs:?}, ours {own:?}")),
            }
        }
    }
    let stale = DIFFERENCES.iter().filter(|difference| !shown.contains(difference));
    unexpected.extend(stale.map(|difference| format!("does not occur: {difference:?}")));
    let count = unexpected.len();
    assert_eq!(count, 0, "{count} differences:\n{}", unexpected.join("\n"));
}
