//! Caches the files of a table's log, which never change: entries and checkpoints that this process wrote or read need no
//! second request. Loading a table again, and writing a checkpoint, replay the log from here.
//!
//! A table that is deleted and created again at the same location has other files with the same names. Every replay begins
//! with a listing, and a cached file whose size or ETag differs from the listed one is dropped.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::Utc;
use deltalake::logstore::object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, path::Path,
};
use futures::StreamExt;
use futures::future::ready;
use futures::stream::{self, BoxStream};
use parking_lot::Mutex;

use crate::tables::byte_lru::ByteLru;

/// Memory for one table's log: a few hundred commits and a checkpoint.
const MAX_CACHE_BYTES: usize = 16 * 1024 * 1024;
/// Of a larger file only the requested ranges are read.
const MAX_FILE_BYTES: u64 = 8 * 1024 * 1024;

/// An object store whose log files are cached.
pub(crate) struct LogCache {
    inner: Arc<dyn ObjectStore>,
    files: Arc<ByteLru<File>>,
    /// For readers, `_last_checkpoint` and the checkpoints from this version on do not exist.
    hidden_from: Arc<Mutex<Option<u64>>>,
}

#[derive(Clone)]
struct File {
    meta: ObjectMeta,
    bytes: Bytes,
}

impl LogCache {
    pub(crate) fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self {
            inner,
            files: Arc::new(ByteLru::new(MAX_CACHE_BYTES)),
            hidden_from: Arc::default(),
        }
    }

    /// Hides `_last_checkpoint` and the checkpoints from a version on, for a log with damaged checkpoints. `None` hides
    /// nothing.
    pub(crate) fn hide_checkpoints(&self, from: Option<u64>) {
        *self.hidden_from.lock() = from;
    }

    /// Returns whether the storage has the file and, if it is cached, whether it is still the same.
    ///
    /// # Errors
    /// Those of the storage.
    pub(crate) async fn is_current(&self, location: &Path) -> Result<bool> {
        match self.inner.head(location).await {
            Ok(found) => {
                let kept = self.files.get(location.as_ref());
                drop_changed(&self.files, &found);
                Ok(kept.is_none_or(|kept| is_same(&kept.meta, &found)))
            }
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn put_file(&self, meta: ObjectMeta, bytes: Bytes) -> File {
        let file = File { meta, bytes };
        let size = file.bytes.len();
        self.files.put(file.meta.location.as_ref(), file.clone(), size);
        file
    }

    /// Returns the whole file, from memory if it is cached. `None`: it is too large to be cached.
    async fn file(&self, location: &Path) -> Result<Option<File>> {
        if let Some(file) = self.files.get(location.as_ref()) {
            return Ok(Some(file));
        }
        let found = self.inner.get_opts(location, GetOptions::default()).await?;
        if found.meta.size > MAX_FILE_BYTES {
            return Ok(None);
        }
        let meta = found.meta.clone();
        Ok(Some(self.put_file(meta, found.bytes().await?)))
    }

    fn without_hidden(&self, listed: BoxStream<'static, Result<ObjectMeta>>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (files, hidden_from) = (Arc::clone(&self.files), Arc::clone(&self.hidden_from));
        let is_shown = move |listed: &Result<ObjectMeta>| {
            let Ok(listed) = listed else { return true };
            drop_changed(&files, listed);
            !is_hidden(&listed.location, *hidden_from.lock())
        };
        listed.filter(move |listed| ready(is_shown(listed))).boxed()
    }
}

fn drop_changed(files: &ByteLru<File>, listed: &ObjectMeta) {
    let name = listed.location.as_ref();
    if files.get(name).is_some_and(|file| !is_same(&file.meta, listed)) {
        files.remove(name);
    }
}

/// A listing has ETags without quotes, a response for a single file has them with quotes.
fn is_same(kept: &ObjectMeta, listed: &ObjectMeta) -> bool {
    let tag = |meta: &ObjectMeta| meta.e_tag.as_ref().map(|tag| tag.trim_matches('"').to_owned());
    kept.size == listed.size && tag(kept) == tag(listed)
}

/// Returns whether this is a log entry or a classic checkpoint: `{version}.json`, `{version}.checkpoint.parquet`.
fn is_log_file(location: &Path) -> bool {
    let name = location.filename().unwrap_or_default();
    let digits = name.bytes().take_while(u8::is_ascii_digit).count();
    is_in_log(location) && digits == 20 && matches!(&name[digits..], ".json" | ".checkpoint.parquet")
}

fn is_in_log(location: &Path) -> bool {
    location.as_ref().contains("_delta_log/")
}

/// Returns whether this is `_last_checkpoint`, or a checkpoint of a hidden version.
fn is_hidden(location: &Path, hidden_from: Option<u64>) -> bool {
    let (Some(hidden_from), true) = (hidden_from, is_in_log(location)) else {
        return false;
    };
    let name = location.filename().unwrap_or_default();
    match name.split_once('.').unwrap_or((name, "")) {
        ("_last_checkpoint", _) => true,
        (version, rest) if rest.starts_with("checkpoint.") => {
            version.parse::<u64>().is_ok_and(|version| version >= hidden_from)
        }
        _ => false,
    }
}

fn is_plain(options: &GetOptions) -> bool {
    options.if_match.is_none()
        && options.if_none_match.is_none()
        && options.if_modified_since.is_none()
        && options.if_unmodified_since.is_none()
        && options.version.is_none()
}

impl fmt::Debug for LogCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for LogCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with a log cache", self.inner)
    }
}

