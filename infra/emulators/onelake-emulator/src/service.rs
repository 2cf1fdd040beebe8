//! One request: counted, faulted, authenticated, carried out, answered, in this order.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{HOST, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, Method, request};
use axum::response::Response;
use uuid::Uuid;

use crate::access::Access;
use crate::catalog::{Catalog, Place, item_not_found, workspace_not_found};
use crate::counters::{Area, Counters};
use crate::errors::{
    IDS_MISSING, IMMUTABLE, INTERNAL_ERROR, INVALID_TOKEN, INVALID_URI, NOT_ON_THIS_PATH, PERMISSION_MISMATCH, Problem,
    Refusal, SERVER_BUSY, THROTTLED, UNSUPPORTED_HEADER, UNSUPPORTED_QUERY, UNSUPPORTED_VERB,
};
use crate::faults::{Asked, Fault, Hit, Rules};
use crate::latency::Latency;
use crate::request::Query;
use crate::storage::{EntryPath, Storage, StoreError};
use crate::target::Target;
use crate::upload::Upload;
use crate::verbs::{Protocol, Verb, classify};
use crate::{admin, answers, blob, dfs, paths, workspaces};
use xact_contracts::onelake_billing::BillingClass;

/// What all requests share.
pub(crate) struct Shared {
    pub(crate) storage: Arc<Storage>,
    pub(crate) catalog: Catalog,
    pub(crate) access: Access,
    pub(crate) rules: Rules,
    pub(crate) counters: Counters,
    /// Opens the admin endpoint to others than this machine.
    pub(crate) admin_token: Option<String>,
    /// Whether a filesystem or container may be created.
    pub(crate) workspaces_by_api: bool,
    pub(crate) latency: Latency,
}

/// The connection is to be closed without an answer, on demand.
#[derive(Debug, thiserror::Error)]
#[error("cut on demand")]
pub(crate) struct Cut;

/// A request that is being carried out.
pub(crate) struct Call {
    pub(crate) shared: Arc<Shared>,
    pub(crate) method: Method,
    pub(crate) protocol: Protocol,
    pub(crate) verb: Verb,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) principal: String,
    pub(crate) upload: Upload,
}

impl Call {
    /// Does something with the folder, where it may block.
    pub(crate) async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Storage) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let storage = Arc::clone(&self.shared.storage);
        let done = tokio::task::spawn_blocking(move || work(&storage)).await;
        done.unwrap_or_else(|error| Err(io::Error::other(error).into()))
            .map_err(|error| error.refusal(self.protocol))
    }

    /// The place that another path in this request names, if the principal may go there.
    pub(crate) async fn other_place(&self, source: &str, problem: Problem) -> Result<Place, Refusal> {
        let target = Target::parse_source(source, &self.shared.access.account.name)?;
        if !target.has_path() {
            return Err(problem.into());
        }
        let place = self.shared.catalog.resolve(&target, self.protocol)?;
        self.shared.access.authorize(&self.principal, place.path.workspace())?;
        self.must_exist(&place.path).await?;
        Ok(place)
    }

    /// The workspace and the item must be there.
    pub(crate) async fn must_exist(&self, path: &EntryPath) -> Result<(), Refusal> {
        let above: Vec<EntryPath> = (1..=path.depth().min(2))
            .map(|depth| EntryPath::new(path.segments()[..depth].to_vec()))
            .collect();
        let missing = self.on_disk(move |storage| {
            for path in above {
                if !storage.has_folder(&path)? {
                    return Ok(Some(path));
                }
            }
            Ok(None)
        });
        match missing.await? {
            None => Ok(()),
            Some(missing) if missing.depth() == 1 => Err(workspace_not_found(self.protocol)),
            Some(missing) => Err(item_not_found(missing.workspace(), missing.split().1)),
        }
    }

    /// Only what is below the folders of an item can be changed.
    pub(crate) async fn must_be_below_a_folder(&self, path: &EntryPath) -> Result<(), Refusal> {
        if path.depth() < 4 {
            return Err(NOT_ON_THIS_PATH.into());
        }
        let folder = EntryPath::new(path.segments()[..3].to_vec());
        if self.on_disk(move |storage| storage.has_folder(&folder)).await? {
            Ok(())
        } else {
            Err(NOT_ON_THIS_PATH.into())
        }
    }
}

