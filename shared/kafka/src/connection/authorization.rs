//! Access to topics. When the broker denies it, the text names the missing permission and the command that grants it.

use std::fmt;
use std::time::Instant;

use crate::connection_error::namespace;
use xact_config::{ClusterSettings, Security};
use xact_identity::{Access, Grant, Principal};

/// What a client does with a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// Read it as a member of a consumer group.
    Receive,
    /// Write to it.
    Send,
}

/// Tracks whether a client has a permission on its topics.
#[derive(Debug)]
pub struct TopicAuthorization {
    permission: Permission,
    topics: String,
    cluster: ClusterSettings,
    /// The access of an identity, whose role assignment may not have propagated yet.
    identity: Option<Access>,
}

impl TopicAuthorization {
    /// Assumes that access is allowed until a broker says otherwise.
    pub fn new(permission: Permission, topics: &[&str], cluster: &ClusterSettings) -> Self {
        let is_identity = matches!(cluster.security, Security::Identity(_));
        Self {
            permission,
            topics: topics.join(", "),
            cluster: cluster.clone(),
            identity: is_identity.then(|| Access::new(grant(permission, topics, namespace(cluster)))),
        }
    }

    /// Records that the broker granted access.
    pub fn granted(&self) {
        if let Some(access) = &self.identity {
            access.granted(Instant::now());
        }
    }

    /// Records that the broker denied access, and returns the text for readiness.
    pub fn denied(&self, principal: Option<Principal>, error: impl fmt::Display) -> String {
        let (topics, bootstrap) = (&self.topics, &self.cluster.bootstrap_servers);
        let claim = match self.permission {
            Permission::Receive => "Listen",
            Permission::Send => "Send",
        };
        let access = match (&self.identity, &self.cluster.security) {
            (Some(access), _) => access.refused(principal, Instant::now()).to_string(),
            (None, Security::ConnectionString(_)) => format!(
                "access to {topics} is refused: the connection string's policy lacks the right to {claim}. Grant it: az \
                 eventhubs namespace authorization-rule update --resource-group <resource group> --namespace-name \
                 {namespace} --name <policy> --rights Listen Send; or use the connection string of another policy",
                namespace = namespace(&self.cluster)
            ),
            (None, _) => format!(
                "access to {topics} is refused: this client needs the right to {claim} on it, and to use its consumer group"
            ),
        };
        format!("{bootstrap}: {access} ({error})")
    }
}

fn grant(permission: Permission, topics: &[&str], namespace: &str) -> Grant {
    let role = match permission {
        Permission::Receive => "Azure Event Hubs Data Receiver",
        Permission::Send => "Azure Event Hubs Data Sender",
    };
    let (hubs, name) = match topics {
        [topic] => ("event hub", *topic),
        _ => ("event hubs", "<each of them>"),
    };
    Grant {
        role: role.to_owned(),
        on: format!("{hubs} {} of {namespace}", topics.join(", ")),
        how: format!(
            "az role assignment create --role \"{role}\" --assignee-object-id {{principal}} --assignee-principal-type \
             ServicePrincipal --scope \"$(az eventhubs eventhub show --resource-group <resource group> --namespace-name \
             {namespace} --name {name} --query id --output tsv)\""
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::connection_error::tests::cluster;
    use xact_identity::{Fetched, Identity, IdentityError, TokenSource};

    struct NoTokens;

    #[async_trait::async_trait]
    impl TokenSource for NoTokens {
        async fn fetch(&self, _: &str) -> Result<Fetched, IdentityError> {
            Err(IdentityError::NoneConfigured)
        }
    }

    #[test]
    fn the_text_for_an_identity_names_role_hub_and_command() {
        let cluster = cluster(Security::Identity(Identity::from_source("test", Arc::new(NoTokens))));
        let text = TopicAuthorization::new(Permission::Send, &["xact.downloads.dlq"], &cluster).denied(None, "refused");
        for words in [
            "Azure Event Hubs Data Sender",
            "event hub xact.downloads.dlq of evhns-xact",
            "may not have propagated yet",
            "--namespace-name evhns-xact --name xact.downloads.dlq",
        ] {
            assert!(text.contains(words), "{words} is not in {text}");
        }
    }

    #[test]
    fn the_text_for_a_connection_string_names_the_missing_right() {
        let cluster = cluster(Security::ConnectionString("x".into()));
        let text = TopicAuthorization::new(Permission::Receive, &["a", "b"], &cluster).denied(None, "refused");
        let is_explained = text.contains("a, b is refused") && text.contains("the right to Listen");
        assert!(is_explained, "{text}");
    }
}