#[async_trait]
impl ObjectStore for LogCache {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        if !is_log_file(location) {
            return self.inner.put_opts(location, payload, opts).await;
        }
        let bytes = Bytes::from(payload.clone());
        let put = self.inner.put_opts(location, payload, opts).await;
        match &put {
            Ok(put) => {
                let meta = ObjectMeta {
                    location: location.clone(),
                    last_modified: Utc::now(),
                    size: bytes.len() as u64,
                    e_tag: put.e_tag.clone(),
                    version: put.version.clone(),
                };
                self.put_file(meta, bytes);
            }
            // It may have been stored nevertheless.
            Err(_) => self.files.remove(location.as_ref()),
        }
        put
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.files.remove(location.as_ref());
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if is_hidden(location, *self.hidden_from.lock()) {
            return Err(Error::NotFound {
                path: location.to_string(),
                source: "it cannot be read and is hidden".into(),
            });
        }
        // A request for metadata asks whether the file exists now, so it is not answered from memory.
        if !is_log_file(location) || !is_plain(&options) || options.head {
            let found = self.inner.get_opts(location, options).await;
            if let Ok(found) = &found {
                drop_changed(&self.files, &found.meta);
            }
            return found;
        }
        let Some(File { meta, bytes }) = self.file(location).await? else {
            return self.inner.get_opts(location, options).await;
        };
        let range = options.range.as_ref();
        let Ok(range) = range.map_or(Ok(0..meta.size), |range| range.as_range(meta.size)) else {
            // The storage returns its own error.
            return self.inner.get_opts(location, options).await;
        };
        let part = slice(&bytes, &range);
        Ok(GetResult {
            payload: GetResultPayload::Stream(stream::once(async { Ok(part) }).boxed()),
            meta,
            range,
            attributes: Default::default(),
        })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        if !is_log_file(location) {
            return self.inner.get_ranges(location, ranges).await;
        }
        match self.file(location).await? {
            Some(file) if ranges.iter().all(|range| range.end <= file.meta.size) => {
                Ok(ranges.iter().map(|range| slice(&file.bytes, range)).collect())
            }
            _ => self.inner.get_ranges(location, ranges).await,
        }
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let files = Arc::clone(&self.files);
        let forgotten = locations.inspect(move |location| {
            if let Ok(location) = location {
                files.remove(location.as_ref());
            }
        });
        self.inner.delete_stream(forgotten.boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.without_hidden(self.inner.list(prefix))
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.without_hidden(self.inner.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let listed = self.inner.list_with_delimiter(prefix).await?;
        for listed in &listed.objects {
            drop_changed(&self.files, listed);
        }
        Ok(listed)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.files.remove(to.as_ref());
        self.inner.copy_opts(from, to, options).await
    }
}

fn slice(bytes: &Bytes, range: &Range<u64>) -> Bytes {
    let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
    bytes.slice(at(range.start)..at(range.end))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use deltalake::logstore::object_store::PutMode;
    use deltalake::logstore::object_store::memory::InMemory;

    use super::*;

    const ENTRY: &str = "t/_delta_log/00000000000000000007.json";

    fn path() -> Path {
        Path::from(ENTRY)
    }

    async fn read(store: &impl ObjectStore) -> Bytes {
        store.get(&path()).await.unwrap().bytes().await.unwrap()
    }

    #[tokio::test]
    async fn a_written_or_read_entry_is_not_read_again() {
        let storage = Arc::new(InMemory::new());
        let [writer, reader] = [(); 2].map(|()| LogCache::new(Arc::clone(&storage) as Arc<dyn ObjectStore>));
        let create = PutMode::Create.into();
        writer.put_opts(&path(), "entry".into(), create).await.unwrap();
        assert_eq!(read(&reader).await, "entry");
        storage.delete(&path()).await.unwrap();
        for cache in [&writer, &reader] {
            assert_eq!(read(cache).await, "entry");
            assert_eq!(cache.get_range(&path(), 1..3).await.unwrap(), "nt");
            // Metadata is requested from the storage.
            assert!(cache.head(&path()).await.is_err());
        }
    }

    #[tokio::test]
    async fn a_listing_drops_an_entry_if_another_table_has_one_of_this_name() {
        let storage = Arc::new(InMemory::new());
        let cache = LogCache::new(Arc::clone(&storage) as Arc<dyn ObjectStore>);
        cache.put(&path(), "ours.".into()).await.unwrap();
        let listed: Vec<_> = cache.list(None).collect().await;
        assert_eq!(listed.len(), 1);
        assert!(cache.files.get(ENTRY).is_some(), "it is the listed one");
        storage.put(&path(), "other".into()).await.unwrap();
        let _: Vec<_> = cache.list(None).collect().await;
        assert_eq!(read(&cache).await, "other");
    }

    #[test]
    fn only_files_that_never_change_are_cached() {
        for (name, is) in [
            (ENTRY, true),
            ("_delta_log/00000000000000000007.checkpoint.parquet", true),
            ("t/_delta_log/_last_checkpoint", false),
            ("t/_delta_log/00000000000000000007.json.tmp", false),
            ("t/event_date=2024-01-01/00000000000000000007.json", false),
            ("t/_delta_log/7.json", false),
        ] {
            assert_eq!(is_log_file(&Path::from(name)), is, "{name}");
        }
    }
}
