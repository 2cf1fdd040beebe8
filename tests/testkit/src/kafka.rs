//! A real Apache Kafka for one test: broker and controller in one JVM, a child of the test, in a directory of its own.
//!
//! Not a mock: what the tests prove (nothing acknowledged is lost, no row twice, whatever dies) depends on how a real
//! broker keeps its log, expires a dead member and comes back after SIGKILL.

mod config;
mod damage;
mod install;
mod probe;
mod proxy;
mod secured;

use std::{env, fs, path::Path, process::ExitStatus, sync::OnceLock, time::Duration};

use crate::{Error, Process, Result, WorkDir, tokens::Issuer, wait_until};
pub use damage::Damage;
pub use install::{Installation, install};
pub use proxy::Proxy;

/// How long a broker may take to answer. It takes about one second alone, several on a busy machine.
const READY: Duration = Duration::from_secs(60);
/// How long a clean stop may take.
const STOPPED: Duration = Duration::from_secs(30);

/// A broker. Dropping it kills it, and removes its data unless the test is panicking.
#[derive(Debug)]
pub struct Kafka {
    bootstrap: String,
    /// `None`: the broker that `KAFKA_BOOTSTRAP_SERVERS` names, which is not ours to kill.
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
    /// Starts a broker without topics and waits until it answers. The first call on a machine fetches the jars and
    /// makes the class archive (about 20 s).
    ///
    /// If `KAFKA_BOOTSTRAP_SERVERS` is set, that broker is used instead; it must be reachable without TLS or SASL.
    pub fn start() -> Result<Kafka> {
        match env::var("KAFKA_BOOTSTRAP_SERVERS") {
            Ok(bootstrap) if !bootstrap.trim().is_empty() => Kafka::external(bootstrap.trim()),
            _ => Kafka::start_own(install()?, &[]),
        }
    }

    /// A broker of our own behind a proxy that can lose its answers; every client is led through the proxy.
    pub fn start_behind_proxy() -> Result<(Kafka, Proxy)> {
        let mut config = config::Config::new()?;
        let proxy = Proxy::start(config.port)?;
        config.advertised_port = proxy.port();
        let kafka = Kafka::start_in(WorkDir::new("kafka")?, config, install()?, &[])?;
        Ok((kafka, proxy))
    }

    /// A proxy for one client of this broker, which counts what the client receives. Only for a broker of our own.
    pub fn proxy(&self) -> Result<Proxy> {
        match &self.own {
            Some(own) => Proxy::start_renaming(own.config.port),
            None => Err(Error::External {
                what: "lead a client of it through a proxy",
                bootstrap: self.bootstrap.clone(),
            }),
        }
    }

    /// Brokers that the cluster names to whoever asks.
    pub fn brokers(&self) -> Result<i32> {
        let cluster = probe::cluster(&self.bootstrap).map_err(Error::io(format!("ask {}", self.bootstrap)))?;
        Ok(cluster.brokers)
    }

    /// Starts a broker with a second listener that speaks as Event Hubs does: [`Kafka::secured`] says where. It is
    /// always our own, whatever `KAFKA_BOOTSTRAP_SERVERS` says.
    pub fn start_secured(connection_string: &str) -> Result<Kafka> {
        let install = install()?;
        let dir = WorkDir::new("kafka")?;
        let mut config = config::Config::new()?;
        config.secured = Some(secured::Secured::new(&install.keytool(), connection_string, &dir)?);
        Kafka::start_in(dir, config, install, &[])
    }

    /// The same with a third listener for those who come with a token of `issuer` for `https://{host}`, and with the limits
    /// of an Event Hubs namespace: [`Kafka::tokens`] says where, nobody may do there what he was not allowed to
    /// ([`Kafka::allow_to_receive`], [`Kafka::allow_to_send`]), and connections that are idle for 8 s are cut.
    pub fn start_event_hubs(connection_string: &str, issuer: &Issuer, host: &str) -> Result<Kafka> {
        let install = install()?;
        let dir = WorkDir::new("kafka")?;
        let mut config = config::Config::new()?;
        let mut secured = secured::Secured::new(&install.keytool(), connection_string, &dir)?;
        secured.make_namespace(issuer, host, &dir)?;
        config.secured = Some(secured);
        Kafka::start_in(dir, config, install, &[])
    }

