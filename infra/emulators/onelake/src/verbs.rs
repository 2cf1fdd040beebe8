//! What a request asks for. One enum, one table, so that faults, counters and help speak of the same things.
//!
//! Both protocols come in on one port. Which one a request speaks follows from its host name (`….dfs.…`, `….blob.…`),
//! else from its query and headers; GET, HEAD and DELETE of a path without any look the same in both, and are answered so
//! that clients of both are content.

use std::fmt;
use std::str::FromStr;

use axum::http::header::{HOST, USER_AGENT};
use axum::http::{HeaderMap, Method, Uri};

use crate::request::Query;

/// The protocol of a request: it decides the form of errors and the names of what is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Data Lake Storage Gen2.
    Dfs,
    /// Blob.
    Blob,
}

impl Dialect {
    pub(crate) fn of(method: &Method, uri: &Uri, query: &Query, headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
        let host = uri.host().unwrap_or_else(|| text(HOST));
        for label in host.split('.') {
            match label {
                "dfs" => return Self::Dfs,
                "blob" => return Self::Blob,
                _ => {}
            }
        }
        let is_dfs = ["resource", "action", "mode", "recursive"]
            .iter()
            .any(|name| query.has(name))
            || headers.contains_key("x-ms-rename-source")
            || *method == Method::PATCH;
        let is_blob = ["restype", "comp"].iter().any(|name| query.has(name));
        // Of the Rust crates of that generation only the Data Lake one is used with OneLake; its HEAD tells nothing else.
        if is_dfs || (!is_blob && text(USER_AGENT).contains("azsdk-rust-storage/")) {
            return Self::Dfs;
        }
        Self::Blob
    }
}

macro_rules! verbs {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $what:literal;)*) => {
        /// What a request asks for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Verb {
            $(#[doc = $what] $variant,)*
        }

        const TABLE: &[(Verb, &str, &str)] = &[$((Verb::$variant, $name, $what),)*];
    };
}

verbs! {
    CreateWorkspace = "create-workspace", "PUT of a filesystem or container.";
    DeleteWorkspace = "delete-workspace", "DELETE of a filesystem or container.";
    WorkspaceProperties = "workspace-properties", "HEAD or GET of a filesystem or container.";
    CreateFile = "create-file", "PUT ?resource=file.";
    CreateDirectory = "create-directory", "PUT ?resource=directory.";
    Rename = "rename", "PUT with x-ms-rename-source.";
    Append = "append", "PATCH ?action=append.";
    Flush = "flush", "PATCH ?action=flush.";
    SetProperties = "set-properties", "PATCH ?action=setProperties.";
    ListPaths = "list-paths", "GET ?resource=filesystem: the list in JSON.";
    PutBlob = "put-blob", "PUT of a whole blob.";
    PutBlock = "put-block", "PUT ?comp=block.";
    PutBlockList = "put-block-list", "PUT ?comp=blocklist.";
    GetBlockList = "get-block-list", "GET ?comp=blocklist.";
    CopyBlob = "copy-blob", "PUT with x-ms-copy-source.";
    SetMetadata = "set-metadata", "PUT ?comp=metadata.";
    GetMetadata = "get-metadata", "GET or HEAD ?comp=metadata.";
    SetBlobProperties = "set-blob-properties", "PUT ?comp=properties.";
    ListBlobs = "list-blobs", "GET ?comp=list: the list in XML.";
    Batch = "batch", "POST ?comp=batch.";
    Properties = "properties", "HEAD of a path, in either protocol.";
    Read = "read", "GET of a path, in either protocol.";
    Delete = "delete", "DELETE of a path, in either protocol.";
    Unsupported = "unsupported", "Anything else.";
}

/// A text that names no verb.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no verb; GET /__admin on the emulator lists them")]
pub struct UnknownVerb(pub String);

