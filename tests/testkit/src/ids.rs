//! The ids of `shared/contracts/SPECIFICATION.md`, computed independently of the product.

use uuid::Uuid;

/// `uuid5(uuid5(NAMESPACE_URL, "http://nsmkdvPipe/event_id"), trace_id)`.
pub fn event_id(trace_id: &str) -> String {
    of("http://nsmkdvPipe/event_id", trace_id)
}

/// `uuid5(uuid5(NAMESPACE_URL, "http://nsmkdvPipe/media_id"), "{trace_id}:{attachment_url}")`.
pub fn media_id(trace_id: &str, attachment_url: &str) -> String {
    of("http://nsmkdvPipe/media_id", &format!("{trace_id}:{attachment_url}"))
}

fn of(namespace: &str, name: &str) -> String {
    let namespace = Uuid::new_v5(&Uuid::NAMESPACE_URL, namespace.as_bytes());
    Uuid::new_v5(&namespace, name.as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_vectors_of_the_specification_hold() {
        assert_eq!(event_id("test-001"), "33034601-4cde-5f33-b8b6-03dfba430b15");
        assert_eq!(
            media_id("test-001", "https://claimxperience.com/test.pdf"),
            "13bb61f0-41d1-548c-97c8-ebdee367da68"
        );
    }
}
