//! `bicep snapshot`: predicts the resources of a deployment with all loops unrolled and all names computed. Values that are
//! known only in Azure (ids of principals, keys) are returned as the text of their expressions.

use serde_json::Value;

use super::{command, copy_of_templates};
use crate::{
    Error, Result, failed,
    workdir::{read, write},
};

/// The scope of every prediction, with placeholder ids.
const SCOPE: [&str; 4] = [
    "--subscription-id=00000000-0000-4000-8000-000000000001",
    "--resource-group=rg-xact-test",
    "--location=westeurope",
    "--deployment-name=xact",
];

/// A deployment to predict.
#[derive(Debug, Clone)]
pub struct Deployment {
    file: &'static str,
    parameters: Vec<(&'static str, String)>,
    variables: Vec<(&'static str, &'static str)>,
}

impl Deployment {
    /// Creates a deployment with the parameter file `file` (`main.prod.bicepparam`).
    pub fn of(file: &'static str) -> Self {
        Self {
            file,
            parameters: Vec::new(),
            variables: Vec::new(),
        }
    }

    /// Sets a parameter that differs from the file or is not in it; `value` is Bicep. In the file it must be on one line.
    pub fn parameter(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.parameters.push((name, value.into()));
        self
    }

    /// Sets a further variable for the parameter file.
    pub fn variable(mut self, name: &'static str, value: &'static str) -> Self {
        self.variables.push((name, value));
        self
    }

    /// Predicts the resources.
    pub fn predict(&self) -> Result<Prediction> {
        let folder = copy_of_templates()?;
        let file = folder.join(self.file);
        let text = read(&file)?;
        write(&file, self.changed(&text))?;
        let arguments = [&["snapshot", self.file, "--mode=overwrite"], &SCOPE[..]].concat();
        let output = command(folder.path(), &arguments)?
            .envs(self.variables.iter().copied())
            .output()
            .map_err(Error::io("start bicep"))?;
        let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
        let said = String::from_utf8_lossy(&said);
        if !output.status.success() || !said.trim().is_empty() {
            let what = format!("bicep snapshot {} is not without a word ({})", self.file, output.status);
            return Err(failed(what, said));
        }
        // The CLI writes its prediction next to the parameters.
        let file = file.with_extension("snapshot.json");
        let text = read(&file)?;
        let document: Value = serde_json::from_str(&text).unwrap_or_default();
        let has_diagnostics = document["diagnostics"] != Value::Array(Vec::new());
        if has_diagnostics || !document["predictedResources"].is_array() {
            return Err(failed(format!("{} is no clean prediction", file.display()), text));
        }
        Ok(Prediction { document })
    }

    /// Returns the text of the parameter file with the changed parameters.
    fn changed(&self, text: &str) -> String {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        for (name, value) in &self.parameters {
            let start = format!("param {name} =");
            let line = format!("{start} {value}");
            match lines.iter_mut().find(|line| line.starts_with(&start)) {
                Some(found) => *found = line,
                None => lines.push(line),
            }
        }
        lines.join("\n") + "\n"
    }
}

/// The predicted resources of a deployment.
#[derive(Debug, Clone)]
pub struct Prediction {
    /// The whole prediction.
    pub document: Value,
}

impl Prediction {
    /// Returns all resources.
    pub fn resources(&self) -> &[Value] {
        let resources = self.document["predictedResources"].as_array();
        resources.map(Vec::as_slice).unwrap_or_default()
    }

    /// Returns all resources of a type.
    pub fn of_type<'a>(&'a self, kind: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
        let kind = kind.to_owned();
        self.resources()
            .iter()
            .filter(move |resource| resource["type"] == *kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_parameter_replaces_that_of_the_file_and_a_new_one_is_appended() {
        let deployment = Deployment::of("x.bicepparam")
            .parameter("size", "2")
            .parameter("name", "'a'");
        assert_eq!(
            deployment.changed("using 'main.bicep'\nparam size = 1\nparam sizes = []\n"),
            "using 'main.bicep'\nparam size = 2\nparam sizes = []\nparam name = 'a'\n"
        );
    }
}
