//! A real Apache Kafka for one test: broker and controller in one JVM, a child process with its own directory.
//!
//! It is not a mock: what the tests prove (no acknowledged record is lost, no row is duplicated, whichever process is killed)
//! depends on how a real broker keeps its log, evicts a dead member and recovers after SIGKILL.

mod config;
mod damage;
mod event_hubs;
mod install;
mod probe;
mod proxy;
mod secured;
mod tools;

use std::{env, process::ExitStatus, sync::OnceLock, time::Duration};

use crate::{Error, Process, Result, WorkDir, context, failed, wait_until};
pub use damage::Damage;
pub use install::Installation;
pub use proxy::Proxy;

/// Time within which a broker must respond. It takes about one second, several on a busy machine.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// Time within which a clean stop must finish.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// A broker. Dropping it kills it, and removes its data unless the test is panicking.
#[derive(Debug)]
pub struct Kafka {
    bootstrap: String,
    /// `None`: the external broker that `KAFKA_BOOTSTRAP_SERVERS` names, which tests must not kill.
    own: Option<Own>,
}

/// A broker that this test started. The fields are dropped from top to bottom: the process before its directory.
#[derive(Debug)]
struct Own {
    process: Process,
    install: Installation,
    config: config::Config,
    dir: WorkDir,
}

impl Kafka {
    /// Starts a broker without topics and waits until it responds. The first call on a machine fetches the jars and
    /// creates the class archive (about 20 s).
    ///
    /// If `KAFKA_BOOTSTRAP_SERVERS` is set, that broker is used instead; it must be reachable without TLS or SASL.
    pub fn start() -> Result<Kafka> {
        match env::var("KAFKA_BOOTSTRAP_SERVERS") {
            Ok(bootstrap) if !bootstrap.trim().is_empty() => Kafka::external(bootstrap.trim()),
            _ => Kafka::start_own(install()?, &[]),
        }
    }

    /// Starts a broker behind a proxy that can drop acknowledgements; all clients connect through the proxy.
    pub fn start_behind_proxy() -> Result<(Kafka, Proxy)> {
        let mut config = config::Config::new()?;
        let proxy = Proxy::start(config.port)?;
        config.advertised_port = proxy.port();
        let kafka = Kafka::start_in(WorkDir::new("kafka")?, config, install()?, &[])?;
        Ok((kafka, proxy))
    }

    /// Starts a proxy for one client, which counts the bytes that the client receives. Not for an external broker.
    pub fn proxy(&self) -> Result<Proxy> {
        let own = self.own.as_ref();
        let own = own.ok_or_else(|| external("lead a client through a proxy to", &self.bootstrap))?;
        Proxy::start_renaming(own.config.port)
    }

    /// Returns the number of brokers in the cluster metadata.
    pub fn brokers(&self) -> Result<i32> {
        let cluster = probe::cluster(&self.bootstrap).map_err(Error::io(format!("ask {}", self.bootstrap)))?;
        Ok(cluster.brokers)
    }

    /// Makes the record batch that contains an offset unreadable. Only between [`Kafka::stop`] and [`Kafka::restart`].
    pub fn damage(&mut self, topic: &str, partition: u32, offset: i64, kind: Damage) -> Result<()> {
        let data = self.own("damage the log of")?.dir.join("data");
        damage::damage(&data.join(format!("{topic}-{partition}")), offset, kind)
    }

    /// From the next [`Kafka::restart`] on, delays the heartbeats of the broker so that its registration with the controller
    /// expires 4 s after each heartbeat and is renewed by the next one, 6 s later; or stops doing so. In between the broker
    /// responds, but its cluster metadata is empty.
    pub fn set_flapping(&mut self, is_flapping: bool) -> Result<()> {
        let own = self.own("configure")?;
        own.config.session = if is_flapping {
            (4_000, 10_000)
        } else {
            config::Config::SESSION
        };
        install::configure(&own.dir, &own.config)
    }

