//! The console: off unless it is asked for; and if it is, nobody reaches it without a sign-in.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::cli::{IMAGE_TAG, root, templates};
use crate::jobs::job;
use crate::settings::{container, known_variables, variables};
use crate::snapshot::{REGISTRATION, TENANT, Variant, last, list, text};

const AUTHENTICATION: &str = "Microsoft.App/containerApps/authConfigs";

fn authentication(variant: Variant) -> &'static Value {
    &variant.snapshot().only(AUTHENTICATION)["properties"]
}

fn with_console() -> impl Iterator<Item = Variant> {
    Variant::ALL.into_iter().filter(|variant| variant.has_console())
}

#[test]
fn without_the_parameter_there_is_no_trace_of_it() {
    for variant in Variant::ALL {
        let names: Vec<&str> = variant
            .snapshot()
            .resources()
            .iter()
            .filter(|resource| text(&resource["name"]).contains("console"))
            .map(|resource| text(&resource["type"]))
            .collect();
        // Its identity, itself and its sign-in.
        assert_eq!(
            names.len(),
            3 * usize::from(variant.has_console()),
            "{variant:?}: {names:?}"
        );
        let url = text(&variant.snapshot().document["outputs"]["consoleUrl"]);
        assert_eq!(!url.is_empty(), variant.has_console(), "{variant:?}: {url}");
    }
}

/// Whoever reaches a program that believes the headers of the sign-in can send them.
#[test]
fn headers_are_believed_only_behind_a_sign_in() {
    let mut believers = 0;
    for variant in Variant::ALL {
        let guarded: BTreeSet<&str> = variant
            .snapshot()
            .of_type(AUTHENTICATION)
            .filter(|resource| {
                let properties = &resource["properties"];
                let action = &properties["globalValidation"]["unauthenticatedClientAction"];
                properties["platform"]["enabled"] == true
                    && ["RedirectToLoginPage", "Return401"].contains(&text(action))
                    && resource["id"].as_str().unwrap().ends_with("/authConfigs/current")
            })
            .map(|resource| text(&resource["id"]).trim_end_matches("/authConfigs/current"))
            .collect();
        for kind in ["Microsoft.App/containerApps", "Microsoft.App/jobs"] {
            for program in variant.snapshot().of_type(kind) {
                let environment = list(&container(program)["env"]);
                let sign_in = environment.iter().find(|one| one["name"] == "CONSOLE_SIGN_IN");
                if sign_in.is_some_and(|one| one["value"] == "entra") {
                    assert!(guarded.contains(text(&program["id"])), "{variant:?}: {}", program["id"]);
                    believers += 1;
                }
            }
        }
    }
    assert_eq!(believers, with_console().count());
}

