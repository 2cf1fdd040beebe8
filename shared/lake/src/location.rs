//! Locations of files and tables: a folder on this machine or a path in OneLake.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use url::Url;

/// A folder or file of the lake.
///
/// Files and tables are opened by matching on this enum, so a new kind of storage starts as a variant here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Location {
    /// An absolute path on this machine.
    Local(PathBuf),
    /// `abfss://{workspace}@{host}/{path}`.
    OneLake {
        /// Workspace name or GUID. Prefer GUIDs: OneLake has returned empty listings for names.
        workspace: String,
        /// Usually `onelake.dfs.fabric.microsoft.com`; may carry a port.
        host: String,
        /// Item and path within it, without a leading or trailing slash.
        path: String,
    },
}

/// Why a text is not a [`Location`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum LocationError {
    /// The text is empty.
    #[error(
        "the location is empty: give a folder (/data/lake), file:///data/lake, or abfss://workspace@onelake.dfs.fabric.microsoft.com/item/path"
    )]
    Empty,
    /// The scheme is not supported.
    #[error(
        "{0:?} has a scheme that is not supported: use file:///…, a plain path, or abfss://workspace@host/item/path"
    )]
    Scheme(String),
    /// A `file:` URL without an absolute local path.
    #[error("{0:?} is not a local file URL: write file:/// and an absolute path, with three slashes")]
    FileUrl(String),
    /// An `abfss:` URL in which a part is missing or not valid.
    #[error(
        "{0:?} is not a OneLake location ({1}): write abfss://workspace@onelake.dfs.fabric.microsoft.com/item/path"
    )]
    OneLake(String, &'static str),
    /// A relative path, and the working directory cannot be read.
    #[error("the working directory cannot be read ({0}): give an absolute path")]
    WorkingDirectory(String),
    /// A part that would lead out of the location.
    #[error("{0:?} cannot be appended to a location: it must be a relative path without '..' or NUL")]
    Part(String),
}

impl Location {
    /// Parses `file:///abs`, a plain path (a relative one starts at the working directory) or
    /// `abfss://workspace@host/item/path`. Trailing slashes are ignored.
    ///
    /// # Errors
    /// [`LocationError`], with the expected form.
    pub fn parse(text: &str) -> Result<Self, LocationError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(LocationError::Empty);
        }
        if text.contains('\0') {
            return Err(LocationError::Part(text.to_owned()));
        }
        if let Some(rest) = strip_scheme(text, "abfss") {
            return parse_one_lake(text, rest);
        }
        if strip_scheme(text, "file").is_some() {
            let path = Url::parse(text).ok().and_then(|url| url.to_file_path().ok());
            return path
                .map(|path| Self::local(&path))
                .ok_or_else(|| LocationError::FileUrl(text.to_owned()));
        }
        if text.contains("://") || text.starts_with("file:") {
            return Err(LocationError::Scheme(text.to_owned()));
        }
        std::path::absolute(text)
            .map(|path| Self::local(&path))
            .map_err(|error| LocationError::WorkingDirectory(error.to_string()))
    }

    /// Returns this location with `/`-separated parts appended. Empty parts and `.` are skipped.
    ///
    /// # Errors
    /// [`LocationError::Part`] for `..` or NUL: a joined location is always below the first one.
    pub fn join(&self, parts: &str) -> Result<Self, LocationError> {
        if parts.contains('\0') || parts.split('/').any(|part| part == "..") {
            return Err(LocationError::Part(parts.to_owned()));
        }
        let mut joined = self.clone();
        for part in parts.split('/').filter(|part| !part.is_empty() && *part != ".") {
            match &mut joined {
                Self::Local(path) => path.push(part),
                Self::OneLake { path, .. } => *path = format!("{path}/{part}"),
            }
        }
        Ok(joined)
    }

    /// Returns the path, if the location is on this machine.
    #[must_use]
    pub fn as_local(&self) -> Option<&Path> {
        match self {
            Self::Local(path) => Some(path),
            Self::OneLake { .. } => None,
        }
    }

    /// Resolves `.` and `..` by name, so that a location has one spelling.
    fn local(path: &Path) -> Self {
        let mut plain = PathBuf::new();
        for component in path.components() {
            match component {
                Component::CurDir => {}
                Component::ParentDir => {
                    plain.pop();
                }
                other => plain.push(other),
            }
        }
        Self::Local(plain)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => match Url::from_file_path(path) {
                Ok(url) => write!(f, "{url}"),
                Err(()) => write!(f, "{}", path.display()),
            },
            Self::OneLake { workspace, host, path } => write!(f, "abfss://{workspace}@{host}/{path}"),
        }
    }
}

