//! A session with a database: a PostgreSQL cluster on one host is staged on another, and copies of it run on a third,
//! where they are written, refreshed, rewound and copied out, by the bundled plugin `postgres` over ssh and NFS.

use cow_tests::postgres::installed;
use cow_tests::site::{Programs, Site};

const PROGRAMS: Programs = Programs {
    cowd: env!("CARGO_BIN_EXE_cowd-under-test"),
    cowctl: env!("CARGO_BIN_EXE_cowctl-under-test"),
    mount: env!("CARGO_BIN_EXE_nfs-mount"),
};

/// Where Debian puts the programs.
const BIN: &str = "/usr/lib/postgresql/15/bin";
const PORT: u16 = 5432;
const PASSWORD: &str = "unspeakable";

/// Makes the source: a cluster with pgbench's tables on the host `source`, and a role that may copy it.
fn make_source(site: &Site) {
    let text = format!(
        r#"set -euo pipefail
        {BIN}/initdb -D $HOME/source -U postgres -k -N -A scram-sha-256 --auth-local=trust >/dev/null
        printf '%s\n' "listen_addresses = '*'" "unix_socket_directories = '/tmp'" 'shared_buffers = 16MB' \
            'max_wal_size = 64MB' 'min_wal_size = 32MB' 'wal_keep_size = 256MB' >>$HOME/source/postgresql.conf
        printf '%s\n' 'host postgres copier samenet scram-sha-256' 'host replication copier samenet scram-sha-256' \
            >>$HOME/source/pg_hba.conf
        {BIN}/pg_ctl -s -w -D $HOME/source -l $HOME/log start >/dev/null 2>&1
        {BIN}/psql -Xq -h /tmp -U postgres -c "CREATE ROLE copier LOGIN REPLICATION PASSWORD '{PASSWORD}'"
        {BIN}/pgbench -i -q -s 3 -h /tmp -U postgres postgres >/dev/null 2>&1"#
    );
    site.as_deploy("source", &text);
}

/// A database: of which host, and where its socket and port are.
struct Database<'s> {
    site: &'s Site,
    environment: &'static str,
    socket: String,
    port: String,
}

impl<'s> Database<'s> {
    fn source(site: &'s Site) -> Self {
        Self { site, environment: "source", socket: "/tmp".to_owned(), port: PORT.to_string() }
    }

    /// The one whose data is in a directory of a host, as its server tells.
    fn at(site: &'s Site, environment: &'static str, data: &str) -> Self {
        let pid = site.as_deploy(environment, &format!("cat {data}/postmaster.pid"));
        let line = |at: usize| pid.lines().nth(at).unwrap_or_else(|| panic!("no line {at} in {pid}")).to_owned();
        Self { site, environment, socket: line(4), port: line(3) }
    }

    fn program(&self, program: &str, arguments: &str) -> String {
        let Self { socket, port, .. } = self;
        let line = format!("{BIN}/{program} -h {socket} -p {port} -U postgres {arguments} 2>&1");
        self.site.as_deploy(self.environment, &line).trim().to_owned()
    }

    fn sql(&self, statement: &str) -> String {
        self.program("psql", &format!("-XAtq -v ON_ERROR_STOP=1 -c \"{statement}\" postgres"))
    }

    /// What pgbench's tables come to.
    fn sums(&self) -> String {
        self.sql("SELECT count(*), sum(abalance), (SELECT count(*) FROM pgbench_history) FROM pgbench_accounts")
    }

    fn is_sound(&self) {
        self.sql("CREATE EXTENSION IF NOT EXISTS amcheck");
        self.program("pg_amcheck", "--heapallindexed --parent-check postgres");
    }
}

/// What the pool stores.
fn stored(site: &Site) -> u64 {
    let space = site.json("space");
    space["pool"]["live"].as_u64().unwrap_or_else(|| panic!("{space}"))
}

