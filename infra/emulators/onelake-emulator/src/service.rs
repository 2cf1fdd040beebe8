//! One request: counted, faulted, authenticated, carried out, answered, in this order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, HeaderValue, Method, request};
use axum::response::Response;
use uuid::Uuid;

use crate::call::Call;
use crate::counters::Area;
use crate::errors::{
    ErrorResponse, IDS_MISSING, IMMUTABLE, INTERNAL_ERROR, INVALID_TOKEN, INVALID_URI, PERMISSION_MISMATCH,
    SERVER_BUSY, ServiceError, THROTTLED, UNSUPPORTED_HEADER, UNSUPPORTED_QUERY, UNSUPPORTED_VERB,
};
use crate::faults::Fault;
use crate::request::Query;
use crate::rules::{RequestFacts, Rule};
use crate::state::EmulatorState;
use crate::target::Target;
use crate::upload::Upload;
use crate::verbs::{Protocol, Verb, classify};
use crate::{admin, answers, blob, dfs, paths, workspaces};
use xact_contracts::onelake_billing::BillingClass;

/// A fault closes the connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("connection closed by a fault")]
pub(crate) struct CutError;

/// Answers a request.
pub(crate) async fn serve(
    state: &Arc<EmulatorState>,
    admin: &axum::Router,
    peer: SocketAddr,
    request: Request,
) -> Result<Response, CutError> {
    if admin::is_admin_path(request.uri().path()) {
        return Ok(admin::answer(state, admin, peer, request).await);
    }
    let (parts, body) = request.into_parts();
    let request_id = Uuid::new_v4().to_string();
    let query = Query::parse(parts.uri.query().unwrap_or(""));
    let target = Target::parse(parts.uri.path(), &state.access.account.name);
    let has_path = target.as_ref().map_or(true, Target::has_path);
    let (protocol, verb) = classify(&parts, has_path, &query);
    let area = Area::of(target.as_ref().ok(), verb, &query);
    state.counters.received(verb);
    let rule = rule_of(state, &parts, target.as_ref().ok(), protocol, verb);
    let fault = rule.as_ref().map(|rule| rule.fault);

    let mut upload = Some(Upload::new(body));
    let answered = match fault_response(rule.as_ref())? {
        Some(error_response) => Err(error_response),
        None => {
            if let Some(rule) = rule.filter(|rule| rule.fault == Fault::Slow) {
                tokio::time::sleep(Duration::from_millis(rule.delay_ms)).await;
            }
            let decoded = Decoded {
                protocol,
                verb,
                query,
                target,
                headers: fault.map_or_else(|| parts.headers.clone(), |fault| fault.visible_headers(&parts.headers)),
            };
            carry_out(state, &parts, decoded, &mut upload).await
        }
    };
    // Otherwise a client that is still sending gets a closed connection instead of the answer.
    if let Some(upload) = &mut upload {
        upload.drain().await;
    }
    let is_billed = !matches!(&answered, Err(error_response) if error_response.is_of_authentication());
    let mut response = match (fault, answered) {
        (Some(Fault::ErrorAfter), _) => answers::error(&INTERNAL_ERROR.into(), protocol, &request_id),
        (_, Ok(response)) => response,
        (_, Err(error_response)) => answers::error(&error_response, protocol, &request_id),
    };
    answers::finish(&mut response, &parts.headers, &request_id);
    if is_billed {
        let class = verb.class(protocol);
        let body_bytes = match class {
            BillingClass::Read => answers::sent_bytes(&response, &parts.method),
            _ => upload.as_ref().map_or(0, Upload::received_bytes),
        };
        state.counters.billed(area, class, body_bytes);
    }
    let latency = Duration::from_millis(state.latency_ms.load(Ordering::Relaxed));
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    match fault {
        Some(Fault::CutAfter) => return Err(CutError),
        Some(Fault::CutWithin) => return answers::cut(response, &parts.method).ok_or(CutError),
        _ => {}
    }
    state.counters.answered(verb, response.status().as_u16());
    Ok(response)
}

/// Returns the rule by which a request has a fault.
fn rule_of(
    state: &EmulatorState,
    parts: &request::Parts,
    target: Option<&Target>,
    protocol: Protocol,
    verb: Verb,
) -> Option<Rule> {
    let asked = target.map(Target::shown).unwrap_or_default();
    // A rule may have the name of the item while the client uses its GUID.
    let real = target.and_then(|target| state.catalog.resolve(target, protocol).ok());
    let real = real.map(|resolved| format!("/{}", resolved.path));
    state.rules.hit(&RequestFacts {
        method: &parts.method,
        protocol,
        verb,
        headers: &parts.headers,
        paths: [&asked, real.as_deref().unwrap_or(&asked)],
    })
}

