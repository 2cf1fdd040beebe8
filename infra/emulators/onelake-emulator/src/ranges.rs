//! The range of a GET: `x-ms-range`, else `Range`.

use axum::http::HeaderMap;

use crate::errors::ErrorResponse;
use crate::request::header;

/// Bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ByteRange {
    pub(crate) start: u64,
    pub(crate) length: u64,
}

/// Returns the requested range of a file of `length` bytes; `None` for the whole file. Forms that the service does not
/// support (a suffix, several ranges) are ignored, as in the service.
pub(crate) fn requested(headers: &HeaderMap, length: u64) -> Result<Option<ByteRange>, ErrorResponse> {
    let text = match header(headers, "x-ms-range")? {
        Some(text) => Some(text),
        None => header(headers, "range")?,
    };
    let Some((start, end)) = text.and_then(parse) else {
        return Ok(None);
    };
    if start >= length {
        return Err(ErrorResponse::out_of_range(length));
    }
    let end = end.unwrap_or(u64::MAX).min(length - 1);
    Ok(Some(ByteRange {
        start,
        length: end - start + 1,
    }))
}

fn parse(text: &str) -> Option<(u64, Option<u64>)> {
    let (start, end) = text.trim().strip_prefix("bytes=")?.split_once('-')?;
    let start = start.trim().parse().ok()?;
    match end.trim() {
        "" => Some((start, None)),
        end => {
            let end = end.parse().ok()?;
            (end >= start).then_some((start, Some(end)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(range: &str, length: u64) -> Result<Option<(u64, u64)>, u16> {
        let mut headers = HeaderMap::new();
        headers.insert("range", range.parse().unwrap());
        requested(&headers, length)
            .map(|span| span.map(|span| (span.start, span.length)))
            .map_err(|error_response| error_response.error.status.as_u16())
    }

    #[test]
    fn ranges_are_cut_at_the_end_of_the_file() {
        assert_eq!(span("bytes=0-0", 10), Ok(Some((0, 1))));
        assert_eq!(span("bytes=2-5", 10), Ok(Some((2, 4))));
        assert_eq!(span("bytes=2-", 10), Ok(Some((2, 8))));
        assert_eq!(span("bytes=2-100", 10), Ok(Some((2, 8))));
        assert_eq!(span("bytes=9-18446744073709551615", 10), Ok(Some((9, 1))));
    }

    #[test]
    fn beyond_the_end_is_an_error_and_invalid_ranges_are_ignored() {
        assert_eq!(span("bytes=10-", 10), Err(416));
        assert_eq!(span("bytes=0-", 0), Err(416));
        for nonsense in ["bytes=-5", "bytes=5-2", "bytes=a-b", "bytes=0-1,3-4", "items=0-1", ""] {
            assert_eq!(span(nonsense, 10), Ok(None), "{nonsense}");
        }
    }

    #[test]
    fn the_services_own_header_comes_first() {
        let mut headers = HeaderMap::new();
        headers.insert("range", "bytes=0-1".parse().unwrap());
        headers.insert("x-ms-range", "bytes=4-".parse().unwrap());
        let expected = ByteRange { start: 4, length: 6 };
        assert_eq!(requested(&headers, 10).unwrap(), Some(expected));
    }
}
