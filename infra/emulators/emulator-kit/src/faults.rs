//! Faults on demand: an enum whose variants have a name in requests and a line in the help page.

/// A text that is not the name of a fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a fault; GET {help_page} lists them")]
pub struct UnknownFaultError {
    /// The text.
    pub name: String,
    /// The path that lists the faults.
    pub help_page: &'static str,
}

/// Declares an enum of faults: `Variant = "name", "what happens";` for each.
///
/// The enum implements `Display` and `FromStr` by name, and has `all()` and `meaning()` for the help page at the path that
/// is given.
#[macro_export]
macro_rules! faults {
    (
        $(#[$attribute:meta])*
        pub enum $fault:ident at $help_page:literal {
            $($variant:ident = $name:literal, $meaning:literal;)+
        }
    ) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $fault {
            $(#[doc = concat!("`", $name, "`: ", $meaning, ".")] $variant,)+
        }

        impl $fault {
            /// Returns every fault, in the order of the declaration.
            pub fn all() -> impl Iterator<Item = Self> {
                [$(Self::$variant),+].into_iter()
            }

            /// Returns what happens, as a line for the help page.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$variant => $meaning,)+
                }
            }
        }

        impl ::std::fmt::Display for $fault {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(match self {
                    $(Self::$variant => $name,)+
                })
            }
        }

        impl ::std::str::FromStr for $fault {
            type Err = $crate::UnknownFaultError;

            fn from_str(name: &str) -> Result<Self, Self::Err> {
                match name {
                    $($name => Ok(Self::$variant),)+
                    _ => Err($crate::UnknownFaultError { name: name.to_owned(), help_page: $help_page }),
                }
            }
        }
    };
}

#[cfg(test)]
mod tests {
    #![expect(unreachable_pub, reason = "the macro declares a public enum")]

    crate::faults! {
        /// Faults of this test.
        pub enum Fault at "/help" {
            Missing = "missing", "404";
            BusyOnce = "busy-once", "503 the first time";
        }
    }

    #[test]
    fn faults_are_parsed_and_printed_by_name() {
        let all: Vec<Fault> = Fault::all().collect();
        assert_eq!(all, [Fault::Missing, Fault::BusyOnce]);
        for fault in all {
            assert_eq!(fault.to_string().parse(), Ok(fault));
        }
        assert_eq!(Fault::BusyOnce.meaning(), "503 the first time");
        let error = "tired".parse::<Fault>().unwrap_err();
        assert_eq!(error.to_string(), "`tired` is not a fault; GET /help lists them");
    }
}
