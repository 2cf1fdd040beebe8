//! The Azure identity of the process, chosen when something first needs it: a pipeline on a workstation may have none.

use std::sync::{Arc, OnceLock};

use xact_identity::{Identity, IdentityError, IdentitySettings};

/// The settings of the identity and, once it was needed, the identity. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct ProcessIdentity(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: IdentitySettings,
    chosen: OnceLock<Result<Identity, IdentityError>>,
}

impl ProcessIdentity {
    pub(crate) fn new(settings: IdentitySettings) -> Self {
        Self(Arc::new(Inner {
            settings,
            chosen: OnceLock::new(),
        }))
    }

    pub(crate) fn get(&self) -> Result<Identity, IdentityError> {
        let choose = || Identity::choose(&self.0.settings);
        self.0.chosen.get_or_init(choose).clone()
    }
}
