//! The OneLake emulator, which adds a latency to each request, and clients of it.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::onelake::raw::Raw;
use onelake_emulator::{AUTHORITY_FILE, AcceptedToken, Certificate, Item, OneLake, Options};
use xact_identity::{Fetched, Identity, IdentityError, TokenSource};
use xact_lake::{Connection, Location};
use xact_testkit::{Result, WorkDir, context};

const WORKSPACE: &str = "claims";
const ITEM: &str = "Lake.Lakehouse";
const TOKEN: &str = "token-of-the-benchmark";

/// A running emulator. It serves until the process ends; its data is removed with `dir`.
pub(crate) struct Emulator {
    pub(crate) server: OneLake,
    pub(crate) dir: WorkDir,
    /// Text for the report.
    pub(crate) latency: String,
}

impl Emulator {
    pub(crate) fn start(latency: Duration) -> Result<Self> {
        let dir = WorkDir::new("bench-onelake")?;
        let (tls, _) =
            Certificate::in_folder(dir.path(), &["127.0.0.1".to_owned()]).map_err(context("a certificate"))?;
        let options = Options {
            items: vec![Item::new(WORKSPACE, ITEM)],
            tls: Some(tls),
            tokens: vec![AcceptedToken {
                token: TOKEN.to_owned(),
                principal: "benchmark".to_owned(),
                expires_at: None,
            }],
            latency,
            ..Options::new(dir.join("data"))
        };
        Ok(Self {
            server: serve(options)?,
            dir,
            latency: format!("{} ms a request", latency.as_millis()),
        })
    }

    pub(crate) fn location(&self, path: &str) -> Result<Location> {
        let text = format!("abfss://{WORKSPACE}@{}/{ITEM}/{path}", self.server.addr());
        Location::parse(&text).map_err(context("the location"))
    }

    /// Returns a connection with its own connection pool, as in a process of its own.
    pub(crate) fn connection(&self, location: &Location) -> Result<Connection> {
        let identity = || Ok(Identity::from_source("the benchmark", Arc::new(FixedToken)));
        Connection::to(location, identity, Some(&self.authority())).map_err(context("a connection"))
    }

    pub(crate) fn raw(&self) -> Result<Raw> {
        Raw::new(
            &format!("{}/{WORKSPACE}/{ITEM}", self.server.url()),
            TOKEN,
            &self.authority(),
        )
    }

    /// Deletes a folder of the item, so that the disk holds the files of one round at most.
    pub(crate) fn delete(&self, folder: &str) -> Result<()> {
        fs::remove_dir_all(self.folder(folder)).map_err(context("cannot delete the files of a round"))
    }

    /// Returns where the files of a folder of the item are on this machine.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        self.dir.join("data").join(WORKSPACE).join(ITEM).join(name)
    }

    fn authority(&self) -> PathBuf {
        self.dir.join(AUTHORITY_FILE)
    }
}

/// Runs the emulator on its own runtime in its own thread.
fn serve(options: Options) -> Result<OneLake> {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => return drop(sender.send(Err(error.to_string()))),
        };
        runtime.block_on(async {
            let started = OneLake::start(options).await.map_err(|error| error.to_string());
            if sender.send(started).is_ok() {
                std::future::pending::<()>().await;
            }
        });
    });
    let started = receiver.recv().map_err(context("the OneLake emulator"))?;
    started.map_err(context("the OneLake emulator"))
}

/// A token source that always returns the same token.
struct FixedToken;

#[async_trait::async_trait]
impl TokenSource for FixedToken {
    async fn fetch(&self, _: &str) -> std::result::Result<Fetched, IdentityError> {
        Ok(Fetched {
            secret: TOKEN.into(),
            expires_at: SystemTime::now() + Duration::from_secs(24 * 3600),
        })
    }
}
