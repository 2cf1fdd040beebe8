//! Certificates in PEM: one that is given, or a throw-away one with a new private authority.
//!
//! The key of a throw-away authority is dropped as soon as the certificate is signed. In a folder, a certificate outlives
//! the process: clients that have loaded the authority trust the server after a restart as well.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// File name of the certificate.
const CERTIFICATE_FILE: &str = "server.pem";
/// File name of its key.
const KEY_FILE: &str = "server-key.pem";
/// File name of the authority, for clients to trust.
pub const AUTHORITY_FILE: &str = "ca.pem";

/// Reasons why a certificate cannot be provided.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A host name that a certificate cannot contain.
    #[error(
        "a certificate cannot contain a host name in `{hosts}`: {source}; give plain ASCII names (punycode) or addresses"
    )]
    HostName {
        /// The names.
        hosts: String,
        /// The certificate library's reason.
        source: rcgen::Error,
    },
    /// The certificate could not be made.
    #[error("cannot make the throw-away certificate: {0}; this is a bug, not a configuration error: report it")]
    Make(#[from] rcgen::Error),
    /// The certificate, or its key, is not valid.
    #[error("cannot use the certificate: {0}; give the certificate with its chain, and its key in PKCS#8, both as PEM")]
    Invalid(String),
    /// A file cannot be read.
    #[error("cannot read {path}: {source}; give a readable PEM file")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {path}: {source}; choose a writable folder")]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// A certificate with its chain and its key, both in PEM.
#[derive(Clone)]
pub struct Certificate {
    /// The server's certificate, then those between it and its authority.
    pub chain: Vec<u8>,
    /// The key of the server's certificate. `Debug` does not show it.
    pub key: Vec<u8>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").finish_non_exhaustive()
    }
}

impl Certificate {
    /// Reads a certificate and its key.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn read(chain: &Path, key: &Path) -> Result<Self, CertificateError> {
        let read = |path: &Path| {
            fs::read(path).map_err(|source| CertificateError::Read {
                path: path.to_owned(),
                source,
            })
        };
        Ok(Self {
            chain: read(chain)?,
            key: read(key)?,
        })
    }

    /// Makes a throw-away certificate for `hosts` (names or addresses), unless the folder has one for the same hosts.
    /// Clients trust [`AUTHORITY_FILE`] in that folder.
    ///
    /// # Errors
    /// A host name that a certificate cannot contain, or a file that cannot be written or read.
    pub fn in_folder(folder: &Path, hosts: &[String]) -> Result<(Self, FolderCertificate), CertificateError> {
        // PEM allows any text before a certificate: it records the hosts for people and for the next run.
        let heading = format!("Throw-away certificate for {}\n", hosts.join(", "));
        let [certificate_file, key_file, ca_file] =
            [CERTIFICATE_FILE, KEY_FILE, AUTHORITY_FILE].map(|name| folder.join(name));
        let is_for_hosts = fs::read_to_string(&certificate_file).is_ok_and(|pem| pem.starts_with(&heading));
        if is_for_hosts && key_file.exists() && ca_file.exists() {
            let certificate = Self::read(&certificate_file, &key_file)?;
            return Ok((certificate, FolderCertificate::Kept));
        }
        let ThrowAway {
            mut certificate,
            authority,
        } = ThrowAway::new(hosts)?;
        certificate.chain.splice(..0, heading.into_bytes());
        fs::create_dir_all(folder).map_err(cannot_write(folder))?;
        // The certificate last: if it exists, the other two do.
        write(&key_file, 0o600, &certificate.key)?;
        write(&ca_file, 0o644, authority.as_bytes())?;
        write(&certificate_file, 0o644, &certificate.chain)?;
        Ok((certificate, FolderCertificate::Made))
    }

    pub(crate) fn tls_config(&self) -> Result<Arc<ServerConfig>, CertificateError> {
        let invalid = |error: &dyn fmt::Display| CertificateError::Invalid(error.to_string());
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.chain).collect();
        let chain = chain.map_err(|error| invalid(&error))?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| invalid(&error))?;
        // The provider is named here: another crate in the process may have installed another one, or none.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| invalid(&error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// Whether [`Certificate::in_folder`] made a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FolderCertificate {
    /// It made one.
    Made,
    /// The folder had one for the same hosts.
    Kept,
}

/// A certificate with the certificate of its own authority.
pub struct ThrowAway {
    /// The server's certificate and its key.
    pub certificate: Certificate,
    /// The authority's certificate in PEM, for clients to trust.
    pub authority: String,
}

impl ThrowAway {
    /// Makes an authority, and a certificate for `hosts` (names or addresses).
    ///
    /// # Errors
    /// A host name that a certificate cannot contain.
    pub fn new(hosts: &[String]) -> Result<Self, CertificateError> {
        let mut params = params("xact-pipeline throw-away CA", &[])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;

        let mut params = self::params("xact-pipeline throw-away", hosts)?;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        Ok(Self {
            certificate: Certificate {
                chain: params.signed_by(&key, &authority)?.pem().into_bytes(),
                key: key.serialize_pem().into_bytes(),
            },
            authority: authority.pem(),
        })
    }
}

/// The dates are wide and fixed, so that the certificate is valid at any clock setting.
fn params(name: &str, hosts: &[String]) -> Result<CertificateParams, CertificateError> {
    let mut params = CertificateParams::new(hosts).map_err(|source| CertificateError::HostName {
        hosts: hosts.join(", "),
        source,
    })?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2049, 12, 31);
    Ok(params)
}

fn cannot_write(path: &Path) -> impl FnOnce(io::Error) -> CertificateError {
    let path = path.to_owned();
    move |source| CertificateError::Write { path, source }
}

/// Replaces the file: an existing one would keep its mode.
fn write(path: &Path, mode: u32, bytes: &[u8]) -> Result<(), CertificateError> {
    let write = || {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(bytes)
    };
    write().map_err(cannot_write(path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_certificate_in_a_folder_is_kept_for_the_same_names_and_made_for_others() {
        let folder = xact_testkit::WorkDir::new("certificates").unwrap();
        let keys = folder.path().join("keys");
        let ca_file = keys.join(AUTHORITY_FILE);
        let made = |names: &[&str]| {
            let hosts: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            let (certificate, made) = Certificate::in_folder(&keys, &hosts).unwrap();
            certificate.tls_config().unwrap();
            (made, certificate.chain, fs::read(&ca_file).unwrap())
        };
        let (first, chain, authority) = made(&["onelake", "127.0.0.1"]);
        assert_eq!(first, FolderCertificate::Made);
        let again = made(&["onelake", "127.0.0.1"]);
        assert_eq!(again, (FolderCertificate::Kept, chain.clone(), authority.clone()));
        let mode = fs::metadata(keys.join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        let (other, other_chain, other_authority) = made(&["onelake"]);
        assert_eq!(other, FolderCertificate::Made);
        assert!(other_chain != chain && other_authority != authority);
        fs::remove_file(&ca_file).unwrap();
        assert_eq!(made(&["onelake"]).0, FolderCertificate::Made);

        let error = Certificate::in_folder(&keys, &["häuser".to_owned()]).unwrap_err();
        assert!(error.to_string().contains("punycode"), "{error}");
    }
}
