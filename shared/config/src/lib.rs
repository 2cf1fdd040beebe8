//! The configuration of a process: environment variables, each declared once in [`VARIABLES`], read once into typed
//! [`Settings`]. All mistakes are reported together, and secrets are never printed.

mod cluster;
mod console;
mod environment;
mod error;
mod groups;
mod otlp;
mod parse;
mod process_identity;
mod read;
mod reader;
mod settings;
mod variable;
mod variables;

pub use cluster::{ClusterSettings, Security};
pub use console::{ConsoleSettings, ConsoleToken, Role, SignIn};
pub use environment::{EffectiveVariable, Environment, ValueSource, load_dotenv};
pub use error::ConfigError;
pub use otlp::{Collector, MetricsExport, OtlpSettings, Temporality};
pub use settings::{BatchSettings, DevSettings, OffsetReset, Settings};
pub use variable::Variable;
pub use variables::{VARIABLES, env_example};