/// Returns the answer of a fault that prevents the request from being carried out.
fn fault_response(rule: Option<&Rule>) -> Result<Option<ErrorResponse>, CutError> {
    let Some(rule) = rule else {
        return Ok(None);
    };
    let later = |error: ServiceError| {
        ErrorResponse::from(error).with_header(RETRY_AFTER, HeaderValue::from(rule.retry_after_seconds))
    };
    Ok(Some(match rule.fault {
        Fault::Throttled => later(THROTTLED),
        Fault::Unavailable => later(SERVER_BUSY),
        Fault::ErrorBefore => INTERNAL_ERROR.into(),
        Fault::Expired => ErrorResponse::challenge(INVALID_TOKEN),
        Fault::Forbidden => PERMISSION_MISMATCH.into(),
        Fault::Conflict => IMMUTABLE.into(),
        Fault::IfNoneMatchRefused => UNSUPPORTED_HEADER.into(),
        Fault::CutBefore => return Err(CutError),
        // These come during or after the operation.
        _ => return Ok(None),
    }))
}

/// A request before it is authenticated.
struct Decoded {
    protocol: Protocol,
    verb: Verb,
    query: Query,
    target: Result<Target, ErrorResponse>,
    /// Those that the service handles; the signature of a request covers all of them.
    headers: HeaderMap,
}

async fn carry_out(
    state: &Arc<EmulatorState>,
    parts: &request::Parts,
    decoded: Decoded,
    upload: &mut Option<Upload>,
) -> Result<Response, ErrorResponse> {
    let path = parts.uri.path();
    let principal = state
        .access
        .authenticate(&parts.method, path, &decoded.query, &parts.headers)?;
    let target = decoded.target?;
    match decoded.verb {
        Verb::Batch => return Err(IDS_MISSING.into()),
        _ if !target.segments().is_empty() => {}
        Verb::Unsupported => return Err(unsupported(&parts.method)),
        // Workspaces cannot be listed here.
        _ => return Err(INVALID_URI.into()),
    }
    let target = state.catalog.resolve(&target, decoded.protocol)?;
    state.access.authorize(&principal, target.path.workspace())?;
    let mut call = Call {
        state: Arc::clone(state),
        method: parts.method.clone(),
        protocol: decoded.protocol,
        verb: decoded.verb,
        query: decoded.query,
        headers: decoded.headers,
        principal,
        target,
        upload: upload.take().unwrap_or_else(|| Upload::new(Body::empty())),
    };
    let answered = dispatch(&mut call).await;
    *upload = Some(call.upload);
    answered
}

async fn dispatch(call: &mut Call) -> Result<Response, ErrorResponse> {
    match call.verb {
        Verb::CreateWorkspace => return workspaces::create(call).await,
        Verb::DeleteWorkspace => return workspaces::delete(call).await,
        Verb::Unsupported => return Err(unsupported(&call.method)),
        _ => call.must_exist(&call.target.path).await?,
    }
    match call.verb {
        Verb::WorkspaceProperties => return workspaces::properties(call).await,
        Verb::ListPaths => return dfs::list(call).await,
        Verb::ListBlobs => return blob::list(call).await,
        Verb::Properties => return paths::properties(call).await,
        Verb::Read => return paths::read(call).await,
        Verb::GetBlockList => return blob::get_block_list(call).await,
        Verb::GetMetadata => return blob::get_metadata(call).await,
        Verb::CreateDirectory | Verb::CreateFile if call.target.path.depth() < 4 => {
            return dfs::create_managed(call).await;
        }
        _ => call.must_be_below_a_folder(&call.target.path).await?,
    }
    match call.verb {
        Verb::CreateFile => dfs::create_file(call).await,
        Verb::CreateDirectory => dfs::create_directory(call).await,
        Verb::Rename => dfs::rename(call).await,
        Verb::Append => dfs::append(call).await,
        Verb::Flush => dfs::flush(call).await,
        Verb::SetProperties => dfs::set_properties(call).await,
        Verb::PutBlob => blob::put(call).await,
        Verb::PutBlock => blob::put_block(call).await,
        Verb::PutBlockList => blob::put_block_list(call).await,
        Verb::CopyBlob => blob::copy(call).await,
        Verb::SetMetadata => blob::set_metadata(call).await,
        Verb::SetBlobProperties => blob::set_properties(call).await,
        Verb::Delete => paths::delete(call).await,
        _ => Err(unsupported(&call.method)),
    }
}

fn unsupported(method: &Method) -> ErrorResponse {
    match method.as_str() {
        "GET" | "HEAD" | "PUT" | "PATCH" | "DELETE" => UNSUPPORTED_QUERY.into(),
        _ => UNSUPPORTED_VERB.into(),
    }
}
