//! The results for people: tables in Markdown, and plots.

use std::fmt::Write;
use std::path::Path;

use plotters::prelude::*;

use crate::results::{Percentiles, Results, Row};
use crate::usage::CLIENT;

/// Writes `results.json`, `results.md` and the plots into a folder.
pub(crate) fn write(results: &Results, folder: &Path) {
    std::fs::create_dir_all(folder).expect("a folder can be made");
    let json = serde_json::to_string_pretty(results).expect("results are JSON");
    std::fs::write(folder.join("results.json"), json).expect("a file is written");
    std::fs::write(folder.join("results.md"), markdown(results)).expect("a file is written");
    for plot in plots(results) {
        draw(&plot, &folder.join(plot.file)).expect("a plot is drawn");
    }
}

/// The tables as a Markdown page.
pub(crate) fn markdown(results: &Results) -> String {
    let mut page = String::from("# Measured\n\n");
    let about = results
        .about
        .iter()
        .map(|(what, value)| vec![(*what).to_owned(), value.clone()]);
    page += &table(&["", ""], about);
    let limits = &results.limits;
    let limits = [
        ("one-row INSERTs/s, pgbench, 64 clients", limits.inserts),
        (
            "requests/s, no-op handler that parses 10 figures, 64 connections",
            limits.no_op,
        ),
        (
            "publishes/s to a quorum queue, confirmed in windows of 512",
            limits.confirms_in_windows,
        ),
        ("the same, confirmed one by one", limits.confirms_one_by_one),
    ];
    let known = limits
        .iter()
        .filter_map(|(what, rate)| Some(vec![(*what).to_owned(), number((*rate)?)]));
    page += &section("Limits of the machine", &table(&["limit", "rate"], known));
    let bounds = results.bounds.iter().map(|bound| {
        let met = if bound.is_met { "yes" } else { "**no**" };
        [bound.what, &bound.wanted, &bound.measured, met]
            .map(str::to_owned)
            .to_vec()
    });
    page += &section("Targets", &table(&["what", "target", "measured", "met"], bounds));
    let ratio = |ratio: Option<f64>| ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
    let ratios = results.ratios().into_iter().map(|(row, inserts, no_op)| {
        let each: Vec<String> = row.by_inserts.iter().map(|each| ratio(Some(*each))).collect();
        vec![
            name(row),
            number(row.per_second),
            ratio(inserts),
            each.join(" "),
            ratio(no_op),
        ]
    });
    let header = [
        "submissions",
        "per second",
        "× pgbench",
        "all repetitions",
        "× no-op",
    ];
    page += &section("Ratios", &table(&header, ratios));
    page += &section(
        "Rates and latencies",
        &table(&RATES, results.rows.iter().map(rates)),
    );
    page += &section("Resources", &usage(results));
    let notes = results
        .rows
        .iter()
        .flat_map(|row| row.notes.iter().map(move |note| (row, note)));
    let notes = notes.map(|(row, note)| vec![name(row), note.clone()]);
    page += &section("Notes", &table(&["", ""], notes));
    page
}

const RATES: [&str; 12] = [
    "",
    "per second",
    "all repetitions",
    "p50 ms",
    "p99 ms",
    "p99.9 ms",
    "max ms",
    "visible p50 ms",
    "visible p99 ms",
    "visible p99.9 ms",
    "settled after s",
    "numbers checked",
];

fn rates(row: &Row) -> Vec<String> {
    let Percentiles {
        p50_ms,
        p99_ms,
        p99_9_ms,
        max_ms,
    } = row.latency;
    let repetitions: Vec<String> = row.repetitions.iter().map(|rate| number(*rate)).collect();
    let visible = |of: fn(&Percentiles) -> f64| {
        row.visible
            .as_ref()
            .map_or_else(String::new, |visible| number(of(visible)))
    };
    let mut cells = vec![name(row), number(row.per_second), repetitions.join(" ")];
    cells.extend([p50_ms, p99_ms, p99_9_ms, max_ms].map(number));
    cells.extend([
        visible(|visible| visible.p50_ms),
        visible(|visible| visible.p99_ms),
        visible(|visible| visible.p99_9_ms),
        row.settled_after_s.map_or_else(String::new, number),
        row.checked
            .map_or_else(String::new, |checked| checked.to_string()),
    ]);
    cells
}

fn usage(results: &Results) -> String {
    let rows = results.rows.iter().flat_map(|row| {
        row.usage.iter().enumerate().map(|(at, usage)| {
            let bytes = row
                .bytes_per_submission
                .filter(|_| at == 0)
                .map_or_else(String::new, number);
            let each = usage.cpu_s * 1000.0 / row.answers.max(1) as f64;
            vec![
                if at == 0 { name(row) } else { String::new() },
                usage.process.clone(),
                format!("{:.2}", usage.cpu_s),
                format!("{each:.3}"),
                number(usage.peak_mib),
                bytes,
            ]
        })
    });
    let header = [
        "",
        "process",
        "CPU s",
        "CPU ms an answer",
        "peak MiB",
        "bytes on disk a submission",
    ];
    table(&header, rows)
}

/// The scenario and its parameters.
pub(crate) fn name(row: &Row) -> String {
    let case: Vec<String> = row
        .case
        .iter()
        .map(|(what, value)| format!("{what} {value:.0}"))
        .collect();
    format!("{} {}", row.scenario, case.join(", "))
        .trim_end()
        .to_owned()
}

