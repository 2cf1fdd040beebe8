//! The console as a container or a service runs it: on all addresses, behind a sign-in, with a probe and a log.

use serde_json::Value;

use xact_testkit::{Fleet, Result, assert_contains, http, ports};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn it_answers_its_probe_asks_for_a_sign_in_and_logs_who_came() -> Result<()> {
    // Neither the probe nor the sign-in needs a broker.
    let mut fleet = Fleet::without_topics("127.0.0.1:9", "console-deployed", &[])?;
    let port = ports::free()?;
    let (listen, host) = (format!("0.0.0.0:{port}"), format!("localhost:{port}"));
    let probe = ["console", "--live", "--listen", &listen];
    fleet.run(&probe)?.ended_with(1, &["does not answer"])?;
    let settings = [
        ("CONSOLE_SIGN_IN", "token"),
        ("CONSOLE_TOKENS", &format!("anna:operate:{TOKEN}")),
        ("CONSOLE_URL", &format!("http://{host}")),
    ];
    fleet.spawn_with("console", "xact-pipeline", &["console", "--listen", &listen], &settings)?;
    fleet.wait_until("it lives", || fleet.run(&probe).ok()?.ended_with(0, &[]).ok())?;

    let (status, page) = http::get(&host, "/tables")?;
    assert_eq!(status, 401);
    assert_contains(&page, &["Sign in", "CONSOLE_TOKENS"]);
    let origin = format!("http://{host}");
    let sign_in = |token: &str| {
        let body = format!("target=%2F&token={token}");
        let headers = [
            ("Origin", origin.as_str()),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ];
        http::post(&host, "/sign-in", &headers, body.as_bytes())
    };
    assert_eq!(sign_in("another-token-another-token-another")?.0, 401);
    assert_eq!(sign_in(TOKEN)?.0, 303);
    // Headers that the platform of another sign-in would set.
    let forged = [
        ("X-MS-CLIENT-PRINCIPAL-NAME", "eve"),
        ("X-MS-CLIENT-PRINCIPAL", "e30="),
        ("Origin", &origin),
    ];
    assert_eq!(http::post(&host, "/tables", &forged, b"")?.0, 401);

    let log = fleet["console"].process.log();
    assert!(!log.contains(TOKEN) && !log.contains("another-token"), "{log}");
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let audit: Vec<Value> = lines.filter(|line| line["target"] == "audit").collect();
    let messages: Vec<&str> = audit.iter().filter_map(|line| line["message"].as_str()).collect();
    assert_eq!(messages, ["sign-in refused: unknown token", "signed in"], "{log}");
    assert_eq!(
        (&audit[1]["user"], &audit[1]["role"]),
        (&"anna".into(), &"operate".into())
    );
    fleet.stop(&["console"])
}
