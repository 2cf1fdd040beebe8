//! The scale rules of the deployment, evaluated by KEDA's own scaler.

use std::sync::OnceLock;

use serde_json::{Map, Value};

use crate::bicep::{Deployment, Prediction};
use crate::keda::{self, Answer, Broker};
use crate::{Result, context, failed};

/// The `scale` block of each stage's container app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScaleRules(Map<String, Value>);

impl ScaleRules {
    /// Returns the unchanged rules of production.
    pub fn deployed() -> Result<&'static Self> {
        static DEPLOYED: OnceLock<Result<ScaleRules>> = OnceLock::new();
        let deployed = DEPLOYED.get_or_init(|| Self::of(&Deployment::of("main.prod.bicepparam").predict()?));
        deployed.as_ref().map_err(context("the scale rules of bicep/"))
    }

    /// Returns the unchanged rules of a deployment.
    pub fn of(deployment: &Prediction) -> Result<Self> {
        let scale = |app: &Value| {
            let stage = app["tags"]["stage"].as_str()?.to_owned();
            Some((stage, app["properties"]["template"]["scale"].clone()))
        };
        let apps: Map<String, Value> = deployment
            .of_type("Microsoft.App/containerApps")
            .filter_map(scale)
            .collect();
        if apps.is_empty() {
            return Err(failed("the deployment", "no container app has a tag `stage`"));
        }
        Ok(Self(apps))
    }

    /// Returns the rules with the topics and groups of the [`Fleet`](crate::Fleet) `name`. Those of the fleet `xact` are the
    /// deployed ones.
    pub fn of_fleet(&self, name: &str) -> Self {
        let mut apps = self.0.clone();
        for rule in apps.values_mut().flat_map(rules_of) {
            let metadata = &mut rule["custom"]["metadata"];
            for (field, separator) in [("topic", '.'), ("consumerGroup", '-')] {
                let of_fleet = metadata[field].as_str().and_then(|value| value.strip_prefix("xact"));
                let of_fleet = of_fleet.filter(|rest| rest.starts_with(separator));
                if let Some(rest) = of_fleet {
                    metadata[field] = format!("{name}{rest}").into();
                }
            }
        }
        Self(apps)
    }

    /// Returns the rules of one stage.
    pub fn of_stage(&self, stage: &str) -> Self {
        let of_stage = self.0.iter().filter(|(name, _)| *name == stage);
        Self(of_stage.map(|(name, scale)| (name.clone(), scale.clone())).collect())
    }

    /// Changes a value in the metadata of every rule.
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut apps = self.0.clone();
        for rule in apps.values_mut().flat_map(rules_of) {
            rule["custom"]["metadata"][name] = value.into();
        }
        Self(apps)
    }

    /// Returns the maximum of replicas of a stage.
    pub fn most_replicas(&self, stage: &str) -> u64 {
        let scale = self.0.get(stage).unwrap_or(&Value::Null);
        scale["maxReplicas"].as_u64().unwrap_or_default()
    }

    /// Evaluates each rule with KEDA.
    pub fn ask(&self, broker: Broker) -> Result<Vec<Answer>> {
        keda::ask(&self.0, broker)
    }
}

fn rules_of(scale: &mut Value) -> &mut [Value] {
    scale["rules"].as_array_mut().map(Vec::as_mut_slice).unwrap_or_default()
}
