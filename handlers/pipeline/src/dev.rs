//! Development: everything that production has elsewhere, in this process or below one folder.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::cli::Run;
use attachment_source::{AttachmentSource, Options};
use xact_config::{Environment, Settings, VARIABLES};
use xact_contracts::topology::Topics;
use xact_kafka::admin::EmbeddedBroker;
use xact_runtime::process::Process;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Where development runs keep their files, below the working directory.
const FOLDER: &str = ".xact-dev";

/// File of settings in a run's folder.
const ENVIRONMENT: &str = "environment";

/// The parts that run beside the workers.
pub(crate) struct Dev {
    /// Lake, tables, cache, audit log.
    pub(crate) folder: PathBuf,
    broker: Option<EmbeddedBroker>,
    source: Option<AttachmentSource>,
}

impl Dev {
    /// Starts broker and sample server, and sets the variables that are not set.
    pub(crate) async fn prepare(options: &Run, environment: &mut Environment) -> Result<Self, Error> {
        let external = environment.get("LOCAL_KAFKA_BOOTSTRAP_SERVERS").map(str::to_owned);
        let folder = folder(options.dev_dir.as_deref(), external.as_deref())?;
        std::fs::create_dir_all(&folder).map_err(|error| {
            format!(
                "{} cannot be made: {error}; name another folder with --dev-dir",
                folder.display()
            )
        })?;
        environment.set("DEV_MODE", "true");
        let place = |name: &str| folder.join(name).display().to_string();
        for (variable, value) in [
            ("ONELAKE_BASE_PATH", place("lake/Files")),
            ("DELTA_EVENTS_TABLE_PATH", place("lake/Tables/xact_events")),
            ("DELTA_INVENTORY_TABLE_PATH", place("lake/Tables/xact_attachments")),
            ("DELTA_FAILED_TABLE_PATH", place("lake/Tables/xact_attachments_failed")),
            ("CACHE_DIR", place("cache")),
            ("AUDIT_LOG_PATH", place("audit.jsonl")),
            // Short waits: a person looks on.
            ("RETRY_DELAYS", "1,2,4,8".to_owned()),
            ("EVENT_BATCH_SECONDS", "1".to_owned()),
            ("RESULT_BATCH_SECONDS", "1".to_owned()),
            ("COMMIT_INTERVAL_MS", "200".to_owned()),
            ("KAFKA_SESSION_TIMEOUT_MS", "6000".to_owned()),
            ("JSON_LOGS", "false".to_owned()),
            // The demo's faults would tear its progress line apart; its table tells them all.
            (
                "LOG_LEVEL",
                if options.demo.is_some() { "ERROR" } else { "INFO" }.to_owned(),
            ),
        ] {
            environment.set_default(variable, value);
        }
        if environment.get("METRICS_PORT").is_none() && std::net::TcpListener::bind(("127.0.0.1", 8000)).is_err() {
            environment.set("METRICS_PORT", "0");
        }
        let source = sample_server(&folder, environment).await?;
        let broker = match external {
            Some(_) => None,
            None => Some(embedded_broker(environment)?),
        };
        write_environment(&folder.join(ENVIRONMENT), environment)?;
        Ok(Self { folder, broker, source })
    }

    /// Creates the topics on a broker of its own; the embedded one has them already.
    pub(crate) async fn create_topics(&self, settings: &Settings) -> Result<(), Error> {
        if self.broker.is_none() {
            xact_kafka::admin::topics::create(settings).await?;
        }
        Ok(())
    }

    /// Whether the broker forgets beyond its 5 MiB a partition, and with this process.
    pub(crate) const fn is_embedded(&self) -> bool {
        self.broker.is_some()
    }

