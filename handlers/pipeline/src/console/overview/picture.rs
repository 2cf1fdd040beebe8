//! The pipeline as a picture: stages are boxes, topics are arrows between them, and what a topic holds stands beside its arrow.
//!
//! The table below the picture has the same facts, so the picture is one image to screen readers.

use indicatif::HumanCount;
use jiff::Timestamp;
use maud::{Markup, html};

use super::positions::{Flow, TopicFlow};
use super::state::{State, of_stage, of_topic, stuck_after};
use crate::console::layout::duration;
use xact_config::Settings;
use xact_contracts::topology::Stage;

const BOX_WIDTH: u32 = 130;
const BOX_HEIGHT: u32 = 54;

/// The upper left corners of the stages' boxes.
const PLACES: [(Stage, (u32, u32)); 7] = [
    (Stage::EventWriter, (200, 16)),
    (Stage::EventIngester, (200, 150)),
    (Stage::Download, (430, 150)),
    (Stage::Upload, (660, 150)),
    (Stage::ResultProcessor, (890, 150)),
    (Stage::RetryScheduler, (400, 262)),
    (Stage::Dlq, (890, 350)),
];

/// Returns where a stage's box is. A stage that was added has one in a row below the others, and no arrow.
fn place(stage: Stage) -> (u32, u32) {
    let placed = |stage: Stage| PLACES.iter().find(|(other, _)| *other == stage);
    match placed(stage) {
        Some((_, place)) => *place,
        None => {
            let others = Stage::all().filter(|stage| placed(*stage).is_none());
            let before = others.take_while(|other| *other != stage).count();
            (10 + u32::try_from(before).unwrap_or(0) * (BOX_WIDTH + 20), HEIGHT)
        }
    }
}

/// The height of the picture.
const HEIGHT: u32 = 420;

/// The arrow of the topic that a stage reads: its path, its head, and where its text is.
struct Arrow {
    stage: Stage,
    name: &'static str,
    path: &'static str,
    /// The tip, and whether it points down.
    tip: (u32, u32, bool),
    text: (u32, u32),
}

const ARROWS: [Arrow; 7] = [
    arrow(
        Stage::EventWriter,
        "events",
        "M55 150V43H194",
        (200, 43, false),
        (127, 35),
    ),
    arrow(
        Stage::EventIngester,
        "events",
        "M100 177H194",
        (200, 177, false),
        (147, 169),
    ),
    arrow(
        Stage::Download,
        "pending",
        "M330 177H424",
        (430, 177, false),
        (380, 169),
    ),
    arrow(Stage::Upload, "cached", "M560 177H654", (660, 177, false), (610, 169)),
    arrow(
        Stage::ResultProcessor,
        "results",
        "M790 177H884",
        (890, 177, false),
        (840, 169),
    ),
    arrow(
        Stage::RetryScheduler,
        "retry",
        "M480 204V256",
        (480, 262, true),
        (595, 240),
    ),
    arrow(
        Stage::Dlq,
        "dead letters",
        "M265 338H955V344",
        (955, 350, true),
        (600, 356),
    ),
];

const fn arrow(stage: Stage, name: &'static str, path: &'static str, tip: (u32, u32, bool), text: (u32, u32)) -> Arrow {
    Arrow {
        stage,
        name,
        path,
        tip,
        text,
    }
}

/// What stages write to other topics than the next one, without a text: into the arrow of dead letters, to the retries, and from
/// there to pending.
const SIDE_PATHS: [&str; 6] = [
    "M265 204V338",
    "M548 204V338",
    "M770 204V338",
    "M440 316V338",
    "M700 204V289H530",
    "M400 289H372V177",
];

/// The tables, and the arrows to them.
const TABLES: [(&str, u32, u32, &str); 3] = [
    ("xact_events", 430, 16, "M330 43H424"),
    ("xact_attachments", 1080, 122, "M1020 170L1074 150"),
    ("xact_attachments_failed", 1080, 180, "M1020 184L1074 204"),
];

