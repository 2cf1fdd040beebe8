//! The event writer: appends every readable event to `xact_events`, in its own consumer group, by size or time.

mod row;

use std::sync::Arc;

use jiff::Timestamp;

use xact_contracts::ids::AppId;
use xact_contracts::messages::Event;
use xact_contracts::topology::Stage;
use xact_lake::{EventRow, Source, Sourced};
use xact_runtime::{
    AssignError, Assigned, Batch, BatchHandler, BatchService, Context, Factory, Refused, Starts, TablePositions,
    Unavailable,
};
use xact_table_sink::{TableSink, Undated};

/// The handler.
pub struct EventWriter {
    events: TableSink<EventRow>,
}

/// Makes the stage.
#[must_use]
pub fn factory() -> Factory {
    Arc::new(|settings| {
        let events = TableSink::open(settings)?;
        Ok(BatchService::new(EventWriter { events }, settings.event_batch))
    })
}

impl EventWriter {
    /// With this table.
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
        self.events.noted(app_id).into_iter().collect()
    }

    async fn handle(&self, batch: &Batch<'_, Event>, context: &Context) -> Result<Vec<Refused>, Unavailable> {
        let mut rows: Vec<_> = batch
            .records
            .iter()
            .map(|delivered| Sourced {
                row: row::of_event(&delivered.input, delivered.record_timestamp, context.now),
                source: delivered.app_id.clone().map(|app_id| Source {
                    app_id,
                    offset: delivered.source.offset,
                }),
            })
            .collect();
        let mut undated = Undated::default();
        for (delivered, Sourced { row, .. }) in batch.records.iter().zip(&rows) {
            if delivered.input.timestamp.is_none() {
                undated.note(row.event_id.as_str().into(), row.event_date);
            }
        }
        undated.look_in(&self.events).await?;
        for (delivered, Sourced { row, .. }) in batch.records.iter().zip(&mut rows) {
            if delivered.input.timestamp.is_none() {
                row.event_date = undated.date_of(&row.event_id).unwrap_or(row.event_date);
            }
        }
        let happened: Vec<Timestamp> = rows.iter().map(|row| row.row.event_timestamp).collect();
        self.events.append(rows, &batch.positions, &happened).await?;
        Ok(Vec::new())
    }
}
