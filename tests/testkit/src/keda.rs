//! KEDA's own kafka scaler (`tests/keda`, in Go): what it makes of the deployment's scale rules on a real broker.

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Map, Value, json};

use crate::{Error, Result, cache, process::output};

/// What the program is built from.
const SOURCES: [(&str, &str); 5] = [
    ("go.mod", include_str!("../../keda/go.mod")),
    ("go.sum", include_str!("../../keda/go.sum")),
    ("main.go", include_str!("../../keda/main.go")),
    ("question.go", include_str!("../../keda/question.go")),
    ("answer.go", include_str!("../../keda/answer.go")),
];

/// Where the scaler finds a broker.
#[derive(Debug, Clone, Copy)]
pub enum Broker<'a> {
    /// One that takes anybody, at `host:port`: the rules go there without their logon.
    Open(&'a str),
    /// One that wants the rules' own logon.
    Secured {
        /// `host:port`.
        bootstrap: &'a str,
        /// The certificate to trust.
        certificate: &'a Path,
        /// The secrets that the rules name.
        secrets: &'a [(&'a str, &'a str)],
    },
}

/// What the scaler says for a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The container app that the rule is of.
    pub app: String,
    /// Name of the rule.
    pub rule: String,
    /// Whether the app is woken, or kept awake.
    pub active: bool,
    /// The lag, cut down to what the partitions allow.
    pub metric: u64,
    /// The part of it that one replica is for.
    pub target: u64,
    /// Replicas that this rule alone asks for.
    pub replicas: u64,
    /// What an open broker does not have.
    pub left_out: Vec<String>,
    /// Why it could not be asked: then the replicas stay as they are.
    pub error: Option<String>,
}

/// Whether there is a Go that can build the program.
///
/// # Errors
/// When there is none, or it is too old.
pub fn go() -> Result<String> {
    let wanted = wanted();
    let missing = Error::Missing {
        program: "go",
        remedy: "the archive of https://go.dev/dl (1.24.7 or later), and its bin folder on PATH",
    };
    let mut command = Command::new("go");
    command
        .args(["env", "GOVERSION"])
        .env("GOTOOLCHAIN", "local")
        .current_dir(env::temp_dir());
    let Ok(found) = output(&mut command, "go env GOVERSION failed") else {
        return Err(missing);
    };
    let found = found.trim();
    if number(found.trim_start_matches("go")) < number(wanted) {
        return Err(crate::error::failed(
            format!("{found} is too old for tests/keda, which wants Go {wanted}"),
            missing.to_string(),
        ));
    }
    Ok(found.to_owned())
}

/// Builds the program into the test cache, unless it is there: the first time a download of about a minute and a build of
/// several, later only what has changed. Modules and build cache are in the test cache as well.
///
/// # Errors
/// When there is no Go, or it cannot build.
pub fn install() -> Result<PathBuf> {
    let go = go()?;
    let home = cache::dir()?.join("keda");
    fs::create_dir_all(&home).map_err(Error::io(format!("create {}", home.display())))?;
    let sources: String = SOURCES.iter().map(|(_, text)| *text).collect();
    let folder = cache::once("keda/program", &format!("{sources}\n{go}"), |folder| {
        let mut build = Command::new("go");
        // Without debug information: a quarter smaller, and linked in half the time.
        build.args([
            "build",
            "-trimpath",
            "-buildvcs=false",
            "-modcacherw",
            "-ldflags=-s -w",
            "-o",
        ]);
        build.arg(folder.join("keda-rules")).arg(".");
        build.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../keda"));
        build.envs([
            ("GOTOOLCHAIN", "local"),
            ("GOFLAGS", "-mod=readonly"),
            ("GOWORK", "off"),
        ]);
        build
            .env("GOCACHE", home.join("build"))
            .env("GOMODCACHE", home.join("modules"));
        output(&mut build, "Go could not build tests/keda").map(drop)
    })?;
    Ok(folder.join("keda-rules"))
}

/// Asks for every rule of these apps: `apps` has the `scale` block of each, letter for letter.
///
/// # Errors
/// When the program cannot be had, or refuses the question.
pub fn ask(apps: &Map<String, Value>, broker: Broker) -> Result<Vec<Answer>> {
    let mut command = Command::new(install()?);
    let question = match broker {
        Broker::Open(bootstrap) => json!({ "apps": apps, "bootstrapServers": bootstrap }),
        Broker::Secured {
            bootstrap,
            certificate,
            secrets,
        } => {
            command.env("SSL_CERT_FILE", certificate);
            let secrets: Map<String, Value> = secrets
                .iter()
                .map(|&(name, value)| (name.to_owned(), value.into()))
                .collect();
            json!({ "apps": apps, "bootstrapServers": bootstrap, "secrets": secrets })
        }
    };
    let answer = tell(&mut command, &question.to_string())?;
    let answers = serde_json::from_str::<Value>(&answer)
        .ok()
        .and_then(|answer| read(&answer));
    answers.ok_or_else(|| crate::error::failed("the answer of tests/keda cannot be read", answer))
}

/// Runs `command` with `question` as standard input: its stdout.
fn tell(command: &mut Command, question: &str) -> Result<String> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(Error::io("start tests/keda"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // It reads all before it writes anything, so neither waits for the other.
        stdin
            .write_all(question.as_bytes())
            .map_err(Error::io("ask tests/keda"))?;
    }
    let output = child.wait_with_output().map_err(Error::io("wait for tests/keda"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(crate::error::failed(
        format!("tests/keda failed ({})", output.status),
        String::from_utf8_lossy(&output.stderr),
    ))
}

fn read(answer: &Value) -> Option<Vec<Answer>> {
    let one = |answer: &Value| {
        Some(Answer {
            app: answer["app"].as_str()?.to_owned(),
            rule: answer["rule"].as_str()?.to_owned(),
            active: answer["active"].as_bool()?,
            metric: answer["metric"].as_u64()?,
            target: answer["target"].as_u64()?,
            replicas: answer["replicas"].as_u64()?,
            left_out: answer["leftOut"]
                .as_array()?
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            error: answer["error"].as_str().map(str::to_owned),
        })
    };
    answer["answers"].as_array()?.iter().map(one).collect()
}

/// The Go version in go.mod.
fn wanted() -> &'static str {
    let line = SOURCES[0].1.lines().find_map(|line| line.strip_prefix("go "));
    line.unwrap_or_default().trim()
}

/// A version as numbers; what is no number counts as 0.
fn number(version: &str) -> Vec<u32> {
    version.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers_and_the_remedy_names_the_right_one() {
        assert!(
            number("1.26.8") > number(wanted())
                && number("1.24") < number("1.24.7")
                && number("1.9.9") < number("1.10")
        );
        assert!(include_str!("keda.rs").contains(&format!("({} or later)", wanted())));
    }

    #[test]
    fn every_source_of_the_program_is_part_of_its_recipe() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../keda");
        let mut found: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        found.sort();
        let mut known = SOURCES.map(|(name, _)| name.to_owned());
        known.sort();
        assert_eq!(found, known);
    }
}
