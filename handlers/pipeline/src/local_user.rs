//! Who runs this process.

use xact_config::Environment;

/// Returns the name of the user, which the marks of dead letters and the audit log state.
pub(crate) fn local_user(environment: &Environment) -> String {
    let name = environment.get("USER").or_else(|| environment.get("USERNAME"));
    name.unwrap_or("local user").to_owned()
}
