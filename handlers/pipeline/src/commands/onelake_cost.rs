//! States what a command's requests to OneLake cost, in text and in JSON.

use serde_json::{Map, Value, json};

use xact_contracts::onelake_billing::{Bill, Charge};

/// Returns the cost as one line: `OneLake: 5 requests, 0.3564 CU seconds (write 2, other 3)`.
pub(crate) fn in_text(bill: &Bill) -> String {
    let total = bill.total();
    let by_class: Vec<String> = bill
        .by_class()
        .map(|(class, charge)| format!("{} {}", class.name(), charge.requests))
        .collect();
    let classes = match by_class.is_empty() {
        true => String::new(),
        false => format!(" ({})", by_class.join(", ")),
    };
    let requests = match total.requests {
        1 => "1 request".to_owned(),
        requests => format!("{requests} requests"),
    };
    format!("OneLake: {requests}, {} CU seconds{classes}", cu_seconds(total))
}

/// Adds `requests`, `cu_seconds` and `billing` (both figures by class) to a JSON object. A lake that is not in OneLake has
/// no bill, and adds nothing.
pub(crate) fn add_to_json(answer: &mut Value, bill: Option<&Bill>) {
    let (Some(answer), Some(bill)) = (answer.as_object_mut(), bill) else {
        return;
    };
    let billing: Map<String, Value> = bill
        .by_class()
        .map(|(class, charge)| {
            let figures = json!({"requests": charge.requests, "cu_seconds": charge.cu_seconds()});
            (class.name().to_owned(), figures)
        })
        .collect();
    let total = bill.total();
    answer.insert("requests".to_owned(), json!(total.requests));
    answer.insert("cu_seconds".to_owned(), json!(total.cu_seconds()));
    answer.insert("billing".to_owned(), Value::Object(billing));
}

/// Prices have four decimals.
fn cu_seconds(charge: Charge) -> String {
    format!("{:.4}", charge.cu_seconds())
}

#[cfg(test)]
mod tests {
    use super::*;
    use xact_contracts::onelake_billing::BillingClass;

    #[test]
    fn a_bill_is_stated_in_total_and_by_class() {
        let mut bill = Bill::default();
        assert_eq!(in_text(&bill), "OneLake: 0 requests, 0.0000 CU seconds");
        bill.add(BillingClass::Write, 10);
        assert_eq!(in_text(&bill), "OneLake: 1 request, 0.1626 CU seconds (write 1)");
        for class in [BillingClass::Write, BillingClass::Other, BillingClass::Delete] {
            bill.add(class, 10);
        }
        let text = "OneLake: 4 requests, 0.3356 CU seconds (write 2, other 1, delete 1)";
        assert_eq!(in_text(&bill), text);
        let mut answer = json!({"table": "x"});
        add_to_json(&mut answer, Some(&bill));
        assert_eq!(answer["requests"], 4);
        assert_eq!(answer["cu_seconds"], 0.3356);
        assert_eq!(answer["billing"]["write"], json!({"requests": 2, "cu_seconds": 0.3252}));
    }

    #[test]
    fn a_local_lake_has_no_bill() {
        let mut answer = json!({"table": "x"});
        add_to_json(&mut answer, None);
        assert_eq!(answer, json!({"table": "x"}));
    }
}
