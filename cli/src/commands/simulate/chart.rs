//! The results as a chart: an SVG file that is readable on a light and on a dark page.

use std::fmt::Write;

use super::limits::Mode;
use super::table::{WARM_UP_S, ms, percent};
use super::world::{Run, World};

/// The chart of all runs: a line for each mode of each limit, a panel for each measure.
pub(super) fn draw(gateway: &str, world: World, runs: &[Run]) -> String {
    let panels = panels(runs);
    let rows = rows(runs);
    let bottom = rows.last().map_or(TOP, |row| row.y) + ROW;
    let (width, height) = (LEFT + panels.len() as f64 * PANEL, bottom + BELOW);
    let title = format!("{gateway}: limits in a {} world", world.word());
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         role=\"img\" aria-labelledby=\"title desc\">\n<title id=\"title\">{}</title>\n<desc id=\"desc\">{}</desc>\n{STYLE}\
         <rect class=\"page\" width=\"{width}\" height=\"{height}\"/>\n",
        escaped(&title),
        escaped(&description(runs)),
    );
    text(&mut svg, "title", "start", MARGIN, 30.0, &title);
    text(&mut svg, "quiet", "start", MARGIN, 50.0, &subtitle(runs));
    for (place, row) in rows.iter().enumerate() {
        if row.is_first {
            if place > 0 {
                line(&mut svg, "group", (MARGIN, row.y - ROW * 0.75), (width - MARGIN, row.y - ROW * 0.75));
            }
            text(&mut svg, "name", "start", MARGIN, row.y + 4.0, &row.run.limit.name);
            let how =
                format!("{} · {}", row.run.limit.numbers_by(|number| short(number.into())), row.run.limit.algorithm());
            text(&mut svg, "quiet", "start", MARGIN, row.y + 20.0, &how);
        }
        let own = if row.run.is_own() { "*" } else { "" };
        text(&mut svg, row.run.mode.word(), "end", LEFT - 14.0, row.y + 4.0, &format!("{}{own}", row.run.mode));
    }
    for (place, panel) in panels.iter().enumerate() {
        panel.draw(&mut svg, LEFT + place as f64 * PANEL, bottom, &rows);
    }
    legend(&mut svg, bottom + 66.0);
    svg.push_str("</svg>\n");
    svg
}

struct Row<'r> {
    run: &'r Run,
    y: f64,
    is_first: bool,
}

fn rows(runs: &[Run]) -> Vec<Row<'_>> {
    let mut y = TOP;
    let mut rows: Vec<Row<'_>> = Vec::new();
    for run in runs {
        let is_first = rows.last().is_none_or(|last| {
            (&last.run.limit.name, last.run.limit.algorithm()) != (&run.limit.name, run.limit.algorithm())
        });
        if is_first && !rows.is_empty() {
            // A limit has two lines of text at least.
            let begun = rows.iter().rposition(|row| row.is_first).map_or(0, |first| rows.len() - first);
            y += ROW * if begun < 2 { 1.5 } else { 0.5 };
        }
        rows.push(Row { run, y, is_first });
        y += ROW;
    }
    rows
}

/// One measure of all runs.
struct Panel {
    name: &'static str,
    unit: &'static str,
    scale: Scale,
    marks: Vec<Marks>,
}

/// What is drawn of one run.
struct Marks {
    /// The filled mark.
    value: f64,
    /// The hollow one, if there is one.
    most: Option<f64>,
    /// The stated bound.
    bound: Option<f64>,
    shown: String,
}

fn panels(runs: &[Run]) -> Vec<Panel> {
    let overshoot = runs.iter().map(|run| Marks {
        value: run.overshoot() as f64,
        most: None,
        bound: Some(run.bound() as f64),
        shown: format!("{} of {}", short(run.overshoot()), short(run.bound())),
    });
    let refused = runs.iter().map(|run| {
        let part = run.per_million(|report| report.falsely_refused);
        Marks { value: part as f64 / 10_000.0, most: None, bound: None, shown: percent(part) }
    });
    let calls = runs.iter().map(|run| Marks {
        value: run.calls_mean() as f64,
        most: Some(run.calls_max(WARM_UP_S).max(run.calls_mean()) as f64),
        bound: None,
        shown: format!("{}, {}", short(run.calls_mean()), short(run.calls_max(WARM_UP_S).max(run.calls_mean()))),
    });
    let waits = runs.iter().map(|run| {
        let waits = run.waits();
        let (half, most) = (waits.at_per_mille(500), waits.at_per_mille(990));
        Marks {
            value: half as f64 / 1_000.0,
            most: Some(most as f64 / 1_000.0),
            bound: None,
            shown: format!("{}, {}", ms(half), ms(most)),
        }
    });
    vec![
        Panel::new("Overshoot", "requests beyond the limit", Scale::orders, overshoot.collect()),
        Panel::new("Falsely refused", "% of all requests", Scale::even, refused.collect()),
        Panel::new("Calls to the owner", "calls a second", Scale::orders, calls.collect()),
        Panel::new("Added latency", "milliseconds", Scale::orders, waits.collect()),
    ]
}

