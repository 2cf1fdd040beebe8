//! A client of the console: pages and forms, as a browser requests them.

use std::time::Duration;

use crate::http::{self, Response};
use crate::{Fleet, Result, failed, ports, wait_until};

const TIMEOUT: Duration = Duration::from_secs(60);

/// Starts the console of a fleet with these settings, and returns its address.
pub fn start(fleet: &mut Fleet, settings: &[(&str, &str)]) -> Result<String> {
    let address = format!("127.0.0.1:{}", ports::free()?);
    fleet.spawn_with("console", "xact-pipeline", &["console", "--listen", &address], settings)?;
    fleet.wait_until("the console responds", || http::get(&address, "/health/live").ok())?;
    Ok(address)
}

/// Somebody who uses the console.
#[derive(Debug, Clone)]
pub struct ConsoleClient {
    /// `127.0.0.1:8088`.
    pub address: String,
    cookie: String,
}

impl ConsoleClient {
    /// Somebody who need not sign in.
    #[must_use]
    pub fn new(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            cookie: String::new(),
        }
    }

    /// Signs in with a token.
    pub fn signed_in(address: &str, token: &str) -> Result<Self> {
        let form = [("token", token), ("target", "/dead-letters?all=yes")];
        let response = Self::new(address).post("/sign-in", &form, &[])?;
        let cookie = response
            .header("set-cookie")
            .and_then(|cookie| cookie.split(';').next());
        match (response.status, cookie) {
            (303, Some(cookie)) => Ok(Self {
                address: address.to_owned(),
                cookie: cookie.to_owned(),
            }),
            _ => Err(failed("the sign-in failed", response.body)),
        }
    }

    /// Requests a page, which must have this status; returns its text.
    pub fn page(&self, path: &str, status: u16) -> Result<String> {
        let response = self.send("GET", path, &[], "")?;
        if response.status == status {
            Ok(response.body)
        } else {
            Err(failed(format!("{path} has status {}", response.status), response.body))
        }
    }

    /// Sends the first form with this action that a page contains, as a click on its button would.
    pub fn submit(&self, page: &str, action: &str) -> Result<Response> {
        let fields = fields(page, action).ok_or_else(|| failed(format!("no form leads to {action}"), page))?;
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        self.post(action, &fields, &[])
    }

    /// Sends a form with further headers.
    pub fn post(&self, path: &str, form: &[(&str, &str)], headers: &[(&str, &str)]) -> Result<Response> {
        self.send("POST", path, headers, &form_of(form))
    }

    /// Waits until the action that a response leads to has ended, and returns its page.
    pub fn ended(&self, response: &Response) -> Result<String> {
        let Some(path) = response.header("location").filter(|path| path.starts_with("/actions/")) else {
            return Err(failed(format!("no action: status {}", response.status), &response.body));
        };
        wait_until(TIMEOUT, &format!("{path} has ended"), || {
            self.page(path, 200).ok().filter(|page| page.contains("Ended at"))
        })
    }

    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Result<Response> {
        let mut all = vec![("Content-Type", "application/x-www-form-urlencoded")];
        if !self.cookie.is_empty() {
            all.push(("Cookie", &self.cookie));
        }
        all.extend(headers);
        http::exchange(method, &self.address, path, &all, body.as_bytes())
    }
}

/// Returns the names and values of the inputs of the first form with this action.
pub fn fields(page: &str, action: &str) -> Option<Vec<(String, String)>> {
    let form = page
        .split("<form")
        .find(|form| form.contains(&format!("action=\"{action}\"")))?;
    let form = form.split("</form>").next()?;
    let inputs = form.split("<input").skip(1).filter_map(|input| {
        let attribute = |name: &str| Some(unescape(input.split_once(&format!(" {name}=\""))?.1.split('"').next()?));
        Some((attribute("name")?, attribute("value").unwrap_or_default()))
    });
    Some(inputs.collect())
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&amp;", "&")
}

fn form_of(form: &[(&str, &str)]) -> String {
    let encoded =
        |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    let pairs = form
        .iter()
        .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_a_form_are_found_and_encoded() {
        let page = r#"<form action="/a"><input name="x" value="1"></form>
            <form method="post" action="/b"><input type="hidden" name="t" value="&lt;a&amp;b"><input name="e"></form>"#;
        let found = fields(page, "/b").unwrap();
        assert_eq!(
            found,
            [("t".to_owned(), "<a&b".to_owned()), ("e".to_owned(), String::new())]
        );
        assert_eq!(form_of(&[("t", "<a&b")]), "t=%3Ca%26b");
        assert_eq!(fields(page, "/c"), None);
    }
}
