//! The throw-away certificate authority: made at start, known to nobody, gone with the process.
//!
//! Clients trust it through [`Identity::ca_pem`]; its key is dropped as soon as the server's certificate is signed.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;

use crate::server::StartError;

/// Names that the certificate always covers.
const LOCAL_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A server's TLS identity and the authority that vouches for it.
pub(crate) struct Identity {
    /// The authority's certificate, for clients to trust.
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

        // The provider is named here: another crate in the process may have installed another one, or none.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(StartError::Tls)?
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            )
            .map_err(StartError::Tls)?;
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];

        Ok(Self {
            ca_pem: ca.pem(),
            tls: Arc::new(tls),
        })
    }
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
