//! What an operation's requests to OneLake cost.

use std::fmt;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use xact_contracts::onelake_billing::Bill;

/// The cost in total and by class; serializes as `requests`, `cu_seconds` and `billing`.
#[derive(Debug, Clone)]
pub struct OneLakeCost(Bill);

impl From<Bill> for OneLakeCost {
    fn from(bill: Bill) -> Self {
        Self(bill)
    }
}

/// One line: `OneLake: 5 requests, 0.3564 CU seconds (write 2, other 3)`.
impl fmt::Display for OneLakeCost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.0.total();
        let plural = if total.requests == 1 { "" } else { "s" };
        let (requests, cu_seconds) = (total.requests, total.cu_seconds());
        // Prices have four decimals.
        write!(f, "OneLake: {requests} request{plural}, {cu_seconds:.4} CU seconds")?;
        let by_class: Vec<String> = self
            .0
            .by_class()
            .map(|(class, charge)| format!("{} {}", class.name(), charge.requests))
            .collect();
        if by_class.is_empty() {
            return Ok(());
        }
        write!(f, " ({})", by_class.join(", "))
    }
}

impl Serialize for OneLakeCost {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let total = self.0.total();
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("requests", &total.requests)?;
        map.serialize_entry("cu_seconds", &total.cu_seconds())?;
        map.serialize_entry("billing", &ByClass(&self.0))?;
        map.end()
    }
}

/// Both figures of each class.
struct ByClass<'a>(&'a Bill);

impl Serialize for ByClass<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Figures {
            requests: u64,
            cu_seconds: f64,
        }
        serializer.collect_map(self.0.by_class().map(|(class, charge)| {
            let figures = Figures {
                requests: charge.requests,
                cu_seconds: charge.cu_seconds(),
            };
            (class.name(), figures)
        }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use xact_contracts::onelake_billing::BillingClass;

    #[test]
    fn a_cost_is_stated_in_total_and_by_class() {
        let mut bill = Bill::default();
        let text = |bill: &Bill| OneLakeCost::from(bill.clone()).to_string();
        assert_eq!(text(&bill), "OneLake: 0 requests, 0.0000 CU seconds");
        bill.add(BillingClass::Write, 10);
        assert_eq!(text(&bill), "OneLake: 1 request, 0.1626 CU seconds (write 1)");
        for class in [BillingClass::Write, BillingClass::Other, BillingClass::Delete] {
            bill.add(class, 10);
        }
        assert_eq!(
            text(&bill),
            "OneLake: 4 requests, 0.3356 CU seconds (write 2, other 1, delete 1)"
        );
        let cost = serde_json::to_value(OneLakeCost::from(bill)).unwrap();
        assert_eq!((&cost["requests"], &cost["cu_seconds"]), (&json!(4), &json!(0.3356)));
        assert_eq!(cost["billing"]["write"], json!({"requests": 2, "cu_seconds": 0.3252}));
    }
}