#[test]
fn a_cluster_is_staged_and_copies_of_it_are_written_refreshed_rewound_and_copied_out() {
    if !installed() {
        eprintln!("skipped: PostgreSQL 15 is not installed");
        return;
    }
    let Some(site) = Site::new("pg", PROGRAMS, &["source", "staging", "target"], &["postgres"]) else { return };
    site.hide(PASSWORD);
    make_source(&site);
    site.done("env refresh source");
    let found = site.done("source discovered source -H");
    assert!(found.contains(&format!("PostgreSQL 15 ({BIN})")) && found.contains("/home/deploy/source"), "{found}");

    let source = Database::source(&site);
    let (at_first, all_stored) = (source.sums(), link(&site));
    source.program("pgbench", "-n -t 100 postgres");
    site.done("source sync bank");
    let more = stored(&site) - all_stored;
    assert!(more < all_stored / 5, "100 transactions of {all_stored} stored bytes took {more}");
    let of_source = site.snapshots("bank");
    let hashes = site.hashes(&of_source);
    assert!(of_source.len() == 2 && hashes[0] != hashes[1]);

    two_copies(&site, &source.sums());
    rewound(&site);
    copies_of_copies(&site);
    power(&site);
    copied_out(&site, &of_source[0], &at_first);
    all_is_sound(&site);

    assert_eq!(site.hashes(&of_source), hashes, "what was provisioned from is as it was");
    nothing_is_left(&site);
}

/// Links the source by the staging host; what the pool stores then.
fn link(site: &Site) -> u64 {
    let host = site.host("source").address();
    let parameters = site.file(
        "bank.json",
        &format!(
            r#"{{"mountPath": "/home/deploy/stage", "sourceHost": "{host}", "sourcePort": {PORT}, "role": "copier",
                "password": "{PASSWORD}", "syncMinutes": 2}}"#
        ),
    );
    let parameters = parameters.display();
    site.done(&format!(
        "source link bank --plugin cow-postgres --env source --staging staging --config /home/deploy/source --param-file {parameters}"
    ));
    assert!(site.mounts("staging").contains(":/dsource/bank/1 /home/deploy/stage "), "{}", site.mounts("staging"));
    assert!(site.done("source status bank").starts_with("bank: enabled, active, "));
    stored(site)
}

fn copy<'s>(site: &'s Site, name: &str) -> Database<'s> {
    Database::at(site, "target", &format!("/home/deploy/{name}/data"))
}

fn provision(site: &Site, name: &str, from: &str) {
    site.done(&format!("vdb provision {name} {from} --env target --param path=/home/deploy/{name}"));
}

/// Each has what the source has, and what is written in one is in no other.
fn two_copies(site: &Site, sums: &str) {
    for name in ["one", "two"] {
        provision(site, name, "bank");
        assert_eq!(copy(site, name).sums(), sums);
        copy(site, name).sql(&format!("CREATE TABLE mine AS SELECT '{name}' AS name; DELETE FROM pgbench_history"));
    }
    let (one, two) = (copy(site, "one"), copy(site, "two"));
    assert!(
        one.port != two.port && one.port.parse::<u16>().is_ok_and(|port| port >= 5433),
        "{} {}",
        one.port,
        two.port
    );
    for (database, name) in [(&one, "one"), (&two, "two")] {
        assert_eq!(database.sql("SELECT name FROM mine"), name);
    }
    assert!(Database::source(site).sql("SELECT to_regclass('mine') IS NULL") == "t");
    let shown = site.json("vdb show one")["config"].clone();
    assert_eq!(shown, format!("PostgreSQL at port {}", one.port), "users are told where it is");

    // One is refreshed to what the source is by then, and the other does not mind.
    Database::source(site).program("pgbench", "-n -t 50 postgres");
    site.done("source sync bank");
    site.done("vdb refresh two");
    assert_eq!(copy(site, "two").sums(), Database::source(site).sums());
    assert_eq!(copy(site, "two").sql("SELECT to_regclass('mine') IS NULL"), "t");
    assert_eq!(copy(site, "one").sql("SELECT name FROM mine"), "one");
}

