//! W3C trace context: an event keeps its trace through all stages and retries.
//! <https://www.w3.org/TR/trace-context/>

use std::fmt::Write as _;

/// Trace id, span id and flags of a `traceparent` header, with the `tracestate` that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    trace: u128,
    span: u64,
    flags: u8,
    state: Option<String>,
}

impl TraceContext {
    /// Returns a new trace that is sampled.
    #[must_use]
    pub fn new() -> Self {
        Self {
            trace: fastrand::u128(1..),
            span: fastrand::u64(1..),
            flags: 1,
            state: None,
        }
    }

    /// Returns the context of a span with these ids; a new trace if one is 0 (no span).
    #[must_use]
    pub fn of_span(trace: u128, span: u64) -> Self {
        if trace == 0 || span == 0 {
            return Self::new();
        }
        Self {
            trace,
            span,
            flags: 1,
            state: None,
        }
    }

    /// Parses the headers; `None` if `traceparent` is invalid, which begins a new trace.
    #[must_use]
    pub fn parse(traceparent: &str, tracestate: Option<&str>) -> Option<Self> {
        let mut parts = traceparent.trim().split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_lower_hex = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let lower_hex = |text: &str, length| text.len() == length && text.bytes().all(is_lower_hex);
        if !lower_hex(version, 2)
            || version == "ff"
            || (version == "00" && parts.next().is_some())
            || !lower_hex(trace, 32)
            || !lower_hex(span, 16)
            || !lower_hex(flags, 2)
        {
            return None;
        }
        let context = Self {
            trace: u128::from_str_radix(trace, 16).ok()?,
            span: u64::from_str_radix(span, 16).ok()?,
            flags: u8::from_str_radix(flags, 16).ok()?,
            // The recommendation (section 3.3.1.5) allows dropping a longer one.
            state: tracestate
                .filter(|state| state.len() <= 512 && !state.is_empty())
                .map(str::to_owned),
        };
        (context.trace != 0 && context.span != 0).then_some(context)
    }

    /// Returns the same trace with a new span.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            span: fastrand::u64(1..),
            ..self.clone()
        }
    }

    /// Returns the same trace with the given span, or with a new one if it is 0 (no span).
    #[must_use]
    pub fn with_span(&self, span: u64) -> Self {
        if span == 0 {
            return self.child();
        }
        Self { span, ..self.clone() }
    }

    /// Returns `traceparent`.
    #[must_use]
    pub fn parent(&self) -> String {
        let mut text = String::with_capacity("00-".len() + 32 + 1 + 16 + 1 + 2);
        // Writing to memory cannot fail.
        let _ = write!(text, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, self.flags);
        text
    }

    /// Returns `tracestate`, if there is one.
    #[must_use]
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// Returns trace id, span id and flags.
    #[must_use]
    pub const fn ids(&self) -> (u128, u64, u8) {
        (self.trace, self.span, self.flags)
    }
}

impl Default for TraceContext {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_recommendation_is_parsed_and_written() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let context = TraceContext::parse(text, Some("congo=t61")).unwrap();
        assert_eq!(context.parent(), text);
        assert_eq!(context.state(), Some("congo=t61"));
        let child = context.child();
        assert_eq!(child.ids().0, context.ids().0);
        assert_ne!(child.ids().1, context.ids().1);
    }

    #[test]
    fn invalid_parents_begin_a_new_trace() {
        for text in [
            "",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
        ] {
            assert_eq!(TraceContext::parse(text, None), None, "{text}");
        }
    }
}
