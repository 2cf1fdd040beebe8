//! Files and folders with their times, as the service describes them.
//!
//! The ETag is the time of the last write, as in Azure. Each write gets a later time than the one before from [`Clock`], and a
//! file that a person puts into the folder has an ETag as well.

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cap_std::fs::Metadata;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use parking_lot::Mutex;

/// 100 ns, the unit of Windows file times.
const TICK_NANOS: u32 = 100;
const TICKS_PER_SECOND: u64 = 10_000_000;
/// From 0001-01-01 to the Unix epoch, in ticks; for ETags in the form of Azure.
const DOTNET_EPOCH: u64 = 621_355_968_000_000_000;
/// From 1601-01-01 to the Unix epoch, in ticks; for `creationTime` in a list.
const WINDOWS_EPOCH: u64 = 116_444_736_000_000_000;

/// A time in ticks of 100 ns since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Stamp(u64);

impl Stamp {
    pub(crate) fn of(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(since.as_secs() * TICKS_PER_SECOND + u64::from(since.subsec_nanos() / TICK_NANOS))
    }

    pub(crate) fn time(self) -> SystemTime {
        let nanos = u32::try_from(self.0 % TICKS_PER_SECOND).unwrap_or(0) * TICK_NANOS;
        UNIX_EPOCH + Duration::new(self.0 / TICKS_PER_SECOND, nanos)
    }

    /// Returns `0x8DC…`, without quotation marks.
    pub(crate) fn etag(self) -> String {
        format!("0x{:X}", self.0 + DOTNET_EPOCH)
    }

    pub(crate) fn file_time(self) -> u64 {
        self.0 + WINDOWS_EPOCH
    }

    /// Returns the seconds since the Unix epoch.
    pub(crate) fn seconds(self) -> i64 {
        i64::try_from(self.0 / TICKS_PER_SECOND).unwrap_or(i64::MAX)
    }

    /// Returns `Sun, 06 Nov 1994 08:49:37 GMT`.
    pub(crate) fn http_date(self) -> String {
        http_date(self.seconds())
    }
}

/// Returns an HTTP date from seconds since the Unix epoch.
pub(crate) fn http_date(seconds: i64) -> String {
    let timestamp = Timestamp::from_second(seconds).unwrap_or_default();
    // Fails for years that an HTTP date cannot have.
    let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&timestamp);
    date.unwrap_or_default()
}

/// Strictly increasing times, so that no two writes have the same ETag.
#[derive(Default)]
pub(crate) struct Clock(Mutex<Stamp>);

impl Clock {
    pub(crate) fn next(&self) -> Stamp {
        let mut last = self.0.lock();
        *last = Stamp::of(SystemTime::now()).max(Stamp(last.0 + 1));
        *last
    }
}

/// Kinds of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Folder,
}

/// A file or a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    /// In bytes; 0 for a folder.
    pub(crate) length: u64,
    /// The last write.
    pub(crate) stamp: Stamp,
    /// When it was created, if the file system records that; else the last write.
    pub(crate) created: Stamp,
}

impl Entry {
    /// Returns `None` for a link, a socket and so on: they are not listed or served.
    pub(crate) fn of(metadata: &Metadata) -> io::Result<Option<Self>> {
        let kind = if metadata.is_file() {
            Kind::File
        } else if metadata.is_dir() {
            Kind::Folder
        } else {
            return Ok(None);
        };
        let stamp = Stamp::of(metadata.modified()?.into_std());
        Ok(Some(Self {
            kind,
            length: if kind == Kind::File { metadata.len() } else { 0 },
            stamp,
            created: metadata
                .created()
                .map_or(stamp, |time| Stamp::of(time.into_std()).min(stamp)),
        }))
    }

    pub(crate) fn is_folder(&self) -> bool {
        self.kind == Kind::Folder
    }

    /// Returns `x-ms-resource-type`.
    pub(crate) fn resource_type(&self) -> &'static str {
        match self.kind {
            Kind::File => "file",
            Kind::Folder => "directory",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_survives_the_file_system_and_has_the_form_of_azure() {
        let stamp = Stamp(17_000_000_001_234_567);
        assert_eq!(Stamp::of(stamp.time()), stamp);
        assert!(stamp.etag().starts_with("0x8D"), "{}", stamp.etag());
        assert_eq!(http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn no_two_writes_have_the_same_time() {
        let clock = Clock::default();
        let stamps: Vec<Stamp> = (0..1000).map(|_| clock.next()).collect();
        assert!(stamps.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
