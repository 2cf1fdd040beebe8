//! Access: identities, roles and keys.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::snapshot::{CLIENT, OBJECT, OPERATOR, PLANTED_SECRET, SOURCE, Snapshot, TENANT, Variant, last, list, text};
use xact_contracts::topology::{STAGES, TopicRole, Topics};

pub(crate) const RECEIVER: &str = "a638d3c7-ab3a-418d-83e6-5f17a39d4fde";
pub(crate) const SENDER: &str = "2b629674-e913-4c01-ae53-ef4638d8f975";
pub(crate) const PULL: &str = "7f951dda-4ed3-4680-a7ca-43fe172d538d";
pub(crate) const SECRETS_USER: &str = "4633458b-17de-408a-b874-0445c86b69e6";

/// A role assignment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Grant {
    /// Name of the identity, or object id of the principal.
    who: String,
    /// Id of the role.
    role: String,
    /// Type and name of the scope.
    scope: String,
}

fn grant(who: &str, role: &str, scope: &str) -> Grant {
    Grant {
        who: who.to_owned(),
        role: role.to_owned(),
        scope: scope.to_owned(),
    }
}

fn grants(snapshot: &Snapshot) -> BTreeSet<Grant> {
    let all: Vec<Grant> = snapshot
        .of_type("Microsoft.Authorization/roleAssignments")
        .map(|assignment| {
            let id = text(&assignment["id"]);
            let (resource, _) = id.split_once("/providers/Microsoft.Authorization/").unwrap();
            let mut parts = resource.rsplit('/');
            let (name, kind) = (parts.next().unwrap(), parts.next().unwrap());
            let principal = text(&assignment["properties"]["principalId"]);
            // "[reference('/subscriptions/…/userAssignedIdentities/NAME', '…').principalId]"
            let who = match principal.split_once("/userAssignedIdentities/") {
                Some((_, rest)) => rest.split('\'').next().unwrap(),
                None => principal,
            };
            grant(
                who,
                last(&assignment["properties"]["roleDefinitionId"]),
                &format!("{kind}/{name}"),
            )
        })
        .collect();
    let distinct: BTreeSet<Grant> = all.iter().cloned().collect();
    assert_eq!(all.len(), distinct.len(), "a role is assigned twice");
    distinct
}

/// Returns the exact role assignments of a variant.
fn expected(variant: Variant) -> BTreeSet<Grant> {
    let snapshot = variant.snapshot();
    let topics = Topics::default();
    let base = format!("id-xact-{}", variant.environment());
    let platform = format!("{base}-platform");
    let name = |kind| text(&snapshot.only(kind)["name"]).to_owned();
    let namespace = format!("namespaces/{}", name("Microsoft.EventHub/namespaces"));
    let mut all = BTreeSet::new();
    for row in &STAGES {
        let who = format!("{base}-{}", row.name);
        for topic in topics.of(row.consumes) {
            all.insert(grant(&who, RECEIVER, &format!("eventhubs/{topic}")));
        }
        for topic in row.produces.iter().flat_map(|&role| topics.of(role)) {
            all.insert(grant(&who, SENDER, &format!("eventhubs/{topic}")));
        }
    }
    for job in ["reconcile", "lag"] {
        all.insert(grant(&format!("{base}-{job}"), RECEIVER, &namespace));
    }
    if variant.is_private() {
        for role in [RECEIVER, SENDER] {
            all.insert(grant(&format!("{base}-operate"), role, &namespace));
        }
    }
    if variant.has_console() {
        for role in [RECEIVER, SENDER] {
            all.insert(grant(&format!("{base}-console"), role, &namespace));
        }
    }
    let registry = format!("registries/{}", name("Microsoft.ContainerRegistry/registries"));
    all.insert(grant(&platform, PULL, &registry));
    all.insert(grant(&platform, SECRETS_USER, "secrets/cache-account-key"));
    let secrets: &[&str] = match variant {
        Variant::ServicePrincipal => &[
            "scaler-username",
            "scaler-password",
            "scaler-scopes",
            "scaler-token-endpoint",
        ],
        Variant::ScalerIdentity => &["scaler-scopes"],
        _ => &["scaler-username", "scaler-password"],
    };
    for secret in secrets {
        all.insert(grant(&platform, SECRETS_USER, &format!("secrets/{secret}")));
    }
    match variant {
        Variant::ServicePrincipal => {
            all.insert(grant(OBJECT, RECEIVER, &namespace));
        }
        Variant::ScalerIdentity => {
            all.insert(grant(&platform, RECEIVER, &namespace));
        }
        Variant::Private => {
            let raw = topics.of(TopicRole::Raw)[0];
            all.insert(grant(SOURCE, SENDER, &format!("eventhubs/{raw}")));
            all.insert(grant(OPERATOR, RECEIVER, &namespace));
            all.insert(grant(OPERATOR, SENDER, &namespace));
        }
        Variant::Dev | Variant::Prod | Variant::First | Variant::Hub | Variant::Changed => {}
    }
    all
}

