//! Emulates the token endpoint of managed identities in Container Apps:
//! <https://learn.microsoft.com/azure/container-apps/managed-identity#rest-endpoint-reference>.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use parking_lot::{Mutex, MutexGuard};
use serde_json::json;

use crate::{
    Result,
    http_server::{self, Request},
    tokens::{Issuer, Lifetime, seconds},
};

/// The server. It serves until the process ends.
#[derive(Debug)]
pub struct ManagedIdentity {
    port: u16,
    header: String,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    answer: Answer,
    given: Vec<String>,
}

/// Response mode of the endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Returns tokens with this lifetime.
    Tokens(Duration),
    /// Returns expired tokens but states that they expire in an hour, as with a wrong clock.
    Expired,
    /// Returns tokens for this audience, whatever is requested.
    For(String),
    /// Does not respond.
    Silence,
}

impl ManagedIdentity {
    /// Object id of the system-assigned identity. For a user-assigned identity the client id is used.
    pub const SYSTEM: &str = "5b6d1c9e-3f0a-4a55-8a5e-7c1d2e3f4a5b";

    /// Starts the endpoint on a free port for requests with this secret header.
    pub fn start(issuer: &Arc<Issuer>, header: &str, answer: Answer) -> Result<ManagedIdentity> {
        let state = Arc::new(Mutex::new(State {
            answer,
            given: Vec::new(),
        }));
        let served = (Arc::clone(issuer), Arc::clone(&state), header.to_owned());
        let port = http_server::start(move |request| {
            let (issuer, state, header) = &served;
            let answer = lock(state).answer.clone();
            (answer != Answer::Silence).then(|| match request.headers.get("x-identity-header") {
                Some(shown) if shown == header => token(request, issuer, state, &answer),
                _ => ("401 Unauthorized", json!({"statusCode": 401, "message": "no header"})),
            })
        })?;
        Ok(ManagedIdentity {
            port,
            header: header.to_owned(),
            state,
        })
    }

    /// Returns the variables that the platform sets for a container app with this identity.
    pub fn variables(&self) -> [(&'static str, String); 2] {
        [
            ("IDENTITY_ENDPOINT", format!("http://127.0.0.1:{}/msi/token", self.port)),
            ("IDENTITY_HEADER", self.header.clone()),
        ]
    }

    /// Changes the response mode.
    pub fn set(&self, answer: Answer) {
        lock(&self.state).answer = answer;
    }

    /// Returns the tokens issued so far, in order.
    pub fn given(&self) -> Vec<String> {
        lock(&self.state).given.clone()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock()
}

fn token(request: &Request, issuer: &Issuer, state: &Mutex<State>, answer: &Answer) -> http_server::Answer {
    let query = &request.query;
    let Some(resource) = query.get("resource") else {
        return ("400 Bad Request", json!({"statusCode": 400, "message": "no resource"}));
    };
    let who = query.get("client_id").map_or(ManagedIdentity::SYSTEM, String::as_str);
    let hour = Duration::from_secs(3600);
    let (audience, lifetime, claimed) = match answer {
        Answer::Tokens(life) => (resource, Lifetime::Left(*life), *life),
        Answer::For(audience) => (audience, Lifetime::Left(hour), hour),
        Answer::Expired | Answer::Silence => (resource, Lifetime::OverSince(hour), hour),
    };
    match issuer.token(audience, who, lifetime) {
        Ok(token) => {
            let expires = seconds(SystemTime::now() + claimed).to_string();
            let body = json!({
                "access_token": token, "expires_on": expires, "resource": resource, "token_type": "Bearer", "client_id": who,
            });
            lock(state).given.push(token);
            ("200 OK", body)
        }
        Err(error) => ("500 Internal Server Error", json!({"message": error.to_string()})),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpStream,
    };

    use super::*;

    fn ask(port: u16, header: &str, query: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        write!(
            stream,
            "GET /msi/token?{query} HTTP/1.1\r\nHost: localhost\r\nX-Identity-Header: {header}\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn a_request_with_the_header_gets_a_token_for_its_resource() -> Result<()> {
        let issuer = Arc::new(Issuer::new()?);
        let server = ManagedIdentity::start(&issuer, "header", Answer::Tokens(Duration::from_secs(20)))?;
        assert!(ask(server.port, "other", "resource=x").starts_with("HTTP/1.1 401"));
        assert!(ask(server.port, "header", "api-version=2019-08-01").starts_with("HTTP/1.1 400"));
        let answer = ask(server.port, "header", "resource=https%3A%2F%2Fns&client_id=me");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let given = server.given();
        assert!(
            answer.contains(&given[0]) && answer.contains(r#""resource":"https://ns""#),
            "{answer}"
        );
        Ok(())
    }
}