    /// Where the listener for tokens is: `127.0.0.1:PORT`.
    pub fn tokens(&self) -> Option<String> {
        let namespace = self.own.as_ref()?.config.secured.as_ref()?.namespace.as_ref()?;
        Some(format!("127.0.0.1:{}", namespace.port))
    }

    /// Lets the subject of a token read a topic (`*`: every one) and use all consumer groups, as an Event Hubs Data
    /// Receiver may. Kafka's own tool does it.
    pub fn allow_to_receive(&self, subject: &str, topic: &str) -> Result<()> {
        self.allow(subject, "Read", &["--topic", topic, "--group", "*"])
    }

    /// Lets the subject of a token write to a topic (`*`: every one), as an Event Hubs Data Sender may.
    pub fn allow_to_send(&self, subject: &str, topic: &str) -> Result<()> {
        self.allow(subject, "Write", &["--topic", topic])
    }

    fn allow(&self, subject: &str, operation: &str, what: &[&str]) -> Result<()> {
        let principal = format!("User:{subject}");
        let mut args = vec!["--add", "--allow-principal", &principal];
        args.extend(["--operation", operation, "--operation", "Describe"]);
        args.extend(what);
        self.tool("AclCommand", &args).map(drop)
    }

    /// The record batches of a topic's partitions as they lie on the broker's disk, one line each, as Kafka's own tool
    /// prints them.
    pub fn batches(&self, topic: &str) -> Result<Vec<String>> {
        let Some(own) = &self.own else {
            return Err(Error::External {
                what: "read the log of",
                bootstrap: self.bootstrap.clone(),
            });
        };
        own.install.batches(&own.dir.join("data"), topic)
    }

    /// Makes the record batch that holds an offset unreadable. Only between [`Kafka::stop`] and [`Kafka::restart`].
    pub fn damage(&mut self, topic: &str, partition: u32, offset: i64, kind: Damage) -> Result<()> {
        let data = self.own("damage the log of")?.dir.join("data");
        damage::damage(&data.join(format!("{topic}-{partition}")), offset, kind)
    }

    /// Where that listener is (`127.0.0.1:PORT`), and the certificate that its clients must trust.
    pub fn secured(&self) -> Option<(String, &Path)> {
        let secured = self.own.as_ref()?.config.secured.as_ref()?;
        Some((format!("127.0.0.1:{}", secured.port), &secured.certificate))
    }

    /// Lets in nobody but who has this connection string, from the next [`Kafka::restart`] on.
    pub fn set_connection_string(&mut self, connection_string: &str) -> Result<()> {
        let own = self.own("configure")?;
        if let Some(secured) = &mut own.config.secured {
            connection_string.clone_into(&mut secured.connection_string);
        }
        install::configure(&own.dir, &own.config)
    }

    /// From the next [`Kafka::restart`] on the broker's signs of life come too late, or in time again: 4 s after each its
    /// controller lets it go, and in again with the next one, 6 s later. In between the broker answers, and names none to who
    /// asks for brokers.
    pub fn set_flapping(&mut self, is_flapping: bool) -> Result<()> {
        let own = self.own("configure")?;
        own.config.session = if is_flapping {
            (4_000, 10_000)
        } else {
            config::Config::SESSION
        };
        install::configure(&own.dir, &own.config)
    }

