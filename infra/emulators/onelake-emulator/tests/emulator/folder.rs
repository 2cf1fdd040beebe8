//! The folder of the emulator: files and links that others put there, restarts, and memory.

use std::os::unix::fs::symlink;
use std::time::Duration;

use crate::support::{FILES, Lake};
use onelake_emulator::Item;
use xact_testkit::{Process, WorkDir, wait_until};

#[tokio::test]
async fn files_that_a_person_puts_into_the_folder_are_served() {
    let lake = Lake::start().await;
    std::fs::create_dir_all(lake.on_disk(&format!("{FILES}/by hand"))).unwrap();
    std::fs::write(lake.on_disk(&format!("{FILES}/by hand/a.txt")), "abc").unwrap();
    let read = lake.get(&format!("{FILES}/by%20hand/a.txt")).await;
    assert_eq!((read.status, read.text()), (200, "abc"));
    assert!(!read.header("etag").is_empty());
    let list = lake
        .get("/claims?resource=filesystem&recursive=true&directory=Lake.Lakehouse/Files")
        .await;
    assert!(list.text().contains("by hand/a.txt"), "{}", list.text());
    // Properties belong to what was written with them, not to what somebody put in its place.
    let path = format!("{FILES}/b");
    lake.send(
        "PUT",
        &path,
        &[("x-ms-blob-type", "BlockBlob"), ("x-ms-meta-colour", "red")],
        "abc",
    )
    .await;
    std::fs::write(lake.on_disk(&path), "by hand").unwrap();
    let read = lake.get(&path).await;
    assert_eq!(
        (read.text(), read.header("content-md5"), read.header("x-ms-meta-colour")),
        ("by hand", "", "")
    );
}

