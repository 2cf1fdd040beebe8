//! The throw-away certificate authority: made at start, known to nobody, gone with the process. Or a certificate that was
//! given, which outlives it.
//!
//! Clients trust it through [`Identity::ca_pem`]; its key is dropped as soon as the server's certificate is signed.

use std::fmt;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::server::StartError;

/// Names that the certificate always covers.
const LOCAL_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A certificate with those between it and its authority, and its key, both as PEM.
#[derive(Clone)]
pub struct Certificate {
    /// The server's certificate first.
    pub chain: Vec<u8>,
    /// Of the first of them. `Debug` does not show it.
    pub key: Vec<u8>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").finish_non_exhaustive()
    }
}

/// A server's TLS identity and the authority that vouches for it.
pub(crate) struct Identity {
    /// The authority's certificate, for clients to trust; empty if the server's certificate was given.
    pub(crate) ca_pem: String,
    /// The TLS configuration with the certificate and its key.
    pub(crate) tls: Arc<ServerConfig>,
}

impl Identity {
    /// A fresh authority, and a certificate for `hosts` (names or addresses) and [`LOCAL_NAMES`].
    pub(crate) fn new(hosts: &[String]) -> Result<Self, StartError> {
        let ca = authority()?;

        let names: Vec<String> = hosts.iter().cloned().chain(LOCAL_NAMES.map(str::to_owned)).collect();
        let mut params = CertificateParams::new(names).map_err(|source| StartError::HostName {
            hosts: hosts.join(", "),
            source,
        })?;
        params.distinguished_name.push(DnType::CommonName, "attachment-source");
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2049, 12, 31);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().map_err(StartError::Certificate)?;
        let certificate = params.signed_by(&key, &ca).map_err(StartError::Certificate)?;

        let chain = vec![certificate.der().clone()];
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        Ok(Self {
            ca_pem: ca.pem(),
            tls: configuration(chain, key).map_err(StartError::Tls)?,
        })
    }

    /// As it was given; whoever gave it knows its authority.
    pub(crate) fn given(certificate: &Certificate) -> Result<Self, StartError> {
        let unusable = |error: &dyn fmt::Display| StartError::Given(error.to_string());
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&certificate.chain).collect();
        let chain = chain.map_err(|error| unusable(&error))?;
        let key = PrivateKeyDer::from_pem_slice(&certificate.key).map_err(|error| unusable(&error))?;
        Ok(Self {
            ca_pem: String::new(),
            tls: configuration(chain, key).map_err(|error| unusable(&error))?,
        })
    }
}

fn configuration(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    // The provider is named here: another crate in the process may have installed another one, or none.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(tls))
}

/// The self-signed authority. Its dates are wide and fixed: it lives as long as the process, whatever the clock says.
fn authority() -> Result<CertifiedIssuer<'static, KeyPair>, StartError> {
    let mut params = CertificateParams::new(Vec::new()).map_err(StartError::Certificate)?;
    params
        .distinguished_name
        .push(DnType::CommonName, "attachment-source throw-away CA");
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2049, 12, 31);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().map_err(StartError::Certificate)?;
    CertifiedIssuer::self_signed(params, key).map_err(StartError::Certificate)
}
