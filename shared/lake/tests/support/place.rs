//! Locations of tables in tests: a local folder, or, with `XACT_TEST_LAKE=onelake`, the OneLake emulator, so that the tests
//! run with both. The emulator stores plain files, which a test can damage directly.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use onelake_emulator::{AUTHORITY_FILE, AcceptedToken, Certificate, Item, OneLake, Options};
use xact_identity::{Fetched, Identity, IdentityError, TokenSource};
use xact_lake::{Connection, Location, TableOptions};

pub const WORKSPACE: &str = "claims";
pub const ITEM: &str = "Lake.Lakehouse";
const TOKEN: &str = "token-of-the-tests";

/// The emulator of this test program. It has its own runtime, because the runtime of a test ends with the test.
pub struct Emulator {
    pub server: OneLake,
    pub root: PathBuf,
    ca_file: PathBuf,
}

pub static EMULATOR: LazyLock<Emulator> = LazyLock::new(start_emulator);

/// An emulator for one test, which counts its requests.
pub fn start_emulator() -> Emulator {
    let root = tempfile::tempdir().unwrap().keep();
    let (tls, _) = Certificate::in_folder(&root, &["127.0.0.1".to_owned()]).unwrap();
    let options = Options {
        items: vec![Item::new(WORKSPACE, ITEM)],
        tls: Some(tls),
        tokens: vec![AcceptedToken {
            token: TOKEN.to_owned(),
            principal: "tests".to_owned(),
            expires_at: None,
        }],
        ..Options::new(root.join("data"))
    };
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            sender.send(OneLake::start(options).await.unwrap()).unwrap();
            std::future::pending::<()>().await;
        });
    });
    let server = receiver.recv().unwrap();
    let ca_file = root.join(AUTHORITY_FILE);
    Emulator { server, root, ca_file }
}

impl Emulator {
    /// Returns a connection with its own identity.
    pub fn connection(&self, location: &Location) -> Connection {
        let identity = || Ok(Identity::from_source("a test", Arc::new(Fixed)));
        Connection::to(location, identity, Some(&self.ca_file)).unwrap()
    }

    /// Returns where the files of a workspace are on this machine.
    pub fn data(&self, workspace: &str) -> PathBuf {
        self.root.join("data").join(workspace)
    }

    pub fn location(&self, path: &str) -> Location {
        let host = self.server.addr();
        Location::parse(&format!("abfss://{WORKSPACE}@{host}/{ITEM}/{path}")).unwrap()
    }
}

/// The source of an identity that always has [`TOKEN`].
struct Fixed;

#[async_trait::async_trait]
impl TokenSource for Fixed {
    async fn fetch(&self, _: &str) -> Result<Fetched, IdentityError> {
        Ok(Fetched {
            secret: TOKEN.into(),
            expires_at: SystemTime::now() + Duration::from_secs(3600),
        })
    }
}

pub fn is_on_one_lake() -> bool {
    std::env::var("XACT_TEST_LAKE").is_ok_and(|lake| lake == "onelake")
}

/// Returns a folder for one test's table; it is deleted when the first part of the pair is dropped.
pub fn folder() -> (tempfile::TempDir, Location) {
    if is_on_one_lake() {
        let tables = EMULATOR.data(WORKSPACE).join(ITEM).join("Tables");
        let folder = tempfile::Builder::new().prefix("t").tempdir_in(tables).unwrap();
        let name = folder.path().file_name().unwrap().to_str().unwrap();
        let location = EMULATOR.location(&format!("Tables/{name}/table"));
        return (folder, location);
    }
    let folder = tempfile::tempdir().unwrap();
    let location = local_location(&folder.path().join("table"));
    (folder, location)
}

/// Returns the options of production, with the connection to the location.
pub fn options() -> TableOptions {
    let mut options = TableOptions::default();
    if is_on_one_lake() {
        options.connection = EMULATOR.connection(&EMULATOR.location("Tables"));
    }
    options
}

pub fn local_location(path: &Path) -> Location {
    Location::parse(path.to_str().unwrap()).unwrap()
}

/// Returns where the table's files are on this machine.
pub fn local(location: &Location) -> PathBuf {
    match location {
        Location::Local(path) => path.clone(),
        Location::OneLake { workspace, path, .. } => EMULATOR.data(workspace).join(path),
    }
}
