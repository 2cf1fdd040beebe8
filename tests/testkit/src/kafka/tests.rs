use super::*;
use crate::tokens::Issuer;

/// Starts a broker regardless of `KAFKA_BOOTSTRAP_SERVERS`, unlike `Kafka::start`.
fn own_broker() -> Result<Kafka> {
    Kafka::start_own(install()?, &[])
}

#[test]
fn a_killed_broker_keeps_acknowledged_records() -> Result<()> {
    let mut kafka = own_broker()?;
    kafka.create_topic("kept", 3)?;
    assert_eq!(kafka.topics()?, ["kept"]);
    let produce = "--topic kept --num-records 1000 --record-size 100 --throughput -1 --command-property acks=all";
    kafka.tool("ProducerPerformance", &produce.split(' ').collect::<Vec<_>>())?;

    kafka.kill()?;
    assert!(
        probe::cluster(kafka.bootstrap()).is_err(),
        "nobody answers for a dead broker"
    );
    kafka.restart()?;
    assert_eq!(kafka.topics()?, ["kept"], "after SIGKILL");
    let offsets = kafka.end_offsets("kept")?;
    assert_eq!((offsets.len(), offsets.iter().sum()), (3, 1000), "{offsets:?}");

    let status = kafka.stop()?;
    // 128 + SIGTERM: the exit code of a JVM after SIGTERM.
    assert_eq!(status.code(), Some(143), "{}", kafka.tail());
    kafka.restart()?;
    assert_eq!(kafka.topics()?, ["kept"], "after SIGTERM");
    Ok(())
}

#[test]
fn a_paused_broker_responds_again_after_resume() -> Result<()> {
    let mut kafka = own_broker()?;
    kafka.pause()?;
    let silence = probe::cluster(kafka.bootstrap()).unwrap_err();
    assert_eq!(
        silence.kind(),
        std::io::ErrorKind::WouldBlock,
        "connected, but no answer: {silence}"
    );
    kafka.resume()?;
    kafka.create_topic("after-the-pause", 1)
}

#[test]
fn another_broker_on_the_port_is_detected() -> Result<()> {
    let mut kafka = own_broker()?;
    let own = kafka.own("look at")?;
    own.config.cluster_id = config::new_cluster_id();
    let error = own.wait_ready().unwrap_err().to_string();
    assert!(error.contains("another Kafka listens on the port"), "{error}");
    Ok(())
}

#[test]
fn a_namespace_has_a_listener_per_kind_of_credentials_and_enforces_access() -> Result<()> {
    let kafka = Kafka::start_event_hubs("Endpoint=sb://ns/;SharedAccessKey=x", &Issuer::new()?, "ns")?;
    let (by_connection_string, _) = kafka.secured().unwrap();
    for address in [by_connection_string, kafka.tokens().unwrap()] {
        assert!(std::net::TcpStream::connect(&address).is_ok(), "{address}");
    }
    kafka.create_topic("hub", 1)?;
    kafka.allow_to_receive("somebody", "hub")?;
    let rules = kafka.tool("AclCommand", &["--list", "--topic", "hub"])?;
    assert!(
        rules.contains("principal=User:somebody") && rules.contains("operation=READ"),
        "{rules}"
    );
    assert_eq!(kafka.batches("hub")?, Vec::<String>::new(), "nothing was written");
    Ok(())
}

#[test]
fn an_external_broker_is_used_but_not_killed() -> Result<()> {
    let shared = own_broker()?;
    let mut external = Kafka::external(shared.bootstrap())?;
    external.create_topic("seen-from-outside", 1)?;
    assert!(shared.topics()?.contains(&"seen-from-outside".to_owned()));
    for refused in [external.kill(), external.pause(), external.restart()] {
        let error = refused.unwrap_err().to_string();
        assert!(
            error.contains("external broker") && error.contains(shared.bootstrap()),
            "{error}"
        );
    }
    Ok(())
}
