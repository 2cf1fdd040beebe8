//! The download handler against the sample server: each kind of response ends in its category, and a failed one leaves no file.

// Test code outside of a test function: a failed step is a failed test.
#![allow(clippy::unwrap_used, clippy::panic, unreachable_pub)]

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use attachment_source::{AttachmentSource, Options, content_for};
use download::Download;
use xact_config::{Environment, Settings};
use xact_contracts::category::Category;
use xact_contracts::messages::{DownloadTask, Message};
use xact_runtime::{Context, Failure, Handler, Outcome};

struct Bench {
    source: AttachmentSource,
    download: Download,
    cache: tempfile::TempDir,
}

const HOST: &str = "claimxperience.com";

impl Bench {
    async fn start(variables: &[(&str, &str)]) -> Self {
        let source = AttachmentSource::start(Options {
            https_hosts: vec![HOST.to_owned()],
            ..Options::default()
        })
        .await
        .unwrap();
        let cache = tempfile::tempdir().unwrap();
        let ca_file = cache.path().join("ca.pem");
        std::fs::write(&ca_file, source.ca_pem()).unwrap();
        let mut environment = Environment::default();
        environment.set("DEV_MODE", "true");
        environment.set("DEV_RESOLVE", format!("{HOST}={}", source.https_addr()));
        environment.set("DEV_CA_FILE", ca_file.display().to_string());
        environment.set("CACHE_DIR", cache.path().join("cache").display().to_string());
        for (name, value) in variables {
            environment.set(name, *value);
        }
        let download = Download::new(&Settings::from_environment(&environment).unwrap()).unwrap();
        Self {
            source,
            download,
            cache,
        }
    }

    async fn handle(&self, path: &str) -> Result<Outcome<Download>, Failure> {
        self.handle_url(&format!("https://{HOST}{path}")).await
    }

    async fn handle_url(&self, url: &str) -> Result<Outcome<Download>, Failure> {
        let task = serde_json::json!({"trace_id": "t", "media_id": xact_contracts::ids::media_id("t", url), "attachment_url": url,
            "blob_path": "s/a/t/a_b.pdf", "status_subtype": "s", "file_type": "PDF", "assignment_id": "a",
            "original_timestamp": "2024-12-31T12:00:00Z"});
        let task = DownloadTask::decode(task.to_string().as_bytes()).unwrap();
        let context = Context {
            now: Timestamp::now(),
            record_timestamp: None,
        };
        self.download.handle(&task, &context).await
    }

    /// Category, status and text of a failure.
    async fn failure(&self, path: &str) -> (Category, Option<u16>, String, Option<Duration>) {
        match self.handle(path).await {
            Err(Failure::Message { problem, retry_after }) => (
                problem.category,
                problem.http_status,
                problem.message().to_owned(),
                retry_after,
            ),
            other => panic!("{path}: {other:?}"),
        }
    }

    fn files(&self) -> Vec<std::path::PathBuf> {
        fn walk(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                if entry.path().is_dir() {
                    walk(&entry.path(), files);
                } else {
                    files.push(entry.path());
                }
            }
        }
        let mut files = Vec::new();
        walk(&self.cache.path().join("cache"), &mut files);
        files
    }
}

#[tokio::test]
async fn a_good_file_is_cached_with_its_hash() {
    let bench = Bench::start(&[]).await;
    assert!(bench.handle("/ok/300000/x/b.pdf").await.is_ok());
    let expected = content_for("/ok/300000/x/b.pdf");
    let [file] = &bench.files()[..] else {
        panic!("one file, and no part");
    };
    let (content, expected) = (std::fs::read(file).unwrap(), expected.to_bytes());
    // The footer follows.
    assert!(content.starts_with(&expected) && content.len() > expected.len());
}

#[tokio::test]
async fn a_file_that_is_stored_compressed_is_cached_decoded() {
    let bench = Bench::start(&[]).await;
    for path in ["/gzip/300000/x/b.csv", "/gzip/9000/x/b.pdf", "/gzip/9000/x/b.xlsx"] {
        assert!(bench.handle(path).await.is_ok(), "{path}");
        let expected = content_for(path).to_bytes();
        let is_there = |file: &std::path::PathBuf| std::fs::read(file).unwrap().starts_with(&expected);
        assert!(bench.files().iter().any(is_there), "{path}");
    }
}

#[tokio::test]
async fn the_detected_type_is_in_the_message_also_for_a_file_that_was_complete() {
    let bench = Bench::start(&[]).await;
    // The task says PDF.
    for _ in 0..2 {
        let Ok(Outcome::Emit(emit)) = bench.handle("/ok/1000/x/b.png").await else {
            panic!("it is a picture");
        };
        let out = xact_runtime::testing::produced(emit, Timestamp::now()).await;
        let cached = &out[0].1;
        assert_eq!(
            (&cached["file_type"], &cached["content_type"]),
            (&"PNG".into(), &"image/png".into())
        );
        assert!(cached["declared_content_type"].is_null());
        assert_eq!(cached["destination_path"], "s/a/t/a_b.pdf", "the path is the task's");
    }
}

