//! Adds up what the requests of a connection cost, with the price table of `xact_contracts::onelake_billing`.

use std::sync::Arc;

use parking_lot::Mutex;
use reqwest::header::CONTENT_LENGTH;
use reqwest::{Request, StatusCode};

use xact_contracts::onelake_billing::{Bill, BillingClass, Operation, Protocol};

/// Called for each request that OneLake bills, with its price in millionths of a CU second.
pub type RequestObserver = Arc<dyn Fn(Operation, BillingClass, u64) + Send + Sync>;

/// The bill of a connection.
#[derive(Default)]
pub(crate) struct Meter {
    pub(crate) bill: Mutex<Bill>,
    pub(crate) observer: Option<RequestObserver>,
}

impl Meter {
    /// Adds a request that has a response. One that failed authentication is not billed.
    pub(crate) fn count(&self, request: &Billed, status: StatusCode, response_bytes: Option<u64>) {
        if status == StatusCode::UNAUTHORIZED {
            return;
        }
        let bytes = match request.class {
            BillingClass::Write => request.body_bytes,
            _ => response_bytes.unwrap_or(0),
        };
        let price = request.class.micro_cu_seconds(bytes);
        self.bill.lock().add(request.class, bytes);
        if let Some(observer) = &self.observer {
            observer(request.operation, request.class, price);
        }
    }
}

/// A request as it will be billed.
pub(crate) struct Billed {
    operation: Operation,
    class: BillingClass,
    body_bytes: u64,
}

impl Billed {
    pub(crate) fn of(request: &Request) -> Self {
        let url = request.url();
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        // The parameters that decide the price need no decoding.
        let query = |name: &str| {
            let pairs = url.query().unwrap_or_default().split('&');
            let mut pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
            pairs.find_map(|(key, value)| (key == name).then_some(value))
        };
        let (method, host) = (request.method().as_str(), url.host_str().unwrap_or_default());
        let protocol = Protocol::of_request(method, host, |name| query(name).is_some(), header);
        let has_path = url.path().trim_matches('/').contains('/');
        let operation = Operation::of_request(protocol, method, has_path, query, |name| header(name).is_some());
        let content_length = || header(CONTENT_LENGTH.as_str()).and_then(|length| length.parse().ok());
        let in_memory = request.body().and_then(reqwest::Body::as_bytes);
        Self {
            operation,
            class: operation.class(protocol),
            body_bytes: in_memory.map_or_else(|| content_length().unwrap_or(0), |body| body.len() as u64),
        }
    }
}
