//! The layout of the cache folder: the download stage writes it, the upload stage reads and clears it.
//!
//! The first hexadecimal digit of an attachment's id names its shard. The shard holds `{media_id}.cached` once the file
//! is complete, and `{media_id}.{attempt}.part` while it is downloaded. Each attempt has a part of its own, so that a
//! process that was taken for dead and resumes cannot write into another's.
//!
//! There is no folder per attachment: on a file share each would cost a call to create and one to remove. Sixteen
//! shards are few enough to be kept open, and enough that concurrent downloads and uploads seldom wait for the lock that
//! the kernel takes on a folder while a file is created, renamed or removed in it.
//!
//! The previous layout had the folder `{first two digits}/{media_id}/` with the files `file` and `note.json`. Messages that
//! name such a file are still accepted.

use uuid::Uuid;

/// End of the name of a complete file.
const CACHED_SUFFIX: &str = ".cached";
/// End of the name of a file that is not complete.
const PART_SUFFIX: &str = ".part";
/// Name of the complete file in the previous layout.
pub const PREVIOUS_FILE: &str = "file";
/// Name of the note beside [`PREVIOUS_FILE`].
pub const PREVIOUS_NOTE: &str = "note.json";

/// A `local_cache_path` that is not the attachment's own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("local_cache_path is not the file of this attachment inside CACHE_DIR: it must be {}", file(*media_id))]
pub struct NotItsFile {
    /// The attachment.
    pub media_id: Uuid,
}

/// The layout that a message's path belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `{shard}/{media_id}.cached`
    Current,
    /// `{first two digits}/{media_id}/file`
    Previous,
}

/// What a file in a shard is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A complete file.
    Cached,
    /// A file of one attempt, not complete.
    Part,
}

/// Folder of an attachment's files, relative to `CACHE_DIR`.
#[must_use]
pub fn shard(media_id: Uuid) -> String {
    format!("{:x}", media_id.as_bytes()[0] >> 4)
}

/// Whether a folder in `CACHE_DIR` is a shard.
#[must_use]
pub fn is_shard(name: &str) -> bool {
    matches!(name.as_bytes(), [b'0'..=b'9' | b'a'..=b'f'])
}

/// Name of the complete file in its shard.
#[must_use]
pub fn file_name(media_id: Uuid) -> String {
    format!("{media_id}{CACHED_SUFFIX}")
}

/// Name of an attempt's file in its shard.
#[must_use]
pub fn part_name(media_id: Uuid, attempt: Uuid) -> String {
    format!("{media_id}.{}{PART_SUFFIX}", attempt.simple())
}

/// Tells what a file in a shard is; `None` for a name that is not of this layout.
#[must_use]
pub fn kind(name: &str) -> Option<Kind> {
    if let Some(id) = name.strip_suffix(CACHED_SUFFIX) {
        return Uuid::try_parse(id).is_ok().then_some(Kind::Cached);
    }
    let (id, attempt) = name.strip_suffix(PART_SUFFIX)?.split_once('.')?;
    (Uuid::try_parse(id).is_ok() && Uuid::try_parse(attempt).is_ok()).then_some(Kind::Part)
}

/// The complete file, relative to `CACHE_DIR`: a message's `local_cache_path`.
#[must_use]
pub fn file(media_id: Uuid) -> String {
    format!("{}/{}", shard(media_id), file_name(media_id))
}

/// Folder of an attachment in the previous layout, relative to `CACHE_DIR`: its shard, and its name there.
#[must_use]
pub fn previous_folder(media_id: Uuid) -> (String, String) {
    let id = media_id.to_string();
    (id[..2].to_owned(), id)
}

/// The complete file in the previous layout, relative to `CACHE_DIR`.
#[must_use]
pub fn previous_file(media_id: Uuid) -> String {
    let (shard, id) = previous_folder(media_id);
    format!("{shard}/{id}/{PREVIOUS_FILE}")
}

/// Returns the layout of a message's path if it is the file of its own attachment.
///
/// # Errors
/// When it is any other. A message is untrusted, and after the upload its file is removed: a path that merely stays inside
/// the cache could be another attachment's, whose file would be gone.
pub fn check(media_id: Uuid, local_cache_path: &str) -> Result<Layout, NotItsFile> {
    if local_cache_path == file(media_id) {
        Ok(Layout::Current)
    } else if local_cache_path == previous_file(media_id) {
        Ok(Layout::Previous)
    } else {
        Err(NotItsFile { media_id })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id() -> Uuid {
        crate::ids::event_id("test-001")
    }

    #[test]
    fn our_own_paths_are_taken_in_both_layouts() {
        assert_eq!(file(id()), format!("3/{}.cached", id()));
        assert_eq!(check(id(), &file(id())), Ok(Layout::Current));
        assert_eq!(
            check(id(), &format!("33/{}/file", id())),
            Ok(Layout::Previous),
            "a message of the version before"
        );
    }

    #[test]
    fn names_in_a_shard_are_told_apart() {
        let part = part_name(id(), Uuid::from_u128(7));
        assert_eq!(kind(&file_name(id())), Some(Kind::Cached));
        assert_eq!(kind(&part), Some(Kind::Part));
        for name in ["", ".cached", ".part", "a.cached", "readme", &format!("{}.part", id())] {
            assert_eq!(kind(name), None, "{name}");
        }
        assert!(is_shard(&shard(id())) && is_shard("0") && is_shard("f"));
        assert!(!["", "g", "F", "33", ".", "/"].into_iter().any(is_shard));
    }

    #[test]
    fn paths_that_are_not_the_attachments_own_are_refused() {
        let own = file(id());
        let other_id = crate::ids::event_id("test-002");
        let (previous, other) = (previous_file(id()), file(other_id));
        let folder = previous.trim_end_matches("/file");
        for path in [
            "",
            "/etc/passwd",
            "../x/y/z",
            "aa/../../x",
            "file",
            "aa/bb/file",
            "a\\b/c/d",
            &other,
            &previous_file(other_id),
            folder,
            &shard(id()),
            &file_name(id()),
            &format!("{}/{}", shard(id()), part_name(id(), other_id)),
            &format!("{folder}/note.json"),
            &format!("{folder}/./file"),
            &format!("{folder}//file"),
            &format!("/{own}"),
            &format!("/{previous}"),
            &format!("./{own}"),
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
            let is_own = path == file(id) || path == previous_file(id);
            prop_assert_eq!(check(id, &path).is_ok(), is_own);
        }
    }
}