#[test]
fn role_assignments_are_exactly_those_of_the_topology() {
    for variant in Variant::ALL {
        let (found, expected) = (grants(variant.snapshot()), expected(variant));
        let missing: Vec<_> = expected.difference(&found).collect();
        let unexpected: Vec<_> = found.difference(&expected).collect();
        assert!(
            missing.is_empty() && unexpected.is_empty(),
            "{variant:?}: missing {missing:#?}, unexpected {unexpected:#?}"
        );
    }
}

#[test]
fn every_stage_has_its_own_identity() {
    for variant in Variant::WITH_APPS {
        let snapshot = variant.snapshot();
        let made: BTreeSet<&str> = snapshot
            .of_type("Microsoft.ManagedIdentity/userAssignedIdentities")
            .map(|identity| text(&identity["name"]))
            .collect();
        // The platform, the jobs, and the console.
        let jobs = snapshot.of_type("Microsoft.App/jobs").count() + usize::from(variant == Variant::Changed);
        assert_eq!(made.len(), STAGES.len() + 1 + jobs + usize::from(variant.has_console()));
        for row in &STAGES {
            let app = snapshot.app(row.name);
            let own = format!("id-xact-{}-{}", variant.environment(), row.name);
            let platform = format!("id-xact-{}-platform", variant.environment());
            assert!(made.contains(own.as_str()) && made.contains(platform.as_str()));
            let attached: BTreeSet<&str> = app["identity"]["userAssignedIdentities"]
                .as_object()
                .unwrap()
                .keys()
                .map(|id| id.rsplit('/').next().unwrap())
                .collect();
            assert_eq!(attached, BTreeSet::from([own.as_str(), platform.as_str()]));
            assert_eq!(app["identity"]["type"], "UserAssigned");
            // The identity of the handler, and the one that only the platform may use.
            let mut lifecycles: Vec<_> = list(&app["properties"]["configuration"]["identitySettings"])
                .iter()
                .map(|setting| {
                    (
                        last(&setting["identity"]).to_owned(),
                        text(&setting["lifecycle"]).to_owned(),
                    )
                })
                .collect();
            lifecycles.sort();
            let mut expected = vec![(own.clone(), "Main".to_owned()), (platform, "None".to_owned())];
            expected.sort();
            assert_eq!(lifecycles, expected);
            let client = list(&app["properties"]["template"]["containers"][0]["env"])
                .iter()
                .find(|variable| variable["name"] == "AZURE_CLIENT_ID")
                .unwrap();
            assert!(text(&client["value"]).contains(&format!("/{own}'")), "{client}");
        }
    }
}

#[test]
fn key_authentication_is_disabled_where_no_key_is_needed() {
    for variant in Variant::ALL {
        let snapshot = variant.snapshot();
        let uses_key = !matches!(variant, Variant::ServicePrincipal | Variant::ScalerIdentity);
        let namespace = &snapshot.only("Microsoft.EventHub/namespaces")["properties"];
        assert_eq!(namespace["disableLocalAuth"], !uses_key, "{variant:?}");
        let rules: Vec<_> = snapshot
            .of_type("Microsoft.EventHub/namespaces/authorizationRules")
            .collect();
        assert_eq!(rules.len(), usize::from(uses_key), "{variant:?}");
        for rule in rules {
            assert_eq!(rule["properties"]["rights"], serde_json::json!(["Listen"]));
        }
        let registry = &snapshot.only("Microsoft.ContainerRegistry/registries")["properties"];
        assert_eq!(registry["adminUserEnabled"], false);
        assert_eq!(registry["anonymousPullEnabled"], false);
        let vault = &snapshot.only("Microsoft.KeyVault/vaults")["properties"];
        assert_eq!(vault["enableRbacAuthorization"], true);
        let workspace = &snapshot.only("Microsoft.OperationalInsights/workspaces")["properties"];
        assert_eq!(workspace["features"]["disableLocalAuth"], true);
        let storage = &snapshot.only("Microsoft.Storage/storageAccounts")["properties"];
        assert_eq!(storage["minimumTlsVersion"], "TLS1_2");
        assert_eq!(storage["supportsHttpsTrafficOnly"], true);
        assert_eq!(storage["allowBlobPublicAccess"], false);
    }
}

