//! The examples of `infra/COST.md` are computed from its base figures, the prices of OneLake and the deployment.
//!
//! After a change of a base figure, `XACT_WRITE_COST_PAGE=1 cargo test -p xact-deployment --test cost_page` rewrites the
//! examples.

// Helper functions of tests may panic.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use xact_contracts::onelake_billing::{BillingClass, Capacity, cu_seconds};

const BEGIN: &str = "<!-- examples: computed by tests/deployment/tests/cost_page.rs -->\n";
const END: &str = "<!-- end of the examples -->\n";
const PER_DAY: [f64; 3] = [10_000.0, 100_000.0, 1_000_000.0];
const SECONDS_PER_DAY: f64 = 86_400.0;
/// Default of `RESULT_BATCH_SIZE`; `EVENT_BATCH_SIZE` is not smaller.
const RESULT_BATCH_SIZE: f64 = 2000.0;

fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn page() -> PathBuf {
    root().join("infra/COST.md")
}

/// Values by name, from the table rows of the page: | `name` | value | …
fn figures(page: &str) -> BTreeMap<String, f64> {
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let name = cells.get(1)?.strip_prefix('`')?.strip_suffix('`')?;
        Some((name.to_owned(), cells.get(2)?.replace(',', "").parse().ok()?))
    };
    page.lines().filter_map(row).collect()
}

struct Example<'a> {
    base: &'a BTreeMap<String, f64>,
    attachments: f64,
}

impl Example<'_> {
    fn base(&self, name: &str) -> f64 {
        *self
            .base
            .get(name)
            .unwrap_or_else(|| panic!("infra/COST.md has no row of `{name}`"))
    }

    fn events(&self) -> f64 {
        self.attachments / self.base("attachments_per_event")
    }

    /// Scales a figure for 1,000 attachments to a day.
    fn a_day(&self, name: &str) -> f64 {
        self.base(name) * self.attachments / 1000.0
    }

    /// Scales a figure for 1,000 attachments to a second at the peak.
    fn at_peak(&self, name: &str) -> f64 {
        self.a_day(name) / self.base("busy_seconds") * self.base("peak_factor")
    }

    fn files_cu_seconds(&self) -> f64 {
        self.attachments * self.base("file_cu_seconds")
    }

    /// Returns the commits of both tables: one per batch time while there are rows, more only if batches fill up earlier.
    fn commits(&self, batch_seconds: f64) -> f64 {
        let of_table = |rows: f64| {
            let by_time = (self.base("busy_seconds") / batch_seconds).min(self.events());
            by_time.max(rows / RESULT_BATCH_SIZE)
        };
        of_table(self.events()) + of_table(self.attachments)
    }

    fn commits_cu_seconds(&self, batch_seconds: f64) -> f64 {
        self.commits(batch_seconds) * self.base("commit_cu_seconds")
    }

    fn share(&self, capacity: Capacity, batch_seconds: f64) -> f64 {
        let used = self.files_cu_seconds() + self.commits_cu_seconds(batch_seconds);
        #[expect(clippy::cast_precision_loss, reason = "a few million")]
        let provided = capacity.cu_seconds_per_day() as f64;
        100.0 * used / provided
    }

    fn throughput_units(&self) -> f64 {
        let needed = [
            self.at_peak("bytes_in") / 1e6,
            self.at_peak("messages_in") / 1000.0,
            self.at_peak("bytes_out") / 2e6,
            self.at_peak("messages_out") / 4096.0,
        ];
        needed.into_iter().fold(0.0, f64::max).ceil()
    }
}

