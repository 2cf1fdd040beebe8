//! The folder of the emulator: files and links that others put there, restarts, and memory.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::block_in_place;

use crate::support::{FILES, Lake, TOKEN};
use onelake_emulator::Item;
use xact_testkit::{Process, WorkDir, wait_until};

const LIST: &str = "/claims?resource=filesystem&recursive=true&directory=Lake.Lakehouse/Files";

#[tokio::test]
async fn files_that_a_person_puts_into_the_folder_are_served() {
    let lake = Lake::start().await;
    std::fs::create_dir_all(lake.on_disk("by hand")).unwrap();
    std::fs::write(lake.on_disk("by hand/a.txt"), "abc").unwrap();
    let read = lake.get("by%20hand/a.txt").await;
    assert_eq!((read.status, read.text()), (200, "abc"));
    assert!(!read.header("etag").is_empty());
    let list = lake.get(LIST).await;
    assert!(list.text().contains("by hand/a.txt"), "{list:?}");
    // Properties belong to what was written with them, not to what somebody put in its place.
    lake.put_with(&[("x-ms-meta-colour", "red")], "b", "abc").await;
    std::fs::write(lake.on_disk("b"), "by hand").unwrap();
    let read = lake.get("b").await;
    assert_eq!(read.text(), "by hand");
    assert_eq!(read.headers(["content-md5", "x-ms-meta-colour"]), ["", ""]);
}

#[tokio::test]
async fn paths_do_not_lead_out_of_the_folder() {
    let lake = Lake::start().await;
    std::fs::write(lake.dir.join("secret"), "secret").unwrap();
    for path in [
        "/claims/Lake.Lakehouse/Files/../../../secret",
        "/claims/Lake.Lakehouse/Files/%2e%2e/%2e%2e/%2e%2e/secret",
        "/claims/Lake.Lakehouse/Files/..%2f..%2f..%2fsecret",
        "/../secret",
        "/claims/../secret",
        "//secret",
        "/.onelake/lock",
        "/claims/Lake.Lakehouse/Files//etc/passwd",
        "/claims/Lake.Lakehouse/Files/a%00b",
        "/claims/Lake.Lakehouse/Files/..%5c..%5csecret",
    ] {
        for method in ["GET", "PUT", "DELETE"] {
            let answer = lake.raw(&format!("{method} {path}")).await;
            assert!(answer.starts_with("HTTP/1.1 400"), "{method} {path}: {answer}");
            assert!(!answer.contains("\r\n\r\nsecret"), "{method} {path}: {answer}");
        }
    }
    assert_eq!(std::fs::read_to_string(lake.dir.join("secret")).unwrap(), "secret");
}

