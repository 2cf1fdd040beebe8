//! Operation: tags, names, logs, alerts, and the differences between production and development.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::cli::ALERT_EMAIL;
use crate::snapshot::{Variant, list, text};
use xact_contracts::topology::{STAGES, TopicRole, Topics};

/// Types without tags: they are child resources of a resource that has tags.
const UNTAGGED: [&str; 10] = [
    "Microsoft.App/containerApps/authConfigs",
    "Microsoft.App/managedEnvironments/storages",
    "Microsoft.Authorization/roleAssignments",
    "Microsoft.EventHub/namespaces/authorizationRules",
    "Microsoft.EventHub/namespaces/eventhubs",
    "Microsoft.Insights/diagnosticSettings",
    "Microsoft.Network/privateDnsZones/A",
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups",
    "Microsoft.Storage/storageAccounts/fileServices",
    "Microsoft.Storage/storageAccounts/fileServices/shares",
];

#[test]
fn every_resource_is_tagged() {
    for variant in Variant::ALL {
        for resource in variant.snapshot().resources() {
            if UNTAGGED.contains(&text(&resource["type"])) {
                continue;
            }
            let tags = &resource["tags"];
            assert_eq!(tags["workload"], "xact", "{variant:?}: {resource}");
            assert_eq!(tags["environment"], variant.environment(), "{variant:?}: {resource}");
            assert!(tags["costCentre"].is_string(), "{variant:?}: {resource}");
        }
    }
}

#[test]
fn names_have_the_prefix_of_their_type_and_a_valid_length() {
    let rules = [
        ("Microsoft.App/containerApps", "ca-xact-", 32),
        ("Microsoft.App/jobs", "caj-xact-", 32),
        ("Microsoft.App/managedEnvironments", "cae-xact-", 60),
        ("Microsoft.ContainerRegistry/registries", "crxact", 50),
        ("Microsoft.EventHub/namespaces", "evhns-xact-", 50),
        ("Microsoft.KeyVault/vaults", "kv-xact-", 24),
        ("Microsoft.ManagedIdentity/userAssignedIdentities", "id-xact-", 128),
        ("Microsoft.OperationalInsights/workspaces", "log-xact-", 63),
        ("Microsoft.Storage/storageAccounts", "stxact", 24),
    ];
    for variant in Variant::ALL {
        for (kind, start, longest) in rules {
            for resource in variant.snapshot().of_type(kind) {
                let name = text(&resource["name"]);
                assert!(name.starts_with(start) && name.len() <= longest, "{name}");
            }
        }
        let mut ids: Vec<_> = variant
            .snapshot()
            .resources()
            .iter()
            .map(|one| text(&one["id"]).to_lowercase())
            .collect();
        let all = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), all, "{variant:?}: two resources with the same id");
    }
}

#[test]
fn the_longest_possible_names_have_a_valid_length() {
    let longest = STAGES.iter().map(|row| row.name.len()).max().unwrap();
    // ca-{workload, 6}-{environment, 4}-{stage}
    assert!("ca-123456-1234-".len() + longest <= 32);
    // kv-{workload}-{environment}-{unique, 5}
    assert!("kv-123456-1234-12345".len() <= 24);
}

/// A deleted vault keeps its name for days.
#[test]
fn a_salt_gives_the_vault_another_name_and_nothing_else() {
    let name = |variant: Variant, kind: &str| text(&variant.snapshot().only(kind)["name"]).to_owned();
    for (kind, is_same) in [
        ("Microsoft.KeyVault/vaults", false),
        ("Microsoft.EventHub/namespaces", true),
        ("Microsoft.Storage/storageAccounts", true),
    ] {
        assert_eq!(
            name(Variant::Dev, kind) == name(Variant::Changed, kind),
            is_same,
            "{kind}"
        );
    }
}

#[test]
fn every_resource_with_logs_sends_them_to_the_workspace() {
    for variant in Variant::ALL {
        let snapshot = variant.snapshot();
        let logged: BTreeSet<&str> = snapshot
            .of_type("Microsoft.Insights/diagnosticSettings")
            .map(|setting| {
                assert!(setting["properties"]["workspaceId"].is_string());
                text(&setting["id"])
                    .split_once("/providers/Microsoft.Insights/")
                    .unwrap()
                    .0
            })
            .collect();
        for kind in [
            "Microsoft.EventHub/namespaces",
            "Microsoft.App/managedEnvironments",
            "Microsoft.KeyVault/vaults",
            "Microsoft.ContainerRegistry/registries",
            "Microsoft.Storage/storageAccounts/fileServices",
        ] {
            assert!(logged.contains(text(&snapshot.only(kind)["id"])), "{variant:?}: {kind}");
        }
    }
}

