//! The kind that the first bytes of a file prove.

use super::file_type::FileType;

/// A kind that the content proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Proof {
    pub(super) file_type: FileType,
    /// The registered type of the format; `None` if only content behind the head shows it.
    pub(super) media_type: Option<&'static str>,
}

impl Proof {
    /// A proof with the kind's registered type.
    pub(super) const fn of(file_type: FileType) -> Self {
        Self {
            file_type,
            media_type: file_type.media_type(),
        }
    }

    /// A proof of a format with its own type.
    pub(super) const fn with_media_type(file_type: FileType, media_type: &'static str) -> Self {
        Self {
            file_type,
            media_type: Some(media_type),
        }
    }

    /// A proof of a format that other kinds use as well.
    pub(super) const fn without_media_type(file_type: FileType) -> Self {
        Self {
            file_type,
            media_type: None,
        }
    }
}
