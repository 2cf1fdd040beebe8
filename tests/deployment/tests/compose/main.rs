//! `infra/compose.yaml` as `docker compose` reads it, against the topology, the Dockerfile and the variables that there
//! are; and what Prometheus and Grafana ask for, against the metrics that there are. No engine is needed.

#![allow(clippy::unwrap_used)]

mod dashboards;
mod dockerfile;
mod hardening;
mod stack;
mod stages;
mod start_order;
mod variables;
