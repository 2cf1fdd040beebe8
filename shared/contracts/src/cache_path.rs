//! The layout of the cache folder. The download stage writes it, the upload stage reads and clears it.
//!
//! The first hexadecimal digit of an attachment's id names its shard. The shard holds `{media_id}.{attempt}.part` during a
//! download, and `{media_id}.cached` once the file is complete. Each attempt has its own part, so that a process that was
//! considered dead and resumes cannot write into the part of another.
//!
//! There is no folder for each attachment: on a file share each would cost a call to create and one to remove. Sixteen
//! shards are few enough to be kept open, and enough that concurrent downloads and uploads seldom wait for the kernel's
//! lock on a folder in which a file is created, renamed or removed.
//!
//! The layout before version 0.2 had the folder `{first two digits}/{media_id}/` with the files `file` and `note.json`.
//! Messages with such a path are still accepted.

use uuid::Uuid;

/// Suffix of a complete file.
const CACHED_SUFFIX: &str = ".cached";
/// Suffix of an incomplete file.
const PART_SUFFIX: &str = ".part";
/// Name of the complete file in the previous layout.
pub const PREVIOUS_FILE: &str = "file";
/// Name of the note next to [`PREVIOUS_FILE`].
pub const PREVIOUS_NOTE: &str = "note.json";

/// The `local_cache_path` is not that of the attachment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("local_cache_path is not the file of this attachment inside CACHE_DIR: it must be {}", file(*media_id))]
pub struct CachePathError {
    /// The attachment.
    pub media_id: Uuid,
}

/// The layout that a path belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `{shard}/{media_id}.cached`
    Current,
    /// `{first two digits}/{media_id}/file`
    Previous,
}

/// The state of a file in a shard, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A complete file.
    Cached,
    /// An incomplete file of one attempt.
    Part,
}

/// Returns the folder of an attachment's files, relative to `CACHE_DIR`.
#[must_use]
pub fn shard(media_id: Uuid) -> String {
    format!("{:x}", media_id.as_bytes()[0] >> 4)
}

/// Whether a folder in `CACHE_DIR` is a shard.
#[must_use]
pub fn is_shard(name: &str) -> bool {
    matches!(name.as_bytes(), [b'0'..=b'9' | b'a'..=b'f'])
}

/// Returns the name of the complete file in its shard.
#[must_use]
pub fn file_name(media_id: Uuid) -> String {
    format!("{media_id}{CACHED_SUFFIX}")
}

/// Returns the name of an attempt's file in its shard.
#[must_use]
pub fn part_name(media_id: Uuid, attempt: Uuid) -> String {
    format!("{media_id}.{}{PART_SUFFIX}", attempt.simple())
}

/// Returns the state of a file in a shard; `None` for a name that is not of this layout.
#[must_use]
pub fn kind(name: &str) -> Option<Kind> {
    if let Some(id) = name.strip_suffix(CACHED_SUFFIX) {
        return Uuid::try_parse(id).is_ok().then_some(Kind::Cached);
    }
    let (id, attempt) = name.strip_suffix(PART_SUFFIX)?.split_once('.')?;
    (Uuid::try_parse(id).is_ok() && Uuid::try_parse(attempt).is_ok()).then_some(Kind::Part)
}

/// Returns the complete file, relative to `CACHE_DIR`: a message's `local_cache_path`.
#[must_use]
pub fn file(media_id: Uuid) -> String {
    format!("{}/{}", shard(media_id), file_name(media_id))
}

/// Returns the folder of an attachment in the previous layout, relative to `CACHE_DIR`: its shard, and its name there.
#[must_use]
pub fn previous_folder(media_id: Uuid) -> (String, String) {
    let id = media_id.to_string();
    (id[..2].to_owned(), id)
}

/// Returns the complete file in the previous layout, relative to `CACHE_DIR`.
#[must_use]
pub fn previous_file(media_id: Uuid) -> String {
    let (shard, id) = previous_folder(media_id);
    format!("{shard}/{id}/{PREVIOUS_FILE}")
}

/// Returns the layout of a message's path if it is the file of this attachment.
///
/// # Errors
/// For any other path. A message is untrusted, and its file is deleted after the upload: a path that only stays inside the
/// cache could name the file of another attachment.
pub fn check(media_id: Uuid, local_cache_path: &str) -> Result<Layout, CachePathError> {
    if local_cache_path == file(media_id) {
        Ok(Layout::Current)
    } else if local_cache_path == previous_file(media_id) {
        Ok(Layout::Previous)
    } else {
        Err(CachePathError { media_id })
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
    fn the_attachments_own_path_is_accepted_in_both_layouts() {
        assert_eq!(file(id()), format!("3/{}.cached", id()));
        assert_eq!(check(id(), &file(id())), Ok(Layout::Current));
        // Of a message of an earlier version.
        assert_eq!(check(id(), &format!("33/{}/file", id())), Ok(Layout::Previous));
    }

    #[test]
    fn names_in_a_shard_are_complete_files_or_parts() {
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
        let previous = previous_file(id());
        let folder = previous.trim_end_matches("/file");
        let strange = "/etc/passwd ../x/y/z aa/../../x file aa/bb/file a\\b/c/d";
        let of_files = [
            String::new(),
            file(other_id),
            previous_file(other_id),
            folder.to_owned(),
            shard(id()),
            file_name(id()),
            format!("{}/{}", shard(id()), part_name(id(), other_id)),
            format!("{folder}/note.json"),
            format!("{folder}/./file"),
            format!("{folder}//file"),
            format!("/{own}"),
            format!("/{previous}"),
            format!("./{own}"),
            format!("{own}/"),
            format!("{own}\0"),
            own.to_uppercase(),
        ];
        for path in strange.split(' ').chain(of_files.iter().map(String::as_str)) {
            let refusal = check(id(), path).unwrap_err();
            assert!(refusal.to_string().ends_with(&own), "{path:?}: {refusal}");
        }
    }

    proptest! {
        #[test]
        fn no_other_path_is_accepted(path in prop_oneof![".{0,60}", "[0-9a-f./\\\\]{0,60}"], id: u128) {
            let id = Uuid::from_u128(id);
            let is_own = path == file(id) || path == previous_file(id);
            prop_assert_eq!(check(id, &path).is_ok(), is_own);
        }
    }
}