    /// One broker for all tests of this process that need none of their own. It ends with the process.
    pub fn shared() -> Result<&'static Kafka> {
        static SHARED: OnceLock<Result<Kafka>> = OnceLock::new();
        let shared = SHARED.get_or_init(Kafka::start);
        shared
            .as_ref()
            .map_err(|error| crate::error::failed("the shared broker did not start", error.to_string()))
    }

    /// Where clients connect: `127.0.0.1:PORT`. It stays the same over a restart.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Ends the broker at once (SIGKILL).
    pub fn kill(&mut self) -> Result<()> {
        self.own("kill")?.process.kill()
    }

    /// Ends the broker as an operator would (SIGTERM), and waits for it.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        let process = &mut self.own("stop")?.process;
        process.terminate()?;
        process.wait(STOPPED)
    }

    /// Starts the broker again with its data, on the same port, and waits until it answers; one that still runs is
    /// killed first.
    pub fn restart(&mut self) -> Result<()> {
        let own = self.own("restart")?;
        own.process.kill()?;
        own.process = own.install.broker(&own.dir, &own.config.jvm())?;
        own.wait_ready()
    }

    /// Freezes the broker (SIGSTOP): connections stay open and nothing answers.
    pub fn pause(&mut self) -> Result<()> {
        self.own("pause")?.process.pause()
    }

    /// Lets a frozen broker go on (SIGCONT).
    pub fn resume(&mut self) -> Result<()> {
        self.own("resume")?.process.resume()
    }

    /// The end of the broker's log, for an error message; empty for an external broker.
    pub fn tail(&self) -> String {
        self.own.as_ref().map(|own| own.process.tail()).unwrap_or_default()
    }

    /// Creates `topic`. Independent of the product: Kafka's own tool does it.
    pub fn create_topic(&self, topic: &str, partitions: u32) -> Result<()> {
        let partitions = partitions.to_string();
        self.tool(
            "TopicCommand",
            &["--create", "--topic", topic, "--partitions", &partitions],
        )
        .map(drop)
    }

    /// The topics that there are, internal ones included.
    pub fn topics(&self) -> Result<Vec<String>> {
        Ok(self
            .tool("TopicCommand", &["--list"])?
            .lines()
            .map(str::to_owned)
            .collect())
    }

    /// The end offset of each partition of `topic`: how many records were ever written to it.
    pub fn end_offsets(&self, topic: &str) -> Result<Vec<u64>> {
        let lines = self.tool("GetOffsetShell", &["--topic", topic])?;
        // topic:partition:offset
        let offset = |line: &str| line.rsplit(':').next().and_then(|offset| offset.parse().ok());
        let offsets: Option<Vec<u64>> = lines.lines().map(offset).collect();
        offsets.ok_or_else(|| crate::error::failed(format!("cannot read the end offsets of {topic}"), lines))
    }

    /// Runs one of Kafka's own tools against this broker and returns its stdout: `tool` is a class in
    /// `org.apache.kafka.tools` (`TopicCommand`, `consumer.group.ConsumerGroupCommand`, `GetOffsetShell`, …).
    /// About one second each, a JVM's start.
    pub fn tool(&self, tool: &str, args: &[&str]) -> Result<String> {
        let install = match &self.own {
            Some(own) => own.install.clone(),
            None => install()?,
        };
        install.tool(&format!("org.apache.kafka.tools.{tool}"), &self.bootstrap, args)
    }

    fn external(bootstrap: &str) -> Result<Kafka> {
        let first = bootstrap.split(',').next().unwrap_or(bootstrap);
        let answered = wait_until(
            READY,
            &format!("the Kafka at {first} (KAFKA_BOOTSTRAP_SERVERS) answers"),
            || probe::cluster(first).ok().filter(|cluster| cluster.brokers > 0),
        );
        answered.map(|_| Kafka {
            bootstrap: bootstrap.to_owned(),
            own: None,
        })
    }

    /// A broker of our own, with `jvm` as further options of its JVM.
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
        match &mut self.own {
            Some(own) => Ok(own),
            None => Err(Error::External {
                what,
                bootstrap: self.bootstrap.clone(),
            }),
        }
    }
}

