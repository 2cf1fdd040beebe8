//! Lists, in the order of whole names, a page at a time, without holding more than a page.

use std::ops::ControlFlow;

use cap_std::fs::Dir;

use super::error::is_absence;
use super::{Entry, EntryPath, Properties, Storage, StoreError, open_folder};
use crate::names::{MAX_DEPTH, objection};

/// What a list shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Everything below.
    Flat,
    /// What is right there.
    Level,
}

/// A list to be made. Names are below the workspace, with slashes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) prefix: &'a str,
    /// The first name that may be shown.
    pub(crate) start: &'a str,
    pub(crate) limit: usize,
    pub(crate) shape: Shape,
    /// Whether properties are read for each file.
    pub(crate) properties: bool,
}

/// A line of a list.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) entry: Entry,
    pub(crate) properties: Properties,
}

/// Collects a page.
struct Page<'a> {
    storage: &'a Storage,
    workspace: &'a str,
    wanted: Wanted<'a>,
    found: Vec<Listed>,
    /// The first name that found no room.
    next: Option<String>,
}

/// One thing in a folder that a walk meets in the order of names.
enum Step {
    /// The file or folder itself.
    Shown,
    /// What is below the folder.
    Below,
}

impl Storage {
    /// A page of a list, and where the next one starts.
    pub(crate) fn list(
        &self,
        workspace: &str,
        wanted: Wanted<'_>,
    ) -> Result<(Vec<Listed>, Option<String>), StoreError> {
        let mut page = Page {
            storage: self,
            workspace,
            wanted,
            found: Vec::new(),
            next: None,
        };
        // From the last folder that the prefix names in full.
        let base = wanted.prefix.rfind('/').map_or("", |slash| &wanted.prefix[..=slash]);
        let mut segments = vec![workspace.to_owned()];
        segments.extend(base.split_terminator('/').map(str::to_owned));
        // A prefix is no path: it may hold what no name may, and then nothing begins with it.
        let is_nothing = segments.len() > MAX_DEPTH || segments.iter().any(|segment| objection(segment).is_some());
        if is_nothing {
            return Ok((Vec::new(), None));
        }
        match open_folder(&self.root, &segments) {
            Ok(folder) => {
                let _ = page.visit(&folder, base, segments.len())?;
            }
            Err(error) if is_absence(&error) => {}
            Err(error) => return Err(error.into()),
        }
        Ok((page.found, page.next))
    }
}

