//! A broker that behaves as Event Hubs: listeners with authentication, and access rules.

use std::path::Path;

use super::{Kafka, config, install, secured};
use crate::{Result, WorkDir, tokens::Issuer};

impl Kafka {
    /// Starts a broker with a second listener that behaves as Event Hubs ([`Kafka::secured`] returns its address), regardless of
    /// `KAFKA_BOOTSTRAP_SERVERS`.
    pub fn start_secured(connection_string: &str) -> Result<Kafka> {
        let install = install()?;
        let dir = WorkDir::new("kafka")?;
        let mut config = config::Config::new()?;
        config.secured = Some(secured::Secured::new(&install.keytool(), connection_string, &dir)?);
        Kafka::start_in(dir, config, install, &[])
    }

    /// Starts a broker with a third listener ([`Kafka::tokens`]) for clients with a token of `issuer` for `https://{host}`, and
    /// with the limits of an Event Hubs namespace: access must be granted ([`Kafka::allow_to_receive`],
    /// [`Kafka::allow_to_send`]), and connections that are idle for 8 s are closed.
    pub fn start_event_hubs(connection_string: &str, issuer: &Issuer, host: &str) -> Result<Kafka> {
        let install = install()?;
        let dir = WorkDir::new("kafka")?;
        let mut config = config::Config::new()?;
        let mut secured = secured::Secured::new(&install.keytool(), connection_string, &dir)?;
        secured.make_namespace(issuer, host, &dir)?;
        config.secured = Some(secured);
        Kafka::start_in(dir, config, install, &[])
    }

    /// Returns the address of the listener for tokens, `127.0.0.1:PORT`.
    pub fn tokens(&self) -> Option<String> {
        let namespace = self.own.as_ref()?.config.secured.as_ref()?.namespace.as_ref()?;
        Some(format!("127.0.0.1:{}", namespace.port))
    }

    /// Lets the subject of a token read a topic (`*`: every one) and use all consumer groups, as an Event Hubs Data
    /// Receiver may.
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

    /// Returns the address of the secured listener, and the certificate that its clients must trust.
    pub fn secured(&self) -> Option<(String, &Path)> {
        let secured = self.own.as_ref()?.config.secured.as_ref()?;
        Some((format!("127.0.0.1:{}", secured.port), &secured.certificate))
    }

    /// Accepts only this connection string from the next [`Kafka::restart`] on.
    pub fn set_connection_string(&mut self, connection_string: &str) -> Result<()> {
        let own = self.own("configure")?;
        if let Some(secured) = &mut own.config.secured {
            connection_string.clone_into(&mut secured.connection_string);
        }
        install::configure(&own.dir, &own.config)
    }
}