/// Returns the picture.
pub(super) fn picture(flow: &Flow, settings: &Settings, now: Timestamp) -> Markup {
    let of = |stage: Stage| flow.topics.iter().filter(move |topic| topic.stage == stage);
    let state = |stage: Stage| of_stage(of(stage).map(|topic| of_topic(topic, stuck_after(settings, stage), now)));
    let height = Stage::all()
        .map(|stage| place(stage).1 + BOX_HEIGHT + 16)
        .fold(HEIGHT, u32::max);
    html! {
        svg.flow viewBox={ "0 0 1250 " (height) } role="img" aria-label="The stages, with the topics between them. The table has the same numbers." {
            @for path in SIDE_PATHS { path.side d=(path) {} }
            g.source { rect x="10" y="150" width="90" height=(BOX_HEIGHT) rx="27" {} text x="55" y="181" { "source" } }
            @for (name, x, y, path) in TABLES {
                path.side d=(path) {}
                g.table { rect x=(x) y=(y) width="168" height="48" {} text x=(x + 84) y=(y + 29) { (name) } }
            }
            @for arrow in &ARROWS { (arrow.show(state(arrow.stage), &of(arrow.stage).collect::<Vec<_>>(), now)) }
            @for stage in Stage::all() { (stage_box(stage, state(stage), now)) }
        }
    }
}

fn stage_box(stage: Stage, state: State, now: Timestamp) -> Markup {
    let (x, y) = place(stage);
    html! {
        g.stage data-state=(state.name()) {
            rect x=(x) y=(y) width=(BOX_WIDTH) height=(BOX_HEIGHT) rx="6" {}
            text.name x=(x + BOX_WIDTH / 2) y=(y + 23) { (stage) }
            text x=(x + BOX_WIDTH / 2) y=(y + 42) { (state.short(now)) }
        }
    }
}

impl Arrow {
    fn show(&self, state: State, topics: &[&TopicFlow], now: Timestamp) -> Markup {
        let (x, y, is_down) = self.tip;
        let head = if is_down {
            format!("M{x} {y}l-5 -9h10z")
        } else {
            format!("M{x} {y}l-9 -5v10z")
        };
        let moves = topics.iter().any(|topic| topic.finished.unwrap_or_default() > 0.0);
        let (text_x, text_y) = self.text;
        let (first, second) = self.lines(topics, now);
        html! {
            g.topic data-state=(state.name()) {
                path.line.moves[moves] d=(self.path) {}
                path.head d=(head) {}
                text x=(text_x) y=(text_y) { (self.name) ": " (first) }
                text x=(text_x) y=(text_y + 22) { (second) }
            }
        }
    }

    /// Returns the rate, and what waits.
    fn lines(&self, topics: &[&TopicFlow], now: Timestamp) -> (String, String) {
        let written: Option<f64> = topics.iter().map(|topic| topic.written).sum();
        let waiting: u64 = topics.iter().map(|topic| topic.lag).sum();
        let oldest = topics.iter().filter_map(|topic| topic.oldest).min();
        let rate = written.map_or_else(|| "–".to_owned(), |rate| format!("{rate:.1}/s"));
        let waits = match oldest {
            _ if waiting == 0 => String::new(),
            Some(oldest) => {
                let age = duration(now.duration_since(oldest).as_secs());
                format!("{} wait, {age}", HumanCount(waiting))
            }
            None => format!("{} wait", HumanCount(waiting)),
        };
        (rate, waits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_box_overlaps_another_and_every_table_is_there() {
        let boxes: Vec<(u32, u32)> = Stage::all().map(place).collect();
        for (number, (x, y)) in boxes.iter().enumerate() {
            for (other_x, other_y) in &boxes[..number] {
                assert!(x.abs_diff(*other_x) >= BOX_WIDTH || y.abs_diff(*other_y) >= BOX_HEIGHT);
            }
        }
        for row in xact_contracts::topology::STAGES {
            assert!(
                row.tables
                    .iter()
                    .all(|table| TABLES.iter().any(|(name, ..)| name == table))
            );
        }
    }

    #[test]
    fn the_topics_of_a_stage_are_added_up() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let topic = |lag, written, oldest| TopicFlow {
            stage: Stage::RetryScheduler,
            topic: "t".to_owned(),
            lag,
            oldest: Some(at(oldest)),
            next_due: None,
            written,
            finished: Some(0.0),
            stands_since: None,
            written_in_all: 0,
            history: Vec::new(),
        };
        let retries = [topic(1_000, Some(0.25), 40), topic(2, Some(1.0), 10)];
        let lines = |topics: &[TopicFlow]| ARROWS[5].lines(&topics.iter().collect::<Vec<_>>(), at(70));
        assert_eq!(lines(&retries), ("1.2/s".to_owned(), "1,002 wait, 1m".to_owned()));
        assert_eq!(lines(&[topic(0, None, 40)]), ("–".to_owned(), String::new()));
    }
}
