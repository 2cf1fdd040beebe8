//! An object store whose commits fail on demand.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use deltalake::logstore::object_store::path::Path;
use deltalake::logstore::object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use futures::future::{BoxFuture, TryFutureExt, ready};
use futures::stream::{self, BoxStream, StreamExt};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::options;
use xact_lake::{StoreWrapper, TableOptions};

/// What happens to a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is stored, and the response is an error.
    Refused,
    /// It is stored, and the response is an error.
    ResponseLost,
    /// It is stored, and the response says that the version exists: so does a client that retries by itself.
    ConflictWithItself,
    /// The response is an error; it is stored just before the next commit arrives.
    Delayed,
    /// The response is an error; it is stored just after the writer looked it up and did not find it.
    CommittedAfterLookup,
    /// As [`Fault::CommittedAfterLookup`], and the first read of the log entry behind it fails.
    CommittedAfterLookupThenUnreadable,
    /// As [`Fault::ResponseLost`], and reading that commit fails once as well.
    ResponseLostAndUnreadable,
}

impl Fault {
    /// Faults after which the same call finds out what became of its commit.
    pub const RESOLVED: [Self; 5] = [
        Self::Refused,
        Self::ResponseLost,
        Self::ConflictWithItself,
        Self::Delayed,
        Self::CommittedAfterLookup,
    ];
}

/// What a storage does to the requests that it gets, and which these were.
#[derive(Default)]
pub struct Faults(Mutex<State>);

#[derive(Default)]
struct State {
    /// What happens to the next commits. `None`: it is forwarded.
    commits: VecDeque<Option<Fault>>,
    late: Option<(Path, PutPayload)>,
    after_look: Option<(Path, PutPayload)>,
    /// Runs before the next commit is forwarded: time for another writer.
    before_commit: Option<BoxFuture<'static, ()>>,
    /// Requests so far.
    requests: usize,
    dies_at: Option<usize>,
    at_request: Option<(usize, BoxFuture<'static, ()>)>,
    /// Data files written, one entry a file.
    writes: Vec<String>,
    unreadable: Option<Path>,
    /// Data files read from, one entry a request.
    reads: Vec<String>,
    bytes_read: u64,
}

impl Faults {
    pub fn new(faults: impl IntoIterator<Item = Fault>) -> Arc<Self> {
        let plan = Arc::<Self>::default();
        plan.lock().commits.extend(faults.into_iter().map(Some));
        plan
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub fn add(&self, fault: Fault) {
        self.after_commits(0, fault);
    }

    /// Forwards some commits before the fault.
    pub fn after_commits(&self, commits: usize, fault: Fault) {
        let commits = std::iter::repeat_n(None, commits).chain([Some(fault)]);
        self.lock().commits.extend(commits);
    }

    pub fn before_commit(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.lock().before_commit = Some(Box::pin(work));
    }

    /// Runs `work` before the request of this number (from 0) is forwarded: another writer at any point. The requests of all
    /// stores with these faults are counted together. Await the returned receiver, because the request may be cancelled. The
    /// test needs several threads, because some requests block one.
    pub fn at_request(&self, number: usize, work: impl Future<Output = ()> + Send + 'static) -> oneshot::Receiver<()> {
        let (done, answer) = oneshot::channel();
        let work = async move {
            work.await;
            let _ = done.send(());
        };
        // Not in the runtime of the request, which may be temporary; and a cancelled request must not end it.
        let runtime = Handle::current();
        let work = async move {
            let _ = runtime.spawn(work).await;
        };
        self.lock().at_request = Some((number, Box::pin(work)));
        answer
    }

    /// Returns whether the request of [`Faults::at_request`] has not been made yet.
    pub fn is_waiting(&self) -> bool {
        self.lock().at_request.is_some()
    }

    /// Fails all requests from this number on, as if the process had died.
    pub fn dies_at(&self, number: usize) {
        self.lock().dies_at = Some(number);
    }

    /// Returns whether a request has failed because of [`Faults::dies_at`].
    pub fn is_dead(&self) -> bool {
        let state = self.lock();
        state.dies_at.is_some_and(|number| state.requests > number)
    }

    async fn step(&self) -> Result<()> {
        let work = {
            let mut state = self.lock();
            let number = state.requests;
            state.requests += 1;
            state.at_request.take_if(|(at, _)| *at == number)
        };
        if let Some((_, work)) = work {
            work.await;
        }
        if self.is_dead() { Err(broken("dead")) } else { Ok(()) }
    }

    /// Returns the data files written since the last call.
    pub fn writes(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().writes)
    }

    /// Returns the data files read from since the last call.
    pub fn reads(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().reads)
    }

    /// Returns the bytes of data files read since the last call.
    pub fn bytes_read(&self) -> u64 {
        std::mem::take(&mut self.lock().bytes_read)
    }

