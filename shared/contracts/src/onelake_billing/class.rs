//! The classes of requests and their prices.

/// A read or write is billed for each started unit of this many bytes. The price list says "4 MB"; Azure Storage counts
/// in powers of two, so this is 4 MiB.
const BODY_UNIT_BYTES: u64 = 4 * 1024 * 1024;

/// Prices are whole millionths of a CU second, so that sums are exact.
const MICROS_PER_CU_SECOND: u64 = 1_000_000;

const SECONDS_PER_DAY: u64 = 24 * 60 * 60;

/// The class that a request is billed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BillingClass {
    /// Puts, creates, appends, flushes, copies.
    Write,
    /// Reads of content, and properties over the DFS endpoint.
    Read,
    /// Properties over the Blob endpoint, metadata, block lists.
    Other,
    /// Lists.
    IterativeRead,
    /// Renames.
    IterativeWrite,
    /// Deletes, which cost nothing.
    Delete,
}

impl BillingClass {
    /// All classes, in the order of the table.
    pub const ALL: [Self; 6] = [
        Self::Write,
        Self::Read,
        Self::Other,
        Self::IterativeRead,
        Self::IterativeWrite,
        Self::Delete,
    ];

    /// Returns the label for metrics and counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Read => "read",
            Self::Other => "other",
            Self::IterativeRead => "iterative_read",
            Self::IterativeWrite => "iterative_write",
            Self::Delete => "delete",
        }
    }

    /// Returns the price of one unit, in millionths of a CU second.
    #[must_use]
    pub const fn unit_price(self) -> u64 {
        match self {
            Self::Write | Self::IterativeRead => 1_626 * MICROS_PER_CU_SECOND / 10_000,
            Self::Read | Self::Other => 104 * MICROS_PER_CU_SECOND / 10_000,
            Self::IterativeWrite => 1_300 * MICROS_PER_CU_SECOND / 100,
            Self::Delete => 0,
        }
    }

    /// Returns how many units a request counts as. `body_bytes` is the request's body for a write and the answer's body
    /// for a read; for other classes it has no influence.
    #[must_use]
    pub const fn units(self, body_bytes: u64) -> u64 {
        match self {
            Self::Write | Self::Read if body_bytes > BODY_UNIT_BYTES => body_bytes.div_ceil(BODY_UNIT_BYTES),
            _ => 1,
        }
    }

    /// Returns the price of a request with such a body (see [`units`](Self::units)), in millionths of a CU second.
    #[must_use]
    pub const fn micro_cu_seconds(self, body_bytes: u64) -> u64 {
        self.units(body_bytes) * self.unit_price()
    }
}

/// Converts millionths of a CU second to CU seconds, for display.
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    reason = "exact up to 9 billion CU seconds, which is 1,600 days of an F64"
)]
pub fn cu_seconds(micro_cu_seconds: u64) -> f64 {
    micro_cu_seconds as f64 / MICROS_PER_CU_SECOND as f64
}

/// A Fabric capacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// The name of its SKU.
    pub name: &'static str,
    /// Its capacity units.
    pub units: u64,
}

impl Capacity {
    /// The smallest one: 172,800 CU seconds a day.
    pub const F2: Self = Self { name: "F2", units: 2 };
    /// The smallest one whose reports need no licence for their readers: 5,529,600 CU seconds a day.
    pub const F64: Self = Self { name: "F64", units: 64 };

    /// Returns the CU seconds that it provides in a day.
    #[must_use]
    pub const fn cu_seconds_per_day(self) -> u64 {
        self.units * SECONDS_PER_DAY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_those_of_the_price_list() {
        let names = BillingClass::ALL.map(BillingClass::name).join(" ");
        assert_eq!(names, "write read other iterative_read iterative_write delete");
        let prices = BillingClass::ALL.map(|class| class.micro_cu_seconds(0));
        assert_eq!(prices, [162_600, 10_400, 10_400, 162_600, 13_000_000, 0]);
        // The example of the price list: 10,000 reads of 16 MB cost 416 CU seconds.
        let reads = 10_000 * BillingClass::Read.micro_cu_seconds(16 * 1024 * 1024);
        assert_eq!(reads, 416 * MICROS_PER_CU_SECOND);
        assert!((cu_seconds(BillingClass::Write.micro_cu_seconds(1)) - 0.1626).abs() < 1e-9);
    }

    #[test]
    fn each_started_unit_of_a_body_counts() {
        for (bytes, units) in [
            (0, 1),
            (1, 1),
            (BODY_UNIT_BYTES, 1),
            (BODY_UNIT_BYTES + 1, 2),
            (100 * 1024 * 1024, 25),
        ] {
            assert_eq!(BillingClass::Write.units(bytes), units, "{bytes}");
            assert_eq!(BillingClass::Read.units(bytes), units, "{bytes}");
            assert_eq!(BillingClass::Other.units(bytes), 1, "{bytes}");
            assert_eq!(BillingClass::IterativeRead.units(bytes), 1, "{bytes}");
        }
    }

    #[test]
    fn capacities_provide_cu_seconds_by_the_day() {
        assert_eq!(Capacity::F2.cu_seconds_per_day(), 172_800);
        assert_eq!(Capacity::F64.cu_seconds_per_day(), 5_529_600);
    }
}
