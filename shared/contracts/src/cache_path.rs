//! How the cache folder is laid out: the download stage writes it, the upload stage reads and clears it.
//!
//! `{first two digits}/{media_id}/` holds one attachment: `file` when it is complete, `note.json` with what a
//! redelivered task needs to know of it, and `{attempt}-{media_id}.part` while it is downloaded. Each attempt has a
//! part of its own, so that a process that was taken for dead and wakes up cannot write into another's.

use uuid::Uuid;

/// Name of the complete file.
pub const FILE: &str = "file";
/// Name of the note.
pub const NOTE: &str = "note.json";
/// End of the name of a file that is not complete.
pub const PART_SUFFIX: &str = ".part";

/// A `local_cache_path` that is not the attachment's own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("local_cache_path is not the file of this attachment inside CACHE_DIR: it must be {}", file(*media_id))]
pub struct NotItsFile {
    /// The attachment.
    pub media_id: Uuid,
}

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

/// Whether a message's path is the file of its own attachment.
///
/// # Errors
/// When it is any other. A message is untrusted, and after the upload its file is removed: a path that merely stays inside
/// the cache could be another attachment's, whose file would be gone.
pub fn check(media_id: Uuid, local_cache_path: &str) -> Result<(), NotItsFile> {
    if local_cache_path == file(media_id) {
        Ok(())
    } else {
        Err(NotItsFile { media_id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id() -> Uuid {
        crate::ids::event_id("test-001")
    }

    #[test]
    fn our_own_paths_are_taken() {
        assert_eq!(file(id()), format!("33/{}/file", id()));
        assert_eq!(check(id(), &file(id())), Ok(()));
    }

    #[test]
    fn paths_that_are_not_the_attachments_own_are_refused() {
        let own = file(id());
        let (folder, other) = (folder(id()), file(crate::ids::event_id("test-002")));
        for path in [
            "",
            "/etc/passwd",
            "../x/y/z",
            "aa/../../x",
            "file",
            "aa/bb/file",
            "a\\b/c/d",
            &other,
            &folder,
            &format!("{folder}/note.json"),
            &format!("{folder}/./file"),
            &format!("{folder}//file"),
            &format!("/{own}"),
            &format!("{own}/"),
            &format!("{own}\0"),
            &own.to_uppercase(),
        ] {
            let refusal = check(id(), path).unwrap_err();
            assert!(refusal.to_string().ends_with(&own), "{path:?}: {refusal}");
        }
    }

    proptest! {
        #[test]
        fn no_other_path_is_taken(path in prop_oneof![".{0,60}", "[0-9a-f./\\\\]{0,60}"], id: u128) {
            let id = Uuid::from_u128(id);
            prop_assert_eq!(check(id, &path).is_ok(), path == file(id));
        }
    }
}