impl Page<'_> {
    /// Walks a folder whose names begin with `base`; breaks when the page is full.
    fn visit(&mut self, folder: &Dir, base: &str, depth: usize) -> Result<ControlFlow<()>, StoreError> {
        if depth > MAX_DEPTH {
            return Ok(ControlFlow::Continue(()));
        }
        for (key, step) in self.steps(folder, base)? {
            match step {
                Step::Shown => {
                    if self.show(folder, base, key)?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Step::Below => {
                    let name = key[base.len()..].trim_end_matches('/');
                    let below = match cap_fs_ext::DirExt::open_dir_nofollow(folder, name) {
                        Ok(below) => below,
                        // It was removed while the walk came closer.
                        Err(error) if is_absence(&error) => continue,
                        Err(error) => return Err(error.into()),
                    };
                    if self.visit(&below, &key, depth + 1)?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// What of a folder can be on the page, in order. A folder's own name comes before `-`, what is below it after.
    fn steps(&self, folder: &Dir, base: &str) -> Result<Vec<(String, Step)>, StoreError> {
        let Wanted {
            prefix, start, shape, ..
        } = self.wanted;
        let mut steps = Vec::new();
        for entry in folder.entries()? {
            let entry = entry?;
            // What no request can name is not shown either.
            let Some(name) = entry
                .file_name()
                .into_string()
                .ok()
                .filter(|name| objection(name).is_none())
            else {
                continue;
            };
            let kind = entry.file_type()?;
            let mut key = format!("{base}{name}");
            let shown = |key: &str| key.starts_with(prefix) && key >= start;
            if kind.is_file() {
                if shown(&key) {
                    steps.push((key, Step::Shown));
                }
            } else if kind.is_dir() {
                let below = format!("{key}/");
                if shape == Shape::Level {
                    // Sorted, and shown to Blob clients, with its slash.
                    key = below;
                    if shown(&key) {
                        steps.push((key, Step::Shown));
                    }
                    continue;
                }
                if shown(&key) {
                    steps.push((key, Step::Shown));
                }
                let may_match = below.starts_with(prefix) || prefix.starts_with(&below);
                let is_past = below.as_str() >= start || start.starts_with(&below);
                if may_match && is_past {
                    steps.push((below, Step::Below));
                }
            }
        }
        steps.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        Ok(steps)
    }

    fn show(&mut self, folder: &Dir, base: &str, key: String) -> Result<ControlFlow<()>, StoreError> {
        let name = key[base.len()..].trim_end_matches('/');
        let entry = match folder.symlink_metadata(name) {
            Ok(metadata) => Entry::of(&metadata)?,
            Err(error) if is_absence(&error) => None,
            Err(error) => return Err(error.into()),
        };
        let Some(entry) = entry else {
            return Ok(ControlFlow::Continue(()));
        };
        if self.found.len() == self.wanted.limit {
            self.next = Some(key);
            return Ok(ControlFlow::Break(()));
        }
        let properties = if self.wanted.properties {
            let segments = key.trim_end_matches('/').split('/').map(str::to_owned);
            let path = EntryPath::new(std::iter::once(self.workspace.to_owned()).chain(segments).collect());
            self.storage.records.read(&path, &entry)?
        } else {
            Properties::default()
        };
        self.found.push(Listed {
            name: key.trim_end_matches('/').to_owned(),
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

    fn storage(names: &[&str]) -> (xact_testkit::WorkDir, Storage) {
        let dir = xact_testkit::WorkDir::new("walk").unwrap();
        let storage = Storage::open(dir.path()).unwrap();
        for name in names {
            let segments = std::iter::once("ws").chain(name.split('/')).map(str::to_owned);
            let (draft, _) = storage.draft().unwrap();
            let path = EntryPath::new(segments.collect());
            storage
                .put(&path, &draft, &Conditions::default(), |_| Properties::default())
                .unwrap();
        }
        (dir, storage)
    }

    fn names(storage: &Storage, wanted: Wanted<'_>) -> (Vec<String>, Option<String>) {
        let (found, next) = storage.list("ws", wanted).unwrap();
        (found.into_iter().map(|listed| listed.name).collect(), next)
    }

    const ALL: Wanted<'static> = Wanted {
        prefix: "",
        start: "",
        limit: 1000,
        shape: Shape::Flat,
        properties: false,
    };

    #[test]
    fn names_come_in_the_order_of_their_bytes_whatever_the_folders() {
        let (_dir, storage) = storage(&["a/b", "a/c/d", "a-b", "a.b", "a0", "b", "a/c-d"]);
        let (found, next) = names(&storage, ALL);
        assert_eq!(found, ["a", "a-b", "a.b", "a/b", "a/c", "a/c-d", "a/c/d", "a0", "b"]);
        assert_eq!(next, None);
        let mut sorted = found.clone();
        sorted.sort();
        assert_eq!(found, sorted);
    }

    #[test]
    fn pages_of_any_size_add_up_to_the_whole() {
        let (_dir, storage) = storage(&["a/b", "a/c/d", "a-b", "a0", "x/y/z"]);
        for (prefix, shape) in [
            ("", Shape::Flat),
            ("a", Shape::Flat),
            ("a/", Shape::Flat),
            ("", Shape::Level),
            ("a/", Shape::Level),
        ] {
            let whole = names(&storage, Wanted { prefix, shape, ..ALL }).0;
            for limit in 1..=whole.len() {
                let (mut found, mut start) = (Vec::new(), String::new());
                loop {
                    let (page, next) = names(
                        &storage,
                        Wanted {
                            prefix,
                            shape,
                            start: &start,
                            limit,
                            ..ALL
                        },
                    );
                    assert!(page.len() <= limit);
                    found.extend(page);
                    match next {
                        Some(next) => start = next,
                        None => break,
                    }
                }
                assert_eq!(found, whole, "{prefix} {shape:?} by {limit}");
            }
        }
    }

    #[test]
    fn a_level_ends_at_the_next_slash_and_a_prefix_within_a_name() {
        let (_dir, storage) = storage(&["a/b", "a/bc/d", "a/c", "ab"]);
        let level = |prefix| {
            names(
                &storage,
                Wanted {
                    prefix,
                    shape: Shape::Level,
                    ..ALL
                },
            )
            .0
        };
        assert_eq!(level(""), ["a", "ab"]);
        assert_eq!(level("a/"), ["a/b", "a/bc", "a/c"]);
        assert_eq!(level("a/b"), ["a/b", "a/bc"]);
        assert_eq!(level("a/x"), [""; 0]);
        assert_eq!(level("no/such/"), [""; 0]);
        assert_eq!(level("../"), [""; 0]);
    }

    #[test]
    fn the_start_is_shown_itself() {
        let (_dir, storage) = storage(&["a/b", "a/c", "d"]);
        assert_eq!(names(&storage, Wanted { start: "a/c", ..ALL }).0, ["a/c", "d"]);
        assert_eq!(names(&storage, Wanted { start: "a/bb", ..ALL }).0, ["a/c", "d"]);
        assert_eq!(names(&storage, Wanted { start: "e", ..ALL }).0, [""; 0]);
    }
}
