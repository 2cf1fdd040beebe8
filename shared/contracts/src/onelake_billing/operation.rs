//! The operation of a request and its class. One table, so that faults, counters, metrics and help use the same names.

use std::fmt;
use std::str::FromStr;

use super::class::BillingClass;

/// The protocol of a request. For a service it decides the form of errors, for the bill the class of a HEAD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Data Lake Storage Gen2.
    Dfs,
    /// Blob.
    Blob,
}

/// The text does not name a protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a protocol; write `dfs` or `blob`")]
pub struct UnknownProtocolError(pub String);

impl Protocol {
    /// Returns the label for counters and rules.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dfs => "dfs",
            Self::Blob => "blob",
        }
    }

    /// Returns the protocol of a request: that of its host name (`….dfs.…`, `….blob.…`), else what its query and headers
    /// show. `header` returns the text of a header, whose name is given in lower case.
    ///
    /// GET, HEAD and DELETE of a path without a query are the same in both protocols. Then the user agent decides: the
    /// crate `azure_storage_datalake` uses DFS (`azsdk-rust-storage/…`); all others, the crate `azure_storage_blob`
    /// (`azsdk-rust-storage_blob/…`) among them, use Blob.
    #[must_use]
    pub fn of_request<'a>(
        method: &str,
        host: &str,
        has_query: impl Fn(&str) -> bool,
        header: impl Fn(&str) -> Option<&'a str>,
    ) -> Self {
        if let Some(protocol) = host.split('.').find_map(|label| label.parse().ok()) {
            return protocol;
        }
        let is_dfs = ["resource", "action", "mode", "recursive"]
            .iter()
            .any(|name| has_query(name))
            || header("x-ms-rename-source").is_some()
            || method == "PATCH";
        let is_blob = ["restype", "comp"].iter().any(|name| has_query(name)) || header("x-ms-blob-type").is_some();
        let is_datalake_crate = || header("user-agent").is_some_and(|agent| agent.contains("azsdk-rust-storage/"));
        if is_dfs || (!is_blob && is_datalake_crate()) {
            Self::Dfs
        } else {
            Self::Blob
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Protocol {
    type Err = UnknownProtocolError;

    fn from_str(name: &str) -> Result<Self, UnknownProtocolError> {
        [Self::Dfs, Self::Blob]
            .into_iter()
            .find(|protocol| protocol.name() == name)
            .ok_or_else(|| UnknownProtocolError(name.to_owned()))
    }
}

macro_rules! operations {
    ($($variant:ident = $name:literal, $class:ident, $what:literal;)*) => {
        /// The operation of a request.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Operation {
            $(#[doc = $what] $variant,)*
        }

        const TABLE: &[(Operation, &str, BillingClass, &str)] =
            &[$((Operation::$variant, $name, BillingClass::$class, $what),)*];
    };
}

operations! {
    CreateWorkspace = "create-workspace", Write, "PUT of a filesystem or container.";
    DeleteWorkspace = "delete-workspace", Delete, "DELETE of a filesystem or container.";
    WorkspaceProperties = "workspace-properties", Other, "HEAD or GET of a filesystem or container.";
    CreateFile = "create-file", Write, "PUT ?resource=file.";
    CreateDirectory = "create-directory", Write, "PUT ?resource=directory.";
    Rename = "rename", IterativeWrite, "PUT with x-ms-rename-source.";
    Append = "append", Write, "PATCH ?action=append.";
    Flush = "flush", Write, "PATCH ?action=flush.";
    SetProperties = "set-properties", Write, "PATCH ?action=setProperties.";
    ListPaths = "list-paths", IterativeRead, "GET ?resource=filesystem: the list in JSON.";
    PutBlob = "put-blob", Write, "PUT of a whole blob.";
    PutBlock = "put-block", Write, "PUT ?comp=block.";
    PutBlockList = "put-block-list", Write, "PUT ?comp=blocklist.";
    GetBlockList = "get-block-list", Other, "GET ?comp=blocklist.";
    CopyBlob = "copy-blob", Write, "PUT with x-ms-copy-source.";
    SetMetadata = "set-metadata", Other, "PUT ?comp=metadata.";
    GetMetadata = "get-metadata", Other, "GET or HEAD ?comp=metadata.";
    SetBlobProperties = "set-blob-properties", Other, "PUT ?comp=properties.";
    ListBlobs = "list-blobs", IterativeRead, "GET ?comp=list: the list in XML.";
    Batch = "batch", Other, "POST ?comp=batch.";
    Properties = "properties", Other, "HEAD of a path, in either protocol.";
    Read = "read", Read, "GET of a path, in either protocol.";
    Delete = "delete", Delete, "DELETE of a path, in either protocol.";
    Unsupported = "unsupported", Other, "Anything else.";
}

/// The text does not name an operation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an operation; GET /__admin on the OneLake emulator lists them")]
pub struct UnknownOperationError(pub String);

impl Operation {
    /// Every operation, in the order of the table.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|(operation, ..)| *operation)
    }

    /// Returns the label for metrics, counters and faults.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// Returns the request behind it, in a few words.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        self.row().3
    }

    /// Returns the class that it is billed in. A HEAD of a path is "Path Get Properties" in DFS, a read, and "Get Blob
    /// Properties" in Blob, another operation; the two cost the same.
    #[must_use]
    pub fn class(self, protocol: Protocol) -> BillingClass {
        match (self, protocol) {
            (Self::Properties, Protocol::Dfs) => BillingClass::Read,
            _ => self.row().2,
        }
    }

    fn row(self) -> &'static (Self, &'static str, BillingClass, &'static str) {
        // The macro writes both from the same lines; the first row is never returned for another operation.
        TABLE.iter().find(|(known, ..)| *known == self).unwrap_or(&TABLE[0])
    }

    /// Returns the operation of a request. `has_path` is whether it names anything below a workspace, `query` returns the
    /// decoded value of a parameter, and `has_header` returns whether there is a header, whose name is given in lower case.
    #[must_use]
    pub fn of_request<'a>(
        protocol: Protocol,
        method: &str,
        has_path: bool,
        query: impl Fn(&str) -> Option<&'a str>,
        has_header: impl Fn(&str) -> bool,
    ) -> Self {
        match protocol {
            Protocol::Dfs => Self::of_dfs(method, has_path, query, has_header),
            Protocol::Blob => Self::of_blob(method, has_path, query("comp"), has_header),
        }
    }

    fn of_dfs<'a>(
        method: &str,
        has_path: bool,
        query: impl Fn(&str) -> Option<&'a str>,
        has_header: impl Fn(&str) -> bool,
    ) -> Self {
        let resource = query("resource");
        match (method, has_path) {
            ("PUT", false) if resource == Some("filesystem") => Self::CreateWorkspace,
            ("DELETE", false) if resource == Some("filesystem") => Self::DeleteWorkspace,
            ("HEAD", false) => Self::WorkspaceProperties,
            ("GET", false) if resource == Some("filesystem") => Self::ListPaths,
            ("PUT", true) if has_header("x-ms-rename-source") => Self::Rename,
            ("PUT", true) => match resource {
                Some("file") => Self::CreateFile,
                Some("directory") => Self::CreateDirectory,
                _ => Self::Unsupported,
            },
            ("PATCH", true) => match query("action") {
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

    fn of_blob(method: &str, has_path: bool, comp: Option<&str>, has_header: impl Fn(&str) -> bool) -> Self {
        match (method, has_path, comp) {
            ("POST", _, Some("batch")) => Self::Batch,
            ("PUT", false, None) => Self::CreateWorkspace,
            ("DELETE", false, None) => Self::DeleteWorkspace,
            ("GET" | "HEAD", false, None | Some("metadata")) => Self::WorkspaceProperties,
            ("GET", false, Some("list")) => Self::ListBlobs,
            ("PUT", true, None) if has_header("x-ms-copy-source") => Self::CopyBlob,
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

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Operation {
    type Err = UnknownOperationError;

    fn from_str(name: &str) -> Result<Self, UnknownOperationError> {
        let row = TABLE.iter().find(|(_, known, ..)| *known == name);
        row.map(|(operation, ..)| *operation)
            .ok_or_else(|| UnknownOperationError(name.to_owned()))
    }
}

#[cfg(test)]
mod tests;