#[tokio::test]
async fn paths_do_not_lead_out_of_the_folder() {
    let lake = Lake::start().await;
    std::fs::write(lake.dir.join("secret"), "secret").unwrap();
    for path in [
        format!("{FILES}/../../../secret"),
        format!("{FILES}/%2e%2e/%2e%2e/%2e%2e/secret"),
        format!("{FILES}/..%2f..%2f..%2fsecret"),
        "/../secret".to_owned(),
        "/claims/../secret".to_owned(),
        "//secret".to_owned(),
        "/.onelake/lock".to_owned(),
        "/claims/Lake.Lakehouse/Files//etc/passwd".to_owned(),
        format!("{FILES}/a%00b"),
        format!("{FILES}/..%5c..%5csecret"),
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
    lake.put(&format!("{FILES}/real"), "real").await;
    let link =
        |target: &std::path::Path, name: &str| symlink(target, lake.on_disk(&format!("{FILES}/{name}"))).unwrap();
    link(outside.path(), "folder");
    link(&outside.join("secret"), "file");
    link(&lake.on_disk(&format!("{FILES}/real")), "within");
    link(std::path::Path::new("loop"), "loop");
    for name in ["folder", "file", "within", "loop", "folder/secret"] {
        let path = format!("{FILES}/{name}");
        assert_eq!(lake.get(&path).await.status, 404, "{name}");
        assert_eq!(lake.head(&path).await.status, 404, "{name}");
        assert_eq!(lake.append(&path, 0, "x").await.status, 404, "{name}");
        assert_eq!(
            lake.rename(&path, &format!("{FILES}/stolen"), &[]).await.outcome(),
            (404, "SourcePathNotFound"),
            "{name}"
        );
        assert_eq!(
            lake.send("DELETE", &format!("{path}?recursive=true"), &[], "")
                .await
                .status,
            404,
            "{name}"
        );
    }
    assert_eq!(
        lake.put(&format!("{FILES}/folder/new"), "x").await.outcome(),
        (409, "PathConflict")
    );
    assert_eq!(
        lake.rename(&format!("{FILES}/real"), &format!("{FILES}/folder/real"), &[])
            .await
            .status,
        404
    );
    let list = lake
        .get("/claims?resource=filesystem&recursive=true&directory=Lake.Lakehouse/Files")
        .await;
    assert!(
        !list.text().contains("folder") && !list.text().contains("secret"),
        "{}",
        list.text()
    );

    // A new file takes the place of a link; where the link led is not touched.
    assert_eq!(lake.put(&format!("{FILES}/file"), "new").await.status, 201);
    assert_eq!(lake.get(&format!("{FILES}/file")).await.text(), "new");
    assert_eq!(std::fs::read_to_string(outside.join("secret")).unwrap(), "secret");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn names_that_windows_or_a_url_cannot_hold_are_refused_by_every_verb() {
    let lake = Lake::start().await;
    for name in [
        "a.",
        "a%20",
        "a%5Cb",
        "a%3Ab",
        "a%3Fb",
        "a%2Ab",
        "a%22b",
        "a%3Cb",
        "a%7Cb",
        "a%0Ab",
        "a%C2%81b",
        "a%EE%80%80b",
        "con./x",
    ] {
        let path = format!("{FILES}/{name}");
        let told = (400, "InvalidResourceName");
        assert_eq!(lake.put(&path, "x").await.outcome(), told, "{name}");
        assert_eq!(
            lake.send("PUT", &format!("{path}?resource=file"), &[], "")
                .await
                .outcome(),
            told,
            "{name}"
        );
        assert_eq!(
            lake.send("PUT", &format!("{path}?resource=directory"), &[], "")
                .await
                .outcome(),
            told,
            "{name}"
        );
    }
    lake.put(&format!("{FILES}/ok"), "x").await;
    assert_eq!(
        lake.rename(&format!("{FILES}/ok"), &format!("{FILES}/no."), &[])
            .await
            .outcome(),
        (400, "InvalidResourceName")
    );
    for name in [
        "%23",
        "%25",
        "%2541",
        "a+b",
        "%C3%A4",
        "'()[]{}!$&=,;@~^%60",
        "_x",
        ".x",
    ] {
        let path = format!("{FILES}/{name}");
        assert_eq!(lake.put(&path, "x").await.status, 201, "{name}");
        assert_eq!(lake.get(&path).await.text(), "x", "{name}");
    }
}

#[tokio::test]
async fn workspaces_and_items_have_names_and_guids() {
    let lake = Lake::start_with(|options| {
        let item = "claims=11111111-1111-1111-1111-111111111111/Lake.Lakehouse=22222222-2222-2222-2222-222222222222";
        options.items = vec![item.parse().unwrap(), Item::new("claims", "Other.Lakehouse")];
    })
    .await;
    let guids = "/11111111-1111-1111-1111-111111111111/22222222-2222-2222-2222-222222222222";
    assert_eq!(lake.put(&format!("{guids}/Files/a"), "abc").await.status, 201);
    assert_eq!(lake.get(&format!("{FILES}/a")).await.text(), "abc");
    // Lists speak as they were spoken to.
    let list = lake.get("/11111111-1111-1111-1111-111111111111?restype=container&comp=list&prefix=22222222-2222-2222-2222-222222222222/Files/").await;
    assert!(
        list.text()
            .contains("<Name>22222222-2222-2222-2222-222222222222/Files/a</Name>"),
        "{}",
        list.text()
    );
    let list = lake.get("/11111111-1111-1111-1111-111111111111?resource=filesystem&recursive=true&directory=22222222-2222-2222-2222-222222222222/Files").await;
    assert!(
        list.text().contains("\"22222222-2222-2222-2222-222222222222/Files/a\""),
        "{}",
        list.text()
    );
    for (path, told) in [
        (
            "/claims/22222222-2222-2222-2222-222222222222/Files/a",
            (400, "FriendlyNameSupportDisabled"),
        ),
        (
            "/11111111-1111-1111-1111-111111111111/Lake.Lakehouse/Files/a",
            (400, "FriendlyNameSupportDisabled"),
        ),
        (
            "/11111111-1111-1111-1111-111111111111/33333333-3333-3333-3333-333333333333/Files/a",
            (404, "ArtifactNotFound"),
        ),
        (
            "/33333333-3333-3333-3333-333333333333/22222222-2222-2222-2222-222222222222/Files/a",
            (404, "ContainerNotFound"),
        ),
        ("/claims/None.Lakehouse/Files/a", (404, "ArtifactNotFound")),
    ] {
        assert_eq!(lake.get(path).await.outcome(), told, "{path}");
    }
    let strict = Lake::start_with(|options| options.guids_only = true).await;
    assert_eq!(
        strict.get(&format!("{FILES}/a")).await.outcome(),
        (400, "FriendlyNameSupportDisabled")
    );
    let item = Item::new("claims", "Lake.Lakehouse");
    assert_eq!(
        strict
            .put(&format!("/{}/{}/Files/a", item.workspace_guid(), item.guid()), "x")
            .await
            .status,
        201
    );
}

#[tokio::test]
async fn a_restart_keeps_everything_including_staged_data() {
    let lake = Lake::start().await;
    let path = format!("{FILES}/a");
    let headers = [("x-ms-blob-type", "BlockBlob"), ("x-ms-meta-colour", "red")];
    let put = lake.send("PUT", &path, &headers, "abc").await;
    let etag = put.header("etag").to_owned();
    lake.append(&path, 3, "def").await;
    lake.send("PUT", &format!("{FILES}/b?comp=block&blockid=QQ=="), &[], "block")
        .await;
    let lake = lake.restart().await;
    let head = lake.head(&path).await;
    assert_eq!(
        (head.header("etag"), head.header("x-ms-meta-colour")),
        (etag.as_str(), "red")
    );
    assert_eq!(lake.flush(&path, 6).await.status, 200);
    assert_eq!(lake.get(&path).await.text(), "abcdef");
    let list = "<BlockList><Latest>QQ==</Latest></BlockList>";
    assert_eq!(
        lake.send("PUT", &format!("{FILES}/b?comp=blocklist"), &[], list)
            .await
            .status,
        201
    );
    assert_eq!(lake.get(&format!("{FILES}/b")).await.text(), "block");
    let item = Item::new("claims", "Lake.Lakehouse");
    let by_guid = format!("/{}/{}/Files/b", item.workspace_guid(), item.guid());
    assert_eq!(lake.get(&by_guid).await.text(), "block", "derived GUIDs stay the same");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incomplete_upload_leaves_nothing() {
    use tokio::io::AsyncWriteExt;
    let lake = Lake::start().await;
    let mut stream = tokio::net::TcpStream::connect(lake.emulator.addr()).await.unwrap();
    let head = format!(
        "PUT {FILES}/a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nx-ms-blob-type: BlockBlob\r\nContent-Length: 1000000\r\n\r\nonly the beginning",
        crate::support::TOKEN
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let drafts = lake.dir.join(".onelake/drafts");
    let files = || std::fs::read_dir(&drafts).unwrap().count();
    tokio::task::block_in_place(|| {
        wait_until(Duration::from_secs(10), "the upload has begun", || {
            (files() == 1).then_some(())
        })
    })
    .unwrap();
    drop(stream);
    tokio::task::block_in_place(|| {
        wait_until(Duration::from_secs(10), "its draft is gone", || {
            (files() == 0).then_some(())
        })
    })
    .unwrap();
    assert_eq!(lake.head(&format!("{FILES}/a")).await.status, 404);
}

/// Measures the memory of the emulator process during uploads and downloads of 64 MiB, eight at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_files_pass_through_a_small_process() {
    const MIB: usize = 1024 * 1024;
    let dir = WorkDir::new("onelake").unwrap();
    let args = [
        "--listen",
        "127.0.0.1:0",
        "--folder",
        "data",
        "--item",
        "claims/Lake.Lakehouse",
    ];
    let envs = [("ONELAKE_EMULATOR_TOKENS", "tests=secret")];
    let mut process = Process::spawn(
        "emulator",
        env!("CARGO_BIN_EXE_onelake-emulator"),
        args,
        envs,
        dir.path(),
    )
    .unwrap();
    let url = tokio::task::block_in_place(|| {
        wait_until(Duration::from_secs(20), "the emulator has said where it is", || {
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
            let ask = |method: reqwest::Method, query: String| {
                client.request(method, format!("{path}{query}")).bearer_auth("secret")
            };
            let created = ask(reqwest::Method::PUT, "?resource=file".into())
                .header("content-length", 0)
                .send()
                .await
                .unwrap();
            assert_eq!(created.status(), 201);
            for position in (0..64 * MIB).step_by(piece.len()) {
                let query = format!("?action=append&position={position}");
                let appended = ask(reqwest::Method::PATCH, query)
                    .body(piece.clone())
                    .send()
                    .await
                    .unwrap();
                assert_eq!(appended.status(), 202);
            }
            let query = format!("?action=flush&position={}", 64 * MIB);
            let flushed = ask(reqwest::Method::PATCH, query)
                .header("content-length", 0)
                .send()
                .await
                .unwrap();
            assert_eq!(flushed.status(), 200);
            let mut read = 0;
            let mut response = ask(reqwest::Method::GET, String::new()).send().await.unwrap();
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
    assert!(
        tokio::task::block_in_place(|| process.wait(Duration::from_secs(10)))
            .unwrap()
            .success()
    );
}
