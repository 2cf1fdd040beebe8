//! Properties of components and paths for arbitrary input.

use std::collections::HashSet;

use proptest::prelude::*;
use unicode_normalization::{UnicodeNormalization, is_nfc};
use url::Url;
use uuid::Uuid;

use crate::cases::one_of;
use xact_contracts::blob_path::{MAX_COMPONENT_BYTES, PathParts, blob_paths, is_own, safe_component};

/// Texts with difficult parts: separators, dots, device names, wide and invisible characters.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = "
        .. . / \\ %2e %2F %00 ~ : con nul a ü e\u{301} \u{202e} \u{1F600} \u{200d} \u{0} .pdf .PDF - _ <\u{338}
        \u{212a} İ ｃｏｎ ａ ﬁ ß ς σ % %zz %ff %E2%80%AE LPT1 ~0123abcd \u{e000} \u{fffe}
    ";
    let piece = prop_oneof![
        40 => one_of(pieces, &[" ", "\n"]),
        20 => any::<char>().prop_map(String::from),
        20 => "[a-z]{50,120}",
        20 => "\u{fc}{50,120}",
        1 => Just("x".repeat(10_000)),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

fn assert_safe(component: &str) {
    assert!(!component.is_empty());
    assert!(component.len() <= MAX_COMPONENT_BYTES, "{} bytes", component.len());
    assert!(!component.contains(".."), "{component:?}");
    let is_trimmed = !component.ends_with(['.', ' ']) && !component.starts_with(' ');
    assert!(is_trimmed && is_nfc(component), "{component:?}");
    let is_refused = |c: char| c.is_control() || "\"\\/:|<>*?#%".contains(c);
    assert!(!component.contains(is_refused), "{component:?}");
    let is_hidden = |c| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{e000}'..='\u{f8ff}' | '\u{fffd}'..='\u{ffff}');
    assert!(!component.contains(is_hidden), "{component:?}");
    let device = component.split('.').next().unwrap().trim_end().to_ascii_uppercase();
    let devices = ["CON", "PRN", "AUX", "NUL", "COM1", "LPT1"];
    assert!(!devices.contains(&device.as_str()), "{component:?}");
}

/// Returns the names that file systems and tools treat as equal; stricter than each of them.
fn folds(name: &str) -> [String; 5] {
    [
        name.to_lowercase(),
        name.to_uppercase(),
        name.nfd().collect(),
        name.nfkc().collect::<String>().to_lowercase(),
        name.nfkd().collect::<String>().to_uppercase().nfkc().collect(),
    ]
}

proptest! {
    #[test]
    fn components_are_safe_and_stable(text in prop_oneof![hostile(), any::<String>()]) {
        let safe = safe_component(&text);
        assert_safe(&safe);
        prop_assert_eq!(safe_component(&safe), &*safe);
    }

    #[test]
    fn paths_stay_inside_are_stable_and_distinct(
        status in prop_oneof![
            Just("firstNoticeOfLossReceived".to_owned()),
            Just("estimatePackageReceived".to_owned()),
            hostile(),
        ],
        assignment in hostile(),
        trace in hostile(),
        version in prop::option::of(hostile()),
        files in prop::collection::vec((0..4_u128, prop_oneof![hostile(), Just("a.pdf".to_owned()), Just("A.PDF".to_owned())]), 1..6),
    ) {
        let parts = PathParts {
            status_subtype: &status,
            assignment_id: &assignment,
            trace_id: &trace,
            estimate_version: version.as_deref(),
        };
        let urls: Vec<(Uuid, Url)> = files
            .iter()
            .filter_map(|(id, file)| Some((Uuid::from_u128(*id << 124), Url::parse(&format!("https://h/{file}")).ok()?)))
            .collect();
        let attachments: Vec<_> = urls.iter().map(|(id, url)| (*id, url)).collect();
        let found = blob_paths(&parts, &attachments);
        prop_assert_eq!(&found, &blob_paths(&parts, &attachments));
        prop_assert_eq!(found.len(), attachments.len());
        for path in &found {
            let components: Vec<_> = path.split('/').collect();
            prop_assert_eq!(components.len(), 4);
            components.into_iter().for_each(assert_safe);
        }
        let ids: HashSet<_> = attachments.iter().map(|(id, _)| id).collect();
        for fold in 0..5 {
            let distinct: HashSet<_> = found.iter().map(|path| folds(path)[fold].clone()).collect();
            prop_assert_eq!(distinct.len(), ids.len());
        }
        prop_assert!(found.iter().all(|path| is_own(&parts, path)));
    }
}
