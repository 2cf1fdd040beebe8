//! `bicep/monitoring`: one definition of panels and alerts, and what is made from it for Grafana, Prometheus and Azure Monitor.

mod alerts;
mod definition;
mod grafana;
mod metrics;
mod prometheus;
mod workbook;
