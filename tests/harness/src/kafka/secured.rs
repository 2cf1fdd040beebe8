//! A second listener that speaks as Event Hubs does: TLS, and a connection string as the password of `$ConnectionString`.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Result, WorkDir, ports, process::output};

/// Of the key store, which nobody else ever sees.
const STORE_PASSWORD: &str = "of-a-throw-away-key";

/// The listener.
#[derive(Debug)]
pub(super) struct Secured {
    pub(super) port: u16,
    /// The only one that is let in.
    pub(super) connection_string: String,
    store: PathBuf,
    pub(super) certificate: PathBuf,
}

impl Secured {
    /// With a certificate of its own for 127.0.0.1, made by Java's `keytool`.
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
        })
    }

    /// Its part of `server.properties`.
    pub(super) fn properties(&self) -> String {
        let Secured {
            connection_string,
            store,
            ..
        } = self;
        let store = store.display();
        format!(
            "
listener.name.sas.ssl.keystore.type=PKCS12
listener.name.sas.ssl.keystore.location={store}
listener.name.sas.ssl.keystore.password={STORE_PASSWORD}
listener.name.sas.sasl.enabled.mechanisms=PLAIN
listener.name.sas.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_$ConnectionString=\"{connection_string}\";
"
        )
    }
}