    /// Returns a broker that the tests of this process share. It is stopped when the process ends.
    pub fn shared() -> Result<&'static Kafka> {
        static SHARED: OnceLock<Result<Kafka>> = OnceLock::new();
        let shared = SHARED.get_or_init(Kafka::start);
        shared.as_ref().map_err(context("the shared broker did not start"))
    }

    /// Returns the address for clients, `127.0.0.1:PORT`. A restart does not change it.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Kills the broker (SIGKILL).
    pub fn kill(&mut self) -> Result<()> {
        self.own("kill")?.process.kill()
    }

    /// Stops the broker (SIGTERM) and waits until it has exited.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        let process = &mut self.own("stop")?.process;
        process.terminate()?;
        process.wait(STOP_TIMEOUT)
    }

    /// Restarts the broker with its data on the same port and waits until it responds. A running one is killed first.
    pub fn restart(&mut self) -> Result<()> {
        let own = self.own("restart")?;
        own.process.kill()?;
        own.process = own.install.broker(&own.dir, &own.config.jvm())?;
        own.wait_ready()
    }

    /// Freezes the broker (SIGSTOP): connections stay open but do not respond.
    pub fn pause(&mut self) -> Result<()> {
        self.own("pause")?.process.pause()
    }

    /// Resumes a frozen broker (SIGCONT).
    pub fn resume(&mut self) -> Result<()> {
        self.own("resume")?.process.resume()
    }

    /// Returns the end of the broker's log, for an error message; empty for an external broker.
    pub fn tail(&self) -> String {
        self.own.as_ref().map(|own| own.process.tail()).unwrap_or_default()
    }

    fn external(bootstrap: &str) -> Result<Kafka> {
        let first = bootstrap.split(',').next().unwrap_or(bootstrap);
        let answered = wait_until(
            READY_TIMEOUT,
            &format!("the Kafka at {first} (KAFKA_BOOTSTRAP_SERVERS) answers"),
            || probe::cluster(first).ok().filter(|cluster| cluster.brokers > 0),
        );
        answered.map(|_| Kafka {
            bootstrap: bootstrap.to_owned(),
            own: None,
        })
    }

    /// Starts a broker with `jvm` as further options of its JVM.
    fn start_own(install: Installation, jvm: &[String]) -> Result<Kafka> {
        Kafka::start_in(WorkDir::new("kafka")?, config::Config::new()?, install, jvm)
    }

    fn start_in(dir: WorkDir, config: config::Config, install: Installation, jvm: &[String]) -> Result<Kafka> {
        install.format(&dir, &config)?;
        let process = install.broker(&dir, &[jvm, &config.jvm()].concat())?;
        let bootstrap = format!("127.0.0.1:{}", config.advertised_port);
        let mut own = Own {
            process,
            install,
            config,
            dir,
        };
        own.wait_ready()?;
        Ok(Kafka {
            bootstrap,
            own: Some(own),
        })
    }

    fn own(&mut self, what: &'static str) -> Result<&mut Own> {
        self.own.as_mut().ok_or_else(|| external(what, &self.bootstrap))
    }
}

/// Returns the error of an operation that requires a broker of the test itself.
fn external(what: &'static str, bootstrap: &str) -> Error {
    Error::External {
        what,
        bootstrap: bootstrap.to_owned(),
    }
}

impl Own {
    /// Waits until this broker responds and accepts requests. Another broker on that port would respond as well; the cluster id
    /// distinguishes it.
    fn wait_ready(&mut self) -> Result<()> {
        let addr = format!("127.0.0.1:{}", self.config.port);
        let mut last = String::from("it did not answer");
        let ready = wait_until(READY_TIMEOUT, &format!("Kafka answers at {addr}"), || {
            if !self.process.is_running() {
                return Some(Err(self.process.error("ended before it was ready")));
            }
            match probe::cluster(&addr) {
                Ok(cluster) if cluster.id != self.config.cluster_id => {
                    let other = format!(
                        "cluster {} answers at {addr}, ours is {}",
                        cluster.id, self.config.cluster_id
                    );
                    Some(Err(failed("another Kafka listens on the port", other)))
                }
                // Until the controller has registered the broker, its list of brokers is empty.
                Ok(cluster) if cluster.brokers == 0 => {
                    "it is not let in by its controller".clone_into(&mut last);
                    None
                }
                Ok(_) => Some(Ok(())),
                Err(error) => {
                    last = error.to_string();
                    None
                }
            }
        });
        ready.unwrap_or_else(|error| Err(self.process.error(&format!("{error}: {last}"))))
    }
}

/// Installs Kafka into the test cache, unless it is there.
pub fn install() -> Result<Installation> {
    install::install(&|installation, jvm| {
        let mut kafka = Kafka::start_own(installation.clone(), jvm)?;
        kafka.create_topic("training", 1)?;
        kafka.stop().map(drop)
    })
}

#[cfg(test)]
mod tests;
