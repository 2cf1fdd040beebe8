//! Exact sums of billed requests.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use serde::Serialize;

use super::class::{BillingClass, cu_seconds};

/// The cost of a number of requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Charge {
    /// Requests.
    pub requests: u64,
    /// Units that they were billed as: more than requests where bodies are larger than 4 MiB.
    pub units: u64,
    /// Millionths of a CU second.
    pub micro_cu_seconds: u64,
}

impl Charge {
    /// Returns the CU seconds, for display.
    #[must_use]
    pub fn cu_seconds(&self) -> f64 {
        cu_seconds(self.micro_cu_seconds)
    }
}

impl AddAssign for Charge {
    fn add_assign(&mut self, other: Self) {
        self.requests += other.requests;
        self.units += other.units;
        self.micro_cu_seconds += other.micro_cu_seconds;
    }
}

/// The cost of requests, by class. A class without requests has no entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bill {
    by_class: BTreeMap<BillingClass, Charge>,
}

impl Bill {
    /// Adds a request; `body_bytes` as [`BillingClass::units`] has it.
    pub fn add(&mut self, class: BillingClass, body_bytes: u64) {
        *self.by_class.entry(class).or_default() += Charge {
            requests: 1,
            units: class.units(body_bytes),
            micro_cu_seconds: class.micro_cu_seconds(body_bytes),
        };
    }

    /// Returns the charge of one class.
    #[must_use]
    pub fn of(&self, class: BillingClass) -> Charge {
        self.by_class.get(&class).copied().unwrap_or_default()
    }

    /// Returns the charges of the classes that have requests, in the order of the price list.
    pub fn by_class(&self) -> impl Iterator<Item = (BillingClass, Charge)> + '_ {
        self.by_class.iter().map(|(class, charge)| (*class, *charge))
    }

    /// Returns the charge of all classes.
    #[must_use]
    pub fn total(&self) -> Charge {
        let mut total = Charge::default();
        self.by_class.values().for_each(|charge| total += *charge);
        total
    }
}

impl AddAssign<&Bill> for Bill {
    fn add_assign(&mut self, other: &Bill) {
        for (class, charge) in other.by_class() {
            *self.by_class.entry(class).or_default() += charge;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bill_sums_up_by_class_and_in_total() {
        let mut bill = Bill::default();
        bill.add(BillingClass::Write, 100_000);
        bill.add(BillingClass::Write, 5 * 1024 * 1024);
        bill.add(BillingClass::Other, 0);
        bill.add(BillingClass::Delete, 0);
        let write = Charge {
            requests: 2,
            units: 3,
            micro_cu_seconds: 487_800,
        };
        assert_eq!(bill.of(BillingClass::Write), write);
        assert_eq!(bill.of(BillingClass::Read), Charge::default());
        let total = Charge {
            requests: 4,
            units: 5,
            micro_cu_seconds: 498_200,
        };
        assert_eq!(bill.total(), total);
        let classes: Vec<_> = bill.by_class().map(|(class, _)| class.name()).collect();
        assert_eq!(classes, ["write", "other", "delete"]);

        let mut twice = bill.clone();
        twice += &bill;
        assert_eq!(twice.total().micro_cu_seconds, 996_400);
        assert_eq!(twice.of(BillingClass::Delete).requests, 2);
    }
}
