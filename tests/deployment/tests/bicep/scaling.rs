//! The KEDA Kafka scaler of each container app: from zero replicas to one per partition.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::snapshot::{Variant, list, text};
use crate::topology::role;
use xact_contracts::topology::{Groups, STAGES, Topics};

/// Returns the metadata of a rule that configures authentication.
fn authentication_metadata(variant: Variant) -> Value {
    match variant {
        Variant::ServicePrincipal => json!({ "sasl": "oauthbearer", "saslTokenProvider": "bearer", "tls": "enable" }),
        Variant::ScalerIdentity => {
            json!({ "sasl": "oauthbearer", "saslTokenProvider": "azure_workload_identity", "tls": "enable" })
        }
        _ => json!({ "sasl": "plaintext", "tls": "enable" }),
    }
}

/// Returns the parameters of the scaler that come from secrets.
fn authentication_parameters(variant: Variant) -> &'static [&'static str] {
    match variant {
        Variant::ServicePrincipal => &["username", "password", "scopes", "oauthTokenEndpointUri"],
        Variant::ScalerIdentity => &["scopes"],
        _ => &["username", "password"],
    }
}

#[test]
fn every_rule_is_exactly_what_the_scaler_expects() {
    for variant in Variant::WITH_APPS {
        let snapshot = variant.snapshot();
        let namespace = text(&snapshot.only("Microsoft.EventHub/namespaces")["name"]);
        let (topics, groups) = (Topics::default(), Groups::default());
        for row in &STAGES {
            let scale = &snapshot.app(row.name)["properties"]["template"]["scale"];
            let rules = list(&scale["rules"]);
            let reads = topics.of(row.consumes);
            assert_eq!(rules.len(), reads.len(), "{}: one rule for each topic", row.name);
            for (rule, topic) in rules.iter().zip(reads) {
                assert_eq!(rule["name"], topic.replace('.', "-"));
                let custom = &rule["custom"];
                assert_eq!(custom["type"], "kafka");
                let mut expected = json!({
                    "bootstrapServers": format!("{namespace}.servicebus.windows.net:9093"),
                    "consumerGroup": groups.of(row.stage),
                    "topic": topic,
                    "lagThreshold": row.lag_threshold.to_string(),
                    "activationLagThreshold": "0",
                    "offsetResetPolicy": "earliest",
                    "scaleToZeroOnInvalidOffset": "false",
                    "allowIdleConsumers": "false",
                    "limitToPartitionsWithLag": "true",
                    "version": "1.0.0",
                });
                let logon = authentication_metadata(variant);
                expected
                    .as_object_mut()
                    .unwrap()
                    .extend(logon.as_object().unwrap().clone());
                assert_eq!(custom["metadata"], expected, "{variant:?} {}", row.name);
                assert!(custom["metadata"].as_object().unwrap().values().all(Value::is_string));
                let parameters: Vec<_> = list(&custom["auth"])
                    .iter()
                    .map(|auth| text(&auth["triggerParameter"]))
                    .collect();
                assert_eq!(parameters, authentication_parameters(variant));
            }
        }
    }
}

#[test]
fn an_app_has_at_most_one_replica_for_each_partition() {
    for variant in Variant::WITH_APPS {
        for row in &STAGES {
            let scale = &variant.snapshot().app(row.name)["properties"]["template"]["scale"];
            assert_eq!(
                scale["maxReplicas"],
                row.consumes.partitions(),
                "{variant:?} {} reads {}",
                row.name,
                role(row.consumes)
            );
            assert_eq!(scale["pollingInterval"], 30);
            assert_eq!(scale["cooldownPeriod"], 300);
        }
    }
}

#[test]
fn development_scales_to_zero_and_production_only_where_latency_does_not_matter() {
    let least = |variant: Variant, stage: &str| {
        let scale = &variant.snapshot().app(stage)["properties"]["template"]["scale"];
        scale["minReplicas"].as_u64().unwrap()
    };
    for row in &STAGES {
        assert_eq!(least(Variant::Dev, row.name), 0, "{}", row.name);
        let may_wait = ["retry-scheduler", "dlq"].contains(&row.name);
        assert_eq!(least(Variant::Prod, row.name), u64::from(!may_wait), "{}", row.name);
    }
}

#[test]
fn every_referenced_secret_is_declared_and_in_the_vault() {
    for variant in Variant::WITH_APPS {
        let snapshot = variant.snapshot();
        let vault = text(&snapshot.only("Microsoft.KeyVault/vaults")["name"]);
        let in_vault: BTreeSet<String> = snapshot
            .of_type("Microsoft.KeyVault/vaults/secrets")
            .map(|secret| {
                text(&secret["name"])
                    .strip_prefix(&format!("{vault}/"))
                    .unwrap()
                    .to_owned()
            })
            .collect();
        for row in &STAGES {
            let properties = &snapshot.app(row.name)["properties"];
            let mut declared = BTreeSet::new();
            for secret in list(&properties["configuration"]["secrets"]) {
                let name = text(&secret["name"]);
                assert!(secret.get("value").is_none(), "{}: {name} is not a reference", row.name);
                // The suffix of the vault's host is known in Azure only.
                let url = text(&secret["keyVaultUrl"]);
                assert!(
                    url.contains(&format!("'{vault}'")) && url.ends_with(&format!("'{name}')]")),
                    "{url}"
                );
                assert!(text(&secret["identity"]).ends_with("-platform"), "{secret}");
                declared.insert(name.to_owned());
            }
            let used: BTreeSet<String> = references(properties).into_iter().collect();
            assert_eq!(used, declared, "{variant:?} {}", row.name);
            assert!(used.is_subset(&in_vault), "{variant:?}: {used:?} of {in_vault:?}");
        }
    }
}

/// Returns every `secretRef` and `passwordSecretRef` below a value.
fn references(value: &Value) -> Vec<String> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, value)| match value {
                Value::String(secret) if name.to_ascii_lowercase().ends_with("secretref") => vec![secret.clone()],
                _ => references(value),
            })
            .collect(),
        Value::Array(values) => values.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn no_handler_gets_a_secret_of_the_scaler() {
    for variant in Variant::WITH_APPS {
        for row in &STAGES {
            let container = &variant.snapshot().app(row.name)["properties"]["template"]["containers"][0];
            assert_eq!(references(container), Vec::<String>::new(), "{variant:?} {}", row.name);
        }
    }
}

#[test]
fn the_rules_name_an_identity_only_if_the_scaler_uses_one() {
    for variant in Variant::WITH_APPS {
        for row in &STAGES {
            let app = variant.snapshot().app(row.name);
            for rule in list(&app["properties"]["template"]["scale"]["rules"]) {
                let identity = &rule["custom"]["identity"];
                if variant == Variant::ScalerIdentity {
                    assert!(text(identity).ends_with("-platform"), "{identity}");
                } else {
                    assert!(identity.is_null(), "{identity}");
                }
            }
        }
    }
}
