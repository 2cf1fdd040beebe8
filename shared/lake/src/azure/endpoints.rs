//! The two endpoints of OneLake.

/// The Blob host of a OneLake DFS host: `onelake.dfs.fabric.microsoft.com`, regional hosts and private links each have one.
/// A host without `.dfs.` (an emulator) answers both protocols.
pub(crate) fn blob_host(dfs_host: &str) -> String {
    dfs_host.replacen(".dfs.", ".blob.", 1)
}
