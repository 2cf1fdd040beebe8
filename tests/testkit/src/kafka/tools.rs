//! Topics, offsets and record batches by Kafka's own tools, independently of the product.

use super::{Kafka, external, install};
use crate::{Result, failed};

impl Kafka {
    /// Creates `topic` with Kafka's own tool, independently of the product.
    pub fn create_topic(&self, topic: &str, partitions: u32) -> Result<()> {
        let partitions = partitions.to_string();
        self.tool(
            "TopicCommand",
            &["--create", "--topic", topic, "--partitions", &partitions],
        )
        .map(drop)
    }

    /// Returns all topics, including internal ones.
    pub fn topics(&self) -> Result<Vec<String>> {
        Ok(self
            .tool("TopicCommand", &["--list"])?
            .lines()
            .map(str::to_owned)
            .collect())
    }

    /// Returns the end offset of each partition of `topic`, which is the number of records ever written to it.
    pub fn end_offsets(&self, topic: &str) -> Result<Vec<u64>> {
        let lines = self.tool("GetOffsetShell", &["--topic", topic])?;
        // topic:partition:offset
        let offset = |line: &str| line.rsplit(':').next().and_then(|offset| offset.parse().ok());
        let offsets: Option<Vec<u64>> = lines.lines().map(offset).collect();
        offsets.ok_or_else(|| failed(format!("cannot read the end offsets of {topic}"), lines))
    }

    /// Returns the record batches of a topic on the disk of the broker, one line each, as printed by Kafka's own tool.
    pub fn batches(&self, topic: &str) -> Result<Vec<String>> {
        let own = self.own.as_ref();
        let own = own.ok_or_else(|| external("read the log of", &self.bootstrap))?;
        own.install.batches(&own.dir.join("data"), topic)
    }

    /// Runs one of Kafka's own tools against this broker and returns its stdout: `tool` is a class in
    /// `org.apache.kafka.tools` (`TopicCommand`, `consumer.group.ConsumerGroupCommand`, `GetOffsetShell`, …).
    /// About one second each, a JVM's start.
    pub fn tool(&self, tool: &str, args: &[&str]) -> Result<String> {
        let install = match &self.own {
            Some(own) => own.install.clone(),
            None => install()?,
        };
        install.tool(&format!("org.apache.kafka.tools.{tool}"), &self.bootstrap, args)
    }
}
