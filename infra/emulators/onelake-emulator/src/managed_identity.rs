//! What a container app asks for the tokens of its [managed identity], giving tokens that the emulator takes.
//!
//! So that handlers in a stack of containers log on as they do in Azure, with `IDENTITY_ENDPOINT` and `IDENTITY_HEADER`,
//! and renew their tokens; there is no Entra behind it, and whoever knows the header is let in.
//!
//! [managed identity]: https://learn.microsoft.com/azure/container-apps/managed-identity#rest-endpoint-reference

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::access::{AcceptedToken, secret_eq};
use crate::server::{OneLake, StartError};
use crate::service::Shared;

/// Short enough for a stack that is up for a day to see renewals.
const LIFETIME: SignedDuration = SignedDuration::from_hours(1);
/// The only audience that it knows.
const STORAGE: &str = "https://storage.azure.com";
/// Object id of whoever asks without a client id.
const SYSTEM_ASSIGNED: Uuid = Uuid::from_u128(0x5b6d_1c9e_3f0a_4a55_8a5e_7c1d_2e3f_4a5b);

/// The endpoint. It ends when it is dropped.
pub struct ManagedIdentity {
    address: SocketAddr,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Drop for ManagedIdentity {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

struct Endpoint {
    header: String,
    emulator: Arc<Shared>,
}

impl ManagedIdentity {
    /// Serves on `bind` in the background of the current Tokio runtime, for whoever shows `header`.
    ///
    /// # Errors
    /// An address that cannot be bound.
    pub async fn start(bind: SocketAddr, header: String, emulator: &OneLake) -> Result<Self, StartError> {
        let failed = |source| StartError::Bind { address: bind, source };
        let listener = TcpListener::bind(bind).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let endpoint = Arc::new(Endpoint {
            header,
            emulator: Arc::clone(emulator.shared()),
        });
        let app = Router::new().route("/msi/token", get(token)).with_state(endpoint);
        Ok(Self {
            address,
            serving: tokio::spawn(async move { axum::serve(listener, app).await }),
        })
    }

    /// For `IDENTITY_ENDPOINT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/msi/token", self.address)
    }
}

#[derive(Deserialize)]
struct Asked {
    resource: Option<String>,
    client_id: Option<Uuid>,
}

async fn token(State(endpoint): State<Arc<Endpoint>>, Query(asked): Query<Asked>, headers: HeaderMap) -> Response {
    let shown = headers.get("x-identity-header").and_then(|value| value.to_str().ok());
    if !shown.is_some_and(|shown| secret_eq(shown, &endpoint.header)) {
        return refused(
            StatusCode::UNAUTHORIZED,
            "X-IDENTITY-HEADER is missing or not the one of this endpoint",
        );
    }
    match asked.resource.as_deref().map(|resource| resource.trim_end_matches('/')) {
        Some(STORAGE) => {}
        _ => {
            return refused(
                StatusCode::BAD_REQUEST,
                "there are tokens for https://storage.azure.com alone",
            );
        }
    }
    let principal = asked.client_id.unwrap_or(SYSTEM_ASSIGNED);
    let now = Timestamp::now();
    let expires_at = now.saturating_add(LIFETIME).unwrap_or(Timestamp::MAX);
    let claims = json!({
        "aud": STORAGE,
        "oid": principal,
        "iat": now.as_second(),
        "nbf": now.as_second(),
        "exp": expires_at.as_second(),
        "jti": Uuid::new_v4(),
    });
    let part = |value: &serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    // Nobody signed it: the emulator knows it by its hash.
    let token = format!("{}.{}.", part(&json!({"alg": "none", "typ": "JWT"})), part(&claims));
    endpoint.emulator.access.tokens.accept(AcceptedToken {
        token: token.clone(),
        principal: principal.to_string(),
        expires_at: Some(expires_at),
    });
    Json(json!({
        "access_token": token,
        "expires_on": expires_at.as_second().to_string(),
        "resource": STORAGE,
        "token_type": "Bearer",
        "client_id": principal,
    }))
    .into_response()
}

fn refused(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({"statusCode": status.as_u16(), "message": message}))).into_response()
}