    /// Tells where everything is and how to use it.
    #[allow(clippy::print_stdout)]
    pub(crate) fn print_places(&self, settings: &Settings, process: &Process) {
        let bootstrap = &settings.internal_cluster.bootstrap_servers;
        let topic = &settings.topics.raw;
        let kind = if self.is_embedded() {
            "embedded, gone with this process"
        } else {
            "yours"
        };
        println!("xact-pipeline runs in development mode.\n");
        println!("  broker           {bootstrap} ({kind})");
        println!("  files            {}", settings.onelake_base_path);
        println!("  xact_events      {}", settings.events_table);
        println!("  xact_attachments {}", settings.attachments_table);
        println!("  …_failed         {}", settings.failed_table);
        println!("  cache            {}", settings.cache_dir.display());
        if let Some(audit) = &settings.audit_log {
            println!("  audit log        {}", audit.display());
        }
        if let Some(source) = &self.source {
            println!(
                "  sample server    http://localhost:{} and https for {}",
                source.http_addr().port(),
                settings.allowed_hosts.join(", ")
            );
        }
        println!(
            "  health, metrics  http://{0}/health/ready  http://{0}/metrics\n",
            process.address
        );
        println!("Send an event:");
        println!("  LOCAL_KAFKA_BOOTSTRAP_SERVERS={bootstrap} cargo run -- produce event.json");
        println!("  kcat -b {bootstrap} -t {topic} -P -k test-001 event.json\n");
        println!("Other commands and workers, with the same settings (topics lag, --worker NAME):");
        println!("  set -a; . {}; set +a\n", self.folder.join(ENVIRONMENT).display());
        println!("Ctrl-C drains and stops; a second one stops at once.");
    }

    /// Stops what was started.
    pub(crate) async fn stop(self) {
        if let Some(source) = self.source {
            source.stop().await;
        }
    }
}

/// The settings of this run for other processes, as a shell reads them. Secrets are not in it.
fn write_environment(path: &Path, environment: &Environment) -> Result<(), Error> {
    let lines: String = environment
        .describe()
        .into_iter()
        // The port is this process's own.
        .filter(|(name, _)| *name != "METRICS_PORT" && !is_secret(name))
        .map(|(name, value)| format!("{name}='{}'\n", value.replace('\'', r"'\''")))
        .collect();
    std::fs::write(path, lines).map_err(|error| format!("{} cannot be written: {error}", path.display()).into())
}

fn is_secret(name: &str) -> bool {
    VARIABLES
        .iter()
        .any(|variable| variable.name == name && variable.is_secret())
}

/// One folder a run on an embedded broker, for the tables remember positions that no new broker has; one a broker else.
fn folder(chosen: Option<&Path>, broker: Option<&str>) -> Result<PathBuf, Error> {
    if let Some(chosen) = chosen {
        return Ok(std::path::absolute(chosen)?);
    }
    let name = match broker {
        None => Timestamp::now().strftime("run-%Y%m%d-%H%M%S").to_string(),
        Some(broker) => broker.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-"),
    };
    Ok(std::env::current_dir()?.join(FOLDER).join(name))
}

/// Answers for every allowed host, so that development never leaves the machine; none if DEV_RESOLVE names another.
async fn sample_server(folder: &Path, environment: &mut Environment) -> Result<Option<AttachmentSource>, Error> {
    if environment.get("DEV_RESOLVE").is_some() {
        return Ok(None);
    }
    let hosts = Settings::from_environment(environment)?.allowed_hosts;
    let source = AttachmentSource::start(Options {
        https_hosts: hosts.clone(),
        ..Options::default()
    })
    .await?;
    let ca_file = folder.join("sample-ca.pem");
    std::fs::write(&ca_file, source.ca_pem())
        .map_err(|error| format!("{} cannot be written: {error}", ca_file.display()))?;
    let address = source.https_addr();
    let resolve: Vec<String> = hosts.iter().map(|host| format!("{host}={address}")).collect();
    environment.set("DEV_RESOLVE", resolve.join(","));
    environment.set("DEV_CA_FILE", ca_file.display().to_string());
    Ok(Some(source))
}

fn embedded_broker(environment: &mut Environment) -> Result<EmbeddedBroker, Error> {
    let topics: Topics = Settings::from_environment(environment)?.topics;
    let broker = EmbeddedBroker::start(&topics)?;
    environment.set("LOCAL_KAFKA_BOOTSTRAP_SERVERS", broker.bootstrap_servers());
    // The embedded broker answers a fetch only when its wait is over.
    environment.set_default("KAFKA_FETCH_WAIT_MS", "10");
    Ok(broker)
}
