//! Event Hubs: one hub per topic.

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
