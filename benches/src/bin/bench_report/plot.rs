//! Draws one plot.

use std::error::Error;
use std::ops::Range;
use std::path::Path;

use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

use crate::found::Plot;

const SIZE: (u32, u32) = (800, 440);
/// Colours that differ also for who sees few of them (Okabe and Ito, "Color Universal Design").
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(90, 90, 90),
];

/// Writes the plot to a file of SVG.
///
/// # Errors
/// When the file cannot be written.
pub fn draw(plot: &Plot, path: &Path) -> Result<(), Box<dyn Error>> {
    let (x, y) = (range(plot, |point| point.0, plot.log_x), range(plot, |point| point.1, plot.log_y));
    match (plot.log_x, plot.log_y) {
        (false, false) => draw_on(plot, path, x, y),
        (true, false) => draw_on(plot, path, x.log_scale(), y),
        (false, true) => draw_on(plot, path, x, y.log_scale()),
        (true, true) => draw_on(plot, path, x.log_scale(), y.log_scale()),
    }
}

/// What an axis has to show: from nothing on, or, where it is logarithmic, from the least.
fn range(plot: &Plot, of: impl Fn(&(f64, f64)) -> f64, logarithmic: bool) -> Range<f64> {
    let values = || plot.lines.iter().flat_map(|line| &line.points).map(&of);
    let most = values().fold(f64::MIN_POSITIVE, f64::max);
    if logarithmic { values().fold(most, f64::min) / 1.2..most * 1.2 } else { 0.0..most * 1.05 }
}

fn draw_on<X, Y>(plot: &Plot, path: &Path, x: X, y: Y) -> Result<(), Box<dyn Error>>
where
    X: AsRangedCoord<Value = f64>,
    X::CoordDescType: ValueFormatter<f64>,
    Y: AsRangedCoord<Value = f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(&plot.title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(76)
        .build_cartesian_2d(x, y)?;
    let mut mesh = chart.configure_mesh();
    mesh.light_line_style(TRANSPARENT).x_desc(&plot.x).y_desc(&plot.y);
    mesh.x_label_formatter(&label).y_label_formatter(&label).draw()?;
    for (line, colour) in plot.lines.iter().zip(COLOURS.iter().cycle()) {
        let drawn = LineSeries::new(line.points.iter().copied(), colour.stroke_width(2)).point_size(2);
        let key = |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2));
        chart.draw_series(drawn)?.label(&line.name).legend(key);
    }
    let mut keys = chart.configure_series_labels();
    keys.background_style(WHITE.mix(0.8)).border_style(BLACK.mix(0.3)).draw()?;
    area.present()?;
    Ok(())
}

/// A number in few letters.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "plotters wants it so")]
fn label(value: &f64) -> String {
    let plain = |value: f64| format!("{:.2}", value).trim_end_matches('0').trim_end_matches('.').to_owned();
    match value.abs() {
        big if big >= 1e6 => format!("{} M", plain(value / 1e6)),
        big if big >= 1e3 => format!("{},{:03}", (value / 1e3).trunc(), (value % 1e3).abs().round()),
        _ => plain(*value),
    }
}
