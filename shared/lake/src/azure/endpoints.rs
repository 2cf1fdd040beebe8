//! The endpoints of OneLake: one host for each protocol.

/// Returns the Blob host for a DFS host: `onelake.dfs.fabric.microsoft.com`, regional hosts and private links each have
/// one. A host without `.dfs.` (an emulator) serves both protocols.
pub(crate) fn blob_host(dfs_host: &str) -> String {
    dfs_host.replacen(".dfs.", ".blob.", 1)
}
