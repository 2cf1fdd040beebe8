//! What an operator has to do about an error number of Entra.
//!
//! Numbers: <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>.

use crate::kind::Kind;

struct Advice {
    /// `AADSTS…`.
    codes: &'static [u32],
    applies_to: AppliesTo,
    /// `{client}`, `{tenant}`, `{file}` and `{scope}` are replaced.
    text: &'static str,
}

#[derive(Clone, Copy)]
enum AppliesTo {
    AnyKind,
    /// Service principals and workload identities.
    Applications,
    ServicePrincipals,
    WorkloadIdentities,
}

const ADVICE: &[Advice] = &[
    Advice {
        codes: &[70_011, 500_011, 650_057, 1_002_012],
        applies_to: AppliesTo::AnyKind,
        text: "the tenant has no service for the scope {scope}: check the name of the namespace or storage endpoint",
    },
    Advice {
        codes: &[7_000_222],
        applies_to: AppliesTo::ServicePrincipals,
        text: "the secret of client {client} has expired: create a new one (`az ad app credential reset --id {client} \
               --append`) and set AZURE_CLIENT_SECRET",
    },
    Advice {
        codes: &[7_000_215],
        applies_to: AppliesTo::ServicePrincipals,
        text: "AZURE_CLIENT_SECRET is not a secret of client {client}: set the value of the secret, not its id",
    },
    Advice {
        codes: &[700_016, 7_000_229, 7_000_112],
        applies_to: AppliesTo::Applications,
        text: "tenant {tenant} has no usable service principal for client {client}: check AZURE_CLIENT_ID and \
               AZURE_TENANT_ID, and that the application is enabled there",
    },
    Advice {
        codes: &[90_002, 900_023],
        applies_to: AppliesTo::Applications,
        text: "there is no tenant {tenant}: check AZURE_TENANT_ID, and AZURE_AUTHORITY_HOST if it is set",
    },
    Advice {
        codes: &[700_024],
        applies_to: AppliesTo::WorkloadIdentities,
        text: "the token in {file} is not valid now: Kubernetes has not renewed it, or this machine's clock is wrong",
    },
    Advice {
        codes: &[70_021, 700_211, 700_212, 700_213],
        applies_to: AppliesTo::WorkloadIdentities,
        text: "client {client} does not trust a token like the one in {file}: its federated identity credential must \
               name this cluster's issuer and this service account",
    },
];

/// Numbers after which `az login` helps: expired refresh token, sign-in frequency, changed password, multi-factor
/// authentication.
pub(crate) const LOGIN_CODES: [&str; 5] = [
    "AADSTS700082",
    "AADSTS70043",
    "AADSTS50173",
    "AADSTS50076",
    "AADSTS50078",
];

/// Returns what to do about an error number, if the table has it for this kind of identity.
pub(crate) fn advice(code: u32, kind: &Kind, scope: &str) -> Option<String> {
    let applies = |advice: &&Advice| {
        advice.codes.contains(&code)
            && match advice.applies_to {
                AppliesTo::AnyKind => true,
                AppliesTo::Applications => {
                    matches!(kind, Kind::ServicePrincipal { .. } | Kind::WorkloadIdentity { .. })
                }
                AppliesTo::ServicePrincipals => matches!(kind, Kind::ServicePrincipal { .. }),
                AppliesTo::WorkloadIdentities => matches!(kind, Kind::WorkloadIdentity { .. }),
            }
    };
    let advice = ADVICE.iter().find(applies)?;
    let (client, tenant, file) = kind.parts();
    let client = client.map(|id| id.to_string()).unwrap_or_default();
    let file = file.map(|file| file.display().to_string()).unwrap_or_default();
    let text = advice.text.replace("{client}", &client).replace("{file}", &file);
    let text = text
        .replace("{tenant}", tenant.unwrap_or_default())
        .replace("{scope}", scope);
    Some(format!("{text} (AADSTS{code})"))
}
