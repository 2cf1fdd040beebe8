//! How the cache folder is laid out: the download stage writes it, the upload stage reads and clears it.
//!
//! `{first two digits}/{media_id}/` holds one attachment: `file` when it is complete, `note.json` with what a
//! redelivered task needs to know of it, and `{attempt}-{media_id}.part` while it is downloaded. Each attempt has a
//! part of its own, so that a process that was taken for dead and wakes up cannot write into another's.

use std::path::{Component, Path, PathBuf};
use uuid::Uuid;

/// Name of the complete file.
pub const FILE: &str = "file";
/// Name of the note.
pub const NOTE: &str = "note.json";
/// End of the name of a file that is not complete.
pub const PART_SUFFIX: &str = ".part";

/// A `local_cache_path` that does not stay inside the cache folder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("local_cache_path does not name a file inside CACHE_DIR: it must be relative, without \"..\"")]
pub struct OutsideCache;

/// Folder of an attachment, relative to `CACHE_DIR`.
#[must_use]
pub fn folder(media_id: Uuid) -> String {
    let id = media_id.to_string();
    format!("{}/{id}", &id[..2])
}

/// The complete file, relative to `CACHE_DIR`: a message's `local_cache_path`.
#[must_use]
pub fn file(media_id: Uuid) -> String {
    format!("{}/{FILE}", folder(media_id))
}

/// The file of a message below `cache_dir`.
///
/// # Errors
/// When the path is absolute, blank, holds `..`, or names a folder of the cache itself.
pub fn resolve(cache_dir: &Path, local_cache_path: &str) -> Result<PathBuf, OutsideCache> {
    let relative = Path::new(local_cache_path);
    let plain = relative
        .components()
        .all(|component| matches!(component, Component::Normal(_)));
    // A file has a folder of its own: that is what is cleared after the upload.
    if !plain || relative.components().count() < 3 || local_cache_path.contains(['\\', '\0']) {
        return Err(OutsideCache);
    }
    Ok(cache_dir.join(relative))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn our_own_paths_resolve() {
        let id = crate::ids::event_id("test-001");
        assert_eq!(file(id), format!("33/{id}/file"));
        assert_eq!(
            resolve(Path::new("/cache"), &file(id)).unwrap(),
            Path::new("/cache/33").join(id.to_string()).join("file")
        );
    }

    #[test]
    fn paths_that_leave_the_cache_are_refused() {
        for path in [
            "",
            "/etc/passwd",
            "../x/y/z",
            "aa/../../x",
            "aa/./b/..",
            "file",
            "aa/file",
            "a\\b/c/d",
            "a/b/c\0",
        ] {
            assert_eq!(resolve(Path::new("/cache"), path), Err(OutsideCache), "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_path_leaves_the_cache(path in "[a./\\\\]{0,20}") {
            if let Ok(resolved) = resolve(Path::new("/cache"), &path) {
                prop_assert!(resolved.starts_with("/cache"));
                prop_assert!(!resolved.components().any(|part| part == Component::ParentDir));
            }
        }
    }
}
