//! Redirects: how many, and where to.

use super::*;

#[tokio::test]
async fn redirects_are_checked_like_the_first_url() {
    let bench = Bench::new();
    for location in [
        "http://claimxperience.com/a.pdf",
        "http://127.0.0.1/a.pdf",
        "https://127.0.0.1/a.pdf",
        "https://169.254.169.254/latest/meta-data/a.pdf",
        "http://169.254.169.254/latest/meta-data/a.pdf",
        "https://[::1]/a.pdf",
        "https://[fd00:ec2::254]/a.pdf",
        "https://2130706433/a.pdf",
        "//evil.example/a.pdf",
        "///evil.example/a.pdf",
        "\\\\evil.example/a.pdf",
        "/\\evil.example/a.pdf",
        "https://user@localhost/a.pdf",
        "https://localhost@evil.example/a.pdf",
        "file:///etc/passwd",
        "ftp://localhost/a.pdf",
        "data:application/pdf,a",
        "javascript:alert(1)",
        "unix:/var/run/docker.sock",
        "https://localhost%2f.evil.example/a.pdf",
    ] {
        let redirect = format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        let server = sends(redirect.into_bytes(), Then::Hold).await;
        let words = "redirected to a refused URL";
        bench.assert_fails(location, &server, Category::Permanent, words).await;
        assert_eq!(server.connections(), 1, "{location}");
    }
}

#[tokio::test]
async fn redirects_end_after_five_hops() {
    let bench = Bench::new();
    for (hops, is_good) in [(1, true), (5, true), (6, false), (1_000_000, false)] {
        let server = RawServer::start(move |number, mut connection| async move {
            connection.request().await;
            let redirect = format!("HTTP/1.1 307 x\r\nLocation: /{number}.pdf\r\nConnection: close\r\n\r\n");
            let file = sized("Connection: close\r\n", PDF);
            let is_last = number == hops;
            connection.send(if is_last { &file } else { redirect.as_bytes() }).await;
        })
        .await;
        let name = format!("{hops} hops");
        if is_good {
            bench.assert_fetches_pdf(&name, &server).await;
        } else {
            let words = "more than 5 redirects";
            bench.assert_fails(&name, &server, Category::Permanent, words).await;
        }
        assert_eq!(server.connections(), (hops + 1).min(6), "{hops}");
    }
}

#[tokio::test]
async fn the_location_that_was_checked_is_fetched() {
    for (location, path) in [
        (&b"/Roof photo 1.pdf"[..], "/Roof%20photo%201.pdf"),
        ("/größe.pdf".as_bytes(), "/gr%C3%B6%C3%9Fe.pdf"),
        (b"/Gr\xF6\xDFe.pdf", "/Gr%F6%DFe.pdf"),
        (b"b c.pdf?x=d e", "/b%20c.pdf?x=d%20e"),
        (b"/a%20b.pdf", "/a%20b.pdf"),
    ] {
        let head = b"HTTP/1.1 302 Found\r\nConnection: close\r\nContent-Length: 0\r\nLocation: ";
        let redirect = [&head[..], location, b"\r\n\r\n"].concat();
        let server = RawServer::start(move |number, mut connection: Connection| {
            let redirect = redirect.clone();
            async move {
                connection.request().await;
                let file = sized("Connection: close\r\n", PDF);
                connection.send(if number == 0 { &redirect } else { &file }).await;
            }
        })
        .await;
        let fetched = Bench::new().fetch_url(&server.url("first file ü.pdf")).await;
        assert!(fetched.is_ok(), "{path}: {fetched:?}");
        let requests = server.requests();
        let paths: Vec<&str> = requests.iter().map(|request| path_of(request)).collect();
        assert_eq!(paths, ["/first%20file%20%C3%BC.pdf", path]);
    }
}