    pub fn pending(&self) -> usize {
        self.lock().commits.len()
    }

    fn note_write(&self, path: &Path) {
        if is_data(path) {
            self.lock().writes.push(path.to_string());
        }
    }

    pub fn options(self: &Arc<Self>) -> TableOptions {
        let faults = Arc::clone(self);
        let wrapper: StoreWrapper = Arc::new(move |inner| {
            let faults = Arc::clone(&faults);
            Arc::new(FaultyStore { inner, faults })
        });
        TableOptions {
            store_wrapper: Some(wrapper),
            backoff: std::time::Duration::from_millis(1),
            ..options()
        }
    }
}

struct FaultyStore {
    inner: Arc<dyn ObjectStore>,
    faults: Arc<Faults>,
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "faulty {}", self.inner)
    }
}

impl fmt::Debug for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn broken(what: &'static str) -> Error {
    Error::Generic {
        store: "faulty",
        source: what.into(),
    }
}

/// Returns whether this is a commit after the first, which creates the table.
fn is_commit(path: &Path) -> bool {
    let name = path.filename().unwrap_or_default();
    path.as_ref().contains("_delta_log/") && name.ends_with(".json") && name != "00000000000000000000.json"
}

/// Returns the log entry of the next version.
fn next_entry(entry: &Path) -> Path {
    let text = entry.as_ref();
    let (folder, name) = text.rsplit_once('/').unwrap();
    let version: u64 = name.trim_end_matches(".json").parse().unwrap();
    Path::from(format!("{folder}/{:020}.json", version + 1))
}

fn is_data(path: &Path) -> bool {
    path.as_ref().ends_with(".parquet") && !path.as_ref().contains("_delta_log/")
}

impl FaultyStore {
    fn after_step(&self, listed: BoxStream<'static, Result<ObjectMeta>>) -> BoxStream<'static, Result<ObjectMeta>> {
        let faults = Arc::clone(&self.faults);
        let step = async move { faults.step().await.map(|()| listed) };
        step.try_flatten_stream().boxed()
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.faults.step().await?;
        if !is_commit(path) {
            self.faults.note_write(path);
            return self.inner.put_opts(path, payload, options).await;
        }
        let before = self.faults.lock().before_commit.take();
        if let Some(before) = before {
            before.await;
        }
        let late = self.faults.lock().late.take();
        if let Some((path, payload)) = late {
            self.inner.put_opts(&path, payload, options.clone()).await?;
        }
        let fault = self.faults.lock().commits.pop_front().flatten();
        match fault {
            None => self.inner.put_opts(path, payload, options).await,
            Some(Fault::Refused) => Err(broken("refused")),
            Some(Fault::Delayed) => {
                self.faults.lock().late = Some((path.clone(), payload));
                Err(broken("timed out"))
            }
            Some(fault @ (Fault::CommittedAfterLookup | Fault::CommittedAfterLookupThenUnreadable)) => {
                if fault == Fault::CommittedAfterLookupThenUnreadable {
                    self.faults.lock().unreadable = Some(next_entry(path));
                }
                self.faults.lock().after_look = Some((path.clone(), payload));
                Err(broken("timed out"))
            }
            Some(fault @ (Fault::ResponseLost | Fault::ResponseLostAndUnreadable)) => {
                self.inner.put_opts(path, payload, options).await?;
                if fault == Fault::ResponseLostAndUnreadable {
                    self.faults.lock().unreadable = Some(path.clone());
                }
                Err(broken("connection reset"))
            }
            Some(Fault::ConflictWithItself) => {
                self.inner.put_opts(path, payload, options).await?;
                Err(Error::AlreadyExists {
                    path: path.to_string(),
                    source: "409".into(),
                })
            }
        }
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.faults.step().await?;
        if self.faults.lock().unreadable.take_if(|it| it == path).is_some() {
            return Err(broken("connection reset"));
        }
        if is_data(path) {
            self.faults.lock().reads.push(path.to_string());
        }
        let looked = self.inner.get_opts(path, options).await;
        if let (true, Ok(found)) = (is_data(path), &looked) {
            let bytes = found.range.end - found.range.start;
            self.faults.lock().bytes_read += bytes;
        }
        let landing = self.faults.lock().after_look.take_if(|(late, _)| late == path);
        if let Some((path, payload)) = landing {
            self.inner.put_opts(&path, payload, PutOptions::default()).await?;
        }
        looked
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.faults.step().await?;
        self.faults.note_write(path);
        self.inner.put_multipart_opts(path, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        if self.faults.is_dead() {
            return stream::once(ready(Err(broken("dead")))).boxed();
        }
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.after_step(self.inner.list(prefix))
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.after_step(self.inner.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.faults.step().await?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.faults.step().await?;
        self.inner.copy_opts(from, to, options).await
    }
}
