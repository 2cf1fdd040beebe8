//! A minimal HTTP client for tests: one request, one response, no pool, no redirects, no TLS.
//!
//! It uses HTTP/1.0, in which a response is never chunked and ends with the connection.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use crate::{Error, Result, failed};

/// Time limit of each read and write.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Sends GET `path` to `addr` (`127.0.0.1:8000`). Returns status and body.
pub fn get(addr: &str, path: &str) -> Result<(u16, String)> {
    request("GET", addr, path, &[], &[]).map(text)
}

/// Sends GET `path` to `addr` as a request for `host`. Returns status and body.
pub fn get_as(addr: &str, path: &str, host: &str) -> Result<(u16, String)> {
    request_for(host, "GET", addr, path, &[], &[]).map(text)
}

/// Sends GET `path` to `addr`. Returns status and body as bytes.
pub(crate) fn get_bytes(addr: &str, path: &str) -> Result<(u16, Vec<u8>)> {
    request("GET", addr, path, &[], &[])
}

/// Sends POST `path` with `headers` and `body` to `addr`. Returns status and body.
pub fn post(addr: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<(u16, String)> {
    request("POST", addr, path, headers, body).map(text)
}

/// A response with its headers.
#[derive(Debug, Clone)]
pub struct Response {
    /// Its status.
    pub status: u16,
    /// Its body.
    pub body: String,
    head: String,
}

impl Response {
    /// Returns the value of the first header of this name, which is in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(':'));
        let (_, value) = headers.find(|(found, _)| found.eq_ignore_ascii_case(name))?;
        Some(value.trim())
    }
}

/// Sends a request with `headers` and `body` to `addr`. Returns the response with its headers.
pub fn exchange(method: &str, addr: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Response> {
    let answer = answer(addr, method, addr, path, headers, body)?;
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = parse(&answer).map(|(status, _)| status).unwrap_or_default();
    Ok(Response {
        status,
        body: body.to_owned(),
        head: head.to_owned(),
    })
}

fn text((status, body): (u16, Vec<u8>)) -> (u16, String) {
    (status, String::from_utf8_lossy(&body).into_owned())
}

fn request(method: &str, addr: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<(u16, Vec<u8>)> {
    request_for(addr, method, addr, path, headers, body)
}

fn request_for(
    host: &str,
    method: &str,
    addr: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<(u16, Vec<u8>)> {
    let answer = answer(host, method, addr, path, headers, body)?;
    parse(&answer).ok_or_else(|| {
        failed(
            format!("{method} http://{addr}{path} was not answered in HTTP"),
            String::from_utf8_lossy(&answer),
        )
    })
}

fn answer(host: &str, method: &str, addr: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Vec<u8>> {
    let what = format!("{method} http://{addr}{path}");
    let mut head = format!(
        "{method} {path} HTTP/1.0\r\nHost: {host}\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let exchange = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(addr)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    };
    exchange().map_err(Error::io(&what))
}

/// Parses status and body of a complete response.
fn parse(answer: &[u8]) -> Option<(u16, Vec<u8>)> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer[end + 4..].to_vec()))
}

#[cfg(test)]
mod tests {
    use std::{io::BufRead, io::BufReader, net::TcpListener, thread};

    use super::*;

    #[test]
    fn a_post_sends_headers_and_body_and_returns_status_and_body() -> Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        let server = thread::spawn(move || {
            let mut stream = BufReader::new(listener.accept().unwrap().0);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                stream.read_line(&mut head).unwrap();
            }
            let mut body = [0; 4];
            stream.read_exact(&mut body).unwrap();
            stream
                .get_mut()
                .write_all(b"HTTP/1.0 202 Accepted\r\nX: y\r\n\r\ndone\r\n\r\nreally")
                .unwrap();
            (head, String::from_utf8(body.to_vec()).unwrap())
        });

        let answer = post(&addr, "/invoke", &[("Authorization", "Bearer t")], b"work")?;
        assert_eq!(answer, (202, "done\r\n\r\nreally".to_owned()));
        let (head, body) = server.join().unwrap();
        assert!(
            head.starts_with("POST /invoke HTTP/1.0\r\n") && head.contains("Authorization: Bearer t\r\n"),
            "{head}"
        );
        assert_eq!(body, "work");
        Ok(())
    }

    #[test]
    fn a_refused_connection_is_an_error_that_names_the_address() {
        let addr = format!("127.0.0.1:{}", crate::ports::free().unwrap());
        let error = get(&addr, "/health/live").unwrap_err().to_string();
        assert!(error.contains(&addr), "{error}");
    }
}
