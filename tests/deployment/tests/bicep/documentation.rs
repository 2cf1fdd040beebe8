//! `bicep/README.md` lists every parameter, output, role and resource type, and its numbers are those of the templates.

use std::collections::BTreeSet;

use crate::cli::{built, root, templates};
use crate::snapshot::{Variant, last, text};
use crate::topology::TOPOLOGY;

fn readme() -> String {
    std::fs::read_to_string(templates().join("README.md")).unwrap()
}

#[test]
fn every_role_is_listed() {
    let readme = readme();
    let roles: BTreeSet<&str> = Variant::ALL
        .iter()
        .flat_map(|variant| variant.snapshot().of_type("Microsoft.Authorization/roleAssignments"))
        .map(|assignment| last(&assignment["properties"]["roleDefinitionId"]))
        .collect();
    assert_eq!(roles.len(), 4);
    for role in roles {
        assert!(
            readme.lines().any(|line| line.starts_with('|') && line.contains(role)),
            "{role}"
        );
    }
}

#[test]
fn every_parameter_and_output_is_listed() {
    let (readme, built) = (readme(), built());
    for section in ["parameters", "outputs"] {
        for name in built[section].as_object().unwrap().keys() {
            assert!(readme.contains(&format!("| `{name}` |")), "{section}: {name}");
        }
    }
}

#[test]
fn every_type_of_resource_is_listed() {
    let readme = readme();
    let types: BTreeSet<&str> = Variant::ALL
        .iter()
        .flat_map(|variant| variant.snapshot().resources())
        .map(|resource| text(&resource["type"]))
        // Child resources are not listed on their own.
        .filter(|kind| kind.matches('/').count() == 1)
        .collect();
    for kind in types {
        assert!(readme.contains(&format!("`{kind}`")), "{kind}");
    }
}

/// A deployment into a new subscription fails if a provider is not registered.
#[test]
fn every_resource_provider_is_looked_for() {
    let providers: BTreeSet<&str> = Variant::ALL
        .iter()
        .flat_map(|variant| variant.snapshot().resources())
        .map(|resource| text(&resource["type"]).split('/').next().unwrap())
        .map(|provider| provider.strip_prefix("Microsoft.").unwrap())
        .collect();
    let list: Vec<&str> = providers.into_iter().collect();
    let script = std::fs::read_to_string(root().join("infra/preflight")).unwrap();
    assert!(script.contains(&format!("providers=({})", list.join(" "))), "{list:?}");
}

/// The names of 2025, when one setting was split and another one was found to be needed.
#[test]
fn the_tenant_settings_have_their_present_names() {
    for (file, count) in [
        ("bicep/README.md", 2),
        ("infra/README.md", 2),
        ("bicep/grant-onelake.sh", 1),
    ] {
        let page = std::fs::read_to_string(root().join(file)).unwrap();
        let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
        let names = [
            "Service principals can call Fabric public APIs",
            "Users can access data stored in OneLake with apps external to Fabric",
        ];
        assert_eq!(
            names.iter().filter(|name| page.contains(**name)).count(),
            count,
            "{file}"
        );
        assert!(!page.contains("Service principals can use Fabric APIs"), "{file}");
    }
}

#[test]
fn every_alert_is_listed() {
    let readme = readme();
    let alerts = ["metricAlerts", "scheduledQueryRules"].map(|kind| format!("Microsoft.Insights/{kind}"));
    for alert in alerts.iter().flat_map(|kind| Variant::Prod.snapshot().of_type(kind)) {
        let name = text(&alert["name"]).strip_prefix("xact-prod-").unwrap();
        let name = if name.starts_with("lag-") { "lag-APP" } else { name };
        let is_listed = |line: &str| line.starts_with("| `") && line.contains(&format!("`{name}`"));
        assert!(readme.lines().any(is_listed), "{name}");
    }
}