impl Panel {
    fn new(name: &'static str, unit: &'static str, scale: fn(f64) -> Scale, marks: Vec<Marks>) -> Self {
        let of = |marks: &Marks| marks.value.max(marks.most.unwrap_or(0.0)).max(marks.bound.unwrap_or(0.0));
        let most = marks.iter().map(of).fold(0.0, f64::max);
        Self { name, unit, scale: scale(most), marks }
    }

    fn draw(&self, svg: &mut String, left: f64, bottom: f64, rows: &[Row<'_>]) {
        let at = |value: f64| left + self.scale.part(value) * PLOT;
        text(svg, "name", "start", left, TOP - 34.0, self.name);
        for tick in self.scale.ticks() {
            line(svg, "grid", (at(tick), TOP - 18.0), (at(tick), bottom - ROW * 0.3));
            text(svg, "tick", "middle", at(tick), bottom + 12.0, &tick_text(tick));
        }
        text(svg, "quiet", "start", left, bottom + 30.0, self.unit);
        for (row, marks) in rows.iter().zip(&self.marks) {
            let (y, mode) = (row.y, row.run.mode);
            let from = if marks.most.is_some() { at(marks.value) } else { at(0.0) };
            let to = marks.most.map_or_else(|| at(marks.value), at);
            line(svg, &format!("bar {mode}"), (from, y), (to, y));
            if let Some(bound) = marks.bound {
                line(svg, "bound", (at(bound), y - 7.0), (at(bound), y + 7.0));
            }
            if let Some(most) = marks.most {
                circle(svg, &format!("hollow {mode}"), at(most), y);
            }
            circle(svg, &format!("filled {mode}"), at(marks.value), y);
            text(svg, "value", "start", left + PLOT + 10.0, y + 4.0, &marks.shown);
        }
    }
}

/// Where a value is on an axis that begins at 0.
#[derive(Clone, Copy)]
enum Scale {
    /// Each order of magnitude is as long as the others.
    Orders {
        exponent: i32,
    },
    Even {
        most: f64,
    },
}

impl Scale {
    fn orders(most: f64) -> Self {
        Self::Orders { exponent: (most.max(10.0).log10() - 1e-9).ceil() as i32 }
    }

    fn even(most: f64) -> Self {
        let steps = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0];
        Self::Even { most: steps.into_iter().find(|step| *step >= most).unwrap_or(100.0) }
    }

    fn part(self, value: f64) -> f64 {
        match self {
            Self::Orders { exponent } => (1.0 + value).log10() / (1.0 + 10_f64.powi(exponent)).log10(),
            Self::Even { most } => value / most,
        }
    }

    fn ticks(self) -> Vec<f64> {
        match self {
            Self::Orders { exponent } => {
                // No more than there is room for, and the last one always.
                let step = 1 + (exponent - 1) / 4;
                let powers =
                    (0..=exponent).filter(|power| (exponent - power) % step == 0 && (*power > 0 || exponent < 4));
                std::iter::once(0.0).chain(powers.map(|power| 10_f64.powi(power))).collect()
            }
            Self::Even { most } => vec![0.0, most / 2.0, most],
        }
    }
}

fn tick_text(value: f64) -> String {
    match value {
        value if value >= 1_000_000_000.0 => format!("{}G", value / 1_000_000_000.0),
        value if value >= 1_000_000.0 => format!("{}M", value / 1_000_000.0),
        value if value >= 1_000.0 => format!("{}k", value / 1_000.0),
        value => value.to_string(),
    }
}

/// A number with three digits at most, and its order of magnitude.
fn short(number: u64) -> String {
    let of = |unit: u64, name: &str| match number / unit {
        whole @ 0..10 => format!("{whole}.{}{name}", number % unit * 10 / unit),
        whole => format!("{whole}{name}"),
    };
    match number {
        0..1_000 => number.to_string(),
        _ if number.is_multiple_of(1_000) && number < 1_000_000 => format!("{}k", number / 1_000),
        _ if number.is_multiple_of(1_000_000) && number < 1_000_000_000 => format!("{}M", number / 1_000_000),
        1_000..1_000_000 => of(1_000, "k"),
        1_000_000..1_000_000_000 => of(1_000_000, "M"),
        _ => of(1_000_000_000, "G"),
    }
}

fn subtitle(runs: &[Run]) -> String {
    let Some(run) = runs.first() else { return String::new() };
    let seeds = run.seeds();
    format!(
        "{} sites, {seeds} {}; * as the project says",
        run.settings.sites,
        if seeds == 1 { "seed" } else { "seeds" }
    )
}

/// What the chart shows, in words.
fn description(runs: &[Run]) -> String {
    let mut out = String::new();
    for run in runs {
        let waits = run.waits();
        let _ = write!(
            out,
            "{} ({}, {}), {}: overshoot {} of at most {}, falsely refused {}, {} calls a second to the owner, added latency {} ms (p50) and {} ms (p99). ",
            run.limit.name,
            run.limit.numbers(),
            run.limit.algorithm(),
            run.mode,
            run.overshoot(),
            run.bound(),
            percent(run.per_million(|report| report.falsely_refused)),
            run.calls_mean(),
            ms(waits.at_per_mille(500)),
            ms(waits.at_per_mille(990)),
        );
    }
    out.trim_end().to_owned()
}