#[test]
fn dead_letters_raise_an_alert() {
    for variant in Variant::ALL {
        let snapshot = variant.snapshot();
        let namespace = &snapshot.only("Microsoft.EventHub/namespaces")["id"];
        let alerts: Vec<(&Value, u64)> = snapshot
            .of_type("Microsoft.Insights/metricAlerts")
            .filter(|alert| text(&alert["name"]).contains("dead-letter"))
            .map(|alert| {
                let criterion = &alert["properties"]["criteria"]["allOf"][0];
                assert_eq!(alert["properties"]["scopes"][0], *namespace);
                assert_eq!(criterion["metricName"], "IncomingMessages");
                assert_eq!(criterion["timeAggregation"], "Total");
                assert_eq!(criterion["dimensions"][0]["name"], "EntityName");
                assert_eq!(criterion["dimensions"][0]["values"][0], Topics::default().dlq);
                (
                    &alert["properties"]["severity"],
                    criterion["threshold"].as_u64().unwrap(),
                )
            })
            .collect();
        // Any at all; 5 and 10 per minute over five minutes.
        assert_eq!(
            alerts,
            [(&Value::from(3), 0), (&Value::from(2), 25), (&Value::from(1), 50)]
        );
    }
}

#[test]
fn a_stage_at_its_maximum_of_replicas_raises_an_alert() {
    for variant in Variant::WITH_APPS {
        let snapshot = variant.snapshot();
        for row in &STAGES {
            let app = snapshot.app(row.name);
            let alert = snapshot
                .of_type("Microsoft.Insights/metricAlerts")
                .find(|alert| alert["properties"]["scopes"][0] == app["id"]);
            // Tasks that wait until they are due are lag by design.
            if row.consumes == TopicRole::Retry {
                assert!(alert.is_none(), "{}", row.name);
                continue;
            }
            let alert = alert.unwrap_or_else(|| panic!("no alert for {}", row.name));
            let criterion = &alert["properties"]["criteria"]["allOf"][0];
            assert_eq!(criterion["metricName"], "Replicas");
            assert_eq!(criterion["timeAggregation"], "Minimum");
            assert_eq!(
                criterion["threshold"],
                app["properties"]["template"]["scale"]["maxReplicas"]
            );
        }
    }
}

#[test]
fn throttling_and_used_up_quotas_raise_an_alert() {
    let snapshot = Variant::Prod.snapshot();
    for (name, metric) in [
        ("throttled", "ThrottledRequests"),
        ("quota-exceeded", "QuotaExceededErrors"),
    ] {
        let alert = snapshot
            .of_type("Microsoft.Insights/metricAlerts")
            .find(|alert| alert["name"] == format!("xact-prod-{name}"))
            .unwrap();
        let criterion = &alert["properties"]["criteria"]["allOf"][0];
        assert_eq!(criterion["metricName"], metric);
        assert_eq!(criterion["timeAggregation"], "Total");
        assert_eq!(criterion["threshold"], 0);
    }
}

#[test]
fn production_alerts_send_mail() {
    let people = Variant::Prod.snapshot().only("Microsoft.Insights/actionGroups");
    assert_eq!(people["properties"]["emailReceivers"][0]["emailAddress"], ALERT_EMAIL);
    for alert in Variant::Prod.snapshot().of_type("Microsoft.Insights/metricAlerts") {
        assert_eq!(list(&alert["properties"]["actions"])[0]["actionGroupId"], people["id"]);
    }
    for alert in Variant::Prod
        .snapshot()
        .of_type("Microsoft.Insights/scheduledQueryRules")
    {
        assert_eq!(alert["properties"]["actions"]["actionGroups"][0], people["id"]);
    }
    assert_eq!(
        Variant::Dev
            .snapshot()
            .of_type("Microsoft.Insights/actionGroups")
            .count(),
        0
    );
}

#[test]
fn production_has_longer_retention_and_larger_tiers_than_development() {
    let (dev, prod) = (Variant::Dev.snapshot(), Variant::Prod.snapshot());
    let of = |kind: &str, path: &str| {
        [dev, prod].map(|snapshot| {
            snapshot
                .only(kind)
                .pointer(path)
                .unwrap_or_else(|| panic!("{kind} {path}"))
                .clone()
        })
    };
    let [development, production] = of("Microsoft.KeyVault/vaults", "/properties/enablePurgeProtection");
    assert!(development.is_null() && production == true);
    let [development, production] = of(
        "Microsoft.OperationalInsights/workspaces",
        "/properties/retentionInDays",
    );
    assert!(development.as_u64() < production.as_u64());
    let [development, production] = of(
        "Microsoft.OperationalInsights/workspaces",
        "/properties/workspaceCapping/dailyQuotaGb",
    );
    assert_eq!((development, production), (1.into(), (-1).into()));
    let [development, production] = of("Microsoft.Storage/storageAccounts", "/sku/name");
    assert_eq!((text(&development), text(&production)), ("Standard_LRS", "Premium_ZRS"));
    let [development, production] = of("Microsoft.Storage/storageAccounts", "/kind");
    assert_eq!((text(&development), text(&production)), ("StorageV2", "FileStorage"));
    let [development, production] = of("Microsoft.ContainerRegistry/registries", "/sku/name");
    assert_eq!((text(&development), text(&production)), ("Basic", "Standard"));
}
