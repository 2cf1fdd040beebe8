//! `xact-test-prepare`: fills the test cache before the tests, so that downloads do not count against the time limits of tests
//! and a missing program is reported once.

use std::process::ExitCode;

use xact_testkit::{Error, azurite, browser, collector, duckdb, kafka, keda, python, real_files, spark};

fn main() -> ExitCode {
    let steps = [
        ("Kafka", kafka::install().map(drop)),
        ("Python", python::interpreter().map(drop)),
        ("Playwright", browser::install().map(drop)),
        ("DuckDB", duckdb::install().map(drop)),
        ("Spark 3.5", spark::install(spark::Line::V3).map(drop)),
        ("Spark 4.0", spark::install(spark::Line::V4).map(drop)),
        ("Azurite", azurite::install().map(drop)),
        ("Real files", real_files::folder().map(drop)),
        ("KEDA", keda::install().map(drop)),
        ("OpenTelemetry Collector", collector::install().map(drop)),
    ];
    let mut code = ExitCode::SUCCESS;
    for (name, result) in steps {
        match result {
            Ok(()) => eprintln!("{name}: ready"),
            // Few tests need Go; tests/run decides whether it is required.
            Err(error @ Error::Missing { program: "go", .. }) => eprintln!("{name}: left out: {error}"),
            Err(error) => {
                eprintln!("{name}: {error}");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}
