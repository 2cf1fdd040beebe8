//! Addresses of what an answer names.

use std::path::Path;

use url::Url;

use super::life::TraceLink;
use xact_lake::Location;

/// Returns the address of a file below the place of the files: in OneLake that which its DFS endpoint has.
pub(super) fn file(files: &Location, blob_path: &str) -> Option<String> {
    let parts = blob_path.split('/');
    // A message may name any path. Only those that the pipeline makes become an address.
    if parts.clone().any(|part| matches!(part, "" | "." | "..")) {
        return None;
    }
    match files {
        Location::Local(folder) => {
            let path = folder.join(Path::new(blob_path));
            Url::from_file_path(path).ok().map(String::from)
        }
        Location::OneLake { workspace, host, path } => {
            let mut url = Url::parse(&format!("https://{host}")).ok()?;
            url.path_segments_mut()
                .ok()?
                .extend([workspace.as_str()].into_iter().chain(path.split('/')).chain(parts));
            Some(url.into())
        }
    }
}

/// Returns the texts that a blob path may begin with: the place of the files as it is configured, and its addresses.
pub(super) fn beginnings(configured: &str, files: Option<&Location>) -> Vec<String> {
    let address = files
        .and_then(|files| file(files, "x"))
        .and_then(|url| Some(url.strip_suffix("/x")?.to_owned()));
    let displayed = files.map(ToString::to_string);
    let mut beginnings: Vec<String> = [Some(configured.to_owned()), displayed, address]
        .into_iter()
        .flatten()
        .collect();
    beginnings.retain(|text| !text.is_empty());
    beginnings
}

/// Returns the link to a distributed trace.
pub(super) fn trace(id: u128, template: Option<&str>) -> TraceLink {
    let id = format!("{id:032x}");
    TraceLink {
        url: template.map(|template| template.replace("{trace_id}", &id)),
        id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_the_address_of_its_store() {
        let of = |place: &str, path: &str| file(&Location::parse(place).unwrap(), path);
        let lake = "abfss://w s@onelake.dfs.fabric.microsoft.com/item/Files/xact";
        let address = "https://onelake.dfs.fabric.microsoft.com/w%20s/item/Files/xact";
        assert_eq!(of(lake, "a/b c#.pdf"), Some(format!("{address}/a/b%20c%23.pdf")));
        assert_eq!(
            of("/data/files", "a/b.pdf").as_deref(),
            Some("file:///data/files/a/b.pdf")
        );
        for path in ["../x", "a/../../x", "/etc/passwd", ""] {
            assert_eq!((of(lake, path), of("/data/files", path)), (None, None), "{path}");
        }
        let place = Location::parse(lake).unwrap();
        assert_eq!(beginnings(lake, Some(&place)), [lake, lake, address]);
    }

    #[test]
    fn a_trace_has_the_address_of_the_template() {
        let template = "http://localhost:16686/trace/{trace_id}";
        let link = trace(10, Some(template));
        assert_eq!(
            link.url.as_deref(),
            Some("http://localhost:16686/trace/0000000000000000000000000000000a")
        );
        assert_eq!(trace(10, None).url, None);
    }
}