impl Verb {
    /// Every verb, in the order of the table.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|(verb, _, _)| *verb)
    }

    /// What it is called in faults and counters.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// The request behind it, in a few words.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        self.row().2
    }

    fn row(self) -> &'static (Self, &'static str, &'static str) {
        // The macro writes both from the same lines; the first row is never taken for another.
        TABLE.iter().find(|(verb, _, _)| *verb == self).unwrap_or(&TABLE[0])
    }

    /// What the request asks for; `has_path` tells whether it names anything below a workspace.
    pub(crate) fn of(method: &Method, dialect: Dialect, has_path: bool, query: &Query, headers: &HeaderMap) -> Self {
        match dialect {
            Dialect::Dfs => Self::of_dfs(method, has_path, query, headers),
            Dialect::Blob => Self::of_blob(method, has_path, query, headers),
        }
    }

    fn of_dfs(method: &Method, has_path: bool, query: &Query, headers: &HeaderMap) -> Self {
        let resource = query.get("resource");
        match (method.as_str(), has_path) {
            ("PUT", false) if resource == Some("filesystem") => Self::CreateWorkspace,
            ("DELETE", false) if resource == Some("filesystem") => Self::DeleteWorkspace,
            ("HEAD", false) => Self::WorkspaceProperties,
            ("GET", false) if resource == Some("filesystem") => Self::ListPaths,
            ("PUT", true) if headers.contains_key("x-ms-rename-source") => Self::Rename,
            ("PUT", true) => match resource {
                Some("file") => Self::CreateFile,
                Some("directory") => Self::CreateDirectory,
                _ => Self::Unsupported,
            },
            ("PATCH", true) => match query.get("action") {
                Some("append") => Self::Append,
                Some("flush") => Self::Flush,
                Some("setProperties") => Self::SetProperties,
                _ => Self::Unsupported,
            },
            ("HEAD", true) => Self::Properties,
            ("GET", true) => Self::Read,
            ("DELETE", true) => Self::Delete,
            _ => Self::Unsupported,
        }
    }

    fn of_blob(method: &Method, has_path: bool, query: &Query, headers: &HeaderMap) -> Self {
        match (method.as_str(), has_path, query.get("comp")) {
            ("POST", _, Some("batch")) => Self::Batch,
            ("PUT", false, None) => Self::CreateWorkspace,
            ("DELETE", false, None) => Self::DeleteWorkspace,
            ("GET" | "HEAD", false, None | Some("metadata")) => Self::WorkspaceProperties,
            ("GET", false, Some("list")) => Self::ListBlobs,
            ("PUT", true, None) if headers.contains_key("x-ms-copy-source") => Self::CopyBlob,
            ("PUT", true, None) => Self::PutBlob,
            ("PUT", true, Some("block")) => Self::PutBlock,
            ("PUT", true, Some("blocklist")) => Self::PutBlockList,
            ("PUT", true, Some("metadata")) => Self::SetMetadata,
            ("PUT", true, Some("properties")) => Self::SetBlobProperties,
            ("GET", true, Some("blocklist")) => Self::GetBlockList,
            ("GET" | "HEAD", true, Some("metadata")) => Self::GetMetadata,
            ("HEAD", true, None) => Self::Properties,
            ("GET", true, None) => Self::Read,
            ("DELETE", true, None) => Self::Delete,
            _ => Self::Unsupported,
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Verb {
    type Err = UnknownVerb;

    fn from_str(name: &str) -> Result<Self, UnknownVerb> {
        let row = TABLE.iter().find(|(_, known, _)| *known == name);
        row.map(|(verb, _, _)| *verb)
            .ok_or_else(|| UnknownVerb(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verb(method: &str, uri: &str, header: Option<(&'static str, &'static str)>) -> (Dialect, Verb) {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let uri: Uri = uri.parse().unwrap();
        let mut headers = HeaderMap::new();
        if let Some((name, value)) = header {
            headers.insert(name, value.parse().unwrap());
        }
        let query = Query::parse(uri.query().unwrap_or(""));
        let dialect = Dialect::of(&method, &uri, &query, &headers);
        let has_path = uri.path().trim_matches('/').contains('/');
        (dialect, Verb::of(&method, dialect, has_path, &query, &headers))
    }

    #[test]
    fn every_verb_has_its_own_name() {
        for verb in Verb::all() {
            assert_eq!(verb.name().parse(), Ok(verb));
        }
        assert!("cook".parse::<Verb>().is_err());
    }

    #[test]
    fn requests_are_told_apart() {
        use Dialect::{Blob, Dfs};
        let cases = [
            ("PUT", "/w?resource=filesystem", Dfs, Verb::CreateWorkspace),
            ("PUT", "/w?restype=container", Blob, Verb::CreateWorkspace),
            ("HEAD", "/w?resource=filesystem", Dfs, Verb::WorkspaceProperties),
            ("GET", "/w?restype=container", Blob, Verb::WorkspaceProperties),
            ("PUT", "/w/p?resource=file", Dfs, Verb::CreateFile),
            ("PUT", "/w/p?resource=directory", Dfs, Verb::CreateDirectory),
            ("PATCH", "/w/p?action=append&position=0&flush=true", Dfs, Verb::Append),
            ("PATCH", "/w/p?action=flush&position=0", Dfs, Verb::Flush),
            ("PATCH", "/w/p?action=setProperties", Dfs, Verb::SetProperties),
            ("PATCH", "/w/p?action=setAccessControl", Dfs, Verb::Unsupported),
            ("GET", "/w?resource=filesystem&recursive=true", Dfs, Verb::ListPaths),
            ("HEAD", "/w/p?action=getStatus", Dfs, Verb::Properties),
            ("DELETE", "/w/p?recursive=true", Dfs, Verb::Delete),
            ("PUT", "/w/p", Blob, Verb::PutBlob),
            ("PUT", "/w/p?comp=block&blockid=x", Blob, Verb::PutBlock),
            ("PUT", "/w/p?comp=blocklist", Blob, Verb::PutBlockList),
            ("GET", "/w/p?comp=blocklist", Blob, Verb::GetBlockList),
            ("GET", "/w?restype=container&comp=list", Blob, Verb::ListBlobs),
            ("POST", "/w?restype=container&comp=batch", Blob, Verb::Batch),
            ("POST", "/?comp=batch", Blob, Verb::Batch),
            ("GET", "/w/p", Blob, Verb::Read),
            ("HEAD", "/w/p", Blob, Verb::Properties),
            ("DELETE", "/w/p", Blob, Verb::Delete),
            ("PUT", "/w/p?comp=lease", Blob, Verb::Unsupported),
        ];
        for (method, uri, dialect, expected) in cases {
            assert_eq!(verb(method, uri, None), (dialect, expected), "{method} {uri}");
        }
        let rename = Some(("x-ms-rename-source", "/w/q"));
        assert_eq!(verb("PUT", "/w/p?mode=legacy", rename), (Dfs, Verb::Rename));
        let copy = Some(("x-ms-copy-source", "http://h/w/q"));
        assert_eq!(verb("PUT", "/w/p", copy), (Blob, Verb::CopyBlob));
    }

    #[test]
    fn the_host_name_decides_where_nothing_else_does() {
        let host = |name| verb("GET", "/w/p", Some(("host", name))).0;
        assert_eq!(host("onelake.dfs.fabric.microsoft.com"), Dialect::Dfs);
        assert_eq!(host("onelake.blob.fabric.microsoft.com"), Dialect::Blob);
        assert_eq!(host("127.0.0.1:10000"), Dialect::Blob);
        let rust = Some(("user-agent", "azsdk-rust-storage/0.21.0 (1.95; linux; x86_64)"));
        assert_eq!(verb("HEAD", "/w/p", rust).0, Dialect::Dfs);
    }
}