/// Returns the table of the examples.
fn examples(page: &str) -> String {
    let base = figures(page);
    let examples = PER_DAY.map(|attachments| Example {
        base: &base,
        attachments,
    });
    let mut table = String::from("| a day | 10,000 attachments | 100,000 | 1,000,000 |\n|---|---|---|---|\n");
    let mut row = |what: &str, value: &dyn Fn(&Example<'_>) -> String| {
        let cells: Vec<String> = examples.iter().map(value).collect();
        writeln!(table, "| {what} | {} |", cells.join(" | ")).unwrap();
    };
    let delivered = base["batch_seconds"];
    row("**OneLake**: files, CU seconds", &|day| whole(day.files_cu_seconds()));
    for batch in [delivered, 60.0] {
        row(&format!("commits, batches of {batch} s"), &|day| {
            whole(day.commits(batch))
        });
        row(&format!("commits, batches of {batch} s, CU seconds"), &|day| {
            whole(day.commits_cu_seconds(batch))
        });
        row(&format!("share of an F2, batches of {batch} s"), &|day| {
            format!("{:.1} %", day.share(Capacity::F2, batch))
        });
        row(&format!("share of an F64, batches of {batch} s"), &|day| {
            format!("{:.2} %", day.share(Capacity::F64, batch))
        });
    }
    row("**Event Hubs**: messages in", &|day| whole(day.a_day("messages_in")));
    row("messages in a second, at the peak", &|day| {
        format!("{:.1}", day.at_peak("messages_in"))
    });
    row("MB in a second, at the peak", &|day| {
        format!("{:.3}", day.at_peak("bytes_in") / 1e6)
    });
    row("MB out a second, at the peak", &|day| {
        format!("{:.3}", day.at_peak("bytes_out") / 1e6)
    });
    row("throughput units", &|day| whole(day.throughput_units()));
    row("**Container Apps**: vCPU seconds of work", &|day| {
        whole(day.a_day("vcpu_seconds"))
    });
    row("cores of work at the peak, all stages", &|day| {
        format!("{:.2}", day.at_peak("vcpu_seconds"))
    });
    row("billed active, vCPU seconds", &|day| {
        whole(day.base("cores") * day.base("busy_seconds"))
    });
    row("billed idle, vCPU seconds", &|day| {
        whole(day.base("cores") * (SECONDS_PER_DAY - day.base("busy_seconds")))
    });
    row("billed memory, GiB seconds", &|day| {
        whole(2.0 * day.base("cores") * SECONDS_PER_DAY)
    });
    row("**Azure Files**: transactions", &|day| {
        whole(day.attachments * (day.base("share_calls") + day.base("content_calls")))
    });
    row("**Log Analytics**: GB", &|day| {
        format!("{:.3}", day.a_day("log_bytes") / 1e9)
    });
    table
}

/// Formats a number with thousands separators.
fn whole(value: f64) -> String {
    let digits = format!("{:.0}", value.round());
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[test]
fn the_examples_are_computed_from_the_base_figures() {
    let text = std::fs::read_to_string(page()).unwrap();
    let (before, rest) = text
        .split_once(BEGIN)
        .expect("the page has the mark before the examples");
    let (shown, after) = rest.split_once(END).expect("the page has the mark after the examples");
    let computed = format!("\n{}\n", examples(&text));
    if std::env::var_os("XACT_WRITE_COST_PAGE").is_some() {
        std::fs::write(page(), format!("{before}{BEGIN}{computed}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(
        shown, computed,
        "run this test with XACT_WRITE_COST_PAGE=1 to write the examples anew"
    );
}

#[test]
fn the_prices_of_onelake_are_those_of_the_contracts() {
    let base = figures(&std::fs::read_to_string(page()).unwrap());
    let write = cu_seconds(BillingClass::Write.micro_cu_seconds(100_000));
    assert!((base["file_cu_seconds"] - write).abs() < 1e-9, "a file is one write");
    assert!(
        base["commit_cu_seconds"] >= 2.0 * write,
        "a commit is two writes, and its part of the checkpoints"
    );
}

#[test]
fn the_assumptions_match_the_default_settings_and_the_deployment() {
    let base = figures(&std::fs::read_to_string(page()).unwrap());
    let settings = std::fs::read_to_string(root().join(".env.example")).unwrap();
    for name in ["EVENT_BATCH_SECONDS", "RESULT_BATCH_SECONDS"] {
        let line = format!("#{name}={}", base["batch_seconds"]);
        assert!(settings.lines().any(|setting| setting == line), "{line}");
    }
    // The cores of the replicas that always run; `bicep/documentation.rs` compares them with the templates.
    assert!((base["cores"] - 3.5).abs() < 1e-9);
}
