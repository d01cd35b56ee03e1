//! `cowctl clients`: who has what mounted, and what they do.

use cow_api::time::Time;
use cow_api::v1::{Client, Clients, Traffic, path};

use crate::arguments::{Command, Given};
use crate::commands::{NO_HEADER, PARSABLE, Session};
use crate::failure::Failure;
use crate::table::{Cell, Style, Table};

pub const COMMAND: Command = Command {
    name: "clients",
    about: "List NFS clients, what each has mounted, and how much it does",
    operands: "",
    count: 0..=0,
    flags: &[NO_HEADER, PARSABLE],
    more: "A line for each share that a client has mounted. Rates are of the last seconds, and what was read and written\n\
           is of all time since cowd started. CONNECTIONS are the client's; it closes those that are quiet. After a\n\
           restart of cowd clients go on without mounting again: what they use is listed from their first call on.",
    run,
};

const HEADINGS: [&str; 9] =
    ["client", "connections", "share", "calls/s", "read/s", "written/s", "read", "written", "last"];

fn run(session: &Session<'_>, given: &Given) -> Result<(), Failure> {
    let clients: Clients = session.client.get(path::CLIENTS)?;
    session.output.result("clients", &clients, || {
        let style = Style { for_scripts: given.has("no-header"), exact: given.has("parsable") };
        let rows: Vec<_> = clients.clients.iter().flat_map(rows).collect();
        if rows.is_empty() && !style.for_scripts {
            return Ok(());
        }
        let table = Table { headings: HEADINGS.map(str::to_owned).to_vec(), rows };
        let lines = table.lines(style, |tone, text| session.output.paint(tone, text));
        lines.iter().try_for_each(|line| session.output.line(line))
    })
}

/// A row for each mount; one for a client that has none.
fn rows(client: &Client) -> Vec<Vec<Cell>> {
    if client.mounts.is_empty() {
        return vec![row(client, Cell::Nothing, &client.traffic, client.last)];
    }
    let mounts = client.mounts.iter();
    mounts.map(|mount| row(client, Cell::text(&mount.path), &mount.traffic, mount.last)).collect()
}

fn row(client: &Client, share: Cell, traffic: &Traffic, last: Option<Time>) -> Vec<Cell> {
    let whole = |rate: f64| rate.round() as u64;
    vec![
        Cell::text(&client.address),
        Cell::Number(client.connections),
        share,
        Cell::Number(whole(traffic.calls_per_second)),
        Cell::Bytes(whole(traffic.read_bytes_per_second)),
        Cell::Bytes(whole(traffic.written_bytes_per_second)),
        Cell::Bytes(traffic.read_bytes),
        Cell::Bytes(traffic.written_bytes),
        Cell::of(last, Cell::Moment),
    ]
}