#[tokio::test]
async fn a_complete_file_is_not_downloaded_again() {
    let bench = Bench::start(&[]).await;
    bench.handle("/ok/1000/x/b.pdf").await.unwrap();
    let requests = bench.source.requests();
    bench.handle("/ok/1000/x/b.pdf").await.unwrap();
    assert_eq!(bench.source.requests(), requests);
}

#[tokio::test]
async fn a_complete_file_in_the_previous_layout_is_used_when_its_download_fails() {
    let bench = Bench::start(&[]).await;
    let path = "/missing/5/x/b.pdf";
    assert!(bench.handle(path).await.is_err());
    let media_id = xact_contracts::ids::media_id("t", &format!("https://{HOST}{path}"));
    let local_cache_path = xact_contracts::cache_path::previous_file(media_id);
    let file = bench.cache.path().join("cache").join(&local_cache_path);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, "hello").unwrap();
    let note = r#"{"bytes":5,"sha256":"2c","content_type":null,"downloaded_at":"2025-01-01T00:00:00.000000Z"}"#;
    std::fs::write(file.with_file_name("note.json"), note).unwrap();
    let Ok(Outcome::Emit(emit)) = bench.handle(path).await else {
        panic!("it is there");
    };
    let out = xact_runtime::testing::produced(emit, Timestamp::now()).await;
    assert_eq!(out[0].0, "xact.downloads.cached");
    assert_eq!(out[0].1["local_cache_path"], local_cache_path);
    assert_eq!(out[0].1["bytes_downloaded"], 5);
}

#[tokio::test]
async fn each_failure_has_its_category_and_leaves_no_file() {
    let bench = Bench::start(&[("MAX_FILE_BYTES", "1000000")]).await;
    for (path, category, status, text) in [
        ("/missing/1000/x/b.pdf", Category::Permanent, Some(404), "404"),
        ("/forbidden/1000/x/b.pdf", Category::Permanent, Some(403), "403"),
        ("/unauthorized-once/1000/x/b.pdf", Category::Auth, Some(401), "401"),
        ("/unavailable/1000/x/b.pdf", Category::Transient, Some(503), "503"),
        (
            "/truncated/100000/x/b.pdf",
            Category::Transient,
            Some(200),
            "ended early",
        ),
        ("/html/1000/x/b.pdf", Category::Permanent, Some(200), "HTML"),
        ("/wrong-type/1000/x/b.pdf", Category::Permanent, Some(200), "HTML page"),
        (
            "/redirect-away/1000/x/b.pdf",
            Category::Permanent,
            Some(302),
            "redirected to a refused URL",
        ),
        (
            "/endless/1000/x/b.pdf",
            Category::Permanent,
            Some(200),
            "MAX_FILE_BYTES",
        ),
        ("/ok/2000000/x/b.pdf", Category::Permanent, Some(200), "MAX_FILE_BYTES"),
    ] {
        let (found, found_status, message, _) = bench.failure(path).await;
        assert_eq!((found, found_status), (category, status), "{path}: {message}");
        assert!(message.contains(text), "{path}: {message}");
        assert_eq!(bench.files(), Vec::<std::path::PathBuf>::new(), "{path}");
    }
}

#[tokio::test]
async fn a_retry_succeeds_after_a_temporary_fault_and_redirects_are_followed() {
    let bench = Bench::start(&[]).await;
    for path in [
        "/unavailable-once/1000/x/b.pdf",
        "/truncated-once/90000/x/b.pdf",
        "/throttled-once/1000/x/b.pdf",
    ] {
        let (category, ..) = bench.failure(path).await;
        assert_eq!(category, Category::Transient, "{path}");
        assert!(bench.handle(path).await.is_ok(), "{path}");
    }
    assert!(bench.handle("/redirect/1000/x/b.pdf").await.is_ok());
    assert!(bench.handle("/octet/1000/x/b.pdf").await.is_ok());
}

#[tokio::test]
async fn retry_after_is_passed_on() {
    let bench = Bench::start(&[]).await;
    let (_, status, _, retry_after) = bench.failure("/throttled-once/1000/x/b.pdf").await;
    assert_eq!((status, retry_after), (Some(429), Some(Duration::from_secs(1))));
}

#[tokio::test]
async fn a_refused_url_is_refused_before_any_request() {
    let bench = Bench::start(&[]).await;
    for url in [
        "https://example.com/b.pdf",
        "http://claimxperience.com/b.pdf",
        "https://claimxperience.com/b.exe",
        "https://claimxperience.com/b.pdf?X-Amz-Date=20200101T000000Z&X-Amz-Expires=60&X-Amz-Signature=PLANTED",
    ] {
        let Err(Failure::Message { problem, .. }) = bench.handle_url(url).await else {
            panic!("{url}");
        };
        assert_eq!(problem.category, Category::Permanent, "{url}");
        assert!(!problem.message().contains("PLANTED"));
    }
    assert_eq!(bench.source.requests(), 0);
}