#[tokio::test]
async fn links_in_the_folder_are_not_followed() {
    let lake = Lake::start().await;
    let outside = WorkDir::new("outside").unwrap();
    std::fs::write(outside.join("secret"), "secret").unwrap();
    lake.put("real", "real").await;
    let link = |target: &Path, name: &str| symlink(target, lake.on_disk(name)).unwrap();
    link(outside.path(), "folder");
    link(&outside.join("secret"), "file");
    link(&lake.on_disk("real"), "within");
    link(Path::new("loop"), "loop");
    for name in ["folder", "file", "within", "loop", "folder/secret"] {
        assert_eq!(lake.get(name).await.status, 404, "{name}");
        assert_eq!(lake.head(name).await.status, 404, "{name}");
        assert_eq!(lake.append(name, 0, "x").await.status, 404, "{name}");
        assert_eq!(lake.rename(name, "stolen").await, "404 SourcePathNotFound", "{name}");
        let deleted = lake.delete(&format!("{name}?recursive=true")).await;
        assert_eq!(deleted.status, 404, "{name}");
    }
    assert_eq!(lake.put("folder/new", "x").await, "409 PathConflict");
    assert_eq!(lake.rename("real", "folder/real").await.status, 404);
    let list = lake.get(LIST).await;
    let shows_links = list.text().contains("folder") || list.text().contains("secret");
    assert!(!shows_links, "{list:?}");

    // A new file takes the place of a link; where the link led is not touched.
    assert_eq!(lake.put("file", "new").await, "201");
    assert_eq!(lake.get("file").await.text(), "new");
    assert_eq!(std::fs::read_to_string(outside.join("secret")).unwrap(), "secret");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn names_that_windows_or_a_url_cannot_hold_are_refused_by_every_verb() {
    let lake = Lake::start().await;
    let refused = "400 InvalidResourceName";
    let names = "a. a%20 a%5Cb a%3Ab a%3Fb a%2Ab a%22b a%3Cb a%7Cb a%0Ab a%C2%81b a%EE%80%80b con./x";
    for name in names.split(' ') {
        assert_eq!(lake.put(name, "x").await, refused, "{name}");
        assert_eq!(lake.create(name).await, refused, "{name}");
        let url = format!("{name}?resource=directory");
        assert_eq!(lake.send("PUT", &url, &[], "").await, refused, "{name}");
    }
    lake.put("ok", "x").await;
    assert_eq!(lake.rename("ok", "no.").await, refused);
    for name in "%23 %25 %2541 a+b %C3%A4 '()[]{}!$&=,;@~^%60 _x .x".split(' ') {
        assert_eq!(lake.put(name, "x").await, "201", "{name}");
        assert_eq!(lake.get(name).await.text(), "x", "{name}");
    }
}

#[tokio::test]
async fn workspaces_and_items_have_names_and_guids() {
    const CLAIMS: &str = "11111111-1111-1111-1111-111111111111";
    const LAKE: &str = "22222222-2222-2222-2222-222222222222";
    const OTHER: &str = "33333333-3333-3333-3333-333333333333";
    let lake = Lake::start_with(|options| {
        let item = format!("claims={CLAIMS}/Lake.Lakehouse={LAKE}");
        options.items = vec![item.parse().unwrap(), Item::new("claims", "Other.Lakehouse")];
    })
    .await;
    assert_eq!(lake.put(&format!("/{CLAIMS}/{LAKE}/Files/a"), "abc").await, "201");
    assert_eq!(lake.get("a").await.text(), "abc");
    // Lists have the form of their request.
    for (query, shown) in [
        (
            "restype=container&comp=list&prefix",
            format!("<Name>{LAKE}/Files/a</Name>"),
        ),
        (
            "resource=filesystem&recursive=true&directory",
            format!("\"{LAKE}/Files/a\""),
        ),
    ] {
        let list = lake.get(&format!("/{CLAIMS}?{query}={LAKE}/Files")).await;
        assert!(list.text().contains(&shown), "{list:?}");
    }
    for (workspace, item, outcome) in [
        ("claims", LAKE, "400 FriendlyNameSupportDisabled"),
        (CLAIMS, "Lake.Lakehouse", "400 FriendlyNameSupportDisabled"),
        (CLAIMS, OTHER, "404 ArtifactNotFound"),
        (OTHER, LAKE, "404 ContainerNotFound"),
        ("claims", "None.Lakehouse", "404 ArtifactNotFound"),
    ] {
        let answer = lake.get(&format!("/{workspace}/{item}/Files/a")).await;
        assert_eq!(answer, outcome, "{workspace}/{item}");
    }
    let strict = Lake::start_with(|options| options.guids_only = true).await;
    assert_eq!(strict.get("a").await, "400 FriendlyNameSupportDisabled");
    assert_eq!(strict.put(&by_guid("a"), "x").await, "201");
}

/// Returns the path of a file of the lake's item by GUIDs that are derived from the names.
pub(crate) fn by_guid(file: &str) -> String {
    let item = Item::new("claims", "Lake.Lakehouse");
    format!("/{}/{}/Files/{file}", item.workspace_guid(), item.guid())
}

#[tokio::test]
async fn a_restart_keeps_everything_including_staged_data() {
    let lake = Lake::start().await;
    let put = lake.put_with(&[("x-ms-meta-colour", "red")], "a", "abc").await;
    lake.append("a", 3, "def").await;
    lake.send("PUT", "b?comp=block&blockid=QQ==", &[], "block").await;
    let lake = lake.restart().await;
    let head = lake.head("a").await;
    assert_eq!(head.headers(["etag", "x-ms-meta-colour"]), [put.header("etag"), "red"]);
    assert_eq!(lake.flush("a", 6).await, "200");
    assert_eq!(lake.get("a").await.text(), "abcdef");
    let list = "<BlockList><Latest>QQ==</Latest></BlockList>";
    assert_eq!(lake.send("PUT", "b?comp=blocklist", &[], list).await, "201");
    assert_eq!(lake.get("b").await.text(), "block");
    let read = lake.get(&by_guid("b")).await;
    assert_eq!(read.text(), "block", "derived GUIDs stay the same");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incomplete_upload_leaves_nothing() {
    let lake = Lake::start().await;
    let mut stream = TcpStream::connect(lake.emulator.addr()).await.unwrap();
    let head = format!(
        "PUT {FILES}/a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nx-ms-blob-type: BlockBlob\r\nContent-Length: 1000000\r\n\r\nonly the beginning"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let drafts = lake.dir.join(".onelake/drafts");
    let wait_for = |count: usize| {
        let has_count = || (std::fs::read_dir(&drafts).unwrap().count() == count).then_some(());
        block_in_place(|| wait_until(Duration::from_secs(10), &format!("{count} drafts"), has_count)).unwrap();
    };
    wait_for(1);
    drop(stream);
    wait_for(0);
    assert_eq!(lake.head("a").await.status, 404);
}

/// Measures the memory of the emulator process during uploads and downloads of 64 MiB, eight at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_files_pass_through_a_small_process() {
    const MIB: usize = 1024 * 1024;
    let dir = WorkDir::new("onelake").unwrap();
    let program = env!("CARGO_BIN_EXE_onelake-emulator");
    let args = "--listen 127.0.0.1:0 --folder data --item claims/Lake.Lakehouse".split(' ');
    let envs = [("ONELAKE_EMULATOR_TOKENS", "tests=secret")];
    let mut process = Process::spawn("emulator", program, args, envs, dir.path()).unwrap();
    let url = block_in_place(|| {
        wait_until(Duration::from_secs(20), "the emulator has printed its address", || {
            let log = process.log();
            let line = log.lines().find_map(|line| line.strip_prefix("onelake "));
            line.map(str::to_owned)
        })
    })
    .unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let piece = bytes::Bytes::from(vec![7; 8 * MIB]);
    let uploads = (0..8).map(|n| {
        let (client, path, piece) = (client.clone(), format!("{url}{FILES}/{n}"), piece.clone());
        tokio::spawn(async move {
            let request =
                |method: Method, query: String| client.request(method, format!("{path}{query}")).bearer_auth("secret");
            let status = async |request: RequestBuilder| request.send().await.unwrap().status();
            let create = request(Method::PUT, "?resource=file".into());
            assert_eq!(status(create.header("content-length", 0)).await, 201);
            for position in (0..64 * MIB).step_by(piece.len()) {
                let append = request(Method::PATCH, format!("?action=append&position={position}"));
                assert_eq!(status(append.body(piece.clone())).await, 202);
            }
            let flush = request(Method::PATCH, format!("?action=flush&position={}", 64 * MIB));
            assert_eq!(status(flush.header("content-length", 0)).await, 200);
            let mut read = 0;
            let mut response = request(Method::GET, String::new()).send().await.unwrap();
            while let Some(chunk) = response.chunk().await.unwrap() {
                read += chunk.len();
            }
            assert_eq!(read, 64 * MIB);
        })
    });
    for upload in futures::future::join_all(uploads).await {
        upload.unwrap();
    }
    let resident = process.most_resident_kib().unwrap() / 1024;
    assert!(resident < 100, "{resident} MiB resident for 8 files of 64 MiB");
    process.terminate().unwrap();
    let ended = block_in_place(|| process.wait(Duration::from_secs(10)));
    assert!(ended.unwrap().success());
}