#[test]
fn the_access_of_every_stage_is_listed() {
    let readme = readme();
    for stage in TOPOLOGY["stages"].as_array().unwrap() {
        let row = format!("| `{}` |", text(&stage["name"]));
        let line = readme
            .lines()
            .find(|line| line.starts_with(&row))
            .unwrap_or_else(|| panic!("{row}"));
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        assert_eq!(cells[2], text(&stage["consumes"]), "{line}");
        let produces: Vec<_> = stage["produces"].as_array().unwrap().iter().map(text).collect();
        let expected = if produces.is_empty() {
            "—".to_owned()
        } else {
            produces.join(", ")
        };
        assert_eq!(cells[3], expected, "{line}");
        let writes = stage["files"] == true || !stage["tables"].as_array().unwrap().is_empty();
        assert_eq!(cells[4] != "—", writes, "{line}");
    }
}

#[test]
fn the_outputs_contain_the_commands_that_grant_access_to_onelake() {
    let outputs = &Variant::Prod.snapshot().document["outputs"];
    for name in ["grantOneLake", "grantOneLakeByHand"] {
        let commands = text(&outputs[name]);
        // Only the stages and jobs that write to OneLake.
        for (stage, writes) in [
            ("upload", true),
            ("event-writer", true),
            ("result-processor", true),
            ("download", false),
            ("maintain", true),
            ("reconcile", true),
            ("lag", false),
        ] {
            let identity = format!("/id-xact-prod-{stage}'");
            assert_eq!(commands.contains(&identity), writes, "{name}: {stage}");
        }
        for variant in [Variant::Prod, Variant::Private] {
            let commands = text(&variant.snapshot().document["outputs"][name]);
            let is_granted = commands.contains("/id-xact-prod-console'");
            assert_eq!(is_granted, variant.has_console(), "{variant:?} {name}");
        }
    }
    assert!(text(&outputs["grantOneLake"]).contains("bicep/grant-onelake.sh {0} {1}"));
    assert!(text(&outputs["grantOneLakeByHand"]).contains("/roleAssignments"));
}

#[test]
fn the_table_of_idle_costs_has_the_numbers_of_the_templates() {
    let readme = readme();
    let numbers = |row: &str| -> Vec<String> {
        let start = format!("| {row} |");
        let line = readme.lines().find(|line| line.starts_with(&start)).unwrap();
        let numbers = line.split(|character: char| !character.is_ascii_digit() && character != '.');
        let numbers = numbers.filter(|number| number.parse::<f64>().is_ok());
        numbers.map(str::to_owned).collect()
    };
    let count = |variant: Variant, kind: &str| variant.snapshot().of_type(kind).count().to_string();
    for variant in [Variant::Dev, Variant::Prod] {
        let alerts =
            ["metricAlerts", "scheduledQueryRules"].map(|kind| count(variant, &format!("Microsoft.Insights/{kind}")));
        assert_eq!(numbers("alerts"), alerts);
    }
    // The existing network of `Hub` has the zones; `Private` has one more, of the console.
    let endpoints = count(Variant::Hub, "Microsoft.Network/privateEndpoints");
    let zones = Variant::Private.snapshot().of_type("Microsoft.Network/privateDnsZones");
    let network = [endpoints, (zones.count() - 1).to_string()];
    assert_eq!(numbers("network"), network);
    let mut cores: Vec<String> = Variant::Prod
        .snapshot()
        .of_type("Microsoft.App/containerApps")
        .map(|app| &app["properties"]["template"])
        .filter(|template| template["scale"]["minReplicas"] == 1)
        .map(|template| {
            template["containers"][0]["resources"]["cpu"]
                .as_f64()
                .unwrap()
                .to_string()
        })
        .collect();
    cores.sort();
    // `infra/COST.md` counts the sum.
    assert_eq!(cores, ["0.5", "0.5", "0.5", "1", "1"]);
    assert_eq!(numbers("replicas"), ["5", "1", "0.5"]);
}
