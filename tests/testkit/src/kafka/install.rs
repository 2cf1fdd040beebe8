//! Kafka's files in the test cache: the jars from Maven, a formatted but empty storage, and an archive of the loaded
//! classes. The last two are why a broker starts in about a second: formatting takes a JVM of its own, and loading
//! 6,000 classes from jars takes longer than everything else.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::config::Config;
use crate::{
    Error, Process, Result, WorkDir,
    binary::on_path,
    cache, maven,
    process::output,
    workdir::{self, read, write},
};

/// Lists the jars. Its text is the recipe of the cache folder, so that another version gets a new folder.
const POM: &str = include_str!("../../../kafka/pom.xml");
/// The class archive, created last.
const ARCHIVE: &str = "classes.jsa";
/// The cluster id of the template: every broker replaces it with its own.
const TEMPLATE_ID: &str = "xactTemplateClusterIdA";
/// Options for a quick start in little memory: no optimising compiler, the simplest collector.
const JVM: [&str; 4] = ["-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
/// Logs with timestamps, without the 300 settings at each start and the lines per partition at each change of leader, which
/// would fill the last lines that an error prints.
const LOGGING: [&str; 6] = [
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config=warn",
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.controller=warn",
    "-Dorg.slf4j.simpleLogger.log.state.change.logger=warn",
    "-Dorg.slf4j.simpleLogger.log.kafka.cluster.Partition=warn",
];

/// All settings of the broker are in its file.
const NO_ENV: [(&str, &str); 0] = [];

/// The folders of Kafka's files.
#[derive(Debug, Clone)]
pub struct Installation {
    java: PathBuf,
    folder: PathBuf,
}

/// Runs a broker of this installation with these options of its JVM, uses it a little, and stops it.
pub(super) type Train<'a> = dyn Fn(&Installation, &[String]) -> Result<()> + 'a;

/// Installs Kafka into the test cache, unless it is there: about 10 s for the jars and 10 s for the class archive, which the
/// JVM of the `train` run writes.
pub(super) fn install(train: &Train<'_>) -> Result<Installation> {
    let java = on_path("java").ok_or(Error::Missing {
        program: "java",
        remedy: "apt-get install openjdk-17-jre-headless (or any Java 17 or later)",
    })?;
    let version = version();
    // A class archive is valid only for the JVM that wrote it.
    let recipe = format!("{POM}\n{}", java.display());
    let make = |folder: &Path| {
        Installation {
            java: java.clone(),
            folder: folder.to_owned(),
        }
        .make(train)
    };
    let folder = cache::once(&format!("kafka-{version}"), &recipe, make)?;
    Ok(Installation { java, folder })
}

impl Installation {
    fn make(&self, train: &Train<'_>) -> Result<()> {
        maven::copy_jars(POM, &self.folder)?;
        self.make_template()?;
        self.make_archive(train)
    }

    fn make_template(&self) -> Result<()> {
        let config = Config {
            port: 9092,
            advertised_port: 9092,
            controller_port: 9093,
            cluster_id: TEMPLATE_ID.to_owned(),
            secured: None,
            session: Config::SESSION,
        };
        let properties = self.folder.join("template.properties");
        write(&properties, config.properties(&self.template()))?;
        let mut command = self.java();
        command
            .args(["kafka.tools.StorageTool", "format", "-t", TEMPLATE_ID, "-c"])
            .arg(properties);
        output(&mut command, "Kafka could not format a storage").map(drop)
    }

    /// Runs a broker once and creates a topic, so that those classes are loaded too. The JVM writes the archive of loaded classes
    /// when it stops.
    fn make_archive(&self, train: &Train<'_>) -> Result<()> {
        // The JVM writes the archive while it stops; it gets its final name when it is complete.
        let draft = self.folder.join("classes.part");
        train(self, &[format!("-XX:ArchiveClassesAtExit={}", draft.display())])?;
        fs::rename(&draft, self.folder.join(ARCHIVE)).map_err(Error::io("keep Kafka's class archive"))
    }

    /// Prepares `dir` for a broker: its settings, and an empty log with its own cluster id.
    pub(super) fn format(&self, dir: &WorkDir, config: &Config) -> Result<()> {
        let data = dir.join("data");
        workdir::copy(&self.template(), &data)?;
        let meta = data.join("meta.properties");
        let text = read(&meta)?.replace(TEMPLATE_ID, &config.cluster_id);
        write(&meta, text)?;
        configure(dir, config)
    }

    /// Runs Java's tool for keys and certificates.
    pub(super) fn keytool(&self) -> PathBuf {
        self.java.with_file_name("keytool")
    }

    /// Starts the broker of `dir`. It logs to `kafka.log` there.
    pub(super) fn broker(&self, dir: &WorkDir, jvm: &[String]) -> Result<Process> {
        let mut args: Vec<OsString> = [&JVM[..], &LOGGING[..]]
            .concat()
            .into_iter()
            .map(OsString::from)
            .collect();
        args.extend(self.class_args());
        args.extend(jvm.iter().map(OsString::from));
        args.extend(["kafka.Kafka".into(), "server.properties".into()]);
        Process::spawn("kafka", &self.java, args, NO_ENV, dir.path())
    }

    /// Runs the tool of class `class` and returns its stdout.
    pub(super) fn tool(&self, class: &str, bootstrap: &str, args: &[&str]) -> Result<String> {
        let mut command = self.java();
        // The tools print results to stdout; of their logs only errors matter.
        command.args([
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
            class,
            "--bootstrap-server",
            bootstrap,
        ]);
        output(command.args(args), &format!("{class} {}", args.join(" ")))
    }

    /// Returns the lines that describe the record batches of `topic` below `data`.
    pub(super) fn batches(&self, data: &Path, topic: &str) -> Result<Vec<String>> {
        let failed = || Error::io(format!("list {}", data.display()));
        let mut segments = Vec::new();
        for partition in fs::read_dir(data).map_err(failed())?.flatten() {
            let name = partition.file_name().to_string_lossy().into_owned();
            if name.rsplit_once('-').is_none_or(|(of, _)| of != topic) {
                continue;
            }
            for file in fs::read_dir(partition.path()).map_err(failed())?.flatten() {
                if file.path().extension().is_some_and(|extension| extension == "log") {
                    segments.push(file.path().display().to_string());
                }
            }
        }
        let mut command = self.java();
        command.args(["org.apache.kafka.tools.DumpLogSegments", "--files", &segments.join(",")]);
        let text = output(&mut command, "DumpLogSegments")?;
        let is_batch = |line: &&str| line.starts_with("baseOffset:");
        Ok(text.lines().filter(is_batch).map(str::to_owned).collect())
    }

    /// Returns a command that runs a JVM with Kafka's classes.
    fn java(&self) -> Command {
        let mut command = Command::new(&self.java);
        command.args(JVM).args(self.class_args());
        command
    }

    fn class_args(&self) -> Vec<OsString> {
        let mut jars = self.folder.join("lib").into_os_string();
        // The JVM expands the wildcard itself.
        jars.push("/*");
        let mut args = vec!["-cp".into(), jars];
        let archive = self.folder.join(ARCHIVE);
        if archive.is_file() {
            let mut flag = OsString::from("-XX:SharedArchiveFile=");
            flag.push(archive);
            // An archive of another JVM version is not an error and not worth a warning: the start is only slower.
            args.extend([
                flag,
                "-Xshare:auto".into(),
                "-Xlog:cds=off".into(),
                "-Xlog:cds+dynamic=off".into(),
            ]);
        }
        args
    }

    fn template(&self) -> PathBuf {
        self.folder.join("template")
    }
}

/// Writes the settings of the broker of `dir`, which take effect at its next start.
pub(super) fn configure(dir: &WorkDir, config: &Config) -> Result<()> {
    let properties = dir.join("server.properties");
    write(&properties, config.properties(&dir.join("data")))
}

/// Returns the Kafka version in the pom.
fn version() -> &'static str {
    let (_, rest) = POM.split_once("<kafka.version>").unwrap_or_default();
    rest.split('<').next().unwrap_or_default()
}
