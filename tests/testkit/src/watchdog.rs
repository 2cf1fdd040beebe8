//! Ensures that no process and no directory outlives the tests, however they end: a small shell waits until this process has
//! ended, and then kills the registered process groups and removes the registered directories.
//!
//! `Drop` covers a test that fails; it does not cover a test runner that is killed, nor a static. The kernel's
//! `PR_SET_PDEATHSIG` would, but setting it between fork and exec takes unsafe code, and it fires when the *thread*
//! that started the child ends, which for a Rust test is too early.

use std::{
    io::Write,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use parking_lot::Mutex;

/// Reads `group|dir add|forget NAME`, one a line, until the pipe closes, which is when its parent is gone.
/// It ignores TERM and INT, which are sent to the whole test run, because it must still clean up.
const SCRIPT: &str = r#"
trap '' TERM INT HUP
groups=/ dirs=/
while read -r kind verb name; do
  case $kind$verb in
    groupadd) groups="$groups$name/" ;;
    groupforget) groups="${groups%%/"$name"/*}/${groups#*/"$name"/}" ;;
    diradd) dirs="$dirs
$name" ;;
    dirforget) dirs=$(printf '%s\n' "$dirs" | grep -Fxv -- "$name") ;;
  esac
done
IFS=/
for group in $groups; do [ -z "$group" ] || kill -s KILL -- "-$group" 2>/dev/null; done
IFS='
'
for dir in $dirs; do [ "$dir" = / ] || rm -rf -- "$dir"; done
"#;

/// Registers the process group `id` to be killed when this process has ended.
pub(crate) fn add_group(id: u32) {
    tell(&format!("group add {id}"));
}

/// Unregisters a process group that has ended: its id may be reused.
pub(crate) fn forget_group(id: u32) {
    tell(&format!("group forget {id}"));
}

/// Registers `dir` to be removed when this process has ended.
pub(crate) fn add_dir(dir: &Path) {
    tell(&format!("dir add {}", dir.display()));
}

/// Unregisters a directory that is removed or must be kept.
pub(crate) fn forget_dir(dir: &Path) {
    tell(&format!("dir forget {}", dir.display()));
}

fn tell(line: &str) {
    static WATCHDOG: OnceLock<Option<Mutex<Child>>> = OnceLock::new();
    // Without a shell the tests still run and `Drop` still cleans up, so this is not an error.
    let Some(watchdog) = WATCHDOG.get_or_init(|| start().ok().map(Mutex::new)) else {
        return;
    };
    let mut watchdog = watchdog.lock();
    if let Some(pipe) = watchdog.stdin.as_mut() {
        // One write a line: shorter than PIPE_BUF, so it is read whole. A failure means that the watchdog has ended.
        let _ = pipe.write_all(format!("{line}\n").as_bytes());
    }
}

fn start() -> std::io::Result<Child> {
    Command::new("sh")
        .args(["-c", SCRIPT, "xact-test-watchdog"])
        // Its own group: Ctrl-C in the terminal reaches the group of the tests. The pipe to it is close-on-exec,
        // so no other child holds it open.
        .process_group(0)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}
