//! Plot of the samples, as SVG.

use std::fmt::Write;

use crate::axis::{label, ticks};
use crate::panels::{PANELS, Panel};
use crate::samples::Sample;
use crate::schedule::Disturbance;

const WIDTH: f64 = 960.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 60.0;
/// Height of a row of disturbances.
const ROW: f64 = 14.0;
/// Height of the lines of a panel, and of the space above them.
const PANEL: f64 = 110.0;
const GAP: f64 = 44.0;
const COLOURS: [&str; 4] = ["#1f6fb4", "#d1641c", "#2e8b57", "#8a4fa3"];

/// Draws all panels over time. The warm-up is shaded.
pub(crate) fn svg(samples: &[Sample], title: &str, warm_up: f64) -> String {
    let end = samples.last().map_or(1.0, |sample| sample.at);
    let time = Time { end };
    let strip = TOP + ROW * Disturbance::ALL.len() as f64;
    let height = strip + (GAP + PANEL) * PANELS.len() as f64 + 40.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    text(&mut out, LEFT, 24.0, "font-size=\"14\"", title);
    disturbances(&mut out, samples, time);
    for (index, panel) in PANELS.iter().enumerate() {
        let top = strip + (GAP + PANEL) * index as f64 + GAP;
        panel.draw(&mut out, samples, time, top, warm_up);
    }
    let axis = height - 22.0;
    for minutes in ticks(end / 60.0, 12.0) {
        text(
            &mut out,
            time.x(minutes * 60.0),
            axis,
            MIDDLE,
            &label(minutes),
        );
    }
    text(&mut out, LEFT, height - 6.0, "", "minutes");
    out.push_str("</svg>\n");
    out
}

const MIDDLE: &str = "text-anchor=\"middle\"";
const END: &str = "text-anchor=\"end\"";

/// Horizontal axis.
#[derive(Debug, Clone, Copy)]
struct Time {
    /// Seconds.
    end: f64,
}

impl Time {
    fn x(self, at: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * at / self.end
    }
}

/// Draws a row for each kind of disturbance, with a mark for each interval that has one.
fn disturbances(out: &mut String, samples: &[Sample], time: Time) {
    for (row, kind) in Disturbance::ALL.into_iter().enumerate() {
        let y = TOP + ROW * row as f64;
        text(out, LEFT - 6.0, y + 3.0, END, kind.name());
        let disturbed = samples.iter().filter(|sample| {
            let mut names = sample.disturbances.split('+');
            names.any(|name| name == kind.name())
        });
        for sample in disturbed {
            let x = time.x(sample.at);
            let _infallible = writeln!(
                out,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2\" fill=\"#555555\"/>"
            );
        }
    }
}

impl Panel {
    fn draw(&self, out: &mut String, samples: &[Sample], time: Time, top: f64, warm_up: f64) {
        let values = |column: &'static str| samples.iter().filter_map(move |s| s.get(column));
        let all = self.lines.iter().flat_map(|(column, _)| values(column));
        let most = all.fold(0.0, f64::max);
        let marks = self.scale.ticks(most);
        let highest = marks.last().copied().unwrap_or(1.0).max(most);
        let y = |value: f64| top + PANEL * (1.0 - self.scale.place(value, highest));
        text(out, LEFT, top - 8.0, "font-weight=\"bold\"", self.title);
        let shade = time.x(warm_up) - LEFT;
        let _infallible = writeln!(
            out,
            "<rect x=\"{LEFT}\" y=\"{top:.1}\" width=\"{shade:.1}\" height=\"{PANEL}\" fill=\"#eeeeee\"/>"
        );
        for mark in marks {
            let (y, right) = (y(mark), WIDTH - RIGHT);
            let _infallible = writeln!(
                out,
                "<path d=\"M{LEFT} {y:.1}H{right}\" stroke=\"#cccccc\" stroke-width=\"0.5\"/>"
            );
            text(out, LEFT - 6.0, y + 4.0, END, &label(mark));
        }
        let mut legend = WIDTH - RIGHT;
        let lines: Vec<_> = self.lines.iter().zip(COLOURS).collect();
        for ((column, name), colour) in lines.into_iter().rev() {
            let fill = format!("{END} fill=\"{colour}\"");
            text(out, legend, top - 8.0, &fill, name);
            legend -= 6.0 * name.len() as f64 + 14.0;
            let d = line(samples, column, |at, value| (time.x(at), y(value)));
            let _infallible = writeln!(
                out,
                "<path d=\"{d}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.2\"/>"
            );
        }
    }
}

/// Returns the path of a line, with a gap where values are missing.
fn line(samples: &[Sample], column: &str, place: impl Fn(f64, f64) -> (f64, f64)) -> String {
    let (mut d, mut is_drawn) = (String::new(), false);
    for sample in samples {
        let Some(value) = sample.get(column) else {
            is_drawn = false;
            continue;
        };
        let (x, y) = place(sample.at, value);
        let command = if is_drawn { 'L' } else { 'M' };
        let _infallible = write!(d, "{command}{x:.1} {y:.1}");
        is_drawn = true;
    }
    d
}

fn text(out: &mut String, x: f64, y: f64, attributes: &str, words: &str) {
    let _infallible = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" {attributes}>{words}</text>"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_has_a_gap_where_values_are_missing() {
        let values = [Some(1.0), Some(2.0), None, Some(3.0)];
        let samples: Vec<_> = (0..)
            .zip(values)
            .map(|(at, value)| Sample {
                at: f64::from(at),
                values: value.map(|value| ("own_cpu", value)).into_iter().collect(),
                ..Sample::default()
            })
            .collect();
        let d = line(&samples, "own_cpu", |at, value| (at, value));
        assert_eq!(d, "M0.0 1.0L1.0 2.0M3.0 3.0");
    }

    #[test]
    fn every_panel_is_drawn_with_its_lines_and_the_disturbances() {
        use crate::samples::COLUMNS;
        let sample = |n: u32| Sample {
            at: f64::from(n) * 10.0,
            disturbances: if n == 6 { "reload+restart" } else { "" }.to_owned(),
            values: COLUMNS.map(|column| (column, f64::from(n))).into(),
        };
        let samples: Vec<_> = (1..=30).map(sample).collect();
        let svg = svg(&samples, "title", 50.0);
        let lines: usize = PANELS.iter().map(|panel| panel.lines.len()).sum();
        assert_eq!(svg.matches("stroke-width=\"1.2\"").count(), lines);
        assert_eq!(svg.matches("<circle").count(), 2);
        for panel in PANELS {
            assert!(svg.contains(panel.title));
            for (column, _) in panel.lines {
                assert!(COLUMNS.contains(column), "{column}");
            }
        }
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