/// Answers every request that is not for the admin endpoint.
pub(crate) async fn serve(
    shared: &Arc<Shared>,
    admin: &axum::Router,
    peer: SocketAddr,
    request: Request,
) -> Result<Response, Cut> {
    if admin::is_for(request.uri().path()) {
        return Ok(admin::answer(shared, admin, peer, request).await);
    }
    let (parts, body) = request.into_parts();
    let request_id = Uuid::new_v4().to_string();
    let query = Query::parse(parts.uri.query().unwrap_or(""));
    let target = Target::parse(parts.uri.path(), &shared.access.account.name);
    let has_path = target.as_ref().map_or(true, Target::has_path);
    let (protocol, verb) = classify(&parts, has_path, &query);
    let area = Area::of(target.as_ref().ok(), verb, &query);
    shared.counters.came(verb);
    let hit = meet_fault(shared, &parts, target.as_ref().ok(), protocol, verb);
    let fault = hit.map(|hit| hit.fault);

    let mut upload = Some(Upload::new(body));
    let answered = match refused_by(hit)? {
        Some(refusal) => Err(refusal),
        None => {
            if let Some(Hit {
                fault: Fault::Slow,
                delay,
                ..
            }) = hit
            {
                tokio::time::sleep(delay).await;
            }
            let decoded = Decoded {
                protocol,
                verb,
                query,
                target,
                headers: fault.map_or_else(|| parts.headers.clone(), |fault| fault.noticed(&parts.headers)),
            };
            carry_out(shared, &parts, decoded, &mut upload).await
        }
    };
    // Else the client, still sending, would see a closed connection in the place of the answer.
    if let Some(upload) = &mut upload {
        upload.drain().await;
    }
    let is_billed = !matches!(&answered, Err(refusal) if refusal.is_of_authentication());
    let mut response = match (fault, answered) {
        (Some(Fault::ErrorAfter), _) => answers::refused(&INTERNAL_ERROR.into(), protocol, &request_id),
        (_, Ok(response)) => response,
        (_, Err(refusal)) => answers::refused(&refusal, protocol, &request_id),
    };
    answers::finish(&mut response, &parts.headers, &request_id);
    if is_billed {
        let class = verb.class(protocol);
        let body_bytes = match class {
            BillingClass::Read => answers::sent_bytes(&response, &parts.method),
            _ => upload.as_ref().map_or(0, Upload::arrived),
        };
        shared.counters.billed(area, class, body_bytes);
    }
    shared.latency.wait().await;
    match fault {
        Some(Fault::CutAfter) => return Err(Cut),
        Some(Fault::CutWithin) => return answers::cut(response, &parts.method).ok_or(Cut),
        _ => {}
    }
    shared.counters.answered(verb, response.status().as_u16());
    Ok(response)
}

fn meet_fault(
    shared: &Shared,
    parts: &request::Parts,
    target: Option<&Target>,
    protocol: Protocol,
    verb: Verb,
) -> Option<Hit> {
    let asked = target.map(Target::shown).unwrap_or_default();
    // A rule may name the item as it lies in the folder while the client goes by GUIDs.
    let real = target
        .and_then(|target| shared.catalog.resolve(target, protocol).ok())
        .map(|place| format!("/{}", place.path));
    shared.rules.meet(&Asked {
        method: &parts.method,
        protocol,
        verb,
        headers: &parts.headers,
        paths: [&asked, real.as_deref().unwrap_or(&asked)],
    })
}

/// The refusal of a fault that comes before anything is done.
fn refused_by(hit: Option<Hit>) -> Result<Option<Refusal>, Cut> {
    let Some(hit) = hit else {
        return Ok(None);
    };
    let later =
        |problem: Problem| Refusal::from(problem).with_header(RETRY_AFTER, HeaderValue::from(hit.retry_after_seconds));
    Ok(match hit.fault {
        Fault::Throttled => Some(later(THROTTLED)),
        Fault::Unavailable => Some(later(SERVER_BUSY)),
        Fault::ErrorBefore => Some(INTERNAL_ERROR.into()),
        Fault::Expired => Some(Refusal::challenge(INVALID_TOKEN)),
        Fault::Forbidden => Some(PERMISSION_MISMATCH.into()),
        Fault::Conflict => Some(IMMUTABLE.into()),
        Fault::IfNoneMatchRefused => Some(UNSUPPORTED_HEADER.into()),
        Fault::CutBefore => return Err(Cut),
        Fault::ErrorAfter
        | Fault::Slow
        | Fault::CutAfter
        | Fault::CutWithin
        | Fault::IfNoneMatchIgnored
        | Fault::MetadataDropped => None,
    })
}

