//! Handlers as processes of their own, with topics, groups, cache and lake of their own: several fleets share a broker
//! and do not see each other.

use std::collections::BTreeMap;
use std::ops::{Index, IndexMut};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::command::wait_no_lag_of;
use crate::pipeline::{audit_lines, files_below, read_tables};
use crate::samples::SampleServer;
use crate::stages::{STAGES, environment};
use crate::{Result, WorkDir, tables};
use crate::{Running, Variables, command, failed, kcat, variables};

/// The processes, and all that they share.
pub struct Fleet {
    // Dropped from top to bottom: the processes before what they use.
    handlers: BTreeMap<String, Running>,
    /// Where attachments come from.
    pub samples: SampleServer,
    /// What every process is started with.
    pub environment: Variables,
    /// `host:port` of the broker.
    pub broker: String,
    name: String,
    /// Everything that is written.
    pub dir: WorkDir,
}

impl Fleet {
    /// Without processes and topics yet. `settings` come on top of [`environment`].
    ///
    /// # Errors
    /// When the sample server does not start.
    pub fn new(broker: &str, name: &str, settings: &[(&str, &str)]) -> Result<Self> {
        let dir = WorkDir::new(name)?;
        let samples = SampleServer::start(&dir)?;
        let mut all = environment(broker, &samples, &dir);
        all.extend(variables(&[
            ("EVENTHUB_EVENTS_TOPIC", format!("{name}.events.raw")),
            ("EVENTHUB_CONSUMER_GROUP", format!("{name}-event-ingester")),
            ("KAFKA_DOWNLOADS_PENDING_TOPIC", format!("{name}.downloads.pending")),
            ("KAFKA_DOWNLOADS_CACHED_TOPIC", format!("{name}.downloads.cached")),
            ("KAFKA_DOWNLOADS_RESULTS_TOPIC", format!("{name}.downloads.results")),
            ("KAFKA_DLQ_TOPIC", format!("{name}.downloads.dlq")),
            ("KAFKA_CONSUMER_GROUP_PREFIX", name.to_owned()),
        ]));
        // The last one of a name counts.
        all.extend(variables(settings));
        Ok(Self {
            handlers: BTreeMap::new(),
            samples,
            environment: all,
            broker: broker.to_owned(),
            name: name.to_owned(),
            dir,
        })
    }

    /// With its topics and one process of every stage, all of them ready.
    ///
    /// # Errors
    /// When a process does not get ready.
    pub fn whole(broker: &str, name: &str, settings: &[(&str, &str)]) -> Result<Self> {
        let mut fleet = Self::new(broker, name, settings)?;
        fleet.create_topics()?;
        fleet.start(&STAGES.map(|(stage, _, _)| stage))?;
        Ok(fleet)
    }

    /// Creates all topics, as the product does.
    ///
    /// # Errors
    /// When it cannot.
    pub fn create_topics(&self) -> Result<()> {
        command(&["topics", "create"], self.environment.clone(), &self.dir)?
            .success()
            .map(drop)
    }

    /// Starts a process of each of these stages, or starts it again, and waits until all are ready.
    ///
    /// # Errors
    /// When one does not get ready.
    pub fn start(&mut self, stages: &[&str]) -> Result<()> {
        for stage in stages {
            self.spawn(stage, stage, &[])?;
        }
        for stage in stages {
            self[stage].wait_ready()?;
        }
        Ok(())
    }

    /// Starts a process of a stage under a name of its own and does not wait. One of that name is killed first.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&mut self, name: &str, stage: &str, settings: &[(&str, &str)]) -> Result<()> {
        drop(self.handlers.remove(name));
        let mut environment = self.environment.clone();
        environment.extend(variables(settings));
        let running = Running::start(name, stage, &[], environment, &self.dir)?;
        self.handlers.insert(name.to_owned(), running);
        Ok(())
    }

    /// Stops processes as an autoscaler does, with SIGTERM, and waits until all have drained, committed and left their
    /// groups.
    ///
    /// # Errors
    /// When one does not end well within `limit`.
    pub fn stop(&mut self, names: &[&str], limit: Duration) -> Result<()> {
        for name in names {
            self[name].process.terminate()?;
        }
        for name in names {
            let status = self[name].process.wait(limit)?;
            if !status.success() {
                return Err(self[name].process.error(&format!("did not end well ({status})")));
            }
            drop(self.handlers.remove(*name));
        }
        Ok(())
    }

    /// Takes in a process that was started otherwise, under its own name.
    pub fn adopt(&mut self, running: Running) {
        self.handlers.insert(running.process.name().to_owned(), running);
    }

    /// All processes by name.
    #[must_use]
    pub const fn handlers(&self) -> &BTreeMap<String, Running> {
        &self.handlers
    }

    /// Its topic: `raw`, or what comes after `xact.downloads.` in the specification's names.
    #[must_use]
    pub fn topic(&self, topic: &str) -> String {
        match topic {
            "raw" => format!("{}.events.raw", self.name),
            other => format!("{}.downloads.{other}", self.name),
        }
    }

    /// Its consumer group of a stage: what comes after `xact-` in the specification's names.
    #[must_use]
    pub fn group(&self, group: &str) -> String {
        format!("{}-{group}", self.name)
    }

    /// Sends one record to one of its topics.
    ///
    /// # Errors
    /// When kcat fails.
    pub fn send(&self, topic: &str, key: &str, value: &[u8]) -> Result<()> {
        kcat::produce(&self.broker, &self.topic(topic), key, value)
    }

    /// All records of one of its topics.
    ///
    /// # Errors
    /// When kcat fails.
    pub fn records(&self, topic: &str) -> Result<Vec<kcat::Record>> {
        kcat::consume(&self.broker, &self.topic(topic))
    }

    /// The messages of one of its topics.
    ///
    /// # Errors
    /// When one is no JSON.
    pub fn messages(&self, topic: &str) -> Result<Vec<Value>> {
        let records = self.records(topic)?;
        records
            .iter()
            .map(|record| {
                serde_json::from_slice(&record.value)
                    .map_err(|error| failed(error.to_string(), String::from_utf8_lossy(&record.value)))
            })
            .collect()
    }

    /// Waits until none of its groups has lag.
    ///
    /// # Errors
    /// When one still has after `limit`.
    pub fn wait_no_lag(&self, limit: Duration) -> Result<()> {
        wait_no_lag_of(limit, &self.environment, &self.dir)
    }

    /// What its tables hold, by Python's readers, which refuse a key that is there twice.
    ///
    /// # Errors
    /// When a reader refuses.
    pub fn tables(&self) -> Result<tables::Tables> {
        read_tables(&self.dir.join("tables"))
    }

    /// The root of its files in the lake.
    #[must_use]
    pub fn files(&self) -> PathBuf {
        self.dir.join("files")
    }

    /// Files that are in its cache now.
    #[must_use]
    pub fn cached(&self) -> Vec<PathBuf> {
        files_below(&self.dir.join("cache"))
    }

    /// The lines of its audit log.
    ///
    /// # Errors
    /// When a line is no JSON.
    pub fn audit(&self) -> Result<Vec<Value>> {
        audit_lines(&self.dir.join("audit.jsonl"))
    }
}

/// The process of a name. Panics when none was started.
impl Index<&str> for Fleet {
    type Output = Running;

    fn index(&self, name: &str) -> &Running {
        &self.handlers[name]
    }
}

impl IndexMut<&str> for Fleet {
    fn index_mut(&mut self, name: &str) -> &mut Running {
        match self.handlers.get_mut(name) {
            Some(running) => running,
            None => panic!("{name} was not started"),
        }
    }
}
