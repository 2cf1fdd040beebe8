//! Event Hubs: one hub per topic.

use crate::cli::built;
use crate::snapshot::{Variant, last, text};
use crate::topology::TOPOLOGY;

#[test]
fn the_hubs_are_the_topics_with_their_partitions_and_retention() {
    for variant in Variant::ALL {
        let snapshot = variant.snapshot();
        let namespace = snapshot.only("Microsoft.EventHub/namespaces");
        let sku = text(&namespace["sku"]["name"]);
        let hubs: Vec<_> = snapshot.of_type("Microsoft.EventHub/namespaces/eventhubs").collect();
        let topics = TOPOLOGY["topics"].as_array().unwrap();
        assert_eq!(hubs.len(), topics.len());
        assert!(hubs.len() <= 10, "a Standard namespace has at most ten hubs");
        for (hub, topic) in hubs.iter().zip(topics) {
            assert_eq!(last(&hub["name"]), text(&topic["name"]));
            assert_eq!(hub["properties"]["partitionCount"], topic["partitions"]);
            let retention = &hub["properties"]["retentionDescription"];
            assert_eq!(retention["cleanupPolicy"], "Delete");
            assert_eq!(retention["retentionTimeInHours"], topic["retentionHours"][sku]);
        }
    }
}

#[test]
fn the_namespace_accepts_kafka_over_tls() {
    for variant in Variant::ALL {
        let properties = &variant.snapshot().only("Microsoft.EventHub/namespaces")["properties"];
        assert_eq!(properties["kafkaEnabled"], true);
        assert_eq!(properties["minimumTlsVersion"], "1.2");
    }
}

/// A deployment with the first number of throughput units would throw the namespace back to it.
#[test]
fn a_deployment_keeps_what_the_namespace_has_grown_to() {
    let capacity = |variant: Variant| &variant.snapshot().only("Microsoft.EventHub/namespaces")["sku"]["capacity"];
    assert_eq!(*capacity(Variant::Dev), 1);
    assert_eq!(*capacity(Variant::Private), 1);
    let grown = text(capacity(Variant::Prod));
    assert!(
        grown.starts_with("[max(2, min(") && grown.ends_with(", 20))]"),
        "{grown}"
    );
    assert!(
        grown.contains("/namespaces/evhns-xact-prod-") && grown.contains("'capacity'"),
        "{grown}"
    );
    // The first deployment has nothing to look up.
    let lookup = &built()["resources"]["currentHubs"]["properties"]["template"]["resources"]["namespace"];
    assert_eq!(lookup["existing"], true);
    assert!(lookup["@options"].get("nullIfNotFound").is_some(), "{lookup}");
}

#[test]
fn only_production_inflates_automatically() {
    let of = |variant: Variant| &variant.snapshot().only("Microsoft.EventHub/namespaces")["properties"];
    assert_eq!(of(Variant::Dev)["isAutoInflateEnabled"], false);
    assert_eq!(of(Variant::Dev)["maximumThroughputUnits"], 0);
    assert_eq!(of(Variant::Prod)["isAutoInflateEnabled"], true);
    assert_eq!(of(Variant::Prod)["maximumThroughputUnits"], 20);
    // Premium has processing units, which do not inflate automatically.
    assert_eq!(of(Variant::Private)["isAutoInflateEnabled"], false);
}
