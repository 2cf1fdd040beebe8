//! The faults that a path can ask for, and the help page that lists them.

emulator_kit::faults! {
    /// What goes wrong with a file, by the first segment of its path.
    ///
    /// "The first time" is per path, counts `GET` only, and is remembered for the last
    /// [`REMEMBERED_PATHS`](crate::server::REMEMBERED_PATHS) such paths.
    pub enum Fault at "/" {
        Missing = "missing", "404";
        Forbidden = "forbidden", "403";
        Unavailable = "unavailable", "503, always";
        UnavailableOnce = "unavailable-once", "503 the first time, then the file";
        UnavailableThrice = "unavailable-thrice", "503 the first three times, then the file";
        ThrottledOnce = "throttled-once", "429 with Retry-After: 1 the first time, then the file";
        BusyOnce = "busy-once", "503 with Retry-After: 3 the first time, then the file";
        UnauthorizedOnce = "unauthorized-once", "401 the first time, then the file";
        Truncated = "truncated", "full Content-Length, half of the body, connection closed";
        TruncatedOnce = "truncated-once", "the same the first time, then the file";
        Html = "html", "200 with the file's content type, but an HTML error page";
        WrongType = "wrong-type", "200 with text/html and an HTML error page";
        Redirect = "redirect", "302 to the same path under ok";
        RedirectAway = "redirect-away", "302 to https://elsewhere.invalid";
        Delayed = "delayed", "the file, after 50 ms";
        Slow = "slow", "the file in small pieces over 3 seconds";
        Endless = "endless", "200 without a length: the beginning of the file, then a body without an end";
        Octet = "octet", "the file as application/octet-stream";
        Gzip = "gzip", "the file with Content-Encoding: gzip";
    }
}

/// The path segment for a file without a fault.
pub const OK: &str = "ok";

impl Fault {
    /// Returns how often the fault happens before its path serves the file; `None`: always.
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
}

/// Returns the page at `/`: how to request a file and a fault.
#[must_use]
pub(crate) fn help() -> String {
    let mut page = String::from(
        "Sample attachments. The path decides the answer; the query is ignored.\n\n\
         /{kind}/{size in bytes}/{unique}/{file name}   e.g. /ok/10240/1/roof.jpg\n\
         /anything/else.pdf                             a file of 20 KiB\n\n\
         kind:\n  ok                 the file\n",
    );
    for fault in Fault::all() {
        page.push_str(&format!("  {:<18} {}\n", fault.to_string(), fault.meaning()));
    }
    page
}
