//! Workspaces and items, which are managed by Fabric. Through the storage API of [OneLake][parity], clients cannot create,
//! rename or delete an item or the folders directly below it. Workspace and item are both given by name, or both by GUID.
//!
//! The emulator creates an item and its folders at the start, or over `/__admin/items`.
//!
//! [parity]: https://learn.microsoft.com/fabric/onelake/onelake-api-parity#managed-onelake-folders

use std::collections::HashMap;
use std::str::FromStr;

use parking_lot::RwLock;
use uuid::Uuid;

use crate::errors::{ErrorResponse, FRIENDLY_NAMES_OFF, INVALID_NAME, ITEM_NOT_FOUND};
use crate::names::{name_error, workspace_name_error};
use crate::storage::{EntryPath, Storage, StoreError};
use crate::target::Target;
use crate::verbs::Protocol;

/// The folders of a lakehouse.
const FOLDERS: [&str; 2] = ["Files", "Tables"];
/// The folder that only a lakehouse with schemas has; see its [documentation][schemas].
///
/// [schemas]: https://learn.microsoft.com/fabric/data-engineering/lakehouse-schemas
const DEFAULT_SCHEMA: [&str; 2] = ["Tables", "dbo"];
/// Follows the item on the command line. A name cannot contain a colon.
const WITH_SCHEMAS: &str = ":schemas";

/// A Fabric item, such as a lakehouse, in its workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The workspace's name.
    pub workspace: String,
    /// The item's name with its type: `Lake.Lakehouse`.
    pub name: String,
    /// The workspace's GUID; derived from its name if none is given.
    pub workspace_guid: Option<Uuid>,
    /// The item's GUID; derived from both names if none is given.
    pub guid: Option<Uuid>,
    /// Whether it is a lakehouse with schemas.
    pub schemas: bool,
}

/// A text that is not `WORKSPACE/ITEM` or `WORKSPACE=GUID/ITEM=GUID`, with or without `:schemas`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an item: write WORKSPACE/ITEM.Lakehouse, or WORKSPACE=GUID/ITEM.Lakehouse=GUID; append :schemas for a lakehouse with schemas"
)]
pub struct ItemError(pub String);

impl Item {
    /// Returns the item `name` of `workspace`, with derived GUIDs.
    #[must_use]
    pub fn new(workspace: &str, name: &str) -> Self {
        Self {
            workspace: workspace.to_owned(),
            name: name.to_owned(),
            workspace_guid: None,
            guid: None,
            schemas: false,
        }
    }

    /// Returns the GUID of its workspace.
    #[must_use]
    pub fn workspace_guid(&self) -> Uuid {
        self.workspace_guid.unwrap_or_else(|| derived(&self.workspace))
    }

    /// Returns the GUID of the item.
    #[must_use]
    pub fn guid(&self) -> Uuid {
        let names = format!("{}/{}", self.workspace, self.name);
        self.guid.unwrap_or_else(|| derived(&names))
    }
}

impl FromStr for Item {
    type Err = ItemError;

    fn from_str(text: &str) -> Result<Self, ItemError> {
        let wrong = || ItemError(text.to_owned());
        let part = |part: &str| match part.split_once('=') {
            None => Ok((part.to_owned(), None)),
            Some((name, guid)) => Ok((name.to_owned(), Some(Uuid::try_parse(guid).map_err(|_| wrong())?))),
        };
        let (names, schemas) = match text.strip_suffix(WITH_SCHEMAS) {
            Some(names) => (names, true),
            None => (text, false),
        };
        let (workspace, item) = names.split_once('/').ok_or_else(wrong)?;
        let ((workspace, workspace_guid), (name, guid)) = (part(workspace)?, part(item)?);
        if workspace_name_error(&workspace).is_some() || name_error(&name).is_some() || name.contains('/') {
            return Err(wrong());
        }
        Ok(Self {
            workspace,
            name,
            workspace_guid,
            guid,
            schemas,
        })
    }
}

fn derived(name: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("onelake-emulator:{name}").as_bytes())
}

/// GUIDs of workspaces and items.
#[derive(Default)]
struct Guids {
    workspaces: HashMap<Uuid, String>,
    items: HashMap<Uuid, (String, String)>,
}

/// The GUIDs and names of workspaces and items.
pub(crate) struct Catalog {
    guids: RwLock<Guids>,
    /// Whether names are refused, as in a tenant without support for them.
    guids_only: bool,
}

/// A path with the names of its workspace and item.
#[derive(Debug, Clone)]
pub(crate) struct ResolvedPath {
    pub(crate) path: EntryPath,
    /// Whether the request has their GUIDs.
    by_guid: bool,
}

impl Catalog {
    /// Reads the items in the folder; their GUIDs are derived from the names.
    pub(crate) fn read(storage: &Storage, guids_only: bool) -> Result<Self, StoreError> {
        let catalog = Self {
            guids: RwLock::default(),
            guids_only,
        };
        let mut workspaces = storage.folders(&[])?;
        workspaces.retain(|name| workspace_name_error(name).is_none());
        for workspace in workspaces {
            let guid = derived(&workspace);
            catalog.guids.write().workspaces.insert(guid, workspace.clone());
            for item in storage.folders(std::slice::from_ref(&workspace))? {
                catalog.register(&Item::new(&workspace, &item));
            }
        }
        Ok(catalog)
    }

