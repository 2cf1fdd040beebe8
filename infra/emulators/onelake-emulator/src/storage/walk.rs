//! Lists, sorted by whole name, one page at a time.

use std::ops::ControlFlow;

use cap_fs_ext::DirExt;
use cap_std::fs::Dir;

use super::folders::open_folder;
use super::{Entry, EntryPath, IfFound, Properties, Storage, StoreError};
use crate::names::{MAX_DEPTH, name_error};

/// The depth of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListDepth {
    /// Everything below the prefix.
    All,
    /// Only up to the next slash.
    Level,
}

/// Options of a list. Names are relative to the workspace, with slashes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ListOptions<'a> {
    pub(crate) prefix: &'a str,
    /// The first name that may be listed.
    pub(crate) start: &'a str,
    pub(crate) limit: usize,
    pub(crate) depth: ListDepth,
    /// Whether the properties of each file are read.
    pub(crate) properties: bool,
}

/// An entry of a list.
#[derive(Debug, Clone)]
pub(crate) struct ListEntry {
    pub(crate) name: String,
    pub(crate) entry: Entry,
    pub(crate) properties: Properties,
}

/// A page that is being filled.
struct Page<'a> {
    storage: &'a Storage,
    workspace: &'a str,
    options: ListOptions<'a>,
    found: Vec<ListEntry>,
    /// The first name of the next page.
    next: Option<String>,
}

/// A step of the walk through a folder, in the order of names.
enum Step {
    /// Lists the file or folder itself.
    Shown,
    /// Walks through the folder.
    Below,
}

impl Storage {
    /// Returns a page of a list, and the first name of the next page.
    pub(crate) fn list(
        &self,
        workspace: &str,
        options: ListOptions<'_>,
    ) -> Result<(Vec<ListEntry>, Option<String>), StoreError> {
        let mut page = Page {
            storage: self,
            workspace,
            options,
            found: Vec::new(),
            next: None,
        };
        // Start at the deepest folder that the prefix contains.
        let base = options.prefix.rfind('/').map_or("", |slash| &options.prefix[..=slash]);
        let mut segments = vec![workspace.to_owned()];
        segments.extend(base.split_terminator('/').map(str::to_owned));
        // A prefix may contain what a name cannot; then nothing begins with it.
        let are_names = segments.iter().all(|segment| name_error(segment).is_none());
        if are_names
            && segments.len() <= MAX_DEPTH
            && let Some(folder) = open_folder(&self.root, &segments).if_found()?
        {
            let _ = page.visit(&folder, base, segments.len())?;
        }
        Ok((page.found, page.next))
    }
}