/// A number with three significant digits: measurements are not more precise.
fn number(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

fn section(title: &str, content: &str) -> String {
    if content.is_empty() {
        return String::new();
    }
    format!("\n## {title}\n\n{content}")
}

/// A Markdown table with aligned columns; empty if there are no rows.
fn table(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let rows: Vec<Vec<String>> = rows.collect();
    if rows.is_empty() {
        return String::new();
    }
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells
            .chain([header[column].chars().count(), 3])
            .max()
            .unwrap_or(3)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let mut text = String::new();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        for (cell, width) in cells.zip(&widths) {
            // Writing into a string cannot fail.
            write!(text, "| {cell:width$} ").ok();
        }
        text.push_str("|\n");
    };
    line(&mut header.iter().copied());
    let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    line(&mut rules.iter().map(String::as_str));
    for row in &rows {
        line(&mut row.iter().map(String::as_str));
    }
    text
}

/// A line plot.
struct Plot {
    file: &'static str,
    title: &'static str,
    x: &'static str,
    y: &'static str,
    lines: Vec<(String, Vec<(f64, f64)>)>,
}

fn plots(results: &Results) -> Vec<Plot> {
    let points = |scenario: &str, case: &[(&str, f64)], x: &str, y: &dyn Fn(&Row) -> f64| {
        let rows = results.rows.iter().filter(|row| row.is(scenario, case));
        let mut points: Vec<(f64, f64)> = rows.filter_map(|row| Some((*row.case.get(x)?, y(row)))).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points
    };
    let everybody = |process: &str| process != CLIENT;
    let ours = |process: &str| process.starts_with("tonghop");
    let one_period = [("periods", 1.0)];
    let read = |y: &dyn Fn(&Row) -> f64| points("reads", &one_period, "units", y);
    let grown = |y: &dyn Fn(&Row) -> f64| points("growth", &[], "units", y);
    let ingest = |figures: f64| {
        points("ingest", &[("figures", figures)], "connections", &|row| {
            row.per_second
        })
    };
    let plots = vec![
        Plot {
            file: "read-latency-by-units.svg",
            title: "Reading one province's totals, by units in store",
            x: "units in store",
            y: "ms",
            lines: vec![
                ("p50".into(), read(&|row| row.latency.p50_ms)),
                ("p99".into(), read(&|row| row.latency.p99_ms)),
            ],
        },
        Plot {
            file: "read-cost-by-units.svg",
            title: "Processor time of one read, by units in store",
            x: "units in store",
            y: "ms",
            lines: vec![
                (
                    "all processes".into(),
                    read(&|row| row.cpu_ms_per_answer(everybody)),
                ),
                ("ours".into(), read(&|row| row.cpu_ms_per_answer(ours))),
            ],
        },
        Plot {
            file: "submission-cost-by-units.svg",
            title: "Processor time of one submission, by units of the country",
            x: "units of the country",
            y: "ms",
            lines: vec![
                (
                    "all processes".into(),
                    grown(&|row| row.cpu_ms_per_answer(everybody)),
                ),
                ("ours".into(), grown(&|row| row.cpu_ms_per_answer(ours))),
            ],
        },
        Plot {
            file: "ingest-by-connections.svg",
            title: "Submissions a second, by connections",
            x: "connections",
            y: "submissions/s",
            lines: vec![
                ("10 figures".into(), ingest(10.0)),
                ("67 figures".into(), ingest(67.0)),
            ],
        },
    ];
    let is_line = |(_, points): &(String, Vec<(f64, f64)>)| points.len() > 1;
    plots
        .into_iter()
        .filter(|plot| plot.lines.iter().any(is_line))
        .collect()
}

fn draw(plot: &Plot, file: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let all = || plot.lines.iter().flat_map(|(_, points)| points);
    let (from, to) = all().fold((f64::MAX, f64::MIN), |(from, to), (x, _)| {
        (x.min(from), x.max(to))
    });
    let top = all().map(|(_, y)| *y).fold(0.0, f64::max) * 1.15;
    let root = SVGBackend::new(file, (800, 420)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(plot.title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(42)
        .y_label_area_size(64)
        .build_cartesian_2d((from * 0.9..to * 1.1).log_scale(), 0.0..top)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .x_desc(plot.x)
        .y_desc(plot.y)
        .draw()?;
    for (at, (name, points)) in plot.lines.iter().enumerate() {
        let color = Palette99::pick(at).to_rgba();
        chart
            .draw_series(LineSeries::new(points.iter().copied(), color.stroke_width(2)).point_size(4))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], color.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK)
        .draw()?;
    root.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_the_letters() {
        let rows = [["a", "12"], ["tổng hợp", "3"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(
            table(&["name", "n"], rows.into_iter()),
            "| name     | n   |\n| -------- | --- |\n| a        | 12  |\n| tổng hợp | 3   |\n"
        );
        assert_eq!(table(&["name"], std::iter::empty()), "");
    }

    #[test]
    fn numbers_have_three_digits() {
        assert_eq!(
            [1.234, 12.34, 123.4, 12345.6].map(number),
            ["1.23", "12.3", "123", "12346"]
        );
    }
}