    /// Creates the folders of an item if they are missing, and registers its GUIDs.
    pub(crate) fn add(&self, storage: &Storage, item: &Item) -> Result<(), StoreError> {
        for folder in FOLDERS {
            storage.make_folder(&[item.workspace.clone(), item.name.clone(), folder.to_owned()])?;
        }
        if item.schemas {
            let [tables, schema] = DEFAULT_SCHEMA.map(str::to_owned);
            storage.make_folder(&[item.workspace.clone(), item.name.clone(), tables, schema])?;
        }
        self.register(item);
        Ok(())
    }

    fn register(&self, item: &Item) {
        let mut guids = self.guids.write();
        guids.workspaces.insert(item.workspace_guid(), item.workspace.clone());
        let names = (item.workspace.clone(), item.name.clone());
        guids.items.insert(item.guid(), names);
    }

    /// Resolves the names of a target that has at least a workspace. The path need not exist, but GUIDs must be known.
    pub(crate) fn resolve(&self, target: &Target, protocol: Protocol) -> Result<ResolvedPath, ErrorResponse> {
        let guids = self.guids.read();
        let mut segments = target.segments().to_vec();
        let Some(workspace) = segments.first_mut() else {
            return Err(INVALID_NAME.into());
        };
        let guid = as_guid(workspace);
        if let Some(guid) = guid {
            let known = guids.workspaces.get(&guid);
            *workspace = known.ok_or_else(|| workspace_not_found(protocol))?.clone();
        } else if self.guids_only {
            return Err(FRIENDLY_NAMES_OFF.into());
        } else if let Some(why) = workspace_name_error(workspace) {
            return Err(ErrorResponse::invalid_name(why));
        }
        if let Some(item) = target.segments().get(1) {
            segments[1] = guids.item(&segments[0], item, guid.is_some())?;
        }
        Ok(ResolvedPath {
            path: EntryPath::new(segments),
            by_guid: guid.is_some(),
        })
    }

    /// Returns the prefix of a list with the name of the item.
    pub(crate) fn real_prefix(&self, target: &ResolvedPath, prefix: &str) -> Result<String, ErrorResponse> {
        let Some((item, rest)) = prefix.split_once('/') else {
            return Ok(prefix.to_owned());
        };
        let guids = self.guids.read();
        let item = guids.item(target.path.workspace(), item, target.by_guid)?;
        Ok(format!("{item}/{rest}"))
    }

    /// Returns the name of a listed path, with the item by name or by GUID as in the request.
    pub(crate) fn shown(&self, target: &ResolvedPath, name: &str) -> String {
        if !target.by_guid {
            return name.to_owned();
        }
        let (item, rest) = name.split_at(name.find('/').unwrap_or(name.len()));
        let guids = self.guids.read();
        let names = (target.path.workspace().to_owned(), item.to_owned());
        match guids.items.iter().find(|(_, known)| **known == names) {
            Some((guid, _)) => format!("{guid}{rest}"),
            None => name.to_owned(),
        }
    }
}

impl Guids {
    fn item(&self, workspace: &str, item: &str, by_guid: bool) -> Result<String, ErrorResponse> {
        match (by_guid, as_guid(item)) {
            (false, None) => Ok(item.to_owned()),
            (true, Some(guid)) => match self.items.get(&guid) {
                Some((known, name)) if known == workspace => Ok(name.clone()),
                _ => Err(item_not_found(workspace, item)),
            },
            (true, None) | (false, Some(_)) => Err(FRIENDLY_NAMES_OFF.into()),
        }
    }
}

fn as_guid(text: &str) -> Option<Uuid> {
    // UUIDs in other forms are names.
    (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten()
}

pub(crate) fn item_not_found(workspace: &str, item: &str) -> ErrorResponse {
    let text = format!("Request Failed with Artifact '{item}' is not found in workspace '{workspace}'.");
    ErrorResponse::from(ITEM_NOT_FOUND).with_message(text)
}

pub(crate) fn workspace_not_found(protocol: Protocol) -> ErrorResponse {
    match protocol {
        Protocol::Dfs => crate::errors::FILESYSTEM_NOT_FOUND.into(),
        Protocol::Blob => crate::errors::CONTAINER_NOT_FOUND.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_parsed_with_and_without_guids() {
        let item: Item = "claims/Lake.Lakehouse".parse().unwrap();
        assert_eq!(item, Item::new("claims", "Lake.Lakehouse"));
        let guid = "11111111-2222-3333-4444-555555555555";
        let item: Item = format!("claims={guid}/Lake.Lakehouse").parse().unwrap();
        assert_eq!(item.workspace_guid().to_string(), guid);
        let with_schemas: Item = format!("claims/Lake.Lakehouse={guid}:schemas").parse().unwrap();
        assert_eq!((with_schemas.schemas, item.schemas), (true, false));
        assert_eq!(with_schemas.guid().to_string(), guid);
        let derived = Item::new("claims", "Lake.Lakehouse").guid();
        assert_eq!(item.guid(), derived, "the same at each start");
        for wrong in "claims claims/a/b /a claims/ .onelake/a claims=5/a ../a claims/..".split(' ') {
            assert!(wrong.parse::<Item>().is_err(), "{wrong}");
        }
    }
}
