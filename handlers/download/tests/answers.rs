//! The download handler against the sample server: each kind of response ends in its category, and a failed one leaves no file.

// Test code outside of a test function: a failed step is a failed test.
#![allow(clippy::unwrap_used, clippy::panic, unreachable_pub)]

use std::path::PathBuf;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use attachment_source::{AttachmentSource, Options, content_for};
use download::Download;
use xact_config::{Environment, Settings};
use xact_contracts::category::Category;
use xact_contracts::messages::{DownloadTask, Message, Problem};
use xact_contracts::{cache_path, ids};
use xact_runtime::{Context, Failure, Handler, Outcome};

struct Bench {
    source: AttachmentSource,
    download: Download,
    cache: tempfile::TempDir,
}

const HOST: &str = "claimxperience.com";

impl Bench {
    async fn start() -> Self {
        Self::start_with(&[]).await
    }

    async fn start_with(variables: &[(&str, &str)]) -> Self {
        let options = Options {
            https_hosts: vec![HOST.to_owned()],
            ..Options::default()
        };
        let source = AttachmentSource::start(options).await.unwrap();
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

    /// Handles the task for a URL, or for a path of the sample server.
    async fn handle(&self, url: &str) -> Result<Outcome<Download>, Failure> {
        let url = absolute(url);
        let task = json!({"trace_id": "t", "media_id": ids::media_id("t", &url), "attachment_url": url,
            "blob_path": "s/a/t/a_b.pdf", "status_subtype": "s", "file_type": "PDF", "assignment_id": "a",
            "original_timestamp": "2024-12-31T12:00:00Z"});
        let task = DownloadTask::decode(task.to_string().as_bytes()).unwrap();
        let context = Context {
            now: Timestamp::now(),
            record_timestamp: None,
        };
        self.download.handle(&task, &context).await
    }

    /// The message that announces the cached file.
    async fn cached(&self, url: &str) -> Value {
        let outcome = self.handle(url).await;
        let Ok(Outcome::Emit(emit)) = outcome else {
            panic!("{url}: {outcome:?}");
        };
        let mut out = xact_runtime::testing::produced(emit, Timestamp::now()).await;
        assert_eq!(out[0].0, "xact.downloads.cached");
        out.remove(0).1
    }

    async fn failure(&self, url: &str, category: Category) -> (Problem, Option<Duration>) {
        match self.handle(url).await {
            Err(Failure::Message { problem, retry_after }) => {
                let text = problem.message();
                assert_eq!(problem.category, category, "{url}: {text}");
                assert!(!text.contains("PLANTED"), "{text}");
                (problem, retry_after)
            }
            other => panic!("{url}: {other:?}"),
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        let shards = std::fs::read_dir(self.cache.path().join("cache")).unwrap().flatten();
        let files = shards.flat_map(|shard| std::fs::read_dir(shard.path()).unwrap());
        files.map(|file| file.unwrap().path()).collect()
    }
}

fn absolute(url: &str) -> String {
    if url.starts_with('/') {
        format!("https://{HOST}{url}")
    } else {
        url.to_owned()
    }
}

#[tokio::test]
async fn a_good_file_is_cached_decoded_and_not_downloaded_again() {
    let bench = Bench::start().await;
    for path in [
        "/ok/300000/x/b.pdf",
        "/gzip/300000/x/b.csv",
        "/gzip/9000/x/b.pdf",
        "/gzip/9000/x/b.xlsx",
    ] {
        let before = bench.files();
        bench.cached(path).await;
        let files = bench.files();
        let [file] = files.iter().filter(|file| !before.contains(file)).collect::<Vec<_>>()[..] else {
            panic!("{path}: one file, and no part: {files:?}");
        };
        let (content, expected) = (std::fs::read(file).unwrap(), content_for(path).to_bytes());
        // The footer follows.
        assert!(
            content.starts_with(&expected) && content.len() > expected.len(),
            "{path}"
        );
    }
    let requests = bench.source.requests();
    bench.cached("/ok/300000/x/b.pdf").await;
    assert_eq!(bench.source.requests(), requests);
}

#[tokio::test]
async fn the_detected_type_is_in_the_message_also_for_a_file_that_was_complete() {
    let bench = Bench::start().await;
    // The task says PDF.
    for _ in 0..2 {
        let cached = bench.cached("/ok/1000/x/b.png").await;
        assert_eq!(cached["file_type"], "PNG");
        assert_eq!(cached["content_type"], "image/png");
        assert!(cached["declared_content_type"].is_null());
        assert_eq!(cached["destination_path"], "s/a/t/a_b.pdf", "the path is the task's");
    }
}

#[tokio::test]
async fn a_complete_file_in_the_previous_layout_is_used_when_its_download_fails() {
    let bench = Bench::start().await;
    let path = "/missing/5/x/b.pdf";
    bench.failure(path, Category::Permanent).await;
    let local_cache_path = cache_path::previous_file(ids::media_id("t", &absolute(path)));
    let file = bench.cache.path().join("cache").join(&local_cache_path);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, "hello").unwrap();
    let note = r#"{"bytes":5,"sha256":"2c","content_type":null,"downloaded_at":"2025-01-01T00:00:00.000000Z"}"#;
    std::fs::write(file.with_file_name("note.json"), note).unwrap();
    let cached = bench.cached(path).await;
    assert_eq!(cached["local_cache_path"], local_cache_path);
    assert_eq!(cached["bytes_downloaded"], 5);
}

#[tokio::test]
async fn each_failure_has_its_category_and_leaves_no_file() {
    use Category::{Auth, Permanent, Transient};
    let bench = Bench::start_with(&[("MAX_FILE_BYTES", "1000000")]).await;
    for (path, category, status, text) in [
        ("/missing/1000/x/b.pdf", Permanent, 404, "404"),
        ("/forbidden/1000/x/b.pdf", Permanent, 403, "403"),
        ("/unauthorized-once/1000/x/b.pdf", Auth, 401, "401"),
        ("/unavailable/1000/x/b.pdf", Transient, 503, "503"),
        ("/truncated/100000/x/b.pdf", Transient, 200, "ended early"),
        ("/html/1000/x/b.pdf", Permanent, 200, "HTML"),
        ("/wrong-type/1000/x/b.pdf", Permanent, 200, "HTML page"),
        (
            "/redirect-away/1/x/b.pdf",
            Permanent,
            302,
            "redirected to a refused URL",
        ),
        ("/endless/1000/x/b.pdf", Permanent, 200, "MAX_FILE_BYTES"),
        ("/ok/2000000/x/b.pdf", Permanent, 200, "MAX_FILE_BYTES"),
    ] {
        let (problem, _) = bench.failure(path, category).await;
        let message = problem.message();
        assert_eq!(problem.http_status, Some(status), "{path}: {message}");
        assert!(message.contains(text), "{path}: {message}");
        assert_eq!(bench.files(), Vec::<PathBuf>::new(), "{path}");
    }
}

#[tokio::test]
async fn a_retry_succeeds_after_a_temporary_fault_and_redirects_are_followed() {
    let bench = Bench::start().await;
    for (path, retry_after) in [
        ("/unavailable-once/1000/x/b.pdf", None),
        ("/truncated-once/90000/x/b.pdf", None),
        ("/throttled-once/1000/x/b.pdf", Some(Duration::from_secs(1))),
    ] {
        let (_, requested) = bench.failure(path, Category::Transient).await;
        assert_eq!(requested, retry_after, "{path}");
        bench.cached(path).await;
    }
    bench.cached("/redirect/1000/x/b.pdf").await;
    bench.cached("/octet/1000/x/b.pdf").await;
}

#[tokio::test]
async fn a_refused_url_is_refused_before_any_request() {
    let bench = Bench::start().await;
    for url in [
        "https://example.com/b.pdf",
        "http://claimxperience.com/b.pdf",
        "/b.exe",
        "/b.pdf?X-Amz-Date=20200101T000000Z&X-Amz-Expires=60&X-Amz-Signature=PLANTED",
    ] {
        bench.failure(url, Category::Permanent).await;
    }
    assert_eq!(bench.source.requests(), 0);
}

#[tokio::test]
async fn a_url_that_is_not_valid_yet_is_not_requested() {
    let bench = Bench::start().await;
    let in_seconds = |seconds| Timestamp::now() + SignedDuration::from_secs(seconds);
    let sas = |start: Timestamp| format!("/ok/1000/x/b.pdf?st={start:.0}&se=2100-01-01&sig=PLANTED");
    let s3 = |start: Timestamp| {
        let date = start.strftime("%Y%m%dT%H%M%SZ");
        format!("/ok/1000/x/b.pdf?X-Amz-Date={date}&X-Amz-Expires=600&X-Amz-Signature=PLANTED")
    };
    // Up to a minute the task waits in place, longer in a retry topic.
    let start = in_seconds(30);
    let Ok(Outcome::NotBefore(due)) = bench.handle(&sas(start)).await else {
        panic!("it is held");
    };
    assert!(due > start && due < start + SignedDuration::from_secs(10));
    for (url, category, waits) in [
        (sas(in_seconds(1000)), Category::Transient, Some(900..=1100)),
        (sas(in_seconds(100_000)), Category::Permanent, None),
        (s3(in_seconds(3600)), Category::Transient, Some(3500..=3700)),
    ] {
        let (problem, retry_after) = bench.failure(&url, category).await;
        assert!(problem.message().contains("is valid from"), "{}", problem.message());
        let seconds = retry_after.map(|wait| wait.as_secs());
        let is_expected = match (seconds, waits) {
            (Some(seconds), Some(waits)) => waits.contains(&seconds),
            (seconds, waits) => seconds.is_none() && waits.is_none(),
        };
        assert!(is_expected, "{url}: {seconds:?}");
    }
    assert_eq!(bench.source.requests(), 0);
    // S3 accepts URLs signed a few minutes ahead of its clock.
    bench.cached(&s3(in_seconds(300))).await;
}

#[tokio::test]
async fn refusals_of_urls_that_are_not_valid_yet_do_not_open_the_breaker() {
    let bench = Bench::start().await;
    let now = Timestamp::now();
    for number in 0..12 {
        let url = format!("/forbidden/1000/{number}/b.pdf?st={now:.0}&se=2100-01-01&sig=a");
        bench.failure(&url, Category::Transient).await;
    }
    bench.cached("/ok/1000/x/b.pdf").await;
}

#[tokio::test]
async fn names_with_spaces_and_other_letters_are_encoded() {
    let bench = Bench::start().await;
    for name in [
        "Roof photo 1.jpg",
        "größe 2.png",
        "写真.jpg",
        "a%20b c.pdf",
        "x.pdf?filename=y z.pdf",
    ] {
        bench.cached(&format!("/ok/1000/x y/{name}")).await;
    }
    assert_eq!(bench.source.requests(), 5);
}

#[tokio::test]
async fn a_host_that_fails_ten_times_gets_no_more_requests() {
    let bench = Bench::start().await;
    for number in 0..10 {
        let path = format!("/unavailable/1000/{number}/b.pdf");
        bench.failure(&path, Category::Transient).await;
    }
    let requests = bench.source.requests();
    bench.failure("/ok/1000/x/b.pdf", Category::CircuitOpen).await;
    assert_eq!(bench.source.requests(), requests);
}

#[tokio::test]
async fn a_slow_file_does_not_delay_others() {
    let bench = Bench::start().await;
    let slow = bench.cached("/slow/20000/x/b.pdf");
    tokio::pin!(slow);
    // The slow one takes three seconds; the others must all be complete before it.
    let good = async {
        for number in 0..20 {
            bench.cached(&format!("/ok/1000/{number}/b.pdf")).await;
        }
    };
    tokio::select! {
        biased;
        _ = &mut slow => panic!("the slow file was first"),
        () = good => {}
    }
    slow.await;
}
