//! Variables of the services: each exists, and related values are equal.

use crate::stack::{built_services, handler, read, service, texts, variable};
use xact_contracts::url_guard::DEFAULT_ALLOWED_HOSTS;

#[test]
fn every_variable_exists() {
    let example = read(".env.example");
    let known: Vec<&str> = example
        .lines()
        .filter_map(|line| line.strip_prefix('#')?.split_once('='))
        .map(|(name, _)| name)
        .collect();
    for (name, service) in built_services()
        .filter(|(_, service)| !["onelake-emulator", "attachment-source"].contains(&handler(service).unwrap()))
    {
        for variable in service["environment"]
            .as_object()
            .into_iter()
            .flat_map(|variables| variables.keys())
        {
            assert!(known.contains(&variable.as_str()), "{name}: {variable}");
        }
    }
    let onelake: Vec<_> = service("onelake")["environment"].as_object().unwrap().keys().collect();
    assert_eq!(onelake, ["ONELAKE_EMULATOR_IDENTITY_HEADER"]);
}

#[test]
fn the_broker_is_reachable_from_inside_and_outside() {
    let kafka = service("kafka");
    let advertised = variable(kafka, "KAFKA_ADVERTISED_LISTENERS").unwrap();
    assert_eq!(advertised, "INSIDE://kafka:9092,OUTSIDE://localhost:9094");
    for (name, service) in built_services() {
        let bootstrap = variable(service, "LOCAL_KAFKA_BOOTSTRAP_SERVERS");
        assert!(bootstrap.is_none_or(|bootstrap| bootstrap == "kafka:9092"), "{name}");
    }
    // The default of the operator's program.
    assert!(read(".env.example").contains("\n#LOCAL_KAFKA_BOOTSTRAP_SERVERS=localhost:9094\n"));
    let ports: Vec<_> = kafka["ports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|port| (port["published"].as_str().unwrap(), port["target"].as_u64().unwrap()))
        .collect();
    assert_eq!(ports, [("9094", 9094)]);
}

#[test]
fn lake_and_identity_are_those_of_the_emulator() {
    let onelake = service("onelake");
    let command = texts(&onelake["command"]);
    let option = |name: &str| command.iter().find_map(|argument| argument.strip_prefix(name)).unwrap();
    let (workspace, item) = option("--item=").split_once('/').unwrap();
    let port = |address: &str| address.rsplit_once(':').unwrap().1.to_owned();
    let lake = format!("abfss://{workspace}@onelake:{}/{item}/", port(option("--listen=")));
    let endpoint = format!("http://onelake:{}/msi/token", port(option("--identity=")));
    let header = variable(onelake, "ONELAKE_EMULATOR_IDENTITY_HEADER");
    for (name, service) in built_services().filter(|(_, service)| variable(service, "ONELAKE_BASE_PATH").is_some()) {
        for (path, folder) in [
            ("ONELAKE_BASE_PATH", "Files/"),
            ("DELTA_EVENTS_TABLE_PATH", "Tables/xact_events"),
            ("DELTA_INVENTORY_TABLE_PATH", "Tables/xact_attachments"),
            ("DELTA_FAILED_TABLE_PATH", "Tables/xact_attachments_failed"),
        ] {
            assert!(
                variable(service, path).unwrap().starts_with(&format!("{lake}{folder}")),
                "{name}: {path}"
            );
        }
        assert_eq!(
            variable(service, "IDENTITY_ENDPOINT"),
            Some(endpoint.as_str()),
            "{name}"
        );
        assert_eq!(variable(service, "IDENTITY_HEADER"), header, "{name}");
    }
}

#[test]
fn every_allowed_host_has_a_server_and_is_in_its_certificate() {
    let certified: Vec<&str> = options("certificates", "--host=").collect();
    assert!(certified.contains(&"onelake"));
    for (name, service) in built_services().filter(|(_, service)| variable(service, "DEV_RESOLVE").is_some()) {
        let resolved: Vec<_> = entries(variable(service, "DEV_RESOLVE").unwrap())
            .filter_map(|entry| entry.split_once('='))
            .collect();
        let allowed: Vec<_> = entries(variable(service, "ALLOWED_ATTACHMENT_DOMAINS").unwrap()).collect();
        for &host in &allowed {
            let server = if host == "azurite" {
                "azurite:10000"
            } else {
                "attachment-source:8443"
            };
            assert!(resolved.contains(&(host, server)), "{name}: {host}");
            assert!(certified.contains(&host), "{host}");
        }
        // The demo sends events with hosts of production.
        for host in DEFAULT_ALLOWED_HOSTS.into_iter().chain(["example.com", "azurite"]) {
            assert!(allowed.contains(&host), "{name}: {host}");
        }
        assert_eq!(
            resolved.len(),
            allowed.len(),
            "{name}: a name for a host that is not allowed"
        );
    }
    let allowed = |name| variable(service(name), "ALLOWED_ATTACHMENT_DOMAINS");
    assert_eq!(allowed("event-ingester"), allowed("download"));
}

#[test]
fn azurite_serves_over_tls_and_does_not_log_signatures() {
    let azurite = service("azurite");
    let command = texts(&azurite["command"]);
    assert_eq!(command[0], "azurite-blob");
    for option in [
        "--blobHost=0.0.0.0",
        "--cert=/certificates/server.pem",
        "--key=/certificates/server-key.pem",
        "--silent",
        "--disableTelemetry",
    ] {
        assert!(command.contains(&option), "{option}");
    }
    assert!(
        command.iter().all(|option| !option.starts_with("--blobPort")),
        "DEV_RESOLVE names its own port, 10000"
    );
    // Only one user may read the key of the certificate. The volume is created for that user before Azurite mounts it.
    assert_eq!(azurite["user"], service("certificates")["user"]);
    let volume = |name: &str, folder: &str| {
        let mounts = service(name)["volumes"].as_array().unwrap();
        let mount = mounts.iter().find(|mount| mount["target"] == folder);
        mount.unwrap_or_else(|| panic!("{name}: no mount at {folder}"))
    };
    let folder = options("azurite", "--location=").next().unwrap();
    assert_eq!(volume("azurite", folder)["source"], "azurite");
    assert_eq!(volume("azurite", folder)["volume"]["nocopy"], true);
    assert_eq!(volume("certificates", "/cache")["source"], "azurite");
}

/// Returns the values of an option in the command of a service.
fn options(name: &str, option: &str) -> impl Iterator<Item = &'static str> {
    texts(&service(name)["command"])
        .into_iter()
        .filter_map(move |argument| argument.strip_prefix(option))
}

/// Returns the entries of a comma-separated list.
fn entries(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim)
}
