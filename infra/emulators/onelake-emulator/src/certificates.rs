//! A certificate for the emulator and for others beside it, of a certificate authority that nobody else knows.
//!
//! Clients speak to OneLake over TLS alone, so a stack of containers needs one. It lies in a folder and outlives the
//! containers: whoever has read the authority goes on trusting a server that was restarted. The authority's key is dropped
//! as soon as the certificate is signed.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

/// File of the certificate.
pub const CERTIFICATE: &str = "server.pem";
/// File of its key.
pub const KEY: &str = "server-key.pem";
/// File of the authority, for clients to trust.
pub const AUTHORITY: &str = "ca.pem";

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// A host name that no certificate can carry.
    #[error(
        "a host name in `{hosts}` cannot go into a certificate: {source}; give plain ASCII names (punycode) or addresses"
    )]
    HostName {
        /// The names asked for.
        hosts: String,
        /// The certificate library's reason.
        source: rcgen::Error,
    },
    /// The certificate could not be made.
    #[error(
        "cannot make the throw-away certificate: {0}; this is a fault of the build, not of the configuration: report it"
    )]
    Certificate(rcgen::Error),
    /// A file.
    #[error("cannot write {path}: {source}; choose a writable folder")]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// Makes [`CERTIFICATE`], [`KEY`] and [`AUTHORITY`] in `folder`, for `hosts` (names or addresses). False if they were
/// there already, for the same hosts.
///
/// # Errors
/// A host name that no certificate can carry, or a file that cannot be written.
pub fn make(folder: &Path, hosts: &[String]) -> Result<bool, MakeError> {
    // PEM lets any text stand before a certificate: it says what the file is good for, to people and to the next run.
    let heading = format!("Throw-away certificate for {}\n", hosts.join(", "));
    let [certificate_file, key_file, ca_file] = [CERTIFICATE, KEY, AUTHORITY].map(|name| folder.join(name));
    let is_for_them = fs::read_to_string(&certificate_file).is_ok_and(|pem| pem.starts_with(&heading));
    if is_for_them && key_file.exists() && ca_file.exists() {
        return Ok(false);
    }
    let authority = authority().map_err(MakeError::Certificate)?;
    let mut params = CertificateParams::new(hosts).map_err(|source| MakeError::HostName {
        hosts: hosts.join(", "),
        source,
    })?;
    params
        .distinguished_name
        .push(DnType::CommonName, "xact-pipeline throw-away");
    dates(&mut params);
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate().map_err(MakeError::Certificate)?;
    let certificate = params.signed_by(&key, &authority).map_err(MakeError::Certificate)?;

    fs::create_dir_all(folder).map_err(cannot_write(folder))?;
    // The certificate last: with it, the others are there.
    write(&key_file, 0o600, &key.serialize_pem())?;
    write(&ca_file, 0o644, &authority.pem())?;
    write(&certificate_file, 0o644, &format!("{heading}{}", certificate.pem()))?;
    Ok(true)
}

fn authority() -> Result<CertifiedIssuer<'static, KeyPair>, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params
        .distinguished_name
        .push(DnType::CommonName, "xact-pipeline throw-away CA");
    dates(&mut params);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate()?)
}

/// Wide and fixed: good whatever the clock says.
fn dates(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2049, 12, 31);
}

fn cannot_write(path: &Path) -> impl FnOnce(io::Error) -> MakeError {
    let path = path.to_owned();
    move |source| MakeError::Write { path, source }
}

fn write(path: &Path, mode: u32, text: &str) -> Result<(), MakeError> {
    // One that is there keeps its mode when it is written over.
    let write = || {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(text.as_bytes())
    };
    write().map_err(cannot_write(path))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt;

    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    use super::*;

    #[test]
    fn a_certificate_is_made_once_and_anew_for_other_names() {
        let folder = xact_testkit::WorkDir::new("certificates").unwrap();
        let keys = folder.path().join("keys");
        let ca_file = keys.join(AUTHORITY);
        let hosts = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let read = || {
            let certificate = fs::read(keys.join(CERTIFICATE)).unwrap();
            (
                fs::read(&ca_file).unwrap(),
                CertificateDer::from_pem_slice(&certificate).unwrap().to_vec(),
            )
        };

        assert!(make(&keys, &hosts(&["onelake", "127.0.0.1"])).unwrap());
        let first = read();
        assert!(!make(&keys, &hosts(&["onelake", "127.0.0.1"])).unwrap());
        assert_eq!(read(), first);
        let mode = fs::metadata(keys.join(KEY)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        assert!(make(&keys, &hosts(&["onelake"])).unwrap());
        assert_ne!(read(), first);
        fs::remove_file(&ca_file).unwrap();
        assert!(make(&keys, &hosts(&["onelake"])).unwrap());

        let error = make(&keys, &hosts(&["häuser"])).unwrap_err();
        assert!(error.to_string().contains("punycode"), "{error}");
    }
}
