//! Requests signed with the well-known key. The signature is computed independently of the emulator, so that a mistake in
//! its check does not go unnoticed.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use reqwest::{Client, Method, Url};
use sha2::Sha256;

use crate::support::Answer;

const ACCOUNT: &str = "devstoreaccount1";
/// A public key.
pub(crate) const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// Sends a request (`METHOD path`) to the account at `address`; an `authorization` among the headers goes as it is. Names
/// of headers are in lower case.
pub(crate) async fn send(
    client: &Client,
    address: &str,
    request: &str,
    mut headers: Vec<(String, String)>,
    body: &'static str,
) -> Answer {
    let (method, path) = request.split_once(' ').unwrap();
    let url = Url::parse(&format!("http://{address}/{ACCOUNT}{path}")).unwrap();
    let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&Timestamp::now());
    headers.push(("x-ms-date".into(), date.unwrap()));
    headers.push(("x-ms-version".into(), "2023-11-03".into()));
    headers.push(("x-ms-client-request-id".into(), "side-by-side".into()));
    if body.is_empty() && method == "PUT" {
        headers.push(("content-length".into(), "0".into()));
    }
    headers.sort();
    if !headers.iter().any(|(name, _)| name == "authorization") {
        let signature = sign(&text_to_sign(method, &url, &headers, body.len()));
        headers.push(("authorization".into(), format!("SharedKey {ACCOUNT}:{signature}")));
    }
    let mut request = client.request(Method::from_bytes(method.as_bytes()).unwrap(), url);
    for (name, value) in &headers {
        if !(name == "authorization" && value.is_empty()) {
            request = request.header(name, value);
        }
    }
    Answer::of(request.body(body).send().await.unwrap()).await.unwrap()
}

fn sign(text: &str) -> String {
    let key = BASE64_STANDARD.decode(KEY).unwrap();
    let mac = Hmac::<Sha256>::new_from_slice(&key).unwrap().chain_update(text);
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}

fn text_to_sign(method: &str, url: &Url, headers: &[(String, String)], length: usize) -> String {
    let value = |wanted: &str| {
        let found = headers.iter().find(|(name, _)| name == wanted);
        found.map_or("", |(_, value)| value)
    };
    let length = if length == 0 { String::new() } else { length.to_string() };
    let (encoding, language) = (value("content-encoding"), value("content-language"));
    let mut text = format!("{method}\n{encoding}\n{language}\n{length}\n");
    // No Date: x-ms-date is among the headers below.
    for name in [
        "content-md5",
        "content-type",
        "",
        "if-modified-since",
        "if-match",
        "if-none-match",
        "if-unmodified-since",
        "range",
    ] {
        text += &format!("{}\n", value(name));
    }
    for (name, value) in headers.iter().filter(|(name, _)| name.starts_with("x-ms-")) {
        text += &format!("{name}:{value}\n");
    }
    text += &format!("/{ACCOUNT}{}", url.path());
    let query = url.query_pairs();
    let mut query: Vec<_> = query.map(|(name, value)| (name.to_lowercase(), value)).collect();
    query.sort();
    for (name, value) in query {
        text += &format!("\n{name}:{value}");
    }
    text
}
