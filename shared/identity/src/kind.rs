//! The four kinds of identity, and which of them the settings select.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use url::Url;
use uuid::Uuid;

use crate::azure_cli;
use crate::error::IdentityError;
use crate::settings::IdentitySettings;

/// A kind of identity with its settings.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    ServicePrincipal {
        tenant: String,
        client: Uuid,
        secret: SecretString,
    },
    WorkloadIdentity {
        tenant: String,
        client: Uuid,
        file: PathBuf,
    },
    ManagedIdentity {
        /// Of a user-assigned identity.
        client: Option<Uuid>,
        endpoint: Url,
        header: SecretString,
    },
    AzureCli {
        tenant: Option<String>,
        path: OsString,
    },
}

impl Kind {
    /// Returns the first kind that the settings select, in the order of the variants. Its settings must be complete: falling
    /// back to the next kind would let a forgotten variable decide which identity the process has.
    pub(crate) fn choose(settings: &IdentitySettings) -> Result<Self, IdentityError> {
        if let Some(secret) = &settings.secret {
            let (tenant, client) = tenant_and_client(settings, "AZURE_CLIENT_SECRET")?;
            let secret = secret.clone();
            return Ok(Self::ServicePrincipal { tenant, client, secret });
        }
        if let Some(file) = &settings.federated_token_file {
            let (tenant, client) = tenant_and_client(settings, "AZURE_FEDERATED_TOKEN_FILE")?;
            let file = file.clone();
            return Ok(Self::WorkloadIdentity { tenant, client, file });
        }
        let half = |set: &str, missing: &str| {
            Err(IdentityError::Settings(vec![format!(
                "{missing} is not set, but {set} is: the platform sets both for a container app with a managed identity"
            )]))
        };
        match (&settings.endpoint, &settings.header) {
            (Some(endpoint), Some(header)) => managed_identity(settings.client, endpoint, header),
            (Some(_), None) => half("IDENTITY_ENDPOINT", "IDENTITY_HEADER"),
            (None, Some(_)) => half("IDENTITY_HEADER", "IDENTITY_ENDPOINT"),
            (None, None) if azure_cli::is_on(&settings.path) => Ok(Self::AzureCli {
                tenant: settings.tenant.clone(),
                path: settings.path.clone(),
            }),
            (None, None) => Err(IdentityError::NoneConfigured),
        }
    }

    /// Returns the client, the tenant and the file of a federated token, where the kind has them.
    pub(crate) fn parts(&self) -> (Option<Uuid>, Option<&str>, Option<&Path>) {
        match self {
            Self::ServicePrincipal { tenant, client, .. } => (Some(*client), Some(tenant), None),
            Self::WorkloadIdentity { tenant, client, file } => (Some(*client), Some(tenant), Some(file)),
            Self::ManagedIdentity { client, .. } => (*client, None, None),
            Self::AzureCli { tenant, .. } => (None, tenant.as_deref(), None),
        }
    }
}

/// For messages.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServicePrincipal { tenant, client, .. } => {
                write!(f, "service principal {client} of tenant {tenant}")
            }
            Self::WorkloadIdentity { tenant, client, .. } => write!(f, "workload identity {client} of tenant {tenant}"),
            Self::ManagedIdentity { client: None, .. } => f.write_str("system-assigned managed identity"),
            Self::ManagedIdentity { client: Some(id), .. } => write!(f, "user-assigned managed identity {id}"),
            Self::AzureCli { tenant: None, .. } => f.write_str("login of the Azure CLI"),
            Self::AzureCli { tenant: Some(id), .. } => write!(f, "login of the Azure CLI for tenant {id}"),
        }
    }
}

fn tenant_and_client(settings: &IdentitySettings, because: &str) -> Result<(String, Uuid), IdentityError> {
    if let (Some(tenant), Some(client)) = (&settings.tenant, settings.client) {
        return Ok((tenant.clone(), client));
    }
    let missing = [
        ("AZURE_TENANT_ID", settings.tenant.is_none()),
        ("AZURE_CLIENT_ID", settings.client.is_none()),
    ];
    let missing = missing.iter().filter(|(_, is_missing)| *is_missing);
    let lines = missing.map(|(name, _)| format!("{name} is not set, but {because} is: set both, or neither"));
    Err(IdentityError::Settings(lines.collect()))
}

fn managed_identity(client: Option<Uuid>, endpoint: &Url, header: &SecretString) -> Result<Kind, IdentityError> {
    // azure_identity reads both variables from the process itself.
    let own = |name| std::env::var(name).map(|value| value.trim().to_owned());
    let is_own = own("IDENTITY_HEADER").is_ok_and(|value| value == header.expose_secret())
        && own("IDENTITY_ENDPOINT").is_ok_and(|value| Url::parse(&value).as_ref() == Ok(endpoint));
    if !is_own {
        return Err(IdentityError::Settings(vec![
            "IDENTITY_ENDPOINT and IDENTITY_HEADER are not the process's own variables: the platform sets them; take \
             them out of .env"
                .to_owned(),
        ]));
    }
    Ok(Kind::ManagedIdentity {
        client,
        endpoint: endpoint.clone(),
        header: header.clone(),
    })
}
