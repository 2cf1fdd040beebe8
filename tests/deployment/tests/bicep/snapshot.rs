//! The deployments to look at, and what each of them would make.

use std::ops::Deref;
use std::sync::OnceLock;

use serde_json::Value;

use xact_testkit::bicep::{Deployment, Prediction};

/// A deployment to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variant {
    /// `main.dev.bicepparam`.
    Dev,
    /// `main.prod.bicepparam`.
    Prod,
    /// Production in a virtual network of its own, on Premium, spread over zones.
    Private,
    /// The scaler logs on as a service principal.
    ServicePrincipal,
    /// The scaler logs on with a managed identity.
    ScalerIdentity,
    /// Before there are images.
    First,
}

use Variant::{Dev, First, Private, Prod, ScalerIdentity, ServicePrincipal};

/// The service principal of [`ServicePrincipal`], and somebody with access.
pub(crate) const TENANT: &str = "33333333-3333-4333-8333-333333333333";
pub(crate) const CLIENT: &str = "44444444-4444-4444-8444-444444444444";
pub(crate) const OBJECT: &str = "55555555-5555-4555-8555-555555555555";
pub(crate) const SOURCE: &str = "66666666-6666-4666-8666-666666666666";
pub(crate) const OPERATOR: &str = "77777777-7777-4777-8777-777777777777";
pub(crate) const PLANTED_SECRET: &str = "PLANTED-client-secret";

impl Variant {
    pub(crate) const ALL: [Self; 6] = [Dev, Prod, Private, ServicePrincipal, ScalerIdentity, First];
    /// Those that have container apps.
    pub(crate) const WITH_APPS: [Self; 5] = [Dev, Prod, Private, ServicePrincipal, ScalerIdentity];

    /// The parameter file that it begins with.
    fn file(self) -> &'static str {
        match self {
            Prod | Private => "main.prod.bicepparam",
            Dev | ServicePrincipal | ScalerIdentity | First => "main.dev.bicepparam",
        }
    }

    /// `dev` or `prod`.
    pub(crate) fn environment(self) -> &'static str {
        match self {
            Prod | Private => "prod",
            Dev | ServicePrincipal | ScalerIdentity | First => "dev",
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
        }
    }

    /// Its prediction, made once.
    pub(crate) fn snapshot(self) -> &'static Snapshot {
        static SNAPSHOTS: [OnceLock<Snapshot>; Variant::ALL.len()] = [const { OnceLock::new() }; Variant::ALL.len()];
        SNAPSHOTS[self as usize].get_or_init(|| Snapshot::of(self))
    }
}

/// A prediction.
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

    /// The only resource of a type.
    pub(crate) fn only(&self, kind: &str) -> &Value {
        let all: Vec<_> = self.of_type(kind).collect();
        assert_eq!(all.len(), 1, "{kind}");
        all[0]
    }

    /// The container app of a stage.
    pub(crate) fn app(&self, stage: &str) -> &Value {
        self.of_type("Microsoft.App/containerApps")
            .find(|app| app["tags"]["stage"] == stage)
            .unwrap_or_else(|| panic!("no app of {stage}"))
    }
}

/// The text of a value that must be one.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// The last part of a name or an id.
pub(crate) fn last(path: &Value) -> &str {
    text(path).rsplit('/').next().unwrap()
}

/// The elements of a value that must be a list.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("no list: {value}"))
}
