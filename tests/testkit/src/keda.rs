//! Evaluates the scale rules of the deployment on a real broker with KEDA's own Kafka scaler (`tests/keda`, in Go).

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Map, Value, json};

use crate::{
    Error, Result, cache, failed,
    process::{output, output_of},
};

/// Sources of the program.
const SOURCES: [(&str, &str); 5] = [
    ("go.mod", include_str!("../../keda/go.mod")),
    ("go.sum", include_str!("../../keda/go.sum")),
    ("main.go", include_str!("../../keda/main.go")),
    ("question.go", include_str!("../../keda/question.go")),
    ("answer.go", include_str!("../../keda/answer.go")),
];

/// The broker that the scaler connects to.
#[derive(Debug, Clone, Copy)]
pub enum Broker<'a> {
    /// A broker without authentication at `host:port`; the credentials of the rules are removed.
    Open(&'a str),
    /// A broker that requires the credentials of the rules.
    Secured {
        /// `host:port`.
        bootstrap: &'a str,
        /// The certificate to trust.
        certificate: &'a Path,
        /// The secrets that the rules refer to.
        secrets: &'a [(&'a str, &'a str)],
    },
}

/// Result of the scaler for a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Container app of the rule.
    pub app: String,
    /// Name of the rule.
    pub rule: String,
    /// Whether the app must have at least one replica.
    pub active: bool,
    /// The lag, capped by the number of partitions.
    pub metric: u64,
    /// Target lag per replica.
    pub target: u64,
    /// Replicas that this rule alone requests.
    pub replicas: u64,
    /// Parameters that a broker without authentication does not provide.
    pub left_out: Vec<String>,
    /// Error of the scaler; the number of replicas then stays unchanged.
    pub error: Option<String>,
}

/// Checks that the installed Go can build the program.
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
        return Err(failed(
            format!("{found} is too old for tests/keda, which wants Go {wanted}"),
            missing.to_string(),
        ));
    }
    Ok(found.to_owned())
}

/// Builds the program into the test cache, unless it is there. The first build downloads modules for about a minute and takes
/// several more; modules and build cache are kept in the test cache.
pub fn install() -> Result<PathBuf> {
    let go = go()?;
    let home = cache::dir()?.join("keda");
    fs::create_dir_all(&home).map_err(Error::io(format!("create {}", home.display())))?;
    let sources: String = SOURCES.iter().map(|(_, text)| *text).collect();
    let folder = cache::once("keda/program", &format!("{sources}\n{go}"), |folder| {
        let mut build = Command::new("go");
        // Without debug information: a quarter smaller, and half the link time.
        build.args(["build", "-trimpath", "-buildvcs=false", "-modcacherw", "-ldflags=-s -w"]);
        build.arg("-o").arg(folder.join("keda-rules")).arg(".");
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

/// Evaluates every rule of these apps; `apps` has the unchanged `scale` block of each.
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
    let answer = output_of(&mut command, question.to_string().as_bytes(), "tests/keda failed")?;
    let answers = serde_json::from_str::<Value>(&answer)
        .ok()
        .and_then(|answer| read(&answer));
    answers.ok_or_else(|| failed("the answer of tests/keda cannot be read", answer))
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

/// Returns the Go version in go.mod.
fn wanted() -> &'static str {
    let line = SOURCES[0].1.lines().find_map(|line| line.strip_prefix("go "));
    line.unwrap_or_default().trim()
}

/// Parses a version into numbers; parts that are not numbers count as 0.
fn number(version: &str) -> Vec<u32> {
    version.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number_and_the_error_names_the_required_one() {
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