impl Page<'_> {
    /// Walks through a folder whose names begin with `base`; breaks when the page is full.
    fn visit(&mut self, folder: &Dir, base: &str, depth: usize) -> Result<ControlFlow<()>, StoreError> {
        if depth > MAX_DEPTH {
            return Ok(ControlFlow::Continue(()));
        }
        for (key, step) in self.steps(folder, base)? {
            let name = key[base.len()..].trim_end_matches('/');
            let flow = match step {
                Step::Shown => self.show(folder, name, &key)?,
                Step::Below => match folder.open_dir_nofollow(name).if_found()? {
                    Some(below) => self.visit(&below, &key, depth + 1)?,
                    // It was removed in the meantime.
                    None => continue,
                },
            };
            if flow.is_break() {
                return Ok(flow);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Returns the steps of a folder, sorted. Between the name of a folder and what is below it come names such as `a-b`,
    /// because `-` sorts before the slash.
    fn steps(&self, folder: &Dir, base: &str) -> Result<Vec<(String, Step)>, StoreError> {
        let ListOptions {
            prefix, start, depth, ..
        } = self.options;
        let mut steps = Vec::new();
        for entry in folder.entries()? {
            let entry = entry?;
            // Names that requests cannot have are not listed.
            let name = entry.file_name().into_string().ok();
            let Some(name) = name.filter(|name| name_error(name).is_none()) else {
                continue;
            };
            let kind = entry.file_type()?;
            if !kind.is_file() && !kind.is_dir() {
                continue;
            }
            let mut key = format!("{base}{name}");
            if kind.is_dir() {
                let below = format!("{key}/");
                let may_match = below.starts_with(prefix) || prefix.starts_with(&below);
                let is_past = below.as_str() >= start || start.starts_with(&below);
                if depth == ListDepth::Level {
                    // Sorted with its slash, as Blob clients get it.
                    key = below;
                } else if may_match && is_past {
                    steps.push((below, Step::Below));
                }
            }
            if key.starts_with(prefix) && key.as_str() >= start {
                steps.push((key, Step::Shown));
            }
        }
        steps.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        Ok(steps)
    }

    /// Lists `name` of a folder, unless it was removed in the meantime; breaks when the page is full.
    fn show(&mut self, folder: &Dir, name: &str, key: &str) -> Result<ControlFlow<()>, StoreError> {
        let metadata = folder.symlink_metadata(name).if_found()?;
        let Some(entry) = metadata.map(|metadata| Entry::of(&metadata)).transpose()?.flatten() else {
            return Ok(ControlFlow::Continue(()));
        };
        if self.found.len() == self.options.limit {
            self.next = Some(key.to_owned());
            return Ok(ControlFlow::Break(()));
        }
        let name = key.trim_end_matches('/').to_owned();
        let properties = if self.options.properties {
            let segments = std::iter::once(self.workspace)
                .chain(name.split('/'))
                .map(str::to_owned);
            self.storage.records.read(&EntryPath::new(segments.collect()), &entry)?
        } else {
            Properties::default()
        };
        self.found.push(ListEntry {
            name,
            entry,
            properties,
        });
        Ok(ControlFlow::Continue(()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Conditions;
    use super::*;

    const ALL: ListOptions<'static> = ListOptions {
        prefix: "",
        start: "",
        limit: 1000,
        depth: ListDepth::All,
        properties: false,
    };

    fn storage(names: &[&str]) -> (xact_testkit::WorkDir, Storage) {
        let dir = xact_testkit::WorkDir::new("walk").unwrap();
        let storage = Storage::open(dir.path()).unwrap();
        for name in names {
            let segments = std::iter::once("ws").chain(name.split('/')).map(str::to_owned);
            let (draft, _) = storage.draft().unwrap();
            let path = EntryPath::new(segments.collect());
            let put = storage.put(&path, &draft, &Conditions::default(), |properties| properties);
            put.unwrap();
        }
        (dir, storage)
    }

    fn names(storage: &Storage, options: ListOptions<'_>) -> (Vec<String>, Option<String>) {
        let (found, next) = storage.list("ws", options).unwrap();
        (found.into_iter().map(|listed| listed.name).collect(), next)
    }

    #[test]
    fn names_are_sorted_by_bytes_across_folders() {
        let (_dir, storage) = storage(&["a/b", "a/c/d", "a-b", "a.b", "a0", "b", "a/c-d"]);
        let (found, next) = names(&storage, ALL);
        assert_eq!(found, ["a", "a-b", "a.b", "a/b", "a/c", "a/c-d", "a/c/d", "a0", "b"]);
        assert_eq!(next, None);
        assert!(found.is_sorted());
    }

    #[test]
    fn pages_of_any_size_add_up_to_the_whole_list() {
        use ListDepth::{All, Level};
        let (_dir, storage) = storage(&["a/b", "a/c/d", "a-b", "a0", "x/y/z"]);
        for (prefix, depth) in [("", All), ("a", All), ("a/", All), ("", Level), ("a/", Level)] {
            let options = ListOptions { prefix, depth, ..ALL };
            let whole = names(&storage, options).0;
            for limit in 1..=whole.len() {
                let (mut found, mut next) = (Vec::new(), Some(String::new()));
                while let Some(start) = next {
                    let start = start.as_str();
                    let page = names(
                        &storage,
                        ListOptions {
                            start,
                            limit,
                            ..options
                        },
                    );
                    assert!(page.0.len() <= limit);
                    found.extend(page.0);
                    next = page.1;
                }
                assert_eq!(found, whole, "{prefix} {depth:?} by {limit}");
            }
        }
    }

    #[test]
    fn a_level_ends_at_the_next_slash_and_a_prefix_may_end_within_a_name() {
        let (_dir, storage) = storage(&["a/b", "a/bc/d", "a/c", "ab"]);
        let depth = ListDepth::Level;
        let level = |prefix| names(&storage, ListOptions { prefix, depth, ..ALL }).0;
        assert_eq!(level(""), ["a", "ab"]);
        assert_eq!(level("a/"), ["a/b", "a/bc", "a/c"]);
        assert_eq!(level("a/b"), ["a/b", "a/bc"]);
        for nothing in ["a/x", "no/such/", "../"] {
            assert_eq!(level(nothing), [""; 0], "{nothing}");
        }
    }

    #[test]
    fn the_start_is_included() {
        let (_dir, storage) = storage(&["a/b", "a/c", "d"]);
        let from = |start| names(&storage, ListOptions { start, ..ALL }).0;
        assert_eq!(from("a/c"), ["a/c", "d"]);
        assert_eq!(from("a/bb"), ["a/c", "d"]);
        assert_eq!(from("e"), [""; 0]);
    }
}
