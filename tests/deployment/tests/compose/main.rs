//! Compares `infra/compose.yaml`, as `docker compose` reads it, with the topology, the Dockerfile and the variables of the
//! program, and the queries of Prometheus and Grafana with its metrics. A Docker engine is not required.

#![allow(clippy::unwrap_used)]

mod console;
mod dashboards;
mod dockerfile;
mod hardening;
mod stack;
mod stages;
mod start_order;
mod variables;
