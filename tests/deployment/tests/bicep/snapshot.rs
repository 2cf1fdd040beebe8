//! `bicep snapshot`: what a deployment would make, every loop unrolled and every name computed. What is known only in
//! Azure (ids of principals, keys) stands there as the text of its expression.

use crate::cli::{bicep, copy_of_templates};
use serde_json::Value;
use std::sync::OnceLock;

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

/// The subscription and group of the prediction.
pub(crate) const SUBSCRIPTION: &str = "00000000-0000-4000-8000-000000000001";
pub(crate) const GROUP: &str = "rg-xact-test";

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

    /// Parameters that are other than in the file.
    fn changes(self) -> Vec<(&'static str, String)> {
        match self {
            Dev | Prod | First => Vec::new(),
            Private => vec![
                ("privateNetworking", "true".to_owned()),
                ("zoneRedundant", "true".to_owned()),
                ("eventHubs", "{ sku: 'Premium', capacity: 1 }".to_owned()),
                (
                    "access",
                    format!(
                        "[{{ principalId: '{SOURCE}', principalType: 'ServicePrincipal', role: 'sendEvents' }}, \
                         {{ principalId: '{OPERATOR}', principalType: 'Group', role: 'operate' }}]"
                    ),
                ),
            ],
            ServicePrincipal => vec![
                ("scalerAuthentication", "'servicePrincipal'".to_owned()),
                (
                    "scalerPrincipal",
                    format!("{{ tenantId: '{TENANT}', clientId: '{CLIENT}', objectId: '{OBJECT}' }}"),
                ),
            ],
            ScalerIdentity => vec![("scalerAuthentication", "'identity'".to_owned())],
        }
    }

    fn environment_variables(self) -> &'static [(&'static str, &'static str)] {
        match self {
            First => &[("XACT_DEPLOY_APPS", "false")],
            ServicePrincipal => &[("XACT_SCALER_SECRET", PLANTED_SECRET)],
            Dev | Prod | Private | ScalerIdentity => &[],
        }
    }

    /// Its prediction, made once.
    pub(crate) fn snapshot(self) -> &'static Snapshot {
        static SNAPSHOTS: [OnceLock<Snapshot>; Variant::ALL.len()] = [const { OnceLock::new() }; Variant::ALL.len()];
        SNAPSHOTS[self as usize].get_or_init(|| Snapshot::of(self))
    }
}

/// The text of a parameter file with some parameters changed or added. Only parameters of one line can be changed.
fn with_changes(text: &str, changes: &[(&'static str, String)]) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for (name, value) in changes {
        let start = format!("param {name} =");
        let line = format!("{start} {value}");
        match lines.iter_mut().find(|line| line.starts_with(&start)) {
            Some(found) => *found = line,
            None => lines.push(line),
        }
    }
    lines.join("\n") + "\n"
}

/// A prediction.
pub(crate) struct Snapshot {
    /// All of it.
    pub(crate) document: Value,
}

impl Snapshot {
    fn of(variant: Variant) -> Self {
        let folder = copy_of_templates();
        let parameters = folder.path().join(variant.file());
        let text = std::fs::read_to_string(&parameters).unwrap();
        std::fs::write(&parameters, with_changes(&text, &variant.changes())).unwrap();
        let arguments = [
            "snapshot",
            variant.file(),
            "--mode=overwrite",
            "--subscription-id",
            SUBSCRIPTION,
            "--resource-group",
            GROUP,
            "--location=westeurope",
            "--deployment-name=xact",
        ];
        let output = bicep(folder.path(), &arguments, variant.environment_variables());
        let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(output.status.success() && said.trim().is_empty(), "{variant:?}: {said}");
        let file = parameters.with_extension("snapshot.json");
        let document: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        assert_eq!(document["diagnostics"], Value::Array(Vec::new()), "{variant:?}");
        Self { document }
    }

    /// All resources.
    pub(crate) fn resources(&self) -> &[Value] {
        self.document["predictedResources"].as_array().unwrap()
    }

    /// All resources of a type.
    pub(crate) fn of_type<'a>(&'a self, kind: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
        let kind = kind.to_owned();
        self.resources()
            .iter()
            .filter(move |resource| resource["type"] == *kind)
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
