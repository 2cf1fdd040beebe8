//! Private networking: one parameter makes every service reachable from the virtual network only.

use std::collections::BTreeMap;

use crate::cli::{bicep, copy_of_templates};
use crate::snapshot::{HUB_NETWORK, HUB_ZONES, Variant, last, list, text};
use xact_testkit::bicep::Deployment;

/// Services with private endpoints: type, group, and the part of the DNS zone that is known before the deployment.
const SERVICES: [(&str, &str, &str); 4] = [
    (
        "Microsoft.EventHub/namespaces",
        "namespace",
        "privatelink.servicebus.windows.net",
    ),
    ("Microsoft.KeyVault/vaults", "vault", "privatelink.vaultcore.azure.net"),
    ("Microsoft.Storage/storageAccounts", "file", "privatelink.file."),
    ("Microsoft.ContainerRegistry/registries", "registry", "privatelink"),
];

#[test]
fn public_access_is_off_in_the_private_variant_and_on_in_the_others() {
    for variant in Variant::ALL {
        for (kind, _, _) in SERVICES {
            let expected = if variant.is_private() { "Disabled" } else { "Enabled" };
            let found = &variant.snapshot().only(kind)["properties"]["publicNetworkAccess"];
            assert_eq!(*found, expected, "{variant:?} {kind}");
        }
        let environment = &variant.snapshot().only("Microsoft.App/managedEnvironments")["properties"];
        // Of the apps, the console alone is called from outside; an internal environment knows "Disabled" only.
        let expected = if variant.has_console() && !variant.is_private() {
            "Enabled"
        } else {
            "Disabled"
        };
        assert_eq!(environment["publicNetworkAccess"], expected, "{variant:?}");
    }
}

#[test]
fn every_service_has_a_private_endpoint_and_a_dns_zone() {
    let snapshot = Variant::Private.snapshot();
    let network = snapshot.only("Microsoft.Network/virtualNetworks");
    let endpoints: BTreeMap<&str, &serde_json::Value> = snapshot
        .of_type("Microsoft.Network/privateEndpoints")
        .map(|endpoint| {
            let connection = &endpoint["properties"]["privateLinkServiceConnections"][0]["properties"];
            (text(&connection["privateLinkServiceId"]), endpoint)
        })
        .collect();
    assert_eq!(endpoints.len(), SERVICES.len());
    let zones: Vec<_> = snapshot.of_type("Microsoft.Network/privateDnsZones").collect();
    // And that of the environment's apps, for the console.
    assert_eq!(zones.len(), SERVICES.len() + 1);
    let links: Vec<_> = snapshot
        .of_type("Microsoft.Network/privateDnsZones/virtualNetworkLinks")
        .collect();
    assert_eq!(links.len(), zones.len());
    assert!(
        links
            .iter()
            .all(|link| link["properties"]["virtualNetwork"]["id"] == network["id"])
    );
    assert_eq!(
        snapshot
            .of_type("Microsoft.Network/privateEndpoints/privateDnsZoneGroups")
            .count(),
        SERVICES.len()
    );
    for (kind, group, zone) in SERVICES {
        let service = snapshot.only(kind);
        let endpoint = endpoints[text(&service["id"])];
        let connection = &endpoint["properties"]["privateLinkServiceConnections"][0]["properties"];
        assert_eq!(connection["groupIds"], serde_json::json!([group]));
        assert_eq!(last(&endpoint["properties"]["subnet"]["id"]), "endpoints");
        assert!(zones.iter().any(|found| text(&found["name"]).contains(zone)), "{zone}");
    }
}

/// Nobody else resolves the names of an internal environment.
#[test]
fn the_name_of_the_console_is_resolved_in_the_network() {
    for variant in Variant::ALL {
        let snapshot = variant.snapshot();
        let records: Vec<_> = snapshot.of_type("Microsoft.Network/privateDnsZones/A").collect();
        // Whoever keeps existing zones makes the record.
        assert_eq!(records.len(), usize::from(variant == Variant::Private), "{variant:?}");
        for record in records {
            assert!(text(&record["id"]).contains(".defaultDomain, '*')"), "{record}");
            let address = &record["properties"]["aRecords"][0]["ipv4Address"];
            assert!(text(address).ends_with(".staticIp]"), "{address}");
        }
    }
}