/// Keys are written to the vault only.
#[test]
fn keys_are_in_the_vault_only() {
    let is_key = |text: &str| {
        ["listKeys(", "listCredentials(", PLANTED_SECRET]
            .iter()
            .any(|mark| text.contains(mark))
    };
    for variant in Variant::ALL {
        let document = &variant.snapshot().document;
        assert!(
            !is_key(&document["outputs"].to_string()),
            "{variant:?}: {}",
            document["outputs"]
        );
        for resource in variant.snapshot().resources() {
            let is_secret = resource["type"] == "Microsoft.KeyVault/vaults/secrets";
            assert!(is_secret || !is_key(&resource.to_string()), "{variant:?}: {resource}");
        }
    }
}

#[test]
fn the_vault_holds_the_credentials_of_the_scaler() {
    let secret = |variant: Variant, name: &str| {
        let secrets = variant.snapshot().of_type("Microsoft.KeyVault/vaults/secrets");
        let found: Vec<Value> = secrets
            .filter(|secret| text(&secret["name"]).ends_with(&format!("/{name}")))
            .map(|secret| secret["properties"]["value"].clone())
            .collect();
        assert_eq!(found.len(), 1, "{variant:?} {name}");
        text(&found[0]).to_owned()
    };
    assert_eq!(secret(Variant::Dev, "scaler-username"), "$ConnectionString");
    let key = secret(Variant::Dev, "scaler-password");
    assert!(
        key.contains("/authorizationRules/scaler'") && key.ends_with(".primaryConnectionString]"),
        "{key}"
    );
    let cache = secret(Variant::Dev, "cache-account-key");
    assert!(
        cache.contains("/storageAccounts/") && cache.ends_with(".keys[0].value]"),
        "{cache}"
    );
    assert!(secret(Variant::Changed, "cache-account-key").ends_with(".keys[1].value]"));

    assert_eq!(secret(Variant::ServicePrincipal, "scaler-username"), CLIENT);
    let endpoint = secret(Variant::ServicePrincipal, "scaler-token-endpoint");
    assert!(
        endpoint.contains("loginEndpoint") && endpoint.contains(TENANT),
        "{endpoint}"
    );
    for variant in [Variant::ServicePrincipal, Variant::ScalerIdentity] {
        let namespace = text(&variant.snapshot().only("Microsoft.EventHub/namespaces")["name"]);
        let scope = format!("https://{namespace}.servicebus.windows.net/.default");
        assert_eq!(secret(variant, "scaler-scopes"), scope);
    }
}

#[test]
fn the_cache_share_is_mounted_with_the_key_from_the_vault() {
    for variant in Variant::ALL {
        let snapshot = variant.snapshot();
        let share = snapshot.only("Microsoft.Storage/storageAccounts/fileServices/shares");
        let mount = &snapshot.only("Microsoft.App/managedEnvironments/storages")["properties"]["azureFile"];
        assert_eq!(mount["shareName"], last(&share["name"]));
        assert_eq!(
            mount["accountName"],
            snapshot.only("Microsoft.Storage/storageAccounts")["name"]
        );
        assert_eq!(mount["accessMode"], "ReadWrite");
        assert!(mount.get("accountKey").is_none());
        assert!(text(&mount["accountKeyVaultProperties"]["keyVaultUrl"]).ends_with("'cache-account-key')]"));
        assert!(text(&mount["accountKeyVaultProperties"]["identity"]).ends_with("-platform"));
    }
}
