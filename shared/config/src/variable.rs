//! One environment variable: name, default, help, type and range in one place.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

type Text = &'static str;

/// One environment variable, as operators see it.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// Its value when it is not set; empty means none.
    pub default: &'static str,
    /// How much of its value is printed.
    pub(crate) visibility: Visibility,
    help: Text,
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
struct Range {
    min: f64,
    /// Infinite for none.
    max: f64,
    /// What a value must be, with `{range}` in it.
    must: Text,
}

/// For help texts.
impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { min, max, .. } = self;
        if max.is_finite() {
            write!(f, "{min} to {max}")
        } else {
            write!(f, "at least {min}")
        }
    }
}

impl Range {
    /// Parses a number within the range.
    fn seconds(self, text: &str) -> Option<f64> {
        text.parse()
            .ok()
            .filter(|number| (self.min..=self.max).contains(number))
    }

    /// Parses a whole number within the range.
    fn whole(self, text: &str) -> Option<u64> {
        let number: u64 = text.parse().ok()?;
        (self.min..=self.max).contains(&(number as f64)).then_some(number)
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
    pub(crate) const fn parsed(name: Text, help: Text, default: Text, parse: fn(&str) -> Result<T, String>) -> Self {
        Self::new(name, help, default, Parse::Text(parse))
    }

    const fn new(name: Text, help: Text, default: Text, parse: Parse<T>) -> Self {
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
    pub(crate) const fn secret(name: Text, help: Text, parse: fn(&str) -> Result<T, String>) -> Self {
        let mut var = Self::parsed(name, help, "", parse);
        var.variable.visibility = Visibility::Secret;
        var
    }

    /// A value of the Azure identity: an invalid one may be a secret that was set in the wrong variable.
    pub(crate) const fn identity(name: Text, help: Text, parse: fn(&str) -> Result<T, String>) -> Self {
        let mut var = Self::parsed(name, help, "", parse);
        var.variable.visibility = Visibility::FullIfValid;
        var
    }

    const fn number(name: Text, help: Text, default: Text, range: Range, parse: fn(Range, &str) -> Option<T>) -> Self {
        let mut var = Self::new(name, help, default, Parse::Number(range, parse));
        var.variable.range = Some(range);
        var
    }

    pub(crate) const fn name(&self) -> Text {
        self.variable.name
    }

    /// Parses a value; the error says what it must be.
    pub(crate) fn parse(&self, text: &str) -> Result<T, String> {
        match self.parse {
            Parse::Text(parse) => parse(text),
            Parse::Number(range, parse) => {
                parse(range, text).ok_or_else(|| range.must.replace("{range}", &range.to_string()))
            }
        }
    }
}

impl Var<String> {
    pub(crate) const fn text(name: Text, help: Text, default: Text) -> Self {
        Self::parsed(name, help, default, |text| Ok(text.to_owned()))
    }
}

impl Var<PathBuf> {
    pub(crate) const fn path(name: Text, help: Text, default: Text) -> Self {
        Self::parsed(name, help, default, |text| Ok(PathBuf::from(text)))
    }
}

impl Var<bool> {
    pub(crate) const fn flag(name: Text, help: Text, default: Text) -> Self {
        Self::parsed(name, help, default, |text| match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err("must be true or false".to_owned()),
        })
    }
}

impl<T: TryFrom<u64>> Var<T> {
    /// A whole number.
    pub(crate) const fn whole(name: Text, help: Text, default: Text, min: u64, max: u64) -> Self {
        let must = "must be a whole number from {range}";
        let (min, max) = (min as f64, max as f64);
        Self::number(name, help, default, Range { min, max, must }, |range, text| {
            T::try_from(range.whole(text)?).ok()
        })
    }
}

impl Var<u64> {
    /// A size.
    pub(crate) const fn bytes(name: Text, help: Text, default: Text, min: u64) -> Self {
        let must = "must be a whole number of bytes, {range}";
        let (min, max) = (min as f64, f64::INFINITY);
        Self::number(name, help, default, Range { min, max, must }, Range::whole)
    }
}

impl Var<Duration> {
    pub(crate) const fn milliseconds(name: Text, help: Text, default: Text, min: u64, max: u64) -> Self {
        let must = "must be {range} milliseconds";
        let (min, max) = (min as f64, max as f64);
        Self::number(name, help, default, Range { min, max, must }, |range, text| {
            range.whole(text).map(Duration::from_millis)
        })
    }

    pub(crate) const fn seconds(name: Text, help: Text, default: Text, min: f64, max: f64) -> Self {
        let must = "must be {range} seconds";
        Self::number(name, help, default, Range { min, max, must }, |range, text| {
            range.seconds(text).map(Duration::from_secs_f64)
        })
    }
}
