//! Permissions of the containers, and versions of their images.

use crate::stack::{SERVICES, built_services, handler, read, texts};

/// Services whose images have neither a shell nor a health command.
const WITHOUT_HEALTH: [&str; 1] = ["otel-collector"];

#[test]
fn built_containers_are_unprivileged_and_write_only_to_their_volumes() {
    for (name, service) in built_services() {
        assert_eq!(service["user"], "65532:65532", "{name}");
        assert_eq!(service["read_only"], true, "{name}");
        assert!(service["tmpfs"].is_null() && service["privileged"].is_null(), "{name}");
        for mount in service["volumes"].as_array().into_iter().flatten() {
            assert_eq!(mount["type"], "volume", "{name}: {mount}");
            // The folders that belong to the user of the image; any other would belong to root.
            let is_theirs = ["/cache", "/data"].contains(&mount["target"].as_str().unwrap());
            assert!(is_theirs || mount["read_only"] == true, "{name}: {mount}");
        }
    }
}

#[test]
fn no_container_has_or_gains_capabilities() {
    for (name, service) in &*SERVICES {
        assert_eq!(texts(&service["cap_drop"]), ["ALL"], "{name}");
        assert!(service["cap_add"].is_null(), "{name}");
        assert_eq!(texts(&service["security_opt"]), ["no-new-privileges:true"], "{name}");
        assert!(name == "kafka" || service["read_only"] == true, "{name}");
    }
}

#[test]
fn every_server_has_a_health_check() {
    for (name, service) in &*SERVICES {
        let is_job = service["restart"] == "no";
        assert!(is_job || service["restart"] == "unless-stopped", "{name}");
        let test = texts(&service["healthcheck"]["test"]);
        assert_eq!(
            test.is_empty(),
            is_job || WITHOUT_HEALTH.contains(&name.as_str()),
            "{name}"
        );
        if let Some(handler) = handler(service).filter(|_| !is_job) {
            let question = match handler {
                "onelake-emulator" | "attachment-source" => "--health",
                // A command of its program answers: `console --live`.
                "xact-pipeline" => "console",
                _ => "--ready",
            };
            assert_eq!(test[..3], ["CMD", &format!("/{handler}"), question], "{name}");
        }
    }
}

#[test]
fn ports_are_published_on_the_loopback_address_only() {
    for (name, service) in &*SERVICES {
        for port in service["ports"].as_array().into_iter().flatten() {
            assert_eq!(port["host_ip"], "127.0.0.1", "{name}: {port}");
        }
        assert!(service["network_mode"] != "host", "{name}");
    }
}

#[test]
fn no_published_port_is_the_default_of_a_well_known_program() {
    let mut published: Vec<u16> = SERVICES
        .values()
        .flat_map(|service| service["ports"].as_array().into_iter().flatten())
        .map(|port| port["published"].as_str().unwrap().parse().unwrap())
        .collect();
    published.sort_unstable();
    // Azurite has 10000 to 10002, Kafka UI 8080, others 3000, 8081, 9090 and 16686. The broker keeps the port that is the
    // programs' default; XACT_KAFKA_PORT changes it.
    assert_eq!(published.remove(0), 9094);
    assert!(
        published.iter().all(|port| (17_000..17_100).contains(port)),
        "{published:?}"
    );
    let count = published.len();
    published.dedup();
    assert_eq!(published.len(), count, "a port is published twice");
}

#[test]
fn third_party_images_are_pinned_to_a_version() {
    for (name, service) in SERVICES.iter().filter(|(_, service)| handler(service).is_none()) {
        let image = service["image"].as_str().unwrap();
        let (_, version) = image
            .rsplit_once(':')
            .unwrap_or_else(|| panic!("{name}: {image} has no version"));
        let numbers: Vec<_> = version.trim_start_matches('v').split('.').collect();
        let is_exact = numbers.len() == 3 && numbers.iter().all(|number| number.parse::<u32>().is_ok());
        assert!(is_exact, "{name}: {image}");
    }
}

#[test]
fn the_broker_has_the_version_of_the_tests() {
    let pom = read("tests/kafka/pom.xml");
    let version = pom
        .split("<kafka.version>")
        .nth(1)
        .and_then(|rest| rest.split('<').next())
        .unwrap();
    assert_eq!(SERVICES["kafka"]["image"], format!("apache/kafka:{version}"));
}

#[test]
fn azurite_has_the_version_of_the_tests() {
    let package: serde_json::Value = serde_json::from_str(&read("tests/azurite/package.json")).unwrap();
    let version = package["dependencies"]["azurite"].as_str().unwrap();
    let image = format!("mcr.microsoft.com/azure-storage/azurite:{version}");
    assert_eq!(SERVICES["azurite"]["image"], image);
}
