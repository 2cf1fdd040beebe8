//! `console`: how large a page is, and with services that are away. What the pages do in a browser: `console_browser`.

use xact_testkit::{Fleet, Kafka, Result, assert_contains, console, http};

#[test]
fn the_first_page_with_all_that_it_loads_is_small() -> Result<()> {
    let mut fleet = Fleet::shared("console-small", &[])?;
    let address = console::start(&mut fleet, &[])?;
    let (status, page) = http::get(&address, "/")?;
    assert_eq!(status, 200, "{page}");
    let loaded: Vec<&str> = page.split('"').filter(|part| part.starts_with("/assets/")).collect();
    assert!(loaded.len() >= 4, "{loaded:?}");
    let mut bytes = page.len() + http::get(&address, "/overview")?.1.len();
    for path in loaded {
        let (status, asset) = http::get(&address, path)?;
        assert_eq!(status, 200, "{path}");
        bytes += asset.len();
    }
    assert!(bytes < 100_000, "{bytes} bytes of the first page");
    Ok(())
}

#[test]
fn what_cannot_be_shown_is_a_page_that_says_what_to_do() -> Result<()> {
    let mut kafka = Kafka::start()?;
    let mut fleet = Fleet::new(kafka.bootstrap(), "console-bad", &[])?;
    let address = console::start(&mut fleet, &[])?;
    for (path, status, part) in [
        ("/find", 200, "<form"),
        ("/find?id=console-nobody", 404, "nothing was found"),
        ("/find?id=%3Cscript%3E&as=media-id", 400, "UUID"),
        ("/find?id=a&date=yesterday", 400, "yesterday"),
        ("/nowhere", 404, "start at the overview"),
        ("/dead-letters/0:17", 404, "no dead letter at 0:17"),
        ("/dead-letters/%3Cscript%3E", 404, "PARTITION:OFFSET"),
        ("/dead-letters?stage=uploads", 400, "uploads"),
        ("/dead-letters?since=yesterday", 400, "yesterday"),
        ("/dead-letters", 200, "No dead letter matches"),
        ("/tables", 200, "Its first row creates it"),
        ("/overview", 200, "nothing waits"),
    ] {
        let (found, text) = http::get(&address, path)?;
        assert_eq!(found, status, "{path}: {text}");
        assert_contains(&text, &[part]);
        assert!(!text.contains("<script>"), "{path}");
    }
    // A page of another origin whose host name resolves to this machine.
    let port = address.rsplit(':').next().unwrap_or_default();
    let (status, _) = http::get_as(&address, "/dead-letters", &format!("attacker.example:{port}"))?;
    assert_eq!(status, 421);
    kafka.stop()?;
    // The last reading is shown for some seconds; the page goes on asking.
    let text = fleet.wait_until("the overview says why", || {
        let (status, text) = http::get(&address, "/overview").ok()?;
        (status == 200 && text.contains("role=\"alert\"")).then_some(text)
    })?;
    assert_contains(&text, &["asks again"]);
    for path in ["/dead-letters", "/dead-letters/0:17"] {
        assert_eq!(http::get(&address, path)?.0, 502, "{path}");
    }
    kafka.restart()?;
    fleet.wait_until("the overview is back", || {
        http::get(&address, "/overview")
            .ok()
            .filter(|(_, text)| text.contains("nothing waits"))
    })?;
    // Addresses that other machines reach are refused.
    let open = fleet.run(&["console", "--listen", "0.0.0.0:0"])?;
    open.ended_with(2, &["set CONSOLE_SIGN_IN", "ssh -L"])?;
    // A proxy on this machine lets others in.
    let public = [("CONSOLE_URL", "https://console.example")];
    let behind_proxy = fleet.run_with(&["console", "--listen", "127.0.0.1:0"], &public)?;
    behind_proxy.ended_with(2, &["set CONSOLE_SIGN_IN"])?;
    Ok(())
}
