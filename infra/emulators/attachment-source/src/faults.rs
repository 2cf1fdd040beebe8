//! The faults a path may ask for: one enum, one table, so that tests, docs and the server's own help cannot disagree.

use std::fmt;
use std::str::FromStr;

/// What goes wrong with a file, by the first segment of its path.
///
/// | kind | answer |
/// |---|---|
/// | `missing` | 404 |
/// | `forbidden` | 403 |
/// | `unavailable` | 503, always |
/// | `unavailable-once` | 503 the first time, then the file |
/// | `unavailable-thrice` | 503 the first three times, then the file |
/// | `throttled-once` | 429 with `Retry-After: 1` the first time, then the file |
/// | `busy-once` | 503 with `Retry-After: 3` the first time, then the file |
/// | `unauthorized-once` | 401 the first time, then the file |
/// | `truncated` | 200 with the full `Content-Length`, half of the body, then the connection closes |
/// | `truncated-once` | the same the first time, then the file |
/// | `html` | 200 with the file's content type, and an HTML error page as the body |
/// | `wrong-type` | 200 with `text/html`, and an HTML error page as the body |
/// | `redirect` | 302 to the same path under `ok` |
/// | `redirect-away` | 302 to the same path on `https://elsewhere.invalid` |
/// | `slow` | the file in small pieces over 3 seconds |
/// | `endless` | 200 without a length: the file's beginning, then a body without an end |
/// | `octet` | the file as `application/octet-stream` |
/// | `gzip` | the file as an object that was stored with `Content-Encoding: gzip` |
///
/// "The first time" is per path, counts `GET` alone, and is remembered for the last
/// [`REMEMBERED_PATHS`](crate::server::REMEMBERED_PATHS) such paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// 404.
    Missing,
    /// 403.
    Forbidden,
    /// 503, always.
    Unavailable,
    /// 503 the first time.
    UnavailableOnce,
    /// 503 the first three times.
    UnavailableThrice,
    /// 429 with `Retry-After: 1` the first time.
    ThrottledOnce,
    /// 503 with `Retry-After: 3` the first time.
    BusyOnce,
    /// 401 the first time.
    UnauthorizedOnce,
    /// Half of the announced body, always.
    Truncated,
    /// Half of the announced body the first time.
    TruncatedOnce,
    /// An HTML error page that claims to be the file.
    Html,
    /// An HTML error page that says so.
    WrongType,
    /// 302 to the good file.
    Redirect,
    /// 302 to a host that nobody allowed.
    RedirectAway,
    /// The file, slowly.
    Slow,
    /// A body without an end.
    Endless,
    /// The file as `application/octet-stream`.
    Octet,
    /// The file with `Content-Encoding: gzip`.
    Gzip,
}

/// The path segment for a file without a fault.
pub const OK: &str = "ok";

/// Every fault with its name in a path and one line for the help page.
const TABLE: [(Fault, &str, &str); 18] = [
    (Fault::Missing, "missing", "404"),
    (Fault::Forbidden, "forbidden", "403"),
    (Fault::Unavailable, "unavailable", "503, always"),
    (
        Fault::UnavailableOnce,
        "unavailable-once",
        "503 the first time, then the file",
    ),
    (
        Fault::UnavailableThrice,
        "unavailable-thrice",
        "503 the first three times, then the file",
    ),
    (
        Fault::ThrottledOnce,
        "throttled-once",
        "429 with Retry-After: 1 the first time, then the file",
    ),
    (
        Fault::BusyOnce,
        "busy-once",
        "503 with Retry-After: 3 the first time, then the file",
    ),
    (
        Fault::UnauthorizedOnce,
        "unauthorized-once",
        "401 the first time, then the file",
    ),
    (
        Fault::Truncated,
        "truncated",
        "full Content-Length, half of the body, connection closed",
    ),
    (
        Fault::TruncatedOnce,
        "truncated-once",
        "the same the first time, then the file",
    ),
    (
        Fault::Html,
        "html",
        "200 with the file's content type, but an HTML error page",
    ),
    (
        Fault::WrongType,
        "wrong-type",
        "200 with text/html and an HTML error page",
    ),
    (Fault::Redirect, "redirect", "302 to the same path under ok"),
    (Fault::RedirectAway, "redirect-away", "302 to https://elsewhere.invalid"),
    (Fault::Slow, "slow", "the file in small pieces over 3 seconds"),
    (Fault::Endless, "endless", "a chunked body without an end"),
    (Fault::Octet, "octet", "the file as application/octet-stream"),
    (Fault::Gzip, "gzip", "the file with Content-Encoding: gzip"),
];

/// A path segment that names no fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no fault kind; GET / on the server lists them")]
pub struct UnknownFault(pub String);

impl Fault {
    /// Every fault, in the order of the table.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|(fault, _, _)| *fault)
    }

    /// How often the fault happens before its path is answered with the file; `None`: for ever.
    #[must_use]
    pub fn times(self) -> Option<u32> {
        match self {
            Self::UnavailableOnce
            | Self::ThrottledOnce
            | Self::BusyOnce
            | Self::UnauthorizedOnce
            | Self::TruncatedOnce => Some(1),
            Self::UnavailableThrice => Some(3),
            _ => None,
        }
    }

    fn row(self) -> &'static (Self, &'static str, &'static str) {
        // The test below holds the table complete; the first row is never taken for a fault that is missing from it.
        TABLE.iter().find(|(fault, _, _)| *fault == self).unwrap_or(&TABLE[0])
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().1)
    }
}

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(name: &str) -> Result<Self, UnknownFault> {
        TABLE
            .iter()
            .find(|(_, known, _)| *known == name)
            .map(|(fault, _, _)| *fault)
            .ok_or_else(|| UnknownFault(name.to_owned()))
    }
}

/// The page at `/`: how to ask for a file and for a fault.
#[must_use]
pub(crate) fn help() -> String {
    let mut page = String::from(
        "Sample attachments. The path decides the answer; the query is ignored.\n\n\
         /{kind}/{size in bytes}/{unique}/{file name}   e.g. /ok/10240/1/roof.jpg\n\
         /anything/else.pdf                             a good file of 20 KiB\n\n\
         kind:\n  ok                 the file\n",
    );
    for (_, name, answer) in &TABLE {
        page.push_str(&format!("  {name:<18} {answer}\n"));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_in_the_table_under_its_own_name() {
        for fault in Fault::all() {
            assert_eq!(fault.to_string().parse(), Ok(fault));
            assert_eq!(fault.row().0, fault);
        }
        assert_eq!(
            Fault::Gzip as usize + 1,
            TABLE.len(),
            "a variant is missing from the table"
        );
        assert!(OK.parse::<Fault>().is_err(), "ok is no fault");
        assert!(help().contains("throttled-once"));
    }

    #[test]
    fn the_doc_table_names_every_fault() {
        let source = include_str!("faults.rs");
        for fault in Fault::all() {
            assert!(
                source.contains(&format!("/// | `{fault}` |")),
                "{fault} has no row in the doc table"
            );
        }
    }
}
