//! The workspace and path in a URL: `/{workspace}/{item}/{folder}/…`, or the same after the name of an account, as clients
//! of a local emulator send it (`/devstoreaccount1/{workspace}/…`).

use percent_encoding::percent_decode_str;

use crate::errors::{ErrorResponse, INVALID_NAME, INVALID_URI};
use crate::names::{MAX_DEPTH, MAX_PATH_CHARACTERS, name_error};

/// The decoded segments of a path: workspace, item, folder, …; none for the account itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target(Vec<String>);

impl Target {
    /// Decodes as the service does: escapes first, then the split at slashes, so that `%2F` is a slash. One slash at the
    /// end is ignored.
    pub(crate) fn parse(raw: &str, account: &str) -> Result<Self, ErrorResponse> {
        let path = percent_decode_str(raw).decode_utf8().map_err(|_| INVALID_URI)?;
        let path = path.strip_prefix('/').unwrap_or(&path);
        let path = path.strip_suffix('/').unwrap_or(path);
        if path.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let mut segments: Vec<String> = path.split('/').map(str::to_owned).collect();
        if segments[0] == account {
            segments.remove(0);
        }
        let target = Self(segments);
        if target.0.len() > MAX_DEPTH || path.chars().count() > MAX_PATH_CHARACTERS {
            let message = "The path is longer than 1,024 characters or 63 segments.";
            return Err(ErrorResponse::from(INVALID_NAME).with_message(message));
        }
        match target.0.iter().find_map(|segment| name_error(segment)) {
            Some(why) => Err(ErrorResponse::invalid_name(why)),
            None => Ok(target),
        }
    }

    /// Parses the source of a copy (a URL) or of a rename (a path); host and query are ignored.
    pub(crate) fn parse_source(source: &str, account: &str) -> Result<Self, ErrorResponse> {
        let path = match source.split_once("://") {
            Some((_, rest)) => rest.find('/').map_or("", |slash| &rest[slash..]),
            None => source,
        };
        Self::parse(path.split(['?', '#']).next().unwrap_or(""), account)
    }

    pub(crate) fn segments(&self) -> &[String] {
        &self.0
    }

    /// Whether it has more than a workspace.
    pub(crate) fn has_path(&self) -> bool {
        self.0.len() > 1
    }

    /// Returns `/workspace/item/…`, decoded, as rules compare it.
    pub(crate) fn shown(&self) -> String {
        format!("/{}", self.0.join("/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: &str = "devstoreaccount1";

    fn shown(raw: &str) -> Result<String, &'static str> {
        let target = Target::parse(raw, ACCOUNT).map_err(|error_response| error_response.error.code)?;
        Ok(target.shown())
    }

    #[test]
    fn both_styles_are_the_same_path() {
        for (raw, expected) in [
            ("/ws/Lake.Lakehouse/Files/a", "/ws/Lake.Lakehouse/Files/a"),
            (
                "/devstoreaccount1/ws/Lake.Lakehouse/Files/a",
                "/ws/Lake.Lakehouse/Files/a",
            ),
            ("/devstoreaccount1", "/"),
            ("/", "/"),
            ("/ws/", "/ws"),
            ("//", "/"),
            (
                "/ws/Lake.Lakehouse%2FFiles%2Fa%20b%23%25",
                "/ws/Lake.Lakehouse/Files/a b#%",
            ),
        ] {
            assert_eq!(shown(raw), Ok(expected.to_owned()), "{raw}");
        }
    }

    #[test]
    fn relative_and_invalid_paths_are_refused() {
        let names = "../etc %2e%2e/etc a/..%2Fb .%2f /a a// a%00b a%5Cb a%0Ab a. a%20 c:".split(' ');
        for path in names.chain([&*"a/".repeat(64), &"abcdefghijklmnopqrst/".repeat(50)]) {
            assert_eq!(shown(&format!("/ws/{path}")), Err("InvalidResourceName"), "{path}");
        }
        assert_eq!(shown("/ws/%FF"), Err("InvalidUri"));
    }

    #[test]
    fn a_source_is_a_url_or_a_path() {
        for source in [
            "/ws/i/Files/a%20b",
            "http://127.0.0.1:1/ws/i/Files/a%20b?sig=x",
            "http://h/devstoreaccount1/ws/i/Files/a%20b",
            "ws/i/Files/a%20b",
            "%2Fws%2Fi%2FFiles%2Fa%20b?x",
        ] {
            let target = Target::parse_source(source, ACCOUNT).unwrap();
            assert_eq!(target.shown(), "/ws/i/Files/a b", "{source}");
        }
        assert_eq!(Target::parse_source("http://h", ACCOUNT).unwrap().shown(), "/");
    }
}
