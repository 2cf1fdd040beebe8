//! The name of a file: from its URL's path, else from the URL's query, else from the response's `Content-Disposition`.
//!
//! The first accepted extension counts. If none of them names a kind, the content must prove one. A path without extension, one
//! that ends in a version (`v2.0`), and the address of a server page (`download.ashx`) name no kind.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use url::Url;

use super::disposition;
use super::error::FileRefusedError;
use super::file_type::FileType;
use crate::ascii_case::in_lower_case;

/// Extensions of server pages, which respond with any kind of file.
const SERVER_PAGES: [&str; 17] = [
    "ashx", "aspx", "asp", "asmx", "axd", "svc", "php", "phtml", "jsp", "jspx", "jsf", "faces", "do", "action", "cgi",
    "cfm", "mvc",
];

/// The name that a URL gives to its file.
enum Named<'a> {
    /// An accepted extension.
    Kind(Cow<'a, str>, FileType),
    /// An extension that is not accepted.
    Other(Cow<'a, str>),
    /// A name without extension: the content must prove a kind.
    Nothing,
    /// No name.
    NoFile,
}

impl<'a> Named<'a> {
    fn read(url: &'a Url) -> Self {
        let path = file_name_of(url);
        let in_path = path.clone().and_then(extension_in);
        // The query is read only if the path does not decide.
        let kind = in_path.as_deref().and_then(FileType::from_extension);
        if let (Some(extension), Some(kind)) = (&in_path, kind) {
            return Self::Kind(extension.clone(), kind);
        }
        let in_path = in_path.map(|extension| (true, extension));
        let in_query = names_in_query(url).filter_map(|(is_file, name)| Some((is_file, extension_in(name.into())?)));
        let named: Vec<(bool, Cow<'a, str>)> = in_path.into_iter().chain(in_query).collect();
        for (_, extension) in &named {
            if let Some(kind) = FileType::from_extension(extension) {
                return Self::Kind(extension.clone(), kind);
            }
        }
        // `name=J.Smith` is not a file.
        let other = |(is_file, extension): &(bool, Cow<'_, str>)| *is_file && !names_nothing(extension);
        match named.into_iter().find(other) {
            Some((_, extension)) => Self::Other(extension),
            None if path.is_some() || names_in_query(url).next().is_some() => Self::Nothing,
            None => Self::NoFile,
        }
    }
}

/// Returns the extension in a URL, in lower case: from the last segment of its path if it is accepted, else from the query. It
/// has at most 16 ASCII letters and digits; `None` if the content must prove the kind.
#[must_use]
pub fn extension_of(url: &Url) -> Option<Cow<'_, str>> {
    match Named::read(url) {
        Named::Kind(extension, _) | Named::Other(extension) => Some(extension),
        Named::Nothing | Named::NoFile => None,
    }
}

/// Returns the kind that a URL names; `None` if the content must prove one.
///
/// # Errors
/// [`FileRefusedError::NoFile`] or [`FileRefusedError::UnknownExtension`].
pub fn named_type(url: &Url) -> Result<Option<FileType>, FileRefusedError> {
    match Named::read(url) {
        Named::Kind(_, kind) => Ok(Some(kind)),
        Named::Nothing => Ok(None),
        Named::Other(extension) => Err(FileRefusedError::UnknownExtension(extension.into_owned())),
        Named::NoFile => Err(FileRefusedError::NoFile),
    }
}

/// Returns the `file_type` of a task: the extension in upper case, or `UNKNOWN`.
#[must_use]
pub fn file_type_label(url: &Url) -> String {
    extension_of(url).map_or_else(|| "UNKNOWN".to_owned(), |extension| extension.to_ascii_uppercase())
}

/// Returns the kind that a response's `Content-Disposition` names; `None` without a name, or if its extension is not accepted.
#[must_use]
pub fn type_in_disposition(header: &str) -> Option<FileType> {
    let name = disposition::file_name(header)?;
    FileType::from_extension(&extension(trim_name(&name))?)
}

/// Returns the name under which a URL's file is stored: the last segment of the path, or a name in the query if the path names
/// another kind. Changing this rule would change the paths of stored files.
///
/// Only the URL decides, so that an event always gives the same paths, regardless of the server's response.
pub(crate) fn stored_name(url: &Url) -> Option<Cow<'_, str>> {
    let path = file_name_of(url);
    let in_path = path.as_deref().and_then(extension);
    let is_accepted = |extension: &Cow<'_, str>| FileType::from_extension(extension).is_some();
    if in_path.as_ref().is_some_and(is_accepted) {
        return path;
    }
    let in_query = names_in_query(url).find(|(_, name)| extension(name).as_ref().is_some_and(is_accepted));
    match (in_path, in_query) {
        // `filename`, `file` and `name` decide the kind of such a file, and not its path: stored paths depend on it.
        (None, Some(_)) if has_plain_name(url) => path,
        (_, Some((_, name))) => Some(name.into()),
        // A picture that contains a program must not have a name that a web server runs.
        (Some(page), None) if SERVER_PAGES.contains(&&*page) => {
            let (stem, _) = split_extension(path.as_deref()?)?;
            Some(trim_name(stem).to_owned().into()).filter(|stem: &Cow<'_, str>| !stem.is_empty())
        }
        (_, None) => path,
    }
}

/// Whether the first of `filename`, `file` and `name` that has an extension has an accepted one.
fn has_plain_name(url: &Url) -> bool {
    let first = PLAIN_KEYS
        .into_iter()
        .find_map(|key| values(url, key).find_map(|name| extension(trim_name(&name)).map(Cow::into_owned)));
    first.is_some_and(|extension| FileType::from_extension(&extension).is_some())
}

/// Keys of the query whose value is a file name.
const PLAIN_KEYS: [&str; 3] = ["filename", "file", "name"];

/// Keys of presigned URLs whose value is the `Content-Disposition` of the response: those of S3 and Google, and of Azure.
const DISPOSITION_KEYS: [&str; 2] = ["response-content-disposition", "rscd"];

/// Returns the names in a query, and whether each is certainly a file name.
fn names_in_query(url: &Url) -> impl Iterator<Item = (bool, String)> + '_ {
    let plain = PLAIN_KEYS
        .into_iter()
        .flat_map(move |key| values(url, key).map(move |name| (key != "name", name)));
    let dispositions = DISPOSITION_KEYS
        .into_iter()
        .flat_map(move |key| values(url, key))
        .filter_map(|header| Some((true, disposition::file_name(&header)?)));
    plain.chain(dispositions).filter_map(|(is_file, name)| {
        let name = trim_name(disposition::base_name(&name)).to_owned();
        (!name.is_empty()).then_some((is_file, name))
    })
}

fn values<'a>(url: &'a Url, wanted: &'static str) -> impl Iterator<Item = String> + 'a {
    url.query_pairs()
        .filter(move |(key, _)| key.eq_ignore_ascii_case(wanted))
        .map(|(_, value)| value.into_owned())
}

/// Whether an extension names no kind: the end of a version, or a server page.
fn names_nothing(extension: &str) -> bool {
    extension.bytes().all(|byte| byte.is_ascii_digit()) || SERVER_PAGES.contains(&extension)
}

/// Returns the last segment of a URL's path, percent-decoded, without the white space and dots at its ends that file systems
/// drop; `None` if nothing is left.
fn file_name_of(url: &Url) -> Option<Cow<'_, str>> {
    let segment = url.path_segments()?.next_back()?;
    let name = match percent_decode_str(segment).decode_utf8_lossy() {
        Cow::Borrowed(plain) => Cow::Borrowed(trim_name(plain)),
        Cow::Owned(decoded) => Cow::Owned(trim_name(&decoded).to_owned()),
    };
    Some(name).filter(|name| !name.is_empty())
}

/// Splits a name into stem and extension; `None` without extension.
pub(crate) fn split_extension(name: &str) -> Option<(&str, &str)> {
    let (stem, extension) = name.rsplit_once('.')?;
    let plain =
        !extension.is_empty() && extension.len() <= 16 && extension.bytes().all(|byte| byte.is_ascii_alphanumeric());
    plain.then_some((stem, extension))
}

/// Returns the extension of a name, in lower case.
fn extension(name: &str) -> Option<Cow<'_, str>> {
    split_extension(name).map(|(_, extension)| in_lower_case(extension))
}

/// Returns the same for a name that is given away.
fn extension_in(name: Cow<'_, str>) -> Option<Cow<'_, str>> {
    match name {
        Cow::Borrowed(name) => extension(name),
        Cow::Owned(name) => Some(extension(&name)?.into_owned().into()),
    }
}

fn trim_name(name: &str) -> &str {
    name.trim().trim_end_matches(|c: char| c == '.' || c.is_whitespace())
}
