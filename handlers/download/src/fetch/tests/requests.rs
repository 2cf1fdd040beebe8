//! The request itself.

use super::*;

#[tokio::test]
async fn a_request_accepts_no_encoding_and_has_no_other_headers() {
    let seen = Arc::new(Mutex::new(String::new()));
    let server = RawServer::start({
        let seen = Arc::clone(&seen);
        move |_, mut connection: Connection| {
            let seen = Arc::clone(&seen);
            async move {
                let request = connection.request().await;
                seen.lock().unwrap().push_str(&request);
                connection
                    .send(&answer(&format!("Content-Length: {}\r\n", PDF.len()), PDF))
                    .await;
            }
        }
    })
    .await;
    let bench = Bench::new();
    assert_eq!(bench.fetch(&server).await.unwrap().bytes, PDF.len() as u64);
    let request = seen.lock().unwrap().to_lowercase();
    let names: Vec<&str> = request
        .lines()
        .skip(1)
        .filter_map(|line| Some(line.split_once(':')?.0))
        .collect();
    assert_eq!(names, ["accept", "user-agent", "host"], "{request}");
}