/// What a request asks for, before it is known who asks.
struct Decoded {
    protocol: Protocol,
    verb: Verb,
    query: Query,
    target: Result<Target, Refusal>,
    /// Those that are taken notice of; the signature of a request is over all of them.
    headers: HeaderMap,
}

async fn carry_out(
    shared: &Arc<Shared>,
    parts: &request::Parts,
    decoded: Decoded,
    upload: &mut Option<Upload>,
) -> Result<Response, Refusal> {
    let Decoded {
        protocol,
        verb,
        query,
        target,
        headers,
    } = decoded;
    let principal = shared
        .access
        .authenticate(&parts.method, parts.uri.path(), &query, &parts.headers)?;
    let target = target?;
    if verb == Verb::Batch {
        return Err(IDS_MISSING.into());
    }
    if target.segments().is_empty() {
        return Err(match verb {
            Verb::Unsupported => unsupported(&parts.method),
            // Nobody creates or lists workspaces here.
            _ => INVALID_URI.into(),
        });
    }
    let place = shared.catalog.resolve(&target, protocol)?;
    shared.access.authorize(&principal, place.path.workspace())?;
    let mut call = Call {
        shared: Arc::clone(shared),
        method: parts.method.clone(),
        protocol,
        verb,
        query,
        headers,
        principal,
        upload: upload.take().unwrap_or_else(|| Upload::new(Body::empty())),
    };
    let answered = dispatch(&mut call, &place).await;
    *upload = Some(call.upload);
    answered
}

async fn dispatch(call: &mut Call, place: &Place) -> Result<Response, Refusal> {
    match call.verb {
        Verb::CreateWorkspace => return workspaces::create(call, place).await,
        Verb::DeleteWorkspace => return workspaces::delete(call, place).await,
        Verb::Unsupported => return Err(unsupported(&call.method)),
        _ => call.must_exist(&place.path).await?,
    }
    match call.verb {
        Verb::WorkspaceProperties => return workspaces::properties(call, place).await,
        Verb::ListPaths => return dfs::list(call, place).await,
        Verb::ListBlobs => return blob::list(call, place).await,
        Verb::Properties => return paths::properties(call, place).await,
        Verb::Read => return paths::read(call, place).await,
        Verb::GetBlockList => return blob::get_block_list(call, place).await,
        Verb::GetMetadata => return blob::get_metadata(call, place).await,
        Verb::CreateDirectory | Verb::CreateFile if place.path.depth() < 4 => {
            return dfs::create_managed(call, place).await;
        }
        _ => call.must_be_below_a_folder(&place.path).await?,
    }
    match call.verb {
        Verb::CreateFile => dfs::create_file(call, place).await,
        Verb::CreateDirectory => dfs::create_directory(call, place).await,
        Verb::Rename => dfs::rename(call, place).await,
        Verb::Append => dfs::append(call, place).await,
        Verb::Flush => dfs::flush(call, place).await,
        Verb::SetProperties => dfs::set_properties(call, place).await,
        Verb::PutBlob => blob::put(call, place).await,
        Verb::PutBlock => blob::put_block(call, place).await,
        Verb::PutBlockList => blob::put_block_list(call, place).await,
        Verb::CopyBlob => blob::copy(call, place).await,
        Verb::SetMetadata => blob::set_metadata(call, place).await,
        Verb::SetBlobProperties => blob::set_properties(call, place).await,
        Verb::Delete => paths::delete(call, place).await,
        _ => Err(unsupported(&call.method)),
    }
}

fn unsupported(method: &Method) -> Refusal {
    match method.as_str() {
        "GET" | "HEAD" | "PUT" | "PATCH" | "DELETE" => UNSUPPORTED_QUERY.into(),
        _ => UNSUPPORTED_VERB.into(),
    }
}

/// Where the client believes the service to be, for lists.
pub(crate) fn endpoint(headers: &HeaderMap) -> String {
    let host = headers
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or("localhost");
    format!("http://{host}/")
}
