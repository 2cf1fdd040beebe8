//! `/__admin`: faults, counters, tokens, closed workspaces and items. Open to this machine, and to others with the admin
//! token.

use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tower::ServiceExt;
use uuid::Uuid;

use crate::access::{AcceptedToken, ClosedWorkspace, secret_eq};
use crate::catalog::Item;
use crate::counters::Area;
use crate::faults::Fault;
use crate::rules::Rule;
use crate::state::EmulatorState;
use crate::verbs::Verb;
use xact_contracts::onelake_billing::{Bill, Charge};

const ROOT: &str = "/__admin";
/// Open to everyone.
const HEALTH: &str = "/__admin/health";

pub(crate) fn is_admin_path(path: &str) -> bool {
    path == ROOT || path.strip_prefix(ROOT).is_some_and(|rest| rest.starts_with('/'))
}

pub(crate) fn router(state: &Arc<EmulatorState>) -> Router {
    Router::new()
        .route(ROOT, get(async || help()))
        .route(HEALTH, get(async || "ok\n"))
        .route("/__admin/faults", get(faults).post(add_fault).delete(remove_faults))
        .route("/__admin/requests", get(requests).delete(clear_requests))
        .route("/__admin/latency", get(latency).put(set_latency))
        .route("/__admin/tokens", get(tokens).post(accept_token).delete(forget_tokens))
        .route("/__admin/closed", get(closed).post(close).delete(open))
        .route("/__admin/items", post(add_item))
        .with_state(Arc::clone(state))
}

