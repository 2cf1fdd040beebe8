//! What an operation's requests to OneLake cost.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::json;

use xact_contracts::onelake_billing::{Bill, Charge};

/// The cost in total and by class; serializes as `requests`, `cu_seconds` and `billing`.
#[derive(Debug, Clone)]
pub struct OneLakeCost(Bill);

impl OneLakeCost {
    /// Returns the CU seconds of all requests.
    #[must_use]
    pub fn cu_seconds(&self) -> f64 {
        self.0.total().cu_seconds()
    }
}

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
        let by_class = self.0.by_class();
        let by_class: Vec<String> = by_class
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
        let figures = |charge: Charge| json!({"requests": charge.requests, "cu_seconds": charge.cu_seconds()});
        let mut cost = figures(self.0.total());
        let by_class = self.0.by_class();
        cost["billing"] = by_class
            .map(|(class, charge)| (class.name(), figures(charge)))
            .collect();
        cost.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
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
