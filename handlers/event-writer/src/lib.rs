//! The event-writer stage: appends every readable event to `xact_events`, in batches by size and time.
//!
//! It reads the same topic as the event ingester, in a consumer group of its own.

mod row;

use std::sync::Arc;

use xact_contracts::ids::AppId;
use xact_contracts::messages::Event;
use xact_contracts::topology::Stage;
use xact_lake::{EventRow, Sourced};
use xact_runtime::{
    AssignError, Assigned, Batch, BatchHandler, Context, Factory, Refused, Service, Starts, TablePositions, Unavailable,
};
use xact_table_sink::{TableSink, UndatedRows, sourced};

/// The handler.
pub struct EventWriter {
    events: TableSink<EventRow>,
}

/// Returns the factory of the stage.
#[must_use]
pub fn factory() -> Factory {
    Arc::new(|settings| {
        let events = TableSink::open(settings)?;
        Ok(Service::batch(EventWriter { events }, settings.event_batch))
    })
}

impl EventWriter {
    /// Writes to this table.
    #[must_use]
    pub fn with_table(events: TableSink<EventRow>) -> Self {
        Self { events }
    }
}

impl BatchHandler for EventWriter {
    const STAGE: Stage = Stage::EventWriter;

    type Input = Event;

    async fn assigned(&self, partitions: &[Assigned]) -> Result<Starts, AssignError> {
        self.events.check_positions(partitions).await
    }

    fn table_positions(&self, app_id: &AppId) -> TablePositions {
        self.events.position_note(app_id).into_iter().collect()
    }

    async fn handle(&self, batch: &Batch<'_, Event>, context: &Context) -> Result<Vec<Refused>, Unavailable> {
        let mut rows: Vec<_> = batch
            .records
            .iter()
            .map(|record| {
                let row = row::of_event(&record.input, record.record_timestamp, context.now);
                sourced(record, row)
            })
            .collect();
        let mut undated = UndatedRows::default();
        for (record, Sourced { row, .. }) in batch.records.iter().zip(&rows) {
            if record.input.timestamp.is_none() {
                undated.insert(row.event_id.as_str().into(), row.event_date);
            }
        }
        undated.use_dates_of(&self.events).await?;
        for (record, Sourced { row, .. }) in batch.records.iter().zip(&mut rows) {
            if record.input.timestamp.is_none() {
                row.event_date = undated.date_of(&row.event_id).unwrap_or(row.event_date);
            }
        }
        let event_times: Vec<_> = rows.iter().map(|Sourced { row, .. }| row.event_timestamp).collect();
        self.events.append(rows, &batch.positions, &event_times).await?;
        Ok(Vec::new())
    }
}
