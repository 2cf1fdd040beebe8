//! `scalerAuthentication = 'servicePrincipal'`: from the secrets in the vault, by way of a token, to the lag.
//!
//! Rules, scope, ids and role are those of the deployment. Two addresses are not: the test's token endpoint replaces
//! `login.microsoftonline.com`, and the test's broker accepts the namespace's tokens at another address.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{SETTINGS, active, answered, assert_asleep};
use xact_testkit::bicep::{Deployment, Prediction};
use xact_testkit::entra::{Entra, ServicePrincipal};
use xact_testkit::keda::{Answer, Broker};
use xact_testkit::namespace::connection_string;
use xact_testkit::tokens::Issuer;
use xact_testkit::{Fleet, Kafka, Result, ScaleRules, assert_contains, secrets};

const TENANT: &str = "33333333-3333-4333-8333-333333333333";
const CLIENT: &str = "44444444-4444-4444-8444-444444444444";
const OBJECT: &str = "55555555-5555-4555-8555-555555555555";
/// With characters that a form and a header must encode.
const SECRET: &str = "PLANTED~client+secret/%=";
/// Azure Event Hubs Data Receiver.
const RECEIVER: &str = "a638d3c7-ab3a-418d-83e6-5f17a39d4fde";

type Secrets = BTreeMap<String, String>;

fn deployment() -> Result<Prediction> {
    let principal = format!("{{ tenantId: '{TENANT}', clientId: '{CLIENT}', objectId: '{OBJECT}' }}");
    Deployment::of("main.prod.bicepparam")
        .parameter("scalerAuthentication", "'servicePrincipal'")
        .parameter("scalerPrincipal", principal)
        .variable("XACT_SCALER_SECRET", SECRET)
        .predict()
}

/// Returns the secrets of the scaler in the vault. Values that only Azure knows are filled in: the secret parameter and the login
/// endpoint.
fn vault(deployment: &Prediction, login_endpoint: &str) -> Secrets {
    let value = |value: &str| match value.strip_prefix("[format('{0}{1}") {
        Some(rest) => {
            let (path, tenant) = rest
                .split_once("', environment().authentication.loginEndpoint, '")
                .unwrap();
            format!("{login_endpoint}{}{path}", tenant.strip_suffix("')]").unwrap())
        }
        None => value.replace("[parameters('scalerPrincipalSecret')]", SECRET),
    };
    let secrets = deployment.of_type("Microsoft.KeyVault/vaults/secrets");
    let secrets = secrets.map(|secret| {
        let (_, name) = secret["name"].as_str().unwrap().split_once('/').unwrap();
        (name, secret["properties"]["value"].as_str().unwrap())
    });
    let of_scaler = secrets.filter(|(name, _)| name.starts_with("scaler-"));
    of_scaler.map(|(name, text)| (name.to_owned(), value(text))).collect()
}

/// Returns the roles that are assigned to the principal.
fn roles(deployment: &Prediction) -> Vec<&str> {
    let all = deployment.of_type("Microsoft.Authorization/roleAssignments");
    all.map(|assignment| &assignment["properties"])
        .filter(|properties| properties["principalId"] == OBJECT)
        .map(|properties| properties["roleDefinitionId"].as_str().unwrap())
        .map(|role| role.rsplit('/').next().unwrap())
        .collect()
}

/// Returns the reasons why the rules could not be evaluated, which contain neither a secret nor a token.
fn refused(answers: &[Answer]) -> String {
    let errors = answers.iter().map(|answer| {
        assert!(!answer.active && answer.replicas == 0, "{answer:?}");
        answer.error.clone().unwrap_or_else(|| panic!("{answer:?}"))
    });
    let errors = errors.collect::<Vec<_>>().join("\n");
    secrets::assert_none("an answer of KEDA", &errors);
    assert!(!errors.contains("eyJ"), "a token: {errors}");
    errors
}

#[test]
fn keda_authenticates_as_the_service_principal_of_the_deployment() -> Result<()> {
    let deployment = deployment()?;
    let rules = ScaleRules::of(&deployment)?;
    let namespaces: Vec<_> = deployment.of_type("Microsoft.EventHub/namespaces").collect();
    let host = format!("{}.servicebus.windows.net", namespaces[0]["name"].as_str().unwrap());
    let issuer = Arc::new(Issuer::new()?);
    let principal = ServicePrincipal {
        tenant: TENANT.to_owned(),
        client: CLIENT.to_owned(),
        object: OBJECT.to_owned(),
        secret: SECRET.to_owned(),
    };
    let entra = Entra::start(&issuer, principal)?;
    let kafka = Kafka::start_event_hubs(&connection_string("of-nobody"), &issuer, &host)?;
    let (_, certificate) = kafka.secured().unwrap();
    let bootstrap = kafka.tokens().unwrap();
    let ask = |rules: &ScaleRules, secrets: &Secrets| {
        let secrets: Vec<(&str, &str)> = secrets.iter().map(|(name, value)| (&**name, &**value)).collect();
        rules.ask(Broker::Secured {
            bootstrap: &bootstrap,
            certificate,
            secrets: &secrets,
        })
    };
    // The deployed names: the rules are evaluated unchanged.
    let fleet = Fleet::new(kafka.bootstrap(), "xact", &SETTINGS)?;
    let secrets = vault(&deployment, &entra.login_endpoint());

    let stranger = refused(&ask(&rules, &secrets)?);
    assert_contains(&stranger, &["not authorized"]);
    // It may only receive.
    assert_eq!(roles(&deployment), [RECEIVER]);
    kafka.allow_to_receive(OBJECT, "*")?;
    let answers = fleet.wait_until("the scaler is authorized", || {
        ask(&rules, &secrets).and_then(answered).ok()
    })?;
    assert_eq!(answers.len(), 10);
    assert!(answers.iter().all(|answer| answer.left_out.is_empty()), "{answers:?}");
    assert_asleep(&answers);

    fleet.send("pending", "key", b"{}")?;
    let answers = answered(ask(&rules, &secrets)?)?;
    assert_eq!(active(&answers), BTreeSet::from(["download"]));
    let awake = answers.iter().find(|answer| answer.active).unwrap();
    assert_eq!((awake.metric, awake.target, awake.replicas), (1, 100, 1));

    // The responses of Entra and of the namespace to other secrets in the vault.
    let download = rules.of_stage("download");
    let with = |name: &str, value: &str| {
        let mut changed = secrets.clone();
        assert!(changed.insert(name.to_owned(), value.to_owned()).is_some(), "{name}");
        ask(&download, &changed).map(|answers| refused(&answers))
    };
    let wrong_secret = with("scaler-password", "PLANTED~wrong")?;
    assert_contains(&wrong_secret, &["AADSTS7000215"]);
    let elsewhere = with("scaler-scopes", "https://evhns-other.servicebus.windows.net/.default")?;
    assert_contains(&elsewhere, &["SASL mechanism OAUTHBEARER"]);
    Ok(())
}
