//! An Event Hubs namespace that the tests of a process share, and the credentials to access it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::managed_identity::{Answer, ManagedIdentity};
use crate::secrets::PLANTED;
use crate::tokens::Issuer;
use crate::{Fleet, Kafka, Result, Variables, context, failed, variables};

/// The namespace. It is stopped when the process ends.
pub struct Namespace {
    /// The broker.
    pub kafka: Kafka,
    issuer: Arc<Issuer>,
    connection_string: String,
    /// `host:port` for clients with the connection string.
    pub for_keys: String,
    /// `host:port` for clients with a token.
    pub for_tokens: String,
    certificate: String,
}

/// Returns a connection string with this key.
pub fn connection_string(key: &str) -> String {
    format!("Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=x;SharedAccessKey={PLANTED}{key}=")
}

impl Namespace {
    /// Returns the namespace for all tests of this process. The system-assigned identity may read and write all hubs.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: OnceLock<Result<Namespace>> = OnceLock::new();
        let shared = SHARED.get_or_init(Self::start);
        shared.as_ref().map_err(context("the shared namespace did not start"))
    }

    /// Starts a separate namespace, which the caller may kill and freeze.
    pub fn start() -> Result<Self> {
        let issuer = Arc::new(Issuer::new()?);
        let connection_string = connection_string("right");
        let kafka = Kafka::start_event_hubs(&connection_string, &issuer, "127.0.0.1")?;
        let (Some((for_keys, certificate)), Some(for_tokens)) = (kafka.secured(), kafka.tokens()) else {
            return Err(failed("the broker", "it has no secured listeners"));
        };
        let this = Self {
            certificate: certificate.display().to_string(),
            for_keys,
            for_tokens,
            kafka,
            issuer,
            connection_string,
        };
        this.kafka.allow_to_receive(ManagedIdentity::SYSTEM, "*")?;
        this.kafka.allow_to_send(ManagedIdentity::SYSTEM, "*")?;
        Ok(this)
    }

    /// Starts an identity whose tokens the namespace accepts, with `name` in its secret header.
    pub fn identity(&self, name: &str, answer: Answer) -> Result<ManagedIdentity> {
        ManagedIdentity::start(&self.issuer, &format!("{PLANTED}-{name}"), answer)
    }

    /// Returns the certificate that clients must trust.
    pub fn certificate(&self) -> &std::path::Path {
        std::path::Path::new(&self.certificate)
    }

    /// Returns the variables for all topics here with the connection string.
    pub fn by_connection_string(&self) -> Variables {
        let mut all = self.at(&self.for_keys);
        all.extend(variables(&[
            ("EVENTHUB_CONNECTION_STRING", &self.connection_string),
            ("LOCAL_KAFKA_CONNECTION_STRING", &self.connection_string),
        ]));
        all
    }

    /// Returns the variables for all topics here with a managed identity, as in a container app.
    pub fn by_identity(&self, identity: &ManagedIdentity) -> Variables {
        let mut all = self.at(&self.for_tokens);
        all.extend(variables(&identity.variables()));
        // Tests of other credentials set one.
        all.extend(variables(&[("AZURE_CLIENT_SECRET", "")]));
        all
    }

    fn at(&self, address: &str) -> Variables {
        variables(&[
            ("EVENTHUB_BOOTSTRAP_SERVERS", address),
            ("LOCAL_KAFKA_BOOTSTRAP_SERVERS", address),
            ("LOCAL_KAFKA_SECURITY_PROTOCOL", "SASL_SSL"),
            ("SSL_CERT_FILE", &self.certificate),
        ])
    }

    /// Creates a fleet with these variables: with its topics, but without processes.
    pub fn fleet(&self, name: &str, variables: Variables) -> Result<Fleet> {
        let mut fleet = Fleet::new(self.kafka.bootstrap(), name, &[])?;
        fleet.environment.extend(variables);
        Ok(fleet)
    }
}

/// Tokens that do not expire during a test.
pub const HOUR: Answer = Answer::Tokens(Duration::from_secs(3600));
