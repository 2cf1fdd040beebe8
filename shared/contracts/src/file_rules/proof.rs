//! What the first bytes of a file prove.

use super::file_type::FileType;

/// A kind that the content proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Proof {
    pub(super) file_type: FileType,
    /// The registered type of what was found; `None` if only what stands behind the head tells.
    pub(super) media_type: Option<&'static str>,
}

impl Proof {
    /// A file of that kind, with the kind's registered type.
    pub(super) const fn of(file_type: FileType) -> Self {
        Self {
            file_type,
            media_type: file_type.media_type(),
        }
    }

    /// A file of that kind in a format that has a type of its own.
    pub(super) const fn with_media_type(file_type: FileType, media_type: &'static str) -> Self {
        Self {
            file_type,
            media_type: Some(media_type),
        }
    }

    /// A file of that kind in a format that others use as well.
    pub(super) const fn without_media_type(file_type: FileType) -> Self {
        Self {
            file_type,
            media_type: None,
        }
    }
}
