//! The test cache: prerequisites that are expensive to make and the same for every test, such as Kafka's jars and the Python
//! environment. Each is made once per machine under a lock, because several test processes start at the same time.

use std::{
    env, fs,
    fs::File,
    path::{Path, PathBuf},
};

use crate::{Error, Result};

/// Returns the cache folder: `$XACT_TEST_CACHE`, else `$HOME/.cache/xact-pipeline-tests`. It may be deleted when no test
/// runs.
pub fn dir() -> Result<PathBuf> {
    let dir = match (env::var_os("XACT_TEST_CACHE"), env::var_os("HOME")) {
        (Some(dir), _) if !dir.is_empty() => PathBuf::from(dir),
        (_, Some(home)) => Path::new(&home).join(".cache/xact-pipeline-tests"),
        _ => env::temp_dir().join("xact-pipeline-tests"),
    };
    fs::create_dir_all(&dir).map_err(Error::io(format!("create the test cache {}", dir.display())))?;
    Ok(dir)
}

/// Returns the folder `name` in the cache, which `make` fills unless it is already filled for the same `recipe` (the inputs
/// on which the content depends: a pom.xml, a requirements.txt, the path of an interpreter).
///
/// An incomplete folder, or one of another recipe, is deleted and made again.
pub fn once(name: &str, recipe: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let folder = dir()?.join(name);
    let marker = folder.join(".made-from");
    let made = || fs::read_to_string(&marker).is_ok_and(|text| text == recipe);
    if made() {
        return Ok(folder);
    }
    let _lock = lock(name)?;
    // Another process may have made it while this one waited for the lock.
    if made() {
        return Ok(folder);
    }
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(Error::io(format!("clear {}", folder.display())))?;
    }
    fs::create_dir_all(&folder).map_err(Error::io(format!("create {}", folder.display())))?;
    make(&folder)?;
    // The marker is written last and atomically: a reader without the lock must not read a part of it.
    let draft = folder.join(".made-from.part");
    fs::write(&draft, recipe)
        .and_then(|()| fs::rename(&draft, &marker))
        .map_err(Error::io(format!("write {}", marker.display())))?;
    Ok(folder)
}

/// Waits for the lock `name`. It is released when the file is dropped, and by the kernel when the process ends.
fn lock(name: &str) -> Result<File> {
    let path = dir()?.join(format!("{name}.lock"));
    let lock = File::create(&path).and_then(|file| file.lock().map(|()| file));
    lock.map_err(Error::io(format!("lock {}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_made_once_per_recipe() -> Result<()> {
        let name = format!("self-test-{}", std::process::id());
        let make = |content: &'static str| {
            move |folder: &Path| fs::write(folder.join("file"), content).map_err(Error::io("write"))
        };
        let read = |folder: PathBuf| fs::read_to_string(folder.join("file")).unwrap();

        assert_eq!(read(once(&name, "recipe 1", make("a"))?), "a");
        assert_eq!(
            read(once(&name, "recipe 1", make("b"))?),
            "a",
            "the recipe is the same, so nothing is made"
        );
        assert!(once(&name, "recipe 2", |_| Err(crate::failed("made", "on purpose"))).is_err());
        assert_eq!(
            read(once(&name, "recipe 2", make("c"))?),
            "c",
            "half made is made again"
        );

        fs::remove_dir_all(dir()?.join(&name)).unwrap();
        fs::remove_file(dir()?.join(format!("{name}.lock"))).unwrap();
        Ok(())
    }
}