/// Back to an older snapshot, and forth to the newer ones, which stay.
fn rewound(site: &Site) {
    for number in 1..=2 {
        copy(site, "one").sql(&format!("INSERT INTO mine VALUES ('{number}')"));
        site.done("vdb snapshot one");
    }
    let names = |wanted: &str| {
        assert_eq!(copy(site, "one").sql("SELECT string_agg(name, ' ' ORDER BY name) FROM mine"), wanted);
    };
    names("1 2 one");
    let snapshots = site.snapshots("one");
    let [.., older, newer] = &snapshots[..] else { panic!("{snapshots:?}") };
    let hashes = site.hashes(&snapshots);
    site.done(&format!("vdb rewind one {older}"));
    names("1 one");
    site.done(&format!("vdb rewind one {newer}"));
    names("1 2 one");
    assert_eq!(site.hashes(&snapshots), hashes, "rewinding changes no snapshot");
    assert_eq!(site.snapshots("one").len(), snapshots.len() + 2);
}

/// What a copy became can be copied itself, and refreshed from it.
fn copies_of_copies(site: &Site) {
    provision(site, "three", "one");
    assert_eq!(copy(site, "three").sql("SELECT count(*) FROM mine"), "3");
    copy(site, "one").sql("DELETE FROM mine");
    site.done("vdb snapshot one");
    site.done("vdb refresh three");
    assert_eq!(copy(site, "three").sql("SELECT count(*) FROM mine"), "0");
}

/// Stopped and started, disabled and enabled.
fn power(site: &Site) {
    let port = copy(site, "two").port;
    for (off, says, on) in [("stop", "two: enabled, inactive", "start"), ("disable", "two: disabled", "enable")] {
        site.done(&format!("vdb {off} two"));
        assert!(site.done("vdb status two").starts_with(says), "{}", site.done("vdb status two"));
        assert_eq!(site.mounts("target").contains(":/vdb/two/2 "), off == "stop");
        site.done(&format!("vdb {on} two"));
        assert!(site.done("vdb status two").starts_with("two: enabled, active, "));
        assert_eq!((copy(site, "two").port, copy(site, "two").sums()), (port.clone(), Database::source(site).sums()));
    }
}

/// A snapshot becomes a plain cluster, which PostgreSQL's own programs start as they start any.
fn copied_out(site: &Site, snapshot: &str, sums: &str) {
    site.done(&format!("v2p {} /home/deploy/plain --env target", snapshot.replace("dsource/bank/1@", "bank@")));
    let data = "/home/deploy/plain/data";
    site.as_deploy("target", &format!("{BIN}/pg_checksums --check -D {data}"));
    site.as_deploy("target", &format!("{BIN}/pg_ctl -s -w -D {data} -l /home/deploy/plain.log start >/dev/null 2>&1"));
    let plain = Database::at(site, "target", data);
    assert_eq!((plain.port.as_str(), plain.sums().as_str()), ("5432", sums));
    plain.is_sound();
    site.as_deploy("target", &format!("{BIN}/pg_ctl -s -w -D {data} stop"));
    assert_eq!(site.as_deploy("target", &format!("ls -a {data} | grep -i cow || true")), "");
}

fn all_is_sound(site: &Site) {
    Database::source(site).is_sound();
    for name in ["one", "two", "three"] {
        copy(site, name).is_sound();
    }
}

fn nothing_is_left(site: &Site) {
    for name in ["one", "two", "three"] {
        site.done(&format!("vdb delete {name}"));
    }
    site.done("source unlink bank");
    for environment in ["staging", "target"] {
        assert_eq!(site.mounts(environment), "");
        let left = "find /home/deploy/{one,two,three,stage} /tmp/cow-postgres-* -mindepth 1 2>/dev/null || true;
            ls -d /tmp/cow-postgres-* 2>/dev/null || true; pgrep -lx 'postgres|mount.nfs' || true";
        assert_eq!(site.bash(environment, left), "", "left on {environment}");
    }
    assert_eq!((site.done("fault"), site.datasets().join(" ")), (String::new(), "dsource vdb".to_owned()));
    let shares = site.json("share list").to_string();
    assert!(!shares.contains("198.51.100.1"), "{shares}");
}