impl Own {
    /// Waits until our broker itself answers and takes requests. A broker of somebody else on that port would answer
    /// as well: its cluster id tells it from ours.
    fn wait_ready(&mut self) -> Result<()> {
        let addr = format!("127.0.0.1:{}", self.config.port);
        let mut last = String::from("it did not answer");
        let ready = wait_until(READY, &format!("Kafka answers at {addr}"), || {
            if !self.process.is_running() {
                return Some(Err(self.process.error("ended before it was ready")));
            }
            match probe::cluster(&addr) {
                Ok(cluster) if cluster.id != self.config.cluster_id => {
                    let other = format!(
                        "cluster {} answers at {addr}, ours is {}",
                        cluster.id, self.config.cluster_id
                    );
                    Some(Err(crate::error::failed("another Kafka has our port", other)))
                }
                // Until the controller has let the broker in, it answers with an empty list.
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

/// Reads a file of the installation or of a broker, with an error that names it.
fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(Error::io(format!("read {}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Not `Kafka::start`: these tests are about our own broker, whatever the environment says.
    fn own_broker() -> Result<Kafka> {
        Kafka::start_own(install()?, &[])
    }

    #[test]
    fn a_killed_broker_comes_back_with_what_it_acknowledged() -> Result<()> {
        let mut kafka = own_broker()?;
        kafka.create_topic("kept", 3)?;
        assert_eq!(kafka.topics()?, ["kept"]);
        let produce = "--topic kept --num-records 1000 --record-size 100 --throughput -1 --command-property acks=all";
        kafka.tool("ProducerPerformance", &produce.split(' ').collect::<Vec<_>>())?;

        kafka.kill()?;
        assert!(
            probe::cluster(kafka.bootstrap()).is_err(),
            "nobody answers for a dead broker"
        );
        kafka.restart()?;
        assert_eq!(kafka.topics()?, ["kept"], "after SIGKILL");
        let offsets = kafka.end_offsets("kept")?;
        assert_eq!((offsets.len(), offsets.iter().sum()), (3, 1000), "{offsets:?}");

        let status = kafka.stop()?;
        // 128 + SIGTERM: how a JVM ends that was asked to.
        assert_eq!(status.code(), Some(143), "{}", kafka.tail());
        kafka.restart()?;
        assert_eq!(kafka.topics()?, ["kept"], "after SIGTERM");
        Ok(())
    }

    #[test]
    fn a_paused_broker_is_silent_and_goes_on_when_resumed() -> Result<()> {
        let mut kafka = own_broker()?;
        kafka.pause()?;
        let silence = probe::cluster(kafka.bootstrap()).unwrap_err();
        assert_eq!(
            silence.kind(),
            std::io::ErrorKind::WouldBlock,
            "connected, but no answer: {silence}"
        );
        kafka.resume()?;
        kafka.create_topic("after-the-pause", 1)
    }

    #[test]
    fn the_broker_of_somebody_else_on_our_port_is_told_apart() -> Result<()> {
        let mut kafka = own_broker()?;
        let own = kafka.own("look at")?;
        own.config.cluster_id = config::new_cluster_id();
        let error = own.wait_ready().unwrap_err().to_string();
        assert!(error.contains("another Kafka has our port"), "{error}");
        Ok(())
    }

    #[test]
    fn a_namespace_has_a_listener_for_each_kind_of_credentials_and_keeps_who_may_do_what() -> Result<()> {
        let kafka = Kafka::start_event_hubs("Endpoint=sb://ns/;SharedAccessKey=x", &Issuer::new()?, "ns")?;
        let (by_connection_string, _) = kafka.secured().unwrap();
        for address in [by_connection_string, kafka.tokens().unwrap()] {
            assert!(std::net::TcpStream::connect(&address).is_ok(), "{address}");
        }
        kafka.create_topic("hub", 1)?;
        kafka.allow_to_receive("somebody", "hub")?;
        let rules = kafka.tool("AclCommand", &["--list", "--topic", "hub"])?;
        assert!(
            rules.contains("principal=User:somebody") && rules.contains("operation=READ"),
            "{rules}"
        );
        assert_eq!(kafka.batches("hub")?, Vec::<String>::new(), "nothing was written");
        Ok(())
    }

    #[test]
    fn an_external_broker_is_used_but_not_killed() -> Result<()> {
        let shared = own_broker()?;
        let mut external = Kafka::external(shared.bootstrap())?;
        external.create_topic("seen-from-outside", 1)?;
        assert!(shared.topics()?.contains(&"seen-from-outside".to_owned()));
        for refused in [external.kill(), external.pause(), external.restart()] {
            let error = refused.unwrap_err().to_string();
            assert!(
                error.contains("external broker") && error.contains(shared.bootstrap()),
                "{error}"
            );
        }
        Ok(())
    }
}
