//! The identity of the process, chosen when something first needs one: a pipeline on a workstation needs none.

use std::sync::{Arc, OnceLock};

use crate::Environment;
use crate::reader::Reader;
use xact_identity::{Identity, IdentityError, IdentitySettings};

/// What is configured, and what was made of it. Clones share the choice.
#[derive(Debug, Clone)]
pub(super) struct LazyIdentity(Arc<Lazy>);

#[derive(Debug)]
struct Lazy {
    settings: Result<IdentitySettings, IdentityError>,
    chosen: OnceLock<Result<Identity, IdentityError>>,
}

impl LazyIdentity {
    /// Reads the variables; what is wrong with them is the reader's to tell, whether an identity is needed or not.
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let environment: &Environment = reader.environment;
        let settings = IdentitySettings::read(|name| environment.get(name).map(str::to_owned));
        match &settings {
            Ok(_) => {}
            Err(IdentityError::Settings(lines)) => reader.errors.extend(lines.iter().cloned()),
            Err(error) => reader.errors.push(error.to_string()),
        }
        Self(Arc::new(Lazy {
            settings,
            chosen: OnceLock::new(),
        }))
    }

    /// Whether the variables themselves are in order.
    pub(super) fn is_readable(&self) -> bool {
        self.0.settings.is_ok()
    }

    pub(super) fn get(&self) -> Result<Identity, IdentityError> {
        let choose = || self.0.settings.clone().and_then(|settings| Identity::choose(&settings));
        self.0.chosen.get_or_init(choose).clone()
    }
}
