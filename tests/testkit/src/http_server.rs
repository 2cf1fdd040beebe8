//! A minimal HTTP server for tests: one request per connection, answered in JSON, until the process ends.

use std::{
    collections::HashMap,
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use flate2::bufread::GzDecoder;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::{Error, Result};

/// Time limit for reading a request, and time after which a connection without a response is closed.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum size of a body.
const MAX_BODY_BYTES: u64 = 1 << 20;

/// A parsed request.
#[derive(Debug, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path without the query.
    pub(crate) path: String,
    pub(crate) query: HashMap<String, String>,
    /// Headers by lower-case name.
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

/// Status line and body of a response.
pub(crate) type Answer = (&'static str, Value);

/// Serves on a free port of 127.0.0.1 and returns the port. A handler that returns `None` sends no response.
pub(crate) fn start(answer: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static) -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(Error::io("listen"))?;
    let port = listener.local_addr().map_err(Error::io("listen"))?.port();
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            // Fails only when the client has disconnected.
            thread::spawn(move || serve(client, &*answer).map_err(drop));
        }
    });
    Ok(port)
}

fn serve(mut client: TcpStream, answer: &impl Fn(&Request) -> Option<Answer>) -> io::Result<()> {
    client.set_read_timeout(Some(CONNECTION_TIMEOUT))?;
    let request = read(&mut BufReader::new(client.try_clone()?))?;
    let Some((status, body)) = answer(&request) else {
        thread::sleep(CONNECTION_TIMEOUT);
        return Ok(());
    };
    let body = body.to_string();
    let length = body.len();
    write!(
        client,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

fn read(client: &mut impl BufRead) -> io::Result<Request> {
    let mut request = Request::default();
    let mut line = String::new();
    client.read_line(&mut line)?;
    let mut words = line.split_ascii_whitespace();
    words.next().unwrap_or_default().clone_into(&mut request.method);
    let target = words.next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    path.clone_into(&mut request.path);
    request.query = fields(query);
    loop {
        line.clear();
        client.read_line(&mut line)?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        let (name, value) = (name.to_ascii_lowercase(), value.trim().to_owned());
        request.headers.insert(name, value);
    }
    let length = request.headers.get("content-length");
    let length = length.and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = client.take(MAX_BODY_BYTES.min(length));
    match request.headers.get("content-encoding").map(String::as_str) {
        Some("gzip") => GzDecoder::new(body).read_to_string(&mut request.body)?,
        _ => body.read_to_string(&mut request.body)?,
    };
    Ok(request)
}

/// Parses the fields of a query or a form.
pub(crate) fn fields(text: &str) -> HashMap<String, String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
}

/// Decodes a name or a value of a form.
pub(crate) fn decoded(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_is_read_with_query_headers_and_body() -> Result<()> {
        let port = start(|request| {
            let fields = fields(&request.body);
            let said = json!([
                request.method,
                request.path,
                request.query["a"],
                request.headers["x-y"],
                fields["b"]
            ]);
            Some(("202 Accepted", said))
        })?;
        let addr = format!("127.0.0.1:{port}");
        let (status, said) = crate::http::post(&addr, "/p?a=1%2F2", &[("X-Y", "z")], b"b=c+d%2B&e")?;
        assert_eq!((status, said.as_str()), (202, r#"["POST","/p","1/2","z","c d+"]"#));
        Ok(())
    }
}
