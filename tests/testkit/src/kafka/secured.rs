//! Listeners that behave as those of Event Hubs: TLS with a connection string as the password of `$ConnectionString`, or with a
//! signed token; and the limits of a namespace.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Result, WorkDir, ports, process::output, tokens::Issuer};

/// Password of the key store, which is used by this broker only.
const STORE_PASSWORD: &str = "of-a-throw-away-key";

/// Settings of a broker with security.
#[derive(Debug)]
pub(super) struct Secured {
    pub(super) port: u16,
    /// The only connection string that is accepted.
    pub(super) connection_string: String,
    store: PathBuf,
    pub(super) certificate: PathBuf,
    /// A further listener for clients with a token, and their permissions.
    pub(super) namespace: Option<Namespace>,
}

/// Settings of an Event Hubs namespace.
#[derive(Debug)]
pub(super) struct Namespace {
    pub(super) port: u16,
    key_set: PathBuf,
    /// Audience of the tokens.
    audience: String,
}

/// Idle time after which a connection is closed; with Event Hubs it is four minutes.
const IDLE_MS: u32 = 8_000;

impl Secured {
    /// Creates settings with a certificate for 127.0.0.1 from Java's `keytool`.
    pub(super) fn new(keytool: &Path, connection_string: &str, dir: &WorkDir) -> Result<Secured> {
        let (store, certificate) = (dir.join("listener.p12"), dir.join("listener.pem"));
        let keytool = |args: &[&str]| {
            let mut command = Command::new(keytool);
            command.args(args).arg("-keystore").arg(&store);
            command.args(["-storetype", "PKCS12", "-storepass", STORE_PASSWORD]);
            output(&mut command, "keytool could not make a certificate").map(drop)
        };
        let generate =
            "-genkeypair -alias listener -keyalg EC -dname CN=127.0.0.1 -ext SAN=ip:127.0.0.1 -ext BC=ca:true";
        keytool(&generate.split(' ').collect::<Vec<_>>())?;
        let file = certificate.display().to_string();
        keytool(&["-exportcert", "-rfc", "-alias", "listener", "-file", &file])?;
        Ok(Secured {
            port: ports::free()?,
            connection_string: connection_string.to_owned(),
            store,
            certificate,
            namespace: None,
        })
    }

    /// Adds a namespace with the host name `host` that trusts the tokens of `issuer`.
    pub(super) fn make_namespace(&mut self, issuer: &Issuer, host: &str, dir: &WorkDir) -> Result<()> {
        let key_set = dir.join("jwks.json");
        issuer.write_key_set(&key_set)?;
        self.namespace = Some(Namespace {
            port: ports::free()?,
            key_set,
            audience: format!("https://{host}"),
        });
        Ok(())
    }

    /// Returns names and ports of its listeners.
    pub(super) fn listeners(&self) -> Vec<(&'static str, u16)> {
        let tokens = self.namespace.as_ref().map(|namespace| ("OAUTH", namespace.port));
        std::iter::once(("SAS", self.port)).chain(tokens).collect()
    }

    /// Returns the options of the JVM.
    pub(super) fn jvm(&self) -> Option<String> {
        let file = self.namespace.as_ref()?.key_set.display();
        Some(format!(
            "-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=file://{file}"
        ))
    }

    /// Returns its part of `server.properties`.
    pub(super) fn properties(&self) -> String {
        let Secured { connection_string, .. } = self;
        let sas = format!(
            "{}
listener.name.sas.sasl.enabled.mechanisms=PLAIN
listener.name.sas.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_$ConnectionString=\"{connection_string}\";
",
            self.tls("sas")
        );
        let tokens = self.namespace.as_ref().map(|namespace| self.namespace(namespace));
        sas + &tokens.unwrap_or_default()
    }

    fn tls(&self, listener: &str) -> String {
        let store = self.store.display();
        format!(
            "
listener.name.{listener}.ssl.keystore.type=PKCS12
listener.name.{listener}.ssl.keystore.location={store}
listener.name.{listener}.ssl.keystore.password={STORE_PASSWORD}"
        )
    }

    /// Tokens are validated without clock skew, a connection ends when its token expires, and access rules apply to all clients
    /// except those with the connection string (and the tests themselves, on the listener without security).
    fn namespace(&self, namespace: &Namespace) -> String {
        let (file, audience) = (namespace.key_set.display(), &namespace.audience);
        let issuer = Issuer::NAME;
        let tls = self.tls("oauth");
        format!(
            "{tls}
listener.name.oauth.sasl.enabled.mechanisms=OAUTHBEARER
listener.name.oauth.oauthbearer.sasl.server.callback.handler.class=org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler
listener.name.oauth.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;
listener.name.oauth.oauthbearer.sasl.oauthbearer.jwks.endpoint.url=file://{file}
listener.name.oauth.oauthbearer.sasl.oauthbearer.expected.audience={audience}
listener.name.oauth.oauthbearer.sasl.oauthbearer.expected.issuer={issuer}
listener.name.oauth.oauthbearer.sasl.oauthbearer.clock.skew.seconds=0
listener.name.oauth.oauthbearer.connections.max.reauth.ms=3600000

authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:$ConnectionString
allow.everyone.if.no.acl.found=false

connections.max.idle.ms={IDLE_MS}
"
        )
    }
}
