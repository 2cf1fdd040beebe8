//! One environment variable: name, default, help, type and range in one place.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// One environment variable, as operators see it.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// Its value when it is not set; empty means none.
    pub default: &'static str,
    /// How much of its value is printed.
    pub(crate) visibility: Visibility,
    help: &'static str,
    range: Option<Range>,
}

impl Variable {
    /// Returns what the variable does and which values are allowed.
    #[must_use]
    pub fn help(&self) -> String {
        let range = self.range.map(|range| range.to_string()).unwrap_or_default();
        self.help.trim().replace("{range}", &range)
    }

    /// Returns whether the value is never printed.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        self.visibility == Visibility::Secret
    }
}

/// How much of a value is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Visibility {
    /// The whole value.
    Full,
    /// The whole value if it is valid, else its first characters: it may be a secret that was set in the wrong variable.
    FullIfValid,
    /// Nothing.
    Secret,
}

/// The numbers that are allowed; both ends are.
#[derive(Debug, Clone, Copy)]
enum Range {
    Whole(u64, u64),
    /// At least this many bytes.
    Bytes(u64),
    Milliseconds(u64, u64),
    Seconds(f64, f64),
}

/// For help texts.
impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(min, max) | Self::Milliseconds(min, max) => write!(f, "{min} to {max}"),
            Self::Bytes(min) => write!(f, "at least {min}"),
            Self::Seconds(min, max) => write!(f, "{min} to {max}"),
        }
    }
}

impl Range {
    /// For error messages.
    fn expectation(self) -> String {
        match self {
            Self::Bytes(_) => format!("must be a whole number of bytes, {self}"),
            Self::Whole(min, max) => format!("must be a whole number from {min} to {max}"),
            Self::Milliseconds(..) => format!("must be {self} milliseconds"),
            Self::Seconds(..) => format!("must be {self} seconds"),
        }
    }
}

/// A variable and the type of its value.
pub(crate) struct Var<T> {
    pub(crate) variable: Variable,
    parse: Parse<T>,
}

#[derive(Clone, Copy)]
enum Parse<T> {
    Text(fn(&str) -> Result<T, String>),
    Number(Range, fn(Range, &str) -> Option<T>),
}

impl<T> Var<T> {
    /// A value that `parse` reads, or says of what it must be.
    pub(crate) const fn parsed(
        name: &'static str,
        help: &'static str,
        default: &'static str,
        parse: fn(&str) -> Result<T, String>,
    ) -> Self {
        Self::new(name, help, default, Parse::Text(parse))
    }

    const fn new(name: &'static str, help: &'static str, default: &'static str, parse: Parse<T>) -> Self {
        Self {
            variable: Variable {
                name,
                default,
                visibility: Visibility::Full,
                help,
                range: None,
            },
            parse,
        }
    }

    /// A value that is never printed.
    pub(crate) const fn secret(name: &'static str, help: &'static str, parse: fn(&str) -> Result<T, String>) -> Self {
        let mut var = Self::parsed(name, help, "", parse);
        var.variable.visibility = Visibility::Secret;
        var
    }

    /// A value of the Azure identity: an invalid one may be a secret that was set in the wrong variable.
    pub(crate) const fn identity(name: &'static str, help: &'static str, parse: fn(&str) -> Result<T, String>) -> Self {
        let mut var = Self::parsed(name, help, "", parse);
        var.variable.visibility = Visibility::FullIfValid;
        var
    }

    const fn number(
        name: &'static str,
        help: &'static str,
        default: &'static str,
        range: Range,
        parse: fn(Range, &str) -> Option<T>,
    ) -> Self {
        let mut var = Self::new(name, help, default, Parse::Number(range, parse));
        var.variable.range = Some(range);
        var
    }

    pub(crate) const fn name(&self) -> &'static str {
        self.variable.name
    }

    /// Parses a value; the error says what it must be.
    pub(crate) fn parse(&self, text: &str) -> Result<T, String> {
        match self.parse {
            Parse::Text(parse) => parse(text),
            Parse::Number(range, parse) => parse(range, text).ok_or_else(|| range.expectation()),
        }
    }
}

impl Var<String> {
    pub(crate) const fn text(name: &'static str, help: &'static str, default: &'static str) -> Self {
        Self::parsed(name, help, default, |text| Ok(text.to_owned()))
    }
}

impl Var<PathBuf> {
    pub(crate) const fn path(name: &'static str, help: &'static str, default: &'static str) -> Self {
        Self::parsed(name, help, default, |text| Ok(PathBuf::from(text)))
    }
}

impl Var<bool> {
    pub(crate) const fn flag(name: &'static str, help: &'static str, default: &'static str) -> Self {
        Self::parsed(name, help, default, |text| match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err("must be true or false".to_owned()),
        })
    }
}

impl<T: TryFrom<u64>> Var<T> {
    /// A whole number.
    pub(crate) const fn whole(
        name: &'static str,
        help: &'static str,
        default: &'static str,
        min: u64,
        max: u64,
    ) -> Self {
        Self::number(name, help, default, Range::Whole(min, max), |range, text| {
            T::try_from(whole(range, text)?).ok()
        })
    }
}

impl Var<u64> {
    /// A size.
    pub(crate) const fn bytes(name: &'static str, help: &'static str, default: &'static str, min: u64) -> Self {
        Self::number(name, help, default, Range::Bytes(min), whole)
    }
}

impl Var<Duration> {
    pub(crate) const fn milliseconds(
        name: &'static str,
        help: &'static str,
        default: &'static str,
        min: u64,
        max: u64,
    ) -> Self {
        Self::number(name, help, default, Range::Milliseconds(min, max), |range, text| {
            whole(range, text).map(Duration::from_millis)
        })
    }

    pub(crate) const fn seconds(
        name: &'static str,
        help: &'static str,
        default: &'static str,
        min: f64,
        max: f64,
    ) -> Self {
        Self::number(name, help, default, Range::Seconds(min, max), |range, text| {
            let seconds = text.parse().ok()?;
            let fits = matches!(range, Range::Seconds(min, max) if (min..=max).contains(&seconds));
            fits.then(|| Duration::from_secs_f64(seconds))
        })
    }
}

fn whole(range: Range, text: &str) -> Option<u64> {
    let number = u64::from_str(text).ok()?;
    let fits = match range {
        Range::Whole(min, max) | Range::Milliseconds(min, max) => (min..=max).contains(&number),
        Range::Bytes(min) => number >= min,
        Range::Seconds(..) => false,
    };
    fits.then_some(number)
}
