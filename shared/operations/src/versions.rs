//! Versions of the program and of the libraries that decide how it reads and writes.

/// Returns names and versions: the program, the library of the tables, the client of Kafka.
#[must_use]
pub fn versions() -> [(&'static str, String); 3] {
    [
        ("xact-pipeline", env!("CARGO_PKG_VERSION").to_owned()),
        ("deltalake", xact_lake::tables::delta_version().to_owned()),
        ("librdkafka", xact_kafka::client_config::librdkafka_version()),
    ]
}
