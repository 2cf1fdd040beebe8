//! `bicep/README.md` tells of every parameter, role, resource and output.

use std::collections::BTreeSet;

use crate::cli::{built, templates};
use crate::snapshot::{Variant, last, text};
use crate::topology::TOPOLOGY;

fn readme() -> String {
    std::fs::read_to_string(templates().join("README.md")).unwrap()
}

#[test]
fn every_role_is_in_the_table_of_roles() {
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
fn every_parameter_and_output_is_described() {
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
        // A part is told of with the whole.
        .filter(|kind| kind.matches('/').count() == 1)
        .collect();
    for kind in types {
        assert!(readme.contains(&format!("`{kind}`")), "{kind}");
    }
}

#[test]
fn every_stage_has_its_row_in_the_table_of_access() {
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
fn the_outputs_say_what_is_left_to_do() {
    let outputs = &Variant::Prod.snapshot().document["outputs"];
    for name in ["grantOneLake", "grantOneLakeByHand"] {
        let commands = text(&outputs[name]);
        // Whoever writes to OneLake, and nobody else.
        for (stage, writes) in [
            ("upload", true),
            ("event-writer", true),
            ("result-processor", true),
            ("download", false),
        ] {
            let identity = format!("/id-xact-prod-{stage}'");
            assert_eq!(commands.contains(&identity), writes, "{name}: {stage}");
        }
    }
    assert!(text(&outputs["grantOneLake"]).contains("bicep/grant-onelake.sh {0} {1}"));
    assert!(text(&outputs["grantOneLakeByHand"]).contains("/roleAssignments"));
}

#[test]
fn what_it_costs_at_zero_is_counted() {
    let readme = readme();
    let count = |variant: Variant, kind: &str| variant.snapshot().of_type(kind).count();
    for variant in [Variant::Dev, Variant::Prod] {
        let (metrics, logs) = (
            count(variant, "Microsoft.Insights/metricAlerts"),
            count(variant, "Microsoft.Insights/scheduledQueryRules"),
        );
        assert!(
            readme.contains(&format!("{metrics} metric rules, {logs} log rules")),
            "{metrics}, {logs}"
        );
    }
    let (endpoints, zones) = (
        count(Variant::Private, "Microsoft.Network/privateEndpoints"),
        count(Variant::Private, "Microsoft.Network/privateDnsZones"),
    );
    assert!(readme.contains(&format!("{endpoints} private endpoints, {zones} DNS zones")));
    let cores: Vec<f64> = Variant::Prod
        .snapshot()
        .of_type("Microsoft.App/containerApps")
        .filter(|app| app["properties"]["template"]["scale"]["minReplicas"] == 1)
        .map(|app| {
            app["properties"]["template"]["containers"][0]["resources"]["cpu"]
                .as_f64()
                .unwrap()
        })
        .collect();
    let of = |size: f64| cores.iter().filter(|&&cores| (cores - size).abs() < 1e-9).count();
    assert_eq!((cores.len(), of(1.0), of(0.5)), (5, 2, 3));
    assert!(readme.contains("| 5: two of 1 core, three of 0.5, at the idle rate |"));
}