fn legend(svg: &mut String, y: f64) {
    let key = Mode::Exact;
    let mut x = MARGIN + 6.0;
    circle(svg, &format!("filled {key}"), x, y);
    text(svg, "quiet", "start", x + 12.0, y + 4.0, "worst of all seeds; mean of calls; p50");
    x += 262.0;
    circle(svg, &format!("hollow {key}"), x, y);
    text(svg, "quiet", "start", x + 12.0, y + 4.0, "busiest second, from the third on; p99");
    x += 268.0;
    line(svg, "bound", (x, y - 7.0), (x, y + 7.0));
    text(svg, "quiet", "start", x + 12.0, y + 4.0, "the bound");
}

fn text(svg: &mut String, class: &str, anchor: &str, x: f64, y: f64, content: &str) {
    let _ = writeln!(
        svg,
        "<text class=\"{class}\" text-anchor=\"{anchor}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>",
        escaped(content)
    );
}

fn line(svg: &mut String, class: &str, from: (f64, f64), to: (f64, f64)) {
    let ((x1, y1), (x2, y2)) = (from, to);
    let _ = writeln!(svg, "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>");
}

fn circle(svg: &mut String, class: &str, x: f64, y: f64) {
    let _ = writeln!(svg, "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4.5\"/>");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const MARGIN: f64 = 24.0;
/// Where the panels begin.
const LEFT: f64 = 290.0;
const TOP: f64 = 122.0;
const ROW: f64 = 24.0;
const PANEL: f64 = 262.0;
const PLOT: f64 = 150.0;
/// The axes and the legend.
const BELOW: f64 = 90.0;

// The colours of Okabe and Ito, which people with any colour vision tell apart; lighter ones on a dark page.
const STYLE: &str = "<style>
text { font: 12px system-ui, -apple-system, \"Segoe UI\", \"DejaVu Sans\", sans-serif; fill: #1f2328; }
.page { fill: #ffffff; }
.title { font-size: 18px; font-weight: 600; }
.name { font-weight: 600; }
.quiet, .tick, .value { fill: #57606a; }
.tick { font-size: 11px; }
.grid { stroke: #d8dee4; }
.group { stroke: #d8dee4; }
.bar { stroke-width: 3; }
.bound { stroke: #57606a; stroke-width: 2; }
.hollow { stroke-width: 2; fill: #ffffff; }
text.exact { fill: #00639c; } line.exact, .hollow.exact { stroke: #0072b2; } .filled.exact { fill: #0072b2; }
text.leased { fill: #a84a00; } line.leased, .hollow.leased { stroke: #d55e00; } .filled.leased { fill: #d55e00; }
text.local { fill: #00735a; } line.local, .hollow.local { stroke: #009e73; } .filled.local { fill: #009e73; }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3; }
.page { fill: #0d1117; }
.quiet, .tick, .value { fill: #9da7b3; }
.grid, .group { stroke: #30363d; }
.bound { stroke: #9da7b3; }
.hollow { fill: #0d1117; }
text.exact { fill: #6cc1f5; } line.exact, .hollow.exact { stroke: #56b4e9; } .filled.exact { fill: #56b4e9; }
text.leased { fill: #f0a04b; } line.leased, .hollow.leased { stroke: #f0a04b; } .filled.leased { fill: #f0a04b; }
text.local { fill: #4fd1a5; } line.local, .hollow.local { stroke: #4fd1a5; } .filled.local { fill: #4fd1a5; }
}
</style>
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_begins_at_0_and_ends_at_its_last_tick() {
        for (scale, most) in [
            (Scale::orders(0.0), 10.0),
            (Scale::orders(1_000.0), 1_000.0),
            (Scale::orders(70_000.0), 100_000.0),
            (Scale::orders(2e9), 1e10),
        ] {
            assert!(scale.part(0.0).abs() < 1e-9 && (scale.part(most) - 1.0).abs() < 1e-9);
            let ticks = scale.ticks();
            assert!(ticks.len() <= 6 && ticks[0] == 0.0 && ticks.last() == Some(&most), "{ticks:?}");
        }
        assert_eq!(Scale::even(3.4).ticks(), [0.0, 2.5, 5.0]);
        assert_eq!(Scale::even(100.0).ticks(), [0.0, 50.0, 100.0]);
    }

    #[test]
    fn numbers_are_short() {
        for (number, shown) in [
            (999, "999"),
            (1_000, "1k"),
            (1_234, "1.2k"),
            (12_345, "12k"),
            (1_250_000, "1.2M"),
            (3_000_000_000, "3.0G"),
        ] {
            assert_eq!(short(number), shown);
        }
        assert_eq!(escaped("<a&b>"), "&lt;a&amp;b&gt;");
    }
}