#[test]
fn the_environment_has_its_own_subnet() {
    let snapshot = Variant::Private.snapshot();
    let network = snapshot.only("Microsoft.Network/virtualNetworks");
    let subnets = list(&network["properties"]["subnets"]);
    let apps = subnets.iter().find(|subnet| subnet["name"] == "apps").unwrap();
    assert_eq!(
        apps["properties"]["delegations"][0]["properties"]["serviceName"],
        "Microsoft.App/environments"
    );
    let environment = &snapshot.only("Microsoft.App/managedEnvironments")["properties"];
    let subnet = text(&environment["vnetConfiguration"]["infrastructureSubnetId"]);
    assert_eq!(subnet, format!("{}/subnets/apps", text(&network["id"])));
    assert_eq!(environment["vnetConfiguration"]["internal"], true);
    assert_eq!(environment["zoneRedundant"], true);
}

#[test]
fn an_existing_network_and_its_dns_zones_are_used() {
    let snapshot = Variant::Hub.snapshot();
    for kind in ["virtualNetworks", "networkSecurityGroups", "privateDnsZones"] {
        assert_eq!(
            snapshot.of_type(&format!("Microsoft.Network/{kind}")).count(),
            0,
            "{kind}"
        );
    }
    let environment = &snapshot.only("Microsoft.App/managedEnvironments")["properties"];
    assert_eq!(
        environment["vnetConfiguration"]["infrastructureSubnetId"],
        format!("{HUB_NETWORK}/subnets/xact")
    );
    let endpoints: Vec<_> = snapshot.of_type("Microsoft.Network/privateEndpoints").collect();
    assert_eq!(endpoints.len(), SERVICES.len());
    for endpoint in endpoints {
        assert_eq!(
            endpoint["properties"]["subnet"]["id"],
            format!("{HUB_NETWORK}/subnets/pe")
        );
    }
    for record in snapshot.of_type("Microsoft.Network/privateEndpoints/privateDnsZoneGroups") {
        let zone = text(&record["properties"]["privateDnsZoneConfigs"][0]["properties"]["privateDnsZoneId"]);
        assert!(zone.contains(HUB_ZONES) && zone.contains("privateDnsZones/"), "{zone}");
    }
}

/// With an Azure Policy that makes the records, a zone group of the deployment would be a second owner of them.
#[test]
fn a_policy_can_make_the_dns_records() {
    let network = "{ addressPrefix: '10.0.0.0/22', appsPrefix: '10.0.0.0/23', endpointsPrefix: '10.0.2.0/27', dnsZones: 'policy' }";
    let prediction = Deployment::of("main.prod.bicepparam")
        .parameter("privateNetworking", "true")
        .parameter("network", network)
        .predict()
        .unwrap();
    for (kind, count) in [
        ("privateEndpoints", SERVICES.len()),
        ("privateEndpoints/privateDnsZoneGroups", 0),
        ("privateDnsZones", 0),
    ] {
        let found = prediction.of_type(&format!("Microsoft.Network/{kind}")).count();
        assert_eq!(found, count, "{kind}");
    }
}

#[test]
fn without_private_networking_there_is_no_network() {
    for variant in [Variant::Dev, Variant::Prod] {
        let network = |kind: &str| variant.snapshot().of_type(kind).count();
        assert_eq!(network("Microsoft.Network/virtualNetworks"), 0);
        assert_eq!(network("Microsoft.Network/privateEndpoints"), 0);
        assert_eq!(network("Microsoft.Network/privateDnsZones"), 0);
    }
}

#[test]
fn a_registry_with_a_private_endpoint_is_premium() {
    let registry = Variant::Private
        .snapshot()
        .only("Microsoft.ContainerRegistry/registries");
    assert_eq!(registry["sku"]["name"], "Premium");
}

#[test]
fn parameters_that_do_not_fit_together_are_rejected() {
    let cases = [
        ("param zoneRedundant = true", "zoneRedundant needs privateNetworking"),
        (
            "param privateNetworking = true\nparam network = { dnsZones: 'existing' }",
            "set network.dnsZonesResourceGroupId",
        ),
    ];
    for (parameters, expected) in cases {
        let folder = copy_of_templates();
        let file = folder.path().join("main.dev.bicepparam");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, format!("{text}\n{parameters}\n")).unwrap();
        let arguments = [
            "snapshot",
            "main.dev.bicepparam",
            "--mode=overwrite",
            "--resource-group=g",
            "--location=westeurope",
        ];
        let output = bicep(folder.path(), &arguments, &[]);
        let printed = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && printed.contains(expected), "{printed}");
    }
}
