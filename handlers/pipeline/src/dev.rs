//! The development mode: broker, sample server, lake and cache in this process and below one folder.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::cli::Run;
use crate::console::{Console, ConsoleError, DEFAULT_ADDRESS};
use crate::outcome::CommandError;
use crate::ui;
use attachment_source::{AttachmentSource, Options};
use xact_config::{Environment, Settings, VARIABLES};
use xact_contracts::topology::Topics;
use xact_kafka::admin::EmbeddedBroker;
use xact_runtime::process::Process;

/// The folder of all development runs, below the working directory.
const FOLDER: &str = ".xact-dev";

/// The file of settings in the folder of a run.
const ENVIRONMENT: &str = "environment";

/// What runs in addition to the workers.
pub(crate) struct Dev {
    /// The folder of lake, tables, cache and audit log.
    pub(crate) folder: PathBuf,
    broker: Option<EmbeddedBroker>,
    source: Option<AttachmentSource>,
}

impl Dev {
    /// Starts broker and sample server, and sets the variables that are not set.
    pub(crate) async fn prepare(options: &Run, environment: &mut Environment) -> Result<Self, CommandError> {
        let external = environment.get("LOCAL_KAFKA_BOOTSTRAP_SERVERS").map(str::to_owned);
        let folder = folder(options.dev_dir.as_deref(), external.as_deref())?;
        std::fs::create_dir_all(&folder).map_err(|error| {
            format!(
                "{} cannot be created: {error}; choose another folder with --dev-dir",
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
            (
                "DELTA_RECONCILIATION_TABLE_PATH",
                place("lake/Tables/xact_reconciliation"),
            ),
            ("CACHE_DIR", place("cache")),
            ("AUDIT_LOG_PATH", place("audit.jsonl")),
            // Short waits, for interactive use.
            ("RETRY_DELAYS", "1,2,4,8".to_owned()),
            ("EVENT_BATCH_SECONDS", "1".to_owned()),
            ("RESULT_BATCH_SECONDS", "1".to_owned()),
            ("COMMIT_INTERVAL_MS", "200".to_owned()),
            ("KAFKA_SESSION_TIMEOUT_MS", "6000".to_owned()),
            ("JSON_LOGS", "false".to_owned()),
            // The faults of the demo would break its progress line; its table has them all.
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

    /// Creates the topics on an external broker; the embedded one has them already.
    pub(crate) async fn create_topics(&self, settings: &Settings) -> Result<(), CommandError> {
        if self.broker.is_none() {
            xact_kafka::admin::topics::create(settings).await?;
        }
        Ok(())
    }

    /// Returns whether the broker is embedded: it keeps 5 MiB of a partition, and ends with this process.
    pub(crate) const fn is_embedded(&self) -> bool {
        self.broker.is_some()
    }

    /// Opens the console of a process, on any port if the usual one is taken.
    pub(crate) async fn console(
        &self,
        settings: &Settings,
        environment: &Environment,
        process: &Process,
    ) -> Result<Console, CommandError> {
        // METRICS_PORT may be 0.
        let mut settings = settings.clone();
        settings.metrics_address = process.address;
        let usual = Console::open(&settings, environment, DEFAULT_ADDRESS.parse()?).await;
        match usual {
            Err(ConsoleError::Port(..)) => Ok(Console::open(&settings, environment, ([127, 0, 0, 1], 0).into()).await?),
            usual => Ok(usual?),
        }
    }

    /// Prints where everything is and how to use it.
    pub(crate) fn print_places(&self, settings: &Settings, process: &Process, console: &str) {
        let bootstrap = &settings.internal_cluster.bootstrap_servers;
        let topic = &settings.topics.raw;
        let kind = if self.is_embedded() {
            "embedded, ends with this process"
        } else {
            "external"
        };
        ui::line("xact-pipeline runs in development mode.\n");
        ui::line(format_args!("  console          {console}"));
        ui::line(format_args!("  broker           {bootstrap} ({kind})"));
        ui::line(format_args!("  files            {}", settings.onelake_base_path));
        ui::line(format_args!("  xact_events      {}", settings.events_table));
        ui::line(format_args!("  xact_attachments {}", settings.attachments_table));
        ui::line(format_args!("  …_failed         {}", settings.failed_table));
        ui::line(format_args!("  cache            {}", settings.cache_dir.display()));
        if let Some(audit) = &settings.audit_log {
            ui::line(format_args!("  audit log        {}", audit.display()));
        }
        if let Some(source) = &self.source {
            ui::line(format_args!(
                "  sample server    http://localhost:{} and https for {}",
                source.http_addr().port(),
                settings.allowed_hosts.join(", ")
            ));
        }
        ui::line(format_args!(
            "  health, metrics  http://{0}/health/ready  http://{0}/metrics\n",
            process.address
        ));
        ui::line("Send an event:");
        ui::line(format_args!(
            "  LOCAL_KAFKA_BOOTSTRAP_SERVERS={bootstrap} cargo run -- produce event.json"
        ));
        ui::line(format_args!(
            "  kcat -b {bootstrap} -t {topic} -P -k test-001 event.json\n"
        ));
        ui::line("Other commands and workers, with the same settings (topics lag, --worker NAME):");
        ui::line(format_args!(
            "  set -a; . {}; set +a\n",
            self.folder.join(ENVIRONMENT).display()
        ));
        ui::line("Ctrl-C drains and stops; a second one stops at once.");
    }

    /// Stops the sample server.
    pub(crate) async fn stop(self) {
        if let Some(source) = self.source {
            source.stop().await;
        }
    }
}

/// Writes the settings of this run as a shell reads them, for other processes. Secrets are left out.
fn write_environment(path: &Path, environment: &Environment) -> Result<(), CommandError> {
    let lines: String = environment
        .describe()
        .into_iter()
        // The port belongs to this process.
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

/// Returns the folder of a run: a new one with an embedded broker, since the tables keep positions that a new broker does not
/// have; else one for each broker.
fn folder(chosen: Option<&Path>, broker: Option<&str>) -> Result<PathBuf, CommandError> {
    if let Some(chosen) = chosen {
        return Ok(std::path::absolute(chosen)?);
    }
    let name = match broker {
        None => Timestamp::now().strftime("run-%Y%m%d-%H%M%S").to_string(),
        Some(broker) => broker.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-"),
    };
    Ok(std::env::current_dir()?.join(FOLDER).join(name))
}

/// Starts the sample server, which serves every allowed host, so that development stays on this machine; `None` if DEV_RESOLVE
/// names another.
async fn sample_server(folder: &Path, environment: &mut Environment) -> Result<Option<AttachmentSource>, CommandError> {
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

fn embedded_broker(environment: &mut Environment) -> Result<EmbeddedBroker, CommandError> {
    let topics: Topics = Settings::from_environment(environment)?.topics;
    let broker = EmbeddedBroker::start(&topics)?;
    environment.set("LOCAL_KAFKA_BOOTSTRAP_SERVERS", broker.bootstrap_servers());
    // The embedded broker answers a fetch only after the full wait.
    environment.set_default("KAFKA_FETCH_WAIT_MS", "10");
    Ok(broker)
}
