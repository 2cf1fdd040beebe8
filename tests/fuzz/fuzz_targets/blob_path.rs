//! Any ids and file names: paths stay inside their folder, are stable, and differ for each attachment of an event.
#![no_main]

use std::collections::{HashMap, HashSet};

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use unicode_normalization::is_nfc;
use url::Url;

use xact_contracts::blob_path::{MAX_COMPONENT_BYTES, PathParts, blob_paths, safe_component};
use xact_contracts::ids::media_id;
use xact_fuzz::folded;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    status: Status<'a>,
    assignment_id: &'a str,
    trace_ids: [&'a str; 2],
    estimate_version: Option<&'a str>,
    files: Vec<&'a str>,
}

#[derive(Debug, Arbitrary)]
enum Status<'a> {
    FirstNotice,
    Estimate,
    Other(&'a str),
}

fuzz_target!(|input: Input<'_>| {
    let parts = |trace_id| PathParts {
        status_subtype: match input.status {
            Status::FirstNotice => "firstNoticeOfLossReceived",
            Status::Estimate => "estimatePackageReceived",
            Status::Other(status) => status,
        },
        assignment_id: input.assignment_id,
        trace_id,
        estimate_version: input.estimate_version,
    };
    let [trace_id, other] = input.trace_ids;
    let urls: Vec<Url> = input
        .files
        .iter()
        .take(50)
        .filter_map(|file| Url::parse(&format!("https://h.example/{file}")).ok())
        .collect();
    let attachments: Vec<_> = urls.iter().map(|url| (media_id(trace_id, url.as_str()), url)).collect();
    let paths = blob_paths(&parts(trace_id), &attachments);
    assert_eq!(paths.len(), attachments.len());
    assert_eq!(paths, blob_paths(&parts(trace_id), &attachments));

    let mut owners = HashMap::new();
    for (path, (media_id, _)) in paths.iter().zip(&attachments) {
        let components: Vec<_> = path.split('/').collect();
        assert_eq!(components.len(), 4, "{path}");
        components.into_iter().for_each(safe);
        assert_eq!(owners.entry(folded(path)).or_insert(media_id), &media_id, "{path}");
    }
    let ids: HashSet<_> = attachments.iter().map(|(media_id, _)| media_id).collect();
    assert_eq!(owners.len(), ids.len());

    if let (true, Some(path)) = (trace_id != other, paths.first()) {
        assert_ne!(path, &blob_paths(&parts(other), &attachments)[0]);
    }
});

fn safe(component: &str) {
    assert!((1..=MAX_COMPONENT_BYTES).contains(&component.len()), "{component:?}");
    assert!(!component.contains("..") && component != ".", "{component:?}");
    let is_trimmed = !component.ends_with(['.', ' ']) && !component.starts_with(' ');
    assert!(is_trimmed && is_nfc(component), "{component:?}");
    let is_refused = |c: char| c.is_control() || "\"\\/:|<>*?#%".contains(c);
    assert!(!component.contains(is_refused), "{component:?}");
    assert_eq!(safe_component(component), component);
}
