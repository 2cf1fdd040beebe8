//! `--show-settings`: what applies, and where it was set.

use crate::outcome::{CommandResult, ExitStatus};
use crate::ui::text::cell;
use crate::ui::{self, Table};
use xact_config::{Environment, Settings};

/// Prints every setting that has a value. An invalid one is an error, after all were printed.
pub(crate) fn run(environment: &Environment) -> CommandResult {
    let mut table = Table::new(&["variable", "value", "source"]);
    let with_value = environment.effective().into_iter().filter(|one| !one.shown.is_empty());
    table.add_rows(with_value.map(|one| [one.variable.name.to_owned(), cell(&one.shown), one.source.to_string()]));
    table.print();
    ui::note(".env.example says what each does");
    Settings::from_environment(environment)?;
    Ok(ExitStatus::Ok)
}
