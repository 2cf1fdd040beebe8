//! The real OpenTelemetry Collector with the configuration of the deployment, in front of a stand-in for Application Insights.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::bicep::Prediction;
use crate::error::failed;
use crate::process::output;
use crate::{Error, Process, Result, WorkDir, cache, http, http_server, keda, ports, wait_until};

const RECIPE: &str = include_str!("../../collector/builder.yaml");
const BUILDER: &str = "go.opentelemetry.io/collector/cmd/builder@v0.161.0";

/// Time within which the collector must be ready, on a busy machine too.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A running collector. Dropping it ends it.
#[derive(Debug)]
pub struct Collector {
    endpoint: String,
    received: Arc<Mutex<Vec<Value>>>,
    _process: Process,
    _dir: WorkDir,
}

impl Collector {
    /// Starts the collector that `deployment` deploys, and waits until it is ready.
    ///
    /// # Errors
    /// When Go is missing, the collector cannot be built, or it rejects its configuration.
    pub fn start(deployment: &Prediction) -> Result<Self> {
        let configuration = configuration(deployment)?;
        let program = install()?;
        let dir = WorkDir::new("collector")?;
        let received = Arc::new(Mutex::new(Vec::new()));
        let items = Arc::clone(&received);
        // https://learn.microsoft.com/azure/azure-monitor/app/app-insights-overview: one JSON object a line.
        let ingestion = http_server::start(move |request| {
            let lines: Vec<Value> = request
                .body
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok())
                .collect();
            let count = lines.len();
            items.lock().extend(lines);
            Some((
                "200 OK",
                json!({"itemsReceived": count, "itemsAccepted": count, "errors": []}),
            ))
        })?;
        let (port, health) = (ports::free()?, ports::free()?);
        let arguments = [
            "--config=env:COLLECTOR_CONFIGURATION".to_owned(),
            format!("--config=yaml:receivers::otlp::protocols::http::endpoint: 127.0.0.1:{port}"),
            format!("--config=yaml:extensions::health_check::endpoint: 127.0.0.1:{health}"),
            // Every span, at once.
            "--config=yaml:processors::probabilistic_sampler::sampling_percentage: 100".to_owned(),
        ];
        let connection = format!(
            "InstrumentationKey=00000000-0000-0000-0000-000000000001;IngestionEndpoint=http://127.0.0.1:{ingestion}/"
        );
        let variables = [
            ("COLLECTOR_CONFIGURATION", configuration.as_str()),
            ("APPLICATIONINSIGHTS_CONNECTION_STRING", &connection),
        ];
        let mut process = Process::spawn("collector", program, arguments, variables, dir.path())?;
        let address = format!("127.0.0.1:{health}");
        let is_ready = || http::get(&address, "/").is_ok_and(|(status, _)| status == 200);
        let waited = wait_until(START_TIMEOUT, "the collector is ready", || {
            (!process.is_running() || is_ready()).then_some(())
        });
        if waited.is_err() || !process.is_running() {
            return Err(process.error("it is not ready"));
        }
        Ok(Self {
            endpoint: format!("http://127.0.0.1:{port}"),
            received,
            _process: process,
            _dir: dir,
        })
    }

    /// Returns the value of `OTEL_EXPORTER_OTLP_ENDPOINT`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Returns what Application Insights has received: envelopes of
    /// <https://github.com/microsoft/ApplicationInsights-Home/tree/master/EndpointSpecs/Schemas>.
    #[must_use]
    pub fn received(&self) -> Vec<Value> {
        self.received.lock().clone()
    }
}

/// Returns the configuration of the container app.
fn configuration(deployment: &Prediction) -> Result<String> {
    let variables = deployment
        .of_type("Microsoft.App/containerApps")
        .filter_map(|app| app["properties"]["template"]["containers"][0]["env"].as_array())
        .flatten();
    let mut found = variables.filter(|variable| variable["name"] == "COLLECTOR_CONFIGURATION");
    let value = found.next().and_then(|variable| variable["value"].as_str());
    value
        .map(str::to_owned)
        .ok_or_else(|| failed("the collector's configuration", "bicep/ deploys no collector"))
}

/// Builds the collector into the test cache, unless it is there. The first build takes about three minutes.
///
/// # Errors
/// When Go is missing or the build fails.
pub fn install() -> Result<PathBuf> {
    let go = keda::go()?;
    let home = cache::dir()?.join("keda");
    fs::create_dir_all(&home).map_err(Error::io(format!("create {}", home.display())))?;
    let folder = cache::once("collector", &format!("{RECIPE}\n{BUILDER}\n{go}"), |folder| {
        let recipe = folder.join("builder.yaml");
        let output_path = format!("dist:\n  output_path: {}\n", folder.display());
        let text = RECIPE.replacen("dist:\n", &output_path, 1);
        fs::write(&recipe, text).map_err(Error::io(format!("write {}", recipe.display())))?;
        let mut build = Command::new("go");
        build.args(["run", BUILDER, "--ldflags=-s -w", "--config"]).arg(recipe);
        build.current_dir(folder);
        build.envs([("GOTOOLCHAIN", "local"), ("GOWORK", "off"), ("GOFLAGS", "-modcacherw")]);
        build
            .env("GOCACHE", home.join("build"))
            .env("GOMODCACHE", home.join("modules"));
        output(&mut build, "Go could not build the collector").map(drop)
    })?;
    Ok(folder.join("collector"))
}
