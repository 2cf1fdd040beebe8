//! The endpoint of a [managed identity] in Azure Container Apps; it issues tokens that the emulator accepts.
//!
//! Handlers in a stack of containers authenticate as they do in Azure, with `IDENTITY_ENDPOINT` and `IDENTITY_HEADER`, and
//! renew their tokens. The header is the only credential: Entra is not involved.
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
use uuid::Uuid;

use crate::access::{AcceptedToken, secret_eq};
use crate::server::{OneLake, StartError};
use crate::state::EmulatorState;
use emulator_kit::Server;

/// A stack that runs for a day renews its tokens.
const TOKEN_LIFETIME: SignedDuration = SignedDuration::from_hours(1);
/// The only audience.
const STORAGE: &str = "https://storage.azure.com";
/// Principal of a request without a client id.
const SYSTEM_ASSIGNED: Uuid = Uuid::from_u128(0x5b6d_1c9e_3f0a_4a55_8a5e_7c1d_2e3f_4a5b);

/// Limit on open connections.
const MAX_CONNECTIONS: usize = 100;

/// The endpoint; dropping it closes it.
pub struct ManagedIdentity {
    server: Server,
}

struct Endpoint {
    header: String,
    emulator: Arc<EmulatorState>,
}

impl ManagedIdentity {
    /// Serves on `bind` in the background of the current Tokio runtime, for clients that send `header`.
    ///
    /// # Errors
    /// An address that cannot be bound.
    pub async fn start(bind: SocketAddr, header: String, emulator: &OneLake) -> Result<Self, StartError> {
        let endpoint = Arc::new(Endpoint {
            header,
            emulator: Arc::clone(emulator.state()),
        });
        let app = Router::new().route("/msi/token", get(token)).with_state(endpoint);
        let server = Server::start(bind, None, MAX_CONNECTIONS, move |_| app.clone()).await?;
        Ok(Self { server })
    }

    /// Returns the value for `IDENTITY_ENDPOINT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}/msi/token", self.server.url())
    }
}

#[derive(Deserialize)]
struct TokenRequest {
    resource: Option<String>,
    client_id: Option<Uuid>,
}

async fn token(
    State(endpoint): State<Arc<Endpoint>>,
    Query(request): Query<TokenRequest>,
    headers: HeaderMap,
) -> Response {
    let shown = headers.get("x-identity-header").and_then(|value| value.to_str().ok());
    if !shown.is_some_and(|shown| secret_eq(shown, &endpoint.header)) {
        return refused(StatusCode::UNAUTHORIZED, "X-IDENTITY-HEADER is missing or wrong");
    }
    if request.resource.unwrap_or_default().trim_end_matches('/') != STORAGE {
        return refused(
            StatusCode::BAD_REQUEST,
            "the only resource is https://storage.azure.com",
        );
    }
    let principal = request.client_id.unwrap_or(SYSTEM_ASSIGNED);
    let now = Timestamp::now();
    let expires_at = now.saturating_add(TOKEN_LIFETIME).unwrap_or(Timestamp::MAX);
    let claims = json!({
        "aud": STORAGE,
        "oid": principal,
        "iat": now.as_second(),
        "nbf": now.as_second(),
        "exp": expires_at.as_second(),
        "jti": Uuid::new_v4(),
    });
    let part = |value: &serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    // It has no signature: the emulator recognizes it by its hash.
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