#[tokio::test]
async fn a_url_that_is_not_valid_yet_is_not_requested() {
    let bench = Bench::start(&[]).await;
    let in_seconds = |seconds| Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
    let sas = |start: Timestamp| format!("https://{HOST}/ok/1000/x/b.pdf?st={start:.0}&se=2100-01-01&sig=PLANTED");
    // Up to a minute the task waits in place, longer in a retry topic.
    let start = in_seconds(30);
    let Ok(Outcome::NotBefore(due)) = bench.handle_url(&sas(start)).await else {
        panic!("it is held");
    };
    assert!(due > start && due < start + jiff::SignedDuration::from_secs(10));
    for (url, category, waits) in [
        (sas(in_seconds(1000)), Category::Transient, Some(900..=1100)),
        (sas(in_seconds(100_000)), Category::Permanent, None),
        (
            format!(
                "https://{HOST}/ok/1000/x/b.pdf?X-Amz-Date={}&X-Amz-Expires=600&X-Amz-Signature=PLANTED",
                in_seconds(3600).strftime("%Y%m%dT%H%M%SZ")
            ),
            Category::Transient,
            Some(3500..=3700),
        ),
    ] {
        let Err(Failure::Message { problem, retry_after }) = bench.handle_url(&url).await else {
            panic!("{url}");
        };
        assert_eq!(problem.category, category, "{}", problem.message());
        assert!(problem.message().contains("is valid from"), "{}", problem.message());
        assert!(!problem.message().contains("PLANTED"));
        let seconds = retry_after.map(|wait| wait.as_secs());
        assert_eq!(seconds.is_some(), waits.is_some(), "{seconds:?}");
        assert!(
            waits.is_none_or(|waits| seconds.is_some_and(|seconds| waits.contains(&seconds))),
            "{seconds:?}"
        );
    }
    assert_eq!(bench.source.requests(), 0);
    // S3 accepts URLs signed a few minutes ahead of its clock.
    let signed = in_seconds(300).strftime("%Y%m%dT%H%M%SZ").to_string();
    let ahead = format!("https://{HOST}/ok/1000/x/b.pdf?X-Amz-Date={signed}&X-Amz-Expires=600&X-Amz-Signature=a");
    assert!(bench.handle_url(&ahead).await.is_ok());
}

#[tokio::test]
async fn refusals_of_urls_that_are_not_valid_yet_do_not_open_the_breaker() {
    let bench = Bench::start(&[]).await;
    let now = Timestamp::now();
    for number in 0..12 {
        let url = format!("https://{HOST}/forbidden/1000/{number}/b.pdf?st={now:.0}&se=2100-01-01&sig=a");
        let Err(Failure::Message { problem, .. }) = bench.handle_url(&url).await else {
            panic!("{url}");
        };
        assert_eq!(problem.category, Category::Transient, "{}", problem.message());
    }
    assert!(bench.handle("/ok/1000/x/b.pdf").await.is_ok());
}

#[tokio::test]
async fn names_with_spaces_and_other_letters_are_encoded() {
    let bench = Bench::start(&[]).await;
    for url in [
        "Roof photo 1.jpg",
        "größe 2.png",
        "写真.jpg",
        "a%20b c.pdf",
        "x.pdf?filename=y z.pdf",
    ] {
        let path = format!("/ok/1000/x y/{url}");
        assert!(bench.handle(&path).await.is_ok(), "{url}");
    }
    assert_eq!(bench.source.requests(), 5);
}

#[tokio::test]
async fn a_host_that_fails_ten_times_gets_no_more_requests() {
    let bench = Bench::start(&[]).await;
    for number in 0..10 {
        let (category, ..) = bench.failure(&format!("/unavailable/1000/{number}/b.pdf")).await;
        assert_eq!(category, Category::Transient);
    }
    let requests = bench.source.requests();
    let (category, ..) = bench.failure("/ok/1000/x/b.pdf").await;
    assert_eq!(category, Category::CircuitOpen);
    assert_eq!(bench.source.requests(), requests);
}

#[tokio::test]
async fn a_slow_file_does_not_delay_others() {
    let bench = Bench::start(&[]).await;
    let slow = bench.handle("/slow/20000/x/b.pdf");
    tokio::pin!(slow);
    // The slow one takes three seconds; the others must all be complete before it.
    let good = async {
        for number in 0..20 {
            bench.handle(&format!("/ok/1000/{number}/b.pdf")).await.unwrap();
        }
    };
    tokio::select! {
        biased;
        _ = &mut slow => panic!("the slow file was first"),
        () = good => {}
    }
    assert!(slow.await.is_ok());
}
