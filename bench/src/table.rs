//! Markdown tables of all figures.

use std::fmt::Write;

use crate::at_rest::AtRest;
use crate::comparison::COMPARISONS;
use crate::figures::ONE_PROCESS;
use crate::row::Row;
use crate::scenarios::Table;
use crate::search::SEARCHES;

pub(crate) fn markdown(rows: &[Row], at_rest: &[AtRest], about: &str) -> String {
    let mut text = format!(
        "# Benchmarks\n\nResults of `make bench` on {about}. Load generator, webhook, broker, database and\n\
         programs share the machine, so ratios matter more than absolute figures. The **floor** is `wahook-floor`:\n\
         the same crates, reduced to accept → confirmed publish → answer, and consume → POST → ack. Cells show the\n\
         median and, in brackets, the lowest and highest of all runs. Each ratio compares two consecutive runs.\n\n\
         | scenario | wahook, events/s | floor, events/s | ratio | wahook, µs CPU per event | floor, µs CPU per event |\n\
         |---|---|---|---|---|---|\n"
    );
    let of = |table| rows.iter().filter(move |row| row.scenario.table() == table);
    for row in of(Table::Rate) {
        let _infallible = writeln!(text, "| {} |", row.cells().join(" | "));
    }
    text += "\nCPU: producer + consumer / broker / mongod, or the single process.\n\n\
             | ratio of rates | wahook | floor |\n|---|---|---|\n";
    for comparison in COMPARISONS {
        let _infallible = writeln!(text, "| {} |", comparison.cells(rows).join(" | "));
    }
    text += "\n| latency, ms: p50 / p99 / p99.9 | wahook | floor |\n|---|---|---|\n";
    for row in of(Table::Latency) {
        let _infallible = writeln!(text, "| {} |", row.latency_cells().join(" | "));
    }
    text += "\nLatency is the time from sending an event to the arrival of its first attempt.\n";
    text += &searches(of(Table::Search));
    text += "\n| peak memory, MiB | producer | consumer | single process |\n|---|---|---|---|\n";
    for row in rows
        .iter()
        .filter(|row| row.scenario.table() != Table::Search)
    {
        let cell = |program| row.peak_memory(program).filter(|mib| *mib > 0.0);
        let cell = |program| cell(program).map_or("–".to_owned(), |mib| format!("{mib:.1}"));
        let what = row.scenario.what;
        let _infallible = writeln!(
            text,
            "| {what} | {} | {} | {} |",
            cell("producer"),
            cell("consumer"),
            cell(ONE_PROCESS)
        );
    }
    text += "\n| idle program | executable, MiB | start to ready, ms | memory, MiB |\n|---|---|---|---|\n";
    for program in at_rest {
        let AtRest {
            name,
            file_mib,
            ready_after,
            resident_mib,
        } = program;
        let millis = ready_after.as_millis();
        let _infallible = writeln!(
            text,
            "| {name} | {file_mib:.1} | {millis} | {resident_mib:.1} |"
        );
    }
    text
}

/// Returns the table of the console's searches.
fn searches<'a>(rows: impl Iterator<Item = &'a Row>) -> String {
    let names = SEARCHES.map(|(name, _)| name).join(" | ");
    let mut text = format!(
        "\n| console on 100,000 deliveries, ms: p50 / p99 | {names} |\n|---|---|---|---|---|\n"
    );
    for row in rows {
        let _infallible = writeln!(text, "| {} |", row.search_cells().join(" | "));
    }
    text
}
