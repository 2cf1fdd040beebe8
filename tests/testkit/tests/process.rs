//! Child processes: their output, their end, and that none of them outlives the tests.

#![allow(clippy::unwrap_used)]

use std::{
    env, fs,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use xact_testkit::{Process, Result, Usage, WorkDir, wait_until};

const TIMEOUT: Duration = Duration::from_secs(20);
const NO_ENV: [(&str, &str); 0] = [];

/// Starts a shell that runs `script` in `dir`.
fn shell(dir: &WorkDir, script: &str) -> Result<Process> {
    Process::spawn("shell", "sh", ["-c", script], NO_ENV, dir.path())
}

/// Waits until the process has printed `word`.
fn wait_printed(process: &Process, word: &str) -> Result<()> {
    wait_until(TIMEOUT, &format!("{} prints {word}", process.name()), || {
        process.log().contains(word).then_some(())
    })
}

/// Returns whether the process `id` runs. A zombie that is not reaped yet does not.
fn lives(id: u32) -> bool {
    let state = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    state
        .rsplit(')')
        .next()
        .and_then(|rest| rest.split_whitespace().next())
        .is_some_and(|state| state != "Z")
}

#[test]
fn environment_directory_exit_status_and_output_are_as_given() -> Result<()> {
    let dir = WorkDir::new("process")?;
    let script = "echo $GREETING from $PWD; echo oops >&2; exit 7";
    let mut process = Process::spawn("shell", "sh", ["-c", script], [("GREETING", "hello")], dir.path())?;
    assert_eq!(process.wait(TIMEOUT)?.code(), Some(7));
    assert_eq!(process.log(), format!("hello from {}\noops\n", dir.path().display()));
    assert!(!process.is_running());
    assert!(
        process.terminate().unwrap_err().to_string().contains("oops"),
        "the error shows the log"
    );
    Ok(())
}

#[test]
fn the_tail_is_the_end_of_a_long_log() -> Result<()> {
    let dir = WorkDir::new("process")?;
    let mut process = shell(&dir, "i=0; while [ $i -lt 100 ]; do i=$((i+1)); echo line $i; done")?;
    process.wait(TIMEOUT)?;
    assert!(
        process.tail().starts_with("line 61\n") && process.tail().ends_with("line 100"),
        "{}",
        process.tail()
    );
    Ok(())
}

#[test]
fn killing_a_process_kills_its_children() -> Result<()> {
    let dir = WorkDir::new("process")?;
    let mut process = shell(&dir, "sleep 1000 & echo child $!; wait")?;
    wait_printed(&process, "child")?;
    let child: u32 = process.log().trim().rsplit(' ').next().unwrap().parse().unwrap();
    assert!(lives(child));
    process.kill()?;
    assert_eq!(process.wait(TIMEOUT)?.signal(), Some(9));
    wait_until(TIMEOUT, "the grandchild is gone", || (!lives(child)).then_some(()))?;
    process.kill()
}

#[test]
fn a_process_can_clean_up_when_it_is_terminated() -> Result<()> {
    let dir = WorkDir::new("process")?;
    let mut process = shell(
        &dir,
        "trap 'echo drained; exit 0' TERM; echo ready; while :; do sleep 0.01; done",
    )?;
    wait_printed(&process, "ready")?;
    process.terminate()?;
    assert!(process.wait(TIMEOUT)?.success());
    assert!(process.log().ends_with("drained\n"));
    Ok(())
}

#[test]
fn a_paused_process_does_nothing_until_it_is_resumed() -> Result<()> {
    let dir = WorkDir::new("process")?;
    // Built-ins only: a shell that is stopped between fork and exec of a child waits for it, and never shows as stopped.
    let mut process = shell(&dir, "echo started; while [ ! -e go ]; do :; done; echo went on")?;
    wait_printed(&process, "started")?;
    process.pause()?;
    let stat = format!("/proc/{}/stat", process.id());
    let stopped = || {
        fs::read_to_string(&stat)
            .is_ok_and(|stat| stat.contains(") T "))
            .then_some(())
    };
    wait_until(TIMEOUT, "the process is stopped", stopped)?;
    fs::write(dir.join("go"), "").unwrap();
    assert!(process.is_running(), "stopped is not ended");
    assert_eq!(process.log(), "started\n");
    process.resume()?;
    assert!(process.wait(TIMEOUT)?.success());
    assert_eq!(process.log(), "started\nwent on\n");
    Ok(())
}

#[test]
fn a_timeout_error_contains_the_last_output() -> Result<()> {
    let dir = WorkDir::new("process")?;
    let mut process = shell(&dir, "echo stuck in a queue; sleep 1000")?;
    wait_printed(&process, "queue")?;
    let error = process.wait(Duration::from_millis(50)).unwrap_err().to_string();
    assert!(
        error.contains("shell has ended") && error.contains("stuck in a queue"),
        "{error}"
    );
    Ok(())
}

/// This test starts itself as a second test run, which starts a child and a directory and is then killed.
#[test]
fn a_test_run_that_is_killed_leaves_nothing_behind() -> Result<()> {
    const REPORT: &str = "XACT_HARNESS_REPORT_TO";
    if let Some(report) = env::var_os(REPORT) {
        let dir = WorkDir::new("orphaned")?;
        let ended = shell(&dir, "exit 0")?.wait(TIMEOUT)?;
        let child = shell(&dir, "trap '' TERM; sleep 1000")?;
        let draft = Path::new(&report).with_extension("part");
        fs::write(&draft, format!("{ended}\n{}\n{}", child.id(), dir.path().display())).unwrap();
        fs::rename(draft, report).unwrap();
        loop {
            thread::park();
        }
    }
    let dir = WorkDir::new("watchdog")?;
    let report = dir.join("report");
    let this = "a_test_run_that_is_killed_leaves_nothing_behind";
    let envs = [(REPORT, report.as_os_str())];
    let mut run = Process::spawn(
        "test-run",
        env::current_exe().unwrap(),
        ["--exact", this],
        envs,
        dir.path(),
    )?;
    let report = wait_until(TIMEOUT, "the test run has started its child", || {
        fs::read_to_string(&report).ok()
    })?;
    let mut lines = report.lines().skip(1);
    let child: u32 = lines.next().unwrap().parse().unwrap();
    let orphaned = PathBuf::from(lines.next().unwrap());
    assert!(lives(child) && orphaned.is_dir());

    run.kill()?;
    wait_until(TIMEOUT, "the orphaned child is killed", || {
        (!lives(child)).then_some(())
    })?;
    wait_until(TIMEOUT, "the orphaned directory is removed", || {
        (!orphaned.exists()).then_some(())
    })
}

#[test]
fn the_kernel_counts_the_wake_ups_and_the_run_time_of_a_child() -> Result<()> {
    let dir = WorkDir::new("usage")?;
    let sleeping = Process::spawn("sleeping", "sleep", ["60"], NO_ENV, dir.path())?;
    let busy = Process::spawn("busy", "sh", ["-c", "while :; do :; done"], NO_ENV, dir.path())?;
    wait_until(TIMEOUT, "one has run for 50 ms and the other has gone to sleep", || {
        let (busy, sleeping) = (Usage::of(&busy).ok()?, Usage::of(&sleeping).ok()?);
        (busy.run_time >= Duration::from_millis(50) && sleeping.wake_ups >= 1).then_some(())
    })?;
    let (first, second) = (Usage::of(&sleeping)?, Usage::of(&sleeping)?);
    assert_eq!(second.since(&first).wake_ups, 0, "it sleeps on");
    Ok(())
}
