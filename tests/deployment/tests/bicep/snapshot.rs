//! The deployment variants under test, and the predicted resources of each.

use std::ops::Deref;
use std::sync::OnceLock;

use serde_json::Value;

use xact_testkit::bicep::{Deployment, Prediction};

/// A variant of the deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variant {
    /// `main.dev.bicepparam`.
    Dev,
    /// `main.prod.bicepparam`.
    Prod,
    /// Production with private networking, Premium Event Hubs, zone redundancy and the console.
    Private,
    /// Development with a scaler that authenticates as a service principal.
    ServicePrincipal,
    /// Development with a scaler that authenticates with a managed identity.
    ScalerIdentity,
    /// The first deployment, before images exist.
    First,
    /// Production in an existing network, with the DNS zones of another subscription.
    Hub,
    /// Development with parameters that no other variant sets: a lakehouse without schemas, no Application Insights, the
    /// second key of the share, another name of the vault, other schedules, the console on the internet.
    Changed,
}

use Variant::{Changed, Dev, First, Hub, Private, Prod, ScalerIdentity, ServicePrincipal};

/// The service principal of [`ServicePrincipal`], and the principals that are granted access.
pub(crate) const TENANT: &str = "33333333-3333-4333-8333-333333333333";
pub(crate) const CLIENT: &str = "44444444-4444-4444-8444-444444444444";
pub(crate) const OBJECT: &str = "55555555-5555-4555-8555-555555555555";
pub(crate) const SOURCE: &str = "66666666-6666-4666-8666-666666666666";
pub(crate) const OPERATOR: &str = "77777777-7777-4777-8777-777777777777";
/// The existing network of [`Hub`], and the resource group of its DNS zones.
pub(crate) const HUB_NETWORK: &str = "/subscriptions/88888888-8888-4888-8888-888888888888/resourceGroups/rg-hub/providers/Microsoft.Network/virtualNetworks/vnet-hub";
pub(crate) const HUB_ZONES: &str = "/subscriptions/99999999-9999-4999-8999-999999999999/resourceGroups/rg-dns";
/// The app registration of the console.
pub(crate) const REGISTRATION: &str = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa";
pub(crate) const PLANTED_SECRET: &str = "PLANTED-client-secret";

impl Variant {
    pub(crate) const ALL: [Self; 8] = [
        Dev,
        Prod,
        Private,
        ServicePrincipal,
        ScalerIdentity,
        First,
        Hub,
        Changed,
    ];
    /// The variants that have container apps of the stages.
    pub(crate) const WITH_APPS: [Self; 7] = [Dev, Prod, Private, ServicePrincipal, ScalerIdentity, Hub, Changed];

    /// Returns whether the services are reached through private endpoints only.
    pub(crate) fn is_private(self) -> bool {
        matches!(self, Private | Hub)
    }

    /// Returns whether there is a console.
    pub(crate) fn has_console(self) -> bool {
        matches!(self, Private | Changed)
    }

    /// Returns the parameter file on which the variant is based.
    fn file(self) -> &'static str {
        match self {
            Prod | Private | Hub => "main.prod.bicepparam",
            Dev | ServicePrincipal | ScalerIdentity | First | Changed => "main.dev.bicepparam",
        }
    }

    /// Returns `dev` or `prod`.
    pub(crate) fn environment(self) -> &'static str {
        match self {
            Prod | Private | Hub => "prod",
            Dev | ServicePrincipal | ScalerIdentity | First | Changed => "dev",
        }
    }

    fn deployment(self) -> Deployment {
        let of_file = Deployment::of(self.file());
        match self {
            Dev | Prod => of_file,
            Private => of_file
                .parameter("privateNetworking", "true")
                .parameter("zoneRedundant", "true")
                .parameter("eventHubs", "{ sku: 'Premium', capacity: 1 }")
                .parameter(
                    "console",
                    format!(
                        "{{ clientId: '{REGISTRATION}', tenantId: '{TENANT}', allowedAddresses: ['10.0.0.0/8', '192.0.2.7/32'] }}"
                    ),
                )
                .parameter(
                    "access",
                    format!(
                        "[{{ principalId: '{SOURCE}', principalType: 'ServicePrincipal', role: 'sendEvents' }}, \
                         {{ principalId: '{OPERATOR}', principalType: 'Group', role: 'operate' }}]"
                    ),
                ),
            ServicePrincipal => of_file
                .parameter("scalerAuthentication", "'servicePrincipal'")
                .parameter(
                    "scalerPrincipal",
                    format!("{{ tenantId: '{TENANT}', clientId: '{CLIENT}', objectId: '{OBJECT}' }}"),
                )
                .variable("XACT_SCALER_SECRET", PLANTED_SECRET),
            ScalerIdentity => of_file.parameter("scalerAuthentication", "'identity'"),
            First => of_file.variable("XACT_DEPLOY_APPS", "false"),
            Hub => of_file.parameter("privateNetworking", "true").parameter(
                "network",
                format!(
                    "{{ existingSubnets: {{ apps: '{HUB_NETWORK}/subnets/xact', endpoints: '{HUB_NETWORK}/subnets/pe' }}, \
                     dnsZones: 'existing', dnsZonesResourceGroupId: '{HUB_ZONES}' }}"
                ),
            ),
            Changed => of_file
                .variable("XACT_FABRIC_SCHEMA", "")
                .parameter("applicationInsights", "false")
                .parameter("cache", "{ sizeGiB: 50, sku: 'Standard_LRS', accountKey: 'key2' }")
                .parameter("vaultNameSalt", "'again'")
                .parameter("console", format!("{{ clientId: '{REGISTRATION}' }}"))
                .parameter("schedules", "{ maintain: '0 3 * * *', reconcile: '', lag: '*/10 * * * *' }"),
        }
    }

    /// Returns its prediction, which is computed once.
    pub(crate) fn snapshot(self) -> &'static Snapshot {
        static SNAPSHOTS: [OnceLock<Snapshot>; Variant::ALL.len()] = [const { OnceLock::new() }; Variant::ALL.len()];
        SNAPSHOTS[self as usize].get_or_init(|| Snapshot::of(self))
    }
}

/// The predicted resources of a variant.
pub(crate) struct Snapshot(Prediction);

impl Deref for Snapshot {
    type Target = Prediction;

    fn deref(&self) -> &Prediction {
        &self.0
    }
}

impl Snapshot {
    fn of(variant: Variant) -> Self {
        match variant.deployment().predict() {
            Ok(prediction) => Self(prediction),
            Err(error) => panic!("{variant:?}: {error}"),
        }
    }

    /// Returns the only resource of a type.
    pub(crate) fn only(&self, kind: &str) -> &Value {
        let all: Vec<_> = self.of_type(kind).collect();
        assert_eq!(all.len(), 1, "{kind}");
        all[0]
    }

    /// Returns the container app of the console.
    pub(crate) fn console(&self) -> &Value {
        let mut apps = self.of_type("Microsoft.App/containerApps");
        apps.find(|app| app["tags"]["app"] == "console").expect("a console")
    }

    /// Returns the container app of a stage.
    pub(crate) fn app(&self, stage: &str) -> &Value {
        self.of_type("Microsoft.App/containerApps")
            .find(|app| app["tags"]["stage"] == stage)
            .unwrap_or_else(|| panic!("no app of {stage}"))
    }
}

/// Returns the text of a value, which must be a string.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a string: {value}"))
}

/// Returns the last part of a name or an id.
pub(crate) fn last(path: &Value) -> &str {
    text(path).rsplit('/').next().unwrap()
}

/// Returns the elements of a value, which must be a list.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("not a list: {value}"))
}
