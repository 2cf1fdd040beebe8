//! The checksum of a body in the request headers: [`Content-MD5`][put] or `x-ms-content-crc64`.
//!
//! The service computes a CRC64 of each body and returns it. The emulator computes one only for a request that has one.
//!
//! [put]: https://learn.microsoft.com/rest/api/storageservices/put-blob#request-headers-all-blob-types

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use crc::{CRC_64_NVME, Crc, Table};
use md5::{Digest, Md5};

use crate::content::set;
use crate::errors::{CRC64_MISMATCH, ErrorResponse, INVALID_HEADER, MD5_MISMATCH};
use crate::request::{header, md5};

/// The CRC64 of Azure Storage: the polynomial of NVMe; in headers, eight bytes in little-endian order, in base64.
static CRC64: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_NVME);

/// The checksum in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checksum {
    None,
    Md5([u8; 16]),
    Crc64(u64),
}

impl Checksum {
    pub(crate) fn announced(headers: &HeaderMap) -> Result<Self, ErrorResponse> {
        match (md5(headers, "content-md5")?, crc64(headers)?) {
            (None, None) => Ok(Self::None),
            (Some(md5), None) => Ok(Self::Md5(md5)),
            (None, Some(crc)) => Ok(Self::Crc64(crc)),
            // The service accepts only one of them.
            (Some(_), Some(_)) => Err(INVALID_HEADER.into()),
        }
    }

    pub(crate) fn hasher(self) -> Hasher {
        Hasher {
            md5: Md5::new(),
            crc64: matches!(self, Self::Crc64(_)).then(|| CRC64.digest()),
            announced: self,
        }
    }

    /// Sets it in the answer.
    pub(crate) fn set_in(self, answer: &mut HeaderMap) {
        match self {
            Self::None => {}
            Self::Md5(md5) => set(answer, "content-md5", &BASE64_STANDARD.encode(md5)),
            Self::Crc64(crc) => set(answer, "x-ms-content-crc64", &BASE64_STANDARD.encode(crc.to_le_bytes())),
        }
    }
}

fn crc64(headers: &HeaderMap) -> Result<Option<u64>, ErrorResponse> {
    let Some(text) = header(headers, "x-ms-content-crc64")? else {
        return Ok(None);
    };
    let bytes = BASE64_STANDARD.decode(text).map_err(|_| INVALID_HEADER)?;
    let bytes = bytes.try_into().map_err(|_| INVALID_HEADER)?;
    Ok(Some(u64::from_le_bytes(bytes)))
}

/// Computes the checksums of a body. The MD5 is always computed, because it is stored with the blob.
pub(crate) struct Hasher {
    md5: Md5,
    crc64: Option<crc::Digest<'static, u64, Table<16>>>,
    announced: Checksum,
}

impl Hasher {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        if let Some(crc64) = &mut self.crc64 {
            crc64.update(bytes);
        }
    }

    /// Returns the MD5 of the body, or an error if the announced checksum is wrong.
    pub(crate) fn finish(self) -> Result<[u8; 16], ErrorResponse> {
        let md5: [u8; 16] = self.md5.finalize().into();
        match self.announced {
            Checksum::Md5(announced) if announced != md5 => Err(MD5_MISMATCH.into()),
            Checksum::Crc64(announced) if self.crc64.is_some_and(|crc| crc.finalize() != announced) => {
                Err(CRC64_MISMATCH.into())
            }
            _ => Ok(md5),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crc64_is_that_of_the_service() {
        // As Azure Storage answered a Put Blob of these bytes (recorded in the tests of its client for JavaScript).
        let checksum = Checksum::Crc64(CRC64.checksum(b"Hello World"));
        let mut headers = HeaderMap::new();
        checksum.set_in(&mut headers);
        assert_eq!(headers["x-ms-content-crc64"], "YeJLfssylmU=");
        assert_eq!(Checksum::announced(&headers).unwrap(), checksum);
    }
}
