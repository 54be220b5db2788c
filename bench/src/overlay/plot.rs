//! Line plots as SVG, two panels side by side.

use std::fmt::Write as _;

/// A line with its name.
pub(super) struct Series {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
}

/// One panel.
pub(super) struct Panel {
    pub(super) title: &'static str,
    pub(super) across: &'static str,
    pub(super) series: Vec<Series>,
    pub(super) logarithmic: bool,
    /// Where the lines are to be read from, if not from what they show.
    pub(super) bounds: Option<(f64, f64)>,
}

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 64.0;
const TOP: f64 = 36.0;
const BOTTOM: f64 = 48.0;
const RIGHT: f64 = 14.0;
const COLOURS: [&str; 6] = [
    "#1b6ca8", "#d1495b", "#2e8b57", "#8a6fb0", "#b8860b", "#555555",
];

pub(super) fn plot(panels: &[Panel]) -> String {
    let width = WIDTH * panels.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (place, panel) in panels.iter().enumerate() {
        let _ = writeln!(
            svg,
            "<g transform=\"translate({} 0)\">",
            WIDTH * place as f64
        );
        draw(&mut svg, panel);
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw(svg: &mut String, panel: &Panel) {
    let points = || panel.series.iter().flat_map(|series| &series.points);
    let xs: Vec<f64> = points().map(|(x, _)| x.log10()).collect();
    let scale = |y: f64| {
        if panel.logarithmic {
            y.max(1e-9).log10()
        } else {
            y
        }
    };
    let ys: Vec<f64> = points().map(|(_, y)| scale(*y)).collect();
    let (left, right) = span(&xs);
    let (low, high) = panel
        .bounds
        .map_or_else(|| span(&ys), |(low, high)| (scale(low), scale(high)));
    let x = |value: f64| LEFT + (value.log10() - left) / (right - left) * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| {
        HEIGHT - BOTTOM - (scale(value) - low) / (high - low) * (HEIGHT - TOP - BOTTOM)
    };
    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"18\" font-weight=\"bold\">{}</text>\n\
         <text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
        panel.title,
        (LEFT + WIDTH - RIGHT) / 2.0,
        HEIGHT - 8.0,
        panel.across
    );
    for step in 0..=4 {
        let at = low + (high - low) * f64::from(step) / 4.0;
        let value = if panel.logarithmic {
            10_f64.powf(at)
        } else {
            at
        };
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{:.1}\" y2=\"{:.1}\" stroke=\"#ddd\"/>\n\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            y(value),
            y(value),
            LEFT - 6.0,
            y(value) + 4.0,
            label(value)
        );
    }
    let mut marks: Vec<f64> = points().map(|(x, _)| *x).collect();
    marks.sort_by(f64::total_cmp);
    marks.dedup();
    for mark in marks {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            x(mark),
            HEIGHT - BOTTOM + 16.0,
            label(mark)
        );
    }
    for (place, series) in panel.series.iter().enumerate() {
        let colour = COLOURS[place % COLOURS.len()];
        let line: Vec<String> = series
            .points
            .iter()
            .map(|&(across, up)| format!("{:.1},{:.1}", x(across), y(up)))
            .collect();
        let _ = writeln!(
            svg,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>\n\
             <text x=\"{}\" y=\"{}\" fill=\"{colour}\">{}</text>",
            line.join(" "),
            LEFT + 8.0,
            TOP + 10.0 + 13.0 * place as f64,
            series.name
        );
        for &(across, up) in &series.points {
            let _ = writeln!(
                svg,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.5\" fill=\"{colour}\"/>",
                x(across),
                y(up)
            );
        }
    }
}

fn span(values: &[f64]) -> (f64, f64) {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let margin = ((high - low) * 0.08).max(0.05);
    (low - margin, high + margin)
}

fn label(value: f64) -> String {
    match value.abs() {
        large if large >= 1_000.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{:.0}", value),
        _ => format!("{value:.3}")
            .trim_end_matches('0')
            .trim_end_matches('.')
            .to_owned(),
    }
}