/// Answers a request below `/__admin`, if its sender may send one.
pub(crate) async fn answer(state: &EmulatorState, router: &Router, peer: SocketAddr, request: Request) -> Response {
    if request.uri().path() != HEALTH && !peer.ip().to_canonical().is_loopback() && !has_token(state, &request) {
        let reason = "403: the admin endpoint is open to this machine only; from elsewhere send `Authorization: Bearer` with the emulator's admin token\n";
        return (StatusCode::FORBIDDEN, reason).into_response();
    }
    match router.clone().oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

fn has_token(state: &EmulatorState, request: &Request) -> bool {
    let given = request.headers().get(AUTHORIZATION);
    let given = given.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    matches!((&state.admin_token, given), (Some(token), Some(given)) if secret_eq(token, given))
}

/// The page at `/__admin`.
fn help() -> String {
    let mut page = String::from(
        "OneLake emulator. Bodies are JSON.\n\n\
         GET    /__admin/health     200 while the emulator is up\n\
         GET    /__admin/faults     the active rules\n\
         POST   /__admin/faults     {\"fault\": F, \"verb\"?: V, \"protocol\"?: \"dfs\" or \"blob\", \"method\"?,\n\
        \x20                          \"path\"?: \"/workspace/item/…\", \"skip\"?, \"times\"?, \"every\"?,\n\
        \x20                          \"retry_after_seconds\"?, \"delay_ms\"?}: the next request, the next `times`, or each `every`th\n\
         DELETE /__admin/faults     all of them; ?id=N: one\n\
         GET    /__admin/requests   requests and answers of each verb; the bill: requests, units of 4 MiB and CU seconds by class,\n\
        \x20                          in all and for each area (Files, Tables, other); DELETE: reset to zero\n\
         GET    /__admin/latency    {\"latency_ms\"}: the delay of every answer except those here; PUT {\"latency_ms\"} changes it\n\
         GET    /__admin/tokens     accepted bearer tokens, as hashes\n\
         POST   /__admin/tokens     {\"token\", \"principal\", \"expires_in_seconds\"? or \"expires_at\"?}\n\
         DELETE /__admin/tokens     all of them; {\"token\"}: one\n\
         GET    /__admin/closed     workspaces that answer 403\n\
         POST   /__admin/closed     {\"workspace\", \"principal\"?}: as while a role assignment propagates\n\
         DELETE /__admin/closed     all of them; {\"workspace\", \"principal\"?}: one\n\
         POST   /__admin/items      {\"workspace\", \"name\": \"Lake.Lakehouse\", \"workspace_guid\"?, \"guid\"?, \"schemas\"?}\n\nfaults:\n",
    );
    for fault in Fault::all() {
        page.push_str(&format!("  {:<22} {}\n", fault.to_string(), fault.meaning()));
    }
    page.push_str("\nverbs:\n");
    for verb in Verb::all() {
        page.push_str(&format!("  {:<22} {}\n", verb.name(), verb.meaning()));
    }
    page
}

type SharedState = State<Arc<EmulatorState>>;

fn refused(status: StatusCode, reason: impl Display) -> Response {
    (status, format!("{reason}\n")).into_response()
}

async fn faults(State(state): SharedState) -> Json<Value> {
    Json(json!(state.rules.active()))
}

async fn add_fault(State(state): SharedState, Json(rule): Json<Rule>) -> Response {
    match rule.validation_error() {
        Some(reason) => refused(StatusCode::UNPROCESSABLE_ENTITY, reason),
        None => (StatusCode::CREATED, Json(json!({"id": state.rules.add(rule)}))).into_response(),
    }
}

#[derive(Deserialize)]
struct RuleId {
    id: Option<u64>,
}

async fn remove_faults(State(state): SharedState, Query(RuleId { id }): Query<RuleId>) -> StatusCode {
    state.rules.remove(id);
    StatusCode::NO_CONTENT
}

async fn requests(State(state): SharedState) -> Json<Value> {
    let verbs = state.counters.all();
    let total: u64 = verbs.values().map(|count| count.requests).sum();
    let verbs = verbs
        .into_iter()
        .map(|(verb, count)| (verb.name().to_owned(), json!(count)));
    let verbs = Value::Object(verbs.collect());
    let mut bill = bill_json(&state.counters.bill());
    let areas = Area::ALL.map(|area| (area.name().to_owned(), bill_json(&state.counters.bill_of(area))));
    bill["areas"] = Value::Object(areas.into_iter().collect());
    Json(json!({"total": total, "verbs": verbs, "bill": bill}))
}

/// Returns `{"total": C, "classes": {"write": C, …}}`, with requests, units and CU seconds in each `C`.
fn bill_json(bill: &Bill) -> Value {
    let shown = |charge: Charge| {
        json!({
            "requests": charge.requests,
            "units": charge.units,
            "micro_cu_seconds": charge.micro_cu_seconds,
            "cu_seconds": charge.cu_seconds(),
        })
    };
    let classes = bill
        .by_class()
        .map(|(class, charge)| (class.name().to_owned(), shown(charge)));
    json!({"total": shown(bill.total()), "classes": Value::Object(classes.collect())})
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LatencySetting {
    latency_ms: u64,
}

async fn latency(State(state): SharedState) -> Json<LatencySetting> {
    let latency_ms = state.latency_ms.load(Ordering::Relaxed);
    Json(LatencySetting { latency_ms })
}

async fn set_latency(State(state): SharedState, Json(new): Json<LatencySetting>) -> StatusCode {
    state.latency_ms.store(new.latency_ms, Ordering::Relaxed);
    StatusCode::NO_CONTENT
}

async fn clear_requests(State(state): SharedState) -> StatusCode {
    state.counters.clear();
    StatusCode::NO_CONTENT
}

async fn tokens(State(state): SharedState) -> Json<Value> {
    Json(json!(state.access.tokens.summaries()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewToken {
    token: String,
    principal: String,
    expires_in_seconds: Option<i64>,
    expires_at: Option<Timestamp>,
}

async fn accept_token(State(state): SharedState, Json(new): Json<NewToken>) -> Response {
    let expires_at = match (new.expires_at, new.expires_in_seconds) {
        (None, Some(seconds)) => match Timestamp::now().checked_add(SignedDuration::from_secs(seconds)) {
            Ok(expires_at) => Some(expires_at),
            Err(_) => return refused(StatusCode::UNPROCESSABLE_ENTITY, "`expires_in_seconds` is out of range"),
        },
        (expires_at, _) => expires_at,
    };
    state.access.tokens.accept(AcceptedToken {
        token: new.token,
        principal: new.principal,
        expires_at,
    });
    StatusCode::NO_CONTENT.into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenValue {
    token: String,
}

async fn forget_tokens(State(state): SharedState, one: Option<Json<TokenValue>>) -> StatusCode {
    state.access.tokens.forget(one.as_ref().map(|one| one.token.as_str()));
    StatusCode::NO_CONTENT
}

async fn closed(State(state): SharedState) -> Json<Vec<ClosedWorkspace>> {
    Json(state.access.closed())
}

async fn close(State(state): SharedState, Json(what): Json<ClosedWorkspace>) -> StatusCode {
    state.access.close(what);
    StatusCode::NO_CONTENT
}

async fn open(State(state): SharedState, what: Option<Json<ClosedWorkspace>>) -> StatusCode {
    state.access.open(what.as_deref());
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewItem {
    workspace: String,
    name: String,
    workspace_guid: Option<Uuid>,
    guid: Option<Uuid>,
    #[serde(default)]
    schemas: bool,
}

async fn add_item(State(state): SharedState, Json(new): Json<NewItem>) -> Response {
    // The names have to pass the same rules as on the command line.
    let mut item = match format!("{}/{}", new.workspace, new.name).parse::<Item>() {
        Ok(item) if new.workspace == item.workspace => item,
        Ok(_) => {
            let reason = "the name of a workspace cannot contain a slash";
            return refused(StatusCode::UNPROCESSABLE_ENTITY, reason);
        }
        Err(error) => return refused(StatusCode::UNPROCESSABLE_ENTITY, error),
    };
    (item.workspace_guid, item.guid) = (new.workspace_guid, new.guid);
    item.schemas = new.schemas;
    let guids = json!({"workspace_guid": item.workspace_guid(), "guid": item.guid()});
    let adding = Arc::clone(&state);
    let added = tokio::task::spawn_blocking(move || adding.catalog.add(&adding.storage, &item)).await;
    match added {
        Ok(Ok(())) => (StatusCode::CREATED, Json(guids)).into_response(),
        Ok(Err(error)) => refused(StatusCode::CONFLICT, error),
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, error),
    }
}