/// Returns what follows `{scheme}://`; schemes are not case-sensitive.
fn strip_scheme<'a>(text: &'a str, scheme: &str) -> Option<&'a str> {
    let (found, rest) = text.split_once("://")?;
    found.eq_ignore_ascii_case(scheme).then_some(rest)
}

fn parse_one_lake(text: &str, rest: &str) -> Result<Location, LocationError> {
    let refuse = |why| LocationError::OneLake(text.to_owned(), why);
    let (authority, path) = rest.split_once('/').ok_or_else(|| refuse("the item is missing"))?;
    let (workspace, host) = authority
        .split_once('@')
        .ok_or_else(|| refuse("the workspace is missing"))?;
    if workspace.is_empty() || workspace.contains(['?', '#', '\\']) {
        return Err(refuse(
            "the workspace is missing or has characters that are not allowed",
        ));
    }
    let host_fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    if host.is_empty() || !host.chars().all(host_fits) {
        return Err(refuse("the host is missing or has characters that are not allowed"));
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    if parts.is_empty() {
        return Err(refuse("the item is missing"));
    }
    let is_refused = |part: &&str| matches!(*part, "." | "..") || part.contains(['?', '#', '\\']);
    if parts.iter().any(is_refused) {
        return Err(refuse("the path contains '.', '..', '?', '#' or a backslash"));
    }
    Ok(Location::OneLake {
        workspace: workspace.to_owned(),
        host: host.to_ascii_lowercase(),
        path: parts.join("/"),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_local_location_has_one_spelling() {
        let here = std::env::current_dir().unwrap();
        for (text, path) in [
            ("file:///data/lake/", Path::new("/data/lake")),
            ("/data/lake", Path::new("/data/lake")),
            ("lake/x", &here.join("lake/x")),
            ("./a/../lake", &here.join("lake")),
            ("/data/my lake/50%20", Path::new("/data/my lake/50%20")),
        ] {
            let location = Location::parse(text).unwrap();
            assert_eq!(location.as_local(), Some(path), "{text}");
            let printed = location.to_string();
            assert_eq!(Location::parse(&printed), Ok(location), "{printed}");
        }
        assert_eq!(Location::parse("/data/lake").unwrap().to_string(), "file:///data/lake");
    }

    #[test]
    fn a_one_lake_location_prints_as_it_was_given() {
        let text = "abfss://ws@onelake.dfs.fabric.microsoft.com/house.Lakehouse/Files/in";
        let location = Location::parse(text).unwrap();
        assert_eq!(location.to_string(), text);
        assert_eq!(location.as_local(), None);
        assert_eq!(location.join("a/b").unwrap().to_string(), format!("{text}/a/b"));
        assert_eq!(Location::parse(&format!("{text}/")).unwrap(), location);
    }

    #[test]
    fn an_unsupported_location_is_refused_with_the_expected_form() {
        for (text, form) in [
            ("", "file:///"),
            (" ", "file:///"),
            ("s3://bucket/x", "file:///"),
            ("https://host/x", "file:///"),
            ("file://relative/x", "file:///"),
            ("file:x", "file:///"),
            ("abfss://ws@host", "abfss://workspace@"),
            ("abfss://ws@host/", "abfss://workspace@"),
            ("abfss://host/item", "abfss://workspace@"),
            ("abfss://@host/item", "abfss://workspace@"),
            ("abfss://ws@/item", "abfss://workspace@"),
            ("abfss://ws@host/item/../x", "abfss://workspace@"),
            ("abfss://ws@host/item?x=1", "abfss://workspace@"),
        ] {
            let error = Location::parse(text).unwrap_err().to_string();
            assert!(error.contains(form), "{text:?}: {error}");
        }
    }

    #[test]
    fn joining_never_leaves_the_location() {
        let root = Location::parse("/data/lake").unwrap();
        let joined = root.join("/Tables//x/").unwrap();
        assert_eq!(joined.as_local(), Some(Path::new("/data/lake/Tables/x")));
        for parts in ["../other", "a/../../b", "a\0b"] {
            assert!(root.join(parts).is_err(), "{parts:?}");
        }
    }
}