#[test]
fn people_sign_in_at_their_tenant_and_without_a_secret() {
    for variant in with_console() {
        let properties = authentication(variant);
        let provider = &properties["identityProviders"]["azureActiveDirectory"];
        assert_eq!(
            properties["identityProviders"].as_object().unwrap().len(),
            1,
            "one way in"
        );
        assert_eq!(provider["enabled"], true);
        let registration = provider["registration"].as_object().unwrap();
        let names: Vec<&str> = registration.keys().map(String::as_str).collect();
        assert_eq!(names, ["clientId", "openIdIssuer"], "no client secret");
        assert_eq!(registration["clientId"], REGISTRATION);
        assert_eq!(provider["validation"]["allowedAudiences"], json!([REGISTRATION]));
        let issuer = text(&registration["openIdIssuer"]);
        let tenant = match variant {
            Variant::Private => TENANT,
            _ => "tenant().tenantId",
        };
        assert!(
            issuer.contains("loginEndpoint") && issuer.contains("/v2.0'") && issuer.contains(tenant),
            "{issuer}"
        );
        // What answers without a sign-in: the console knows no user there.
        assert_eq!(properties["globalValidation"]["excludedPaths"], json!(["/health/live"]));
        assert_eq!(properties["httpSettings"]["requireHttps"], true);
        let configuration = &variant.snapshot().console()["properties"]["configuration"];
        assert!(configuration.get("secrets").is_none(), "{configuration}");
    }
    let guard = std::fs::read_to_string(root().join("handlers/pipeline/src/console/guard.rs")).unwrap();
    assert!(guard.contains(r#"LIVENESS: &str = "/health/live""#));
}

#[test]
fn browsers_reach_it_over_tls_at_the_address_that_it_knows() {
    for variant in with_console() {
        let app = variant.snapshot().console();
        let ingress = &app["properties"]["configuration"]["ingress"];
        assert_eq!(
            (&ingress["external"], &ingress["allowInsecure"], &ingress["transport"]),
            (&json!(true), &json!(false), &json!("http"))
        );
        let allowed: Vec<&str> = list(&ingress["ipSecurityRestrictions"])
            .iter()
            .map(|rule| {
                assert_eq!(rule["action"], "Allow");
                text(&rule["ipAddressRange"])
            })
            .collect();
        let expected: &[&str] = match variant {
            Variant::Private => &["10.0.0.0/8", "192.0.2.7/32"],
            _ => &[],
        };
        assert_eq!(allowed, expected);
        let url = variables(app)["CONSOLE_URL"];
        let name = text(&app["name"]);
        assert!(
            url.starts_with("[format('https://{0}.{1}'") && url.contains(name) && url.ends_with(".defaultDomain)]"),
            "{url}"
        );
        let output = text(&variant.snapshot().document["outputs"]["consoleUrl"]);
        assert!(
            output.contains("https://{0}.{1}") && output.contains(".defaultDomain"),
            "{output}"
        );
    }
}

#[test]
fn it_sleeps_while_nobody_looks_and_is_one_at_most() {
    for variant in with_console() {
        let scale = &variant.snapshot().console()["properties"]["template"]["scale"];
        assert_eq!((&scale["minReplicas"], &scale["maxReplicas"]), (&json!(0), &json!(1)));
        assert_eq!(scale["cooldownPeriod"], 300);
        let rules = list(&scale["rules"]);
        assert!(rules.len() == 1 && rules[0]["http"].is_object(), "{rules:?}");
    }
}

#[test]
fn it_listens_where_the_ingress_and_the_probes_ask() {
    for variant in with_console() {
        let app = variant.snapshot().console();
        let port = app["properties"]["configuration"]["ingress"]["targetPort"]
            .as_u64()
            .unwrap();
        assert_eq!(
            container(app)["args"],
            json!(["console", "--listen", format!("0.0.0.0:{port}")])
        );
        let probes = list(&container(app)["probes"]);
        let kinds: Vec<&str> = probes.iter().map(|probe| text(&probe["type"])).collect();
        assert_eq!(kinds, ["Startup", "Liveness", "Readiness"]);
        for probe in probes {
            assert_eq!(probe["httpGet"]["path"], "/health/live");
            assert_eq!(probe["httpGet"]["port"], port);
        }
    }
}

#[test]
fn it_runs_the_operators_image_as_its_own_identity() {
    let snapshot = Variant::Private.snapshot();
    let app = snapshot.console();
    let image = text(&container(app)["image"]);
    assert!(
        image.contains("/pipeline:") && image.ends_with(&format!("'xact-pipeline', '{IMAGE_TAG}')]")),
        "{image}"
    );
    let configuration = &app["properties"]["configuration"];
    assert!(text(&configuration["registries"][0]["identity"]).ends_with("-platform"));
    let mut lifecycles: Vec<_> = list(&configuration["identitySettings"])
        .iter()
        .map(|setting| (last(&setting["identity"]), text(&setting["lifecycle"])))
        .collect();
    lifecycles.sort_unstable();
    assert_eq!(
        lifecycles,
        [("id-xact-prod-console", "Main"), ("id-xact-prod-platform", "None")]
    );
    assert!(app["tags"].get("stage").is_none(), "the console is not a stage");
    // The work of the job can be started in it.
    assert_eq!(
        container(app)["resources"],
        container(job(Variant::Private, "maintain").unwrap())["resources"]
    );
}

#[test]
fn it_has_the_variables_of_the_job_operate_and_of_its_sign_in() {
    let known = known_variables();
    let of_console = variables(Variant::Private.snapshot().console());
    let of_job = variables(job(Variant::Private, "operate").unwrap());
    for (variable, value) in &of_console {
        assert!(known.contains_key(*variable) && !value.is_empty(), "{variable}");
    }
    let added: Vec<&str> = of_console
        .keys()
        .filter(|variable| !of_job.contains_key(*variable))
        .copied()
        .collect();
    assert_eq!(added, ["CONSOLE_SIGN_IN", "CONSOLE_URL", "JSON_LOGS"]);
    for (variable, value) in of_job.iter().filter(|(variable, _)| **variable != "AZURE_CLIENT_ID") {
        assert_eq!(of_console.get(variable), Some(value), "{variable}");
    }
    assert!(of_console["AZURE_CLIENT_ID"].contains("/id-xact-prod-console'"));
    for secret in ["CONSOLE_TOKENS", "DEV_MODE", "AZURE_CLIENT_SECRET"] {
        assert!(!of_console.contains_key(secret), "{secret}");
    }
}

#[test]
fn before_there_are_images_only_its_identity_is_made() {
    let first = xact_testkit::bicep::Deployment::of("main.dev.bicepparam")
        .parameter("console", format!("{{ clientId: '{REGISTRATION}' }}"))
        .variable("XACT_DEPLOY_APPS", "false");
    let first = first.predict().unwrap();
    let names: Vec<&str> = first
        .resources()
        .iter()
        .map(|resource| text(&resource["name"]))
        .filter(|name| name.contains("console"))
        .collect();
    assert_eq!(names, ["id-xact-dev-console"], "for the access to OneLake");
}

/// The app roles of the file that the guide gives to `az ad app create`.
#[test]
fn the_app_roles_are_those_that_the_console_knows() {
    let roles: Value =
        serde_json::from_str(&std::fs::read_to_string(templates().join("console-app-roles.json")).unwrap()).unwrap();
    let source = std::fs::read_to_string(root().join("shared/config/src/console.rs")).unwrap();
    let values: Vec<&str> = list(&roles)
        .iter()
        .map(|role| {
            assert_eq!(role["allowedMemberTypes"], json!(["User"]), "no program signs in");
            assert_eq!(role["isEnabled"], true);
            assert_eq!(text(&role["id"]).len(), 36);
            assert!(text(&role["description"]).len() > 10);
            text(&role["value"])
        })
        .collect();
    assert_eq!(values, ["view", "operate"]);
    for value in values {
        assert!(source.contains(&format!("=> \"{value}\"")), "{value}");
    }
    let readme = std::fs::read_to_string(templates().join("README.md")).unwrap();
    for role in list(&roles) {
        assert!(
            readme.contains(&format!("{}={}", text(&role["value"]), text(&role["id"]))),
            "{role}"
        );
    }
}

#[test]
fn the_page_of_costs_has_the_numbers_of_the_template() {
    let page = std::fs::read_to_string(root().join("infra/COST.md")).unwrap();
    let (core_second, gib_second) = (0.000_024, 0.000_003);
    for price in [
        "0.000024 and 0.000003 USD a vCPU second",
        "| `price_gib` | 0.000003 USD",
    ] {
        assert!(page.contains(price), "{price}");
    }
    let resources = &container(Variant::Private.snapshot().console())["resources"];
    let cores = resources["cpu"].as_f64().unwrap();
    let gib: f64 = text(&resources["memory"]).trim_end_matches("Gi").parse().unwrap();
    for (name, seconds) in [
        ("asleep", 0.0),
        ("an hour of use", 3600.0),
        ("the five minutes after it", 300.0),
    ] {
        let start = format!("| {name} | ");
        let row = page.lines().find_map(|line| line.strip_prefix(&start)).unwrap();
        let numbers: Vec<f64> = row
            .split('|')
            .filter_map(|cell| cell.trim().replace(',', "").parse().ok())
            .collect();
        let (core_seconds, gib_seconds) = (cores * seconds, gib * seconds);
        let cost = core_seconds * core_second + gib_seconds * gib_second;
        for (found, expected) in numbers.iter().zip([core_seconds, gib_seconds, cost]) {
            assert!((found - expected).abs() < 0.000_5, "{name}: {found} is not {expected}");
        }
        assert_eq!(numbers.len(), 3, "{row}");
    }
}
