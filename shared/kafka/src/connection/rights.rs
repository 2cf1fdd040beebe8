//! What a client may do with its topics, when the broker says that it may not: which right is missing, and who gives it.

use std::fmt;
use std::time::Instant;

use crate::connection_error::namespace;
use xact_config::{ClusterSettings, Security};
use xact_identity::{Access, Grant, Principal};

/// What is done with a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Read it, as a member of a consumer group.
    Receive,
    /// Write to it.
    Send,
}

impl Right {
    const fn role(self) -> &'static str {
        match self {
            Self::Receive => "Azure Event Hubs Data Receiver",
            Self::Send => "Azure Event Hubs Data Sender",
        }
    }

    const fn claim(self) -> &'static str {
        match self {
            Self::Receive => "Listen",
            Self::Send => "Send",
        }
    }
}

/// Whether a client is let in to its topics with one right.
#[derive(Debug)]
pub struct Rights {
    right: Right,
    topics: String,
    bootstrap: String,
    namespace: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Whose role may still be spreading.
    Identity(Access),
    ConnectionString,
    Other,
}

impl Rights {
    /// Assumes that access is allowed until a broker says otherwise.
    pub fn new(right: Right, topics: &[&str], cluster: &ClusterSettings) -> Self {
        let namespace = namespace(cluster).to_owned();
        let kind = match &cluster.security {
            Security::Identity(_) => Kind::Identity(Access::new(grant(right, topics, &namespace))),
            Security::ConnectionString(_) => Kind::ConnectionString,
            Security::Plaintext | Security::Tls => Kind::Other,
        };
        Self {
            right,
            topics: topics.join(", "),
            bootstrap: cluster.bootstrap_servers.clone(),
            namespace,
            kind,
        }
    }

    /// It was let in.
    pub fn granted(&self) {
        if let Kind::Identity(access) = &self.kind {
            access.granted(Instant::now());
        }
    }

    /// It was not: what that means, for readiness.
    pub fn refused(&self, principal: Option<Principal>, error: impl fmt::Display) -> String {
        let Self {
            topics,
            bootstrap,
            namespace,
            ..
        } = self;
        let claim = self.right.claim();
        let access = match &self.kind {
            Kind::Identity(access) => access.refused(principal, Instant::now()).to_string(),
            Kind::ConnectionString => format!(
                "access to {topics} is refused: the connection string's policy lacks the right to {claim}. Give it: az \
                 eventhubs namespace authorization-rule update --resource-group <resource group> --namespace-name \
                 {namespace} --name <policy> --rights Listen Send; or take the connection string of another policy"
            ),
            Kind::Other => format!(
                "access to {topics} is refused: this client needs the right to {claim} there, and to use its consumer group"
            ),
        };
        format!("{bootstrap}: {access} ({error})")
    }
}

fn grant(right: Right, topics: &[&str], namespace: &str) -> Grant {
    let role = right.role();
    let hubs = if topics.len() == 1 { "event hub" } else { "event hubs" };
    let name = match topics {
        [topic] => topic,
        _ => "<each of them>",
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
    use xact_identity::{Fetched, Identity, IdentityError, TokenSource};

    struct Nobody;

    #[async_trait::async_trait]
    impl TokenSource for Nobody {
        async fn fetch(&self, _: &str) -> Result<Fetched, IdentityError> {
            Err(IdentityError::NoneConfigured)
        }
    }

    fn cluster(security: Security) -> ClusterSettings {
        ClusterSettings {
            bootstrap_servers: "evhns-xact.servicebus.windows.net:9093".to_owned(),
            security,
            ca_file: None,
        }
    }

    #[test]
    fn an_identity_without_a_role_is_told_which_one_on_which_hub_and_the_command() {
        let cluster = cluster(Security::Identity(Identity::from_source("test", Arc::new(Nobody))));
        let text = Rights::new(Right::Send, &["xact.downloads.dlq"], &cluster).refused(None, "refused");
        for words in [
            "Azure Event Hubs Data Sender",
            "event hub xact.downloads.dlq of evhns-xact",
            "may still be spreading",
            "--namespace-name evhns-xact --name xact.downloads.dlq",
        ] {
            assert!(text.contains(words), "{words} is not in {text}");
        }
    }

    #[test]
    fn a_policy_without_a_right_is_told_which_one() {
        let cluster = cluster(Security::ConnectionString("x".into()));
        let text = Rights::new(Right::Receive, &["a", "b"], &cluster).refused(None, "refused");
        assert!(
            text.contains("a, b is refused") && text.contains("the right to Listen"),
            "{text}"
        );
    }
}
