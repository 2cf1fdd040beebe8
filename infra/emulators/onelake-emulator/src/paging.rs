//! Pages of lists, in both protocols.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::errors::{ErrorResponse, INVALID_QUERY, QUERY_OUT_OF_RANGE};

/// Entries on a page, unless the client asks for fewer.
const MAX_PAGE_ENTRIES: u64 = 5000;

/// Returns the number of entries on a page for what the client asks for.
pub(crate) fn page_size(requested: Option<u64>) -> Result<usize, ErrorResponse> {
    match requested.unwrap_or(MAX_PAGE_ENTRIES).min(MAX_PAGE_ENTRIES) {
        0 => Err(QUERY_OUT_OF_RANGE.into()),
        size => Ok(usize::try_from(size).unwrap_or(usize::MAX)),
    }
}

/// Encodes the first name of the next page for a header or a query.
pub(crate) fn to_token(name: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(name)
}

/// Decodes a token of [`to_token`].
pub(crate) fn from_token(token: &str) -> Result<String, ErrorResponse> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).map_err(|_| INVALID_QUERY)?;
    Ok(String::from_utf8(bytes).map_err(|_| INVALID_QUERY)?)
}
