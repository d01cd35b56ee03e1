"""The copy on the staging host: a standby that runs only while it catches up.

The first sync takes a base backup. Each later one starts the copy as a standby, waits until it has everything that the
source had when the sync began, and stops it. So a snapshot is of a cluster at rest, only what changed is written, and
between syncs nothing runs. What it takes is that the source still has the log since the last sync: with a replication
slot it always does, else as much as `wal_keep_size` says. If it has not, the sync says so, and `resync` copies anew.
"""
from datetime import datetime, timezone

from dlpx.virtualization.common import PasswordCredentials
from dlpx.virtualization.libs import retrieve_credentials
from dlpx.virtualization.platform.exceptions import UserError
from generated.definitions import SnapshotDefinition

from postgresql.cluster import Cluster
from postgresql.host import run

DATA = '/data'

ASK_SOURCE = r'''
exec "$BIN/psql" -X -A -t -q -F ' ' -v ON_ERROR_STOP=1 -d "$SOURCE dbname=postgres" -c "
SELECT current_setting('server_version_num')::int / 10000,
       (SELECT system_identifier FROM pg_control_system()),
       (SELECT count(*) FROM pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global')),
       CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END"
'''

MAKE_SLOT = r'''
exec "$BIN/psql" -X -q -v ON_ERROR_STOP=1 -v slot="$SLOT" -d "$SOURCE dbname=postgres" <<'END'
SELECT pg_create_physical_replication_slot(:'slot', true)
WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = :'slot')
END
'''

# The backup is made beside the old copy, and takes its name only when it is whole.
BACK_UP = r'''
set -euo pipefail
umask 077
rm -rf -- "$DATA" "$DATA.new"
"$BIN/pg_basebackup" -D "$DATA.new" -d "$SOURCE" -X stream -c fast --no-password ${SLOT:+-S "$SLOT"}
mv -- "$DATA.new" "$DATA"
'''

# Where nothing comes any more and everything that came is replayed, the rest is room at the end of a page.
CATCH_UP = r'''
set -euo pipefail
ask() { "$BIN/psql" -X -A -t -q -v ON_ERROR_STOP=1 -h "$SOCKETS" -p "$PORT" -U "$ROLE" -d postgres -c "$1"; }
until=$((SECONDS + PATIENCE)) idle=0 before=
while [ $SECONDS -lt $until ]; do
    "$BIN/pg_ctl" -D "$DATA" status >/dev/null 2>&1 ||
        { echo "the standby ended: $(grep -E 'FATAL|PANIC' "$DATA/log/cow.log" | tail -n 1)" >&2; exit 1; }
    now=$(ask "SELECT pg_last_wal_replay_lsn() >= '$TARGET',
        coalesce(pg_last_wal_receive_lsn() >= '$TARGET', false), pg_last_wal_replay_lsn()" 2>/dev/null) || now=
    case $now in
        t*) exit 0 ;;
        f\|t\|*) [ "$now" = "$before" ] && idle=$((idle + 1)) || idle=0 ;;
        *) idle=0 ;;
    esac
    [ $idle -lt 20 ] || exit 0
    if lost=$(grep -E 'has already been removed|slot .* does not exist' "$DATA/log/cow.log" | tail -n 1); then
        echo "the source has no longer what is needed: $lost" >&2
        exit 3
    fi
    before=$now
    sleep 0.25
done
echo "the standby did not catch up in time: $(tail -n 1 "$DATA/log/cow.log")" >&2
exit 1
'''

STAGING_PORT = 5432


def staged(staged_source, repository):
    """The copy of a linked source."""
    parameters = staged_source.parameters
    return Cluster(staged_source.staged_connection, repository, parameters.os_user, parameters.mount_path + DATA,
                   staged_source.guid)


class Upstream(object):
    """The source's server, as the staging host reaches it."""

    def __init__(self, staged_source, repository):
        parameters = staged_source.parameters
        self.connection, self.owner = staged_source.staged_connection, parameters.os_user
        self.bin_path, self.version = repository.bin_path, repository.version
        self.slot, self.role = parameters.replication_slot or '', parameters.role
        self.password = parameters.password or ''
        if parameters.credentials:
            found = retrieve_credentials(parameters.credentials)
            if not isinstance(found, PasswordCredentials):
                raise UserError('The credentials are no password', 'PostgreSQL takes a password: give one.')
            self.password = found.password
        self.address = conninfo(
            host=parameters.source_host, port=parameters.source_port or 5432, user=parameters.role,
            application_name='cow', connect_timeout=15)

    def run(self, act, action, script, **variables):
        # psql and the server itself read the password here: it is in no argument and on no disk.
        return run(self.connection, self.owner, act, action, script, BIN=self.bin_path, SOURCE=self.address,
                   SLOT=self.slot, PGPASSWORD=self.password, **variables)

    def ask(self):
        """The system identifier and the position of now, once it is known that this source can be copied."""
        said = self.run(
            'ask the source',
            'See that the server runs and that pg_hba.conf lets role {} in from the staging host, to the database '
            'postgres and for replication.'.format(self.role), ASK_SOURCE)
        version, identifier, tablespaces, position = said.split()
        if int(version) != self.version:
            raise UserError('The source is PostgreSQL {}, the staging host has {}'.format(version, self.version),
                            'Link it to a repository of the version of the source.')
        if tablespaces != '0':
            raise UserError('The source has {} tablespaces of its own'.format(tablespaces),
                            'Move what is in them to pg_default: only what is in the data directory is copied.')
        return identifier, position

    def make_slot(self):
        if self.slot:
            self.run('make the replication slot ' + self.slot,
                     'Give the role REPLICATION, and see that max_replication_slots leaves room.', MAKE_SLOT)


def conninfo(**values):
    quote = lambda value: "'{}'".format(str(value).replace('\\', '\\\\').replace("'", "\\'"))  # noqa: E731
    return ' '.join('{}={}'.format(name, quote(value)) for name, value in values.items())


def sync(staged_source, repository, snapshot_parameters):
    """Brings the copy to where the source is now."""
    cluster, upstream = staged(staged_source, repository), Upstream(staged_source, repository)
    identifier, position = upstream.ask()
    upstream.make_slot()
    # A sync that was cut off may have left it.
    cluster.stop()
    is_there = cluster.attempt('[ -f "$DATA/PG_VERSION" ]').exit_code == 0
    if snapshot_parameters is not None and snapshot_parameters.resync or not is_there:
        upstream.run('take a base backup',
                     'See that max_wal_senders leaves room, and that the staging mount can be written.',
                     BACK_UP, DATA=cluster.data)
    elif cluster.control().get('Database system identifier') != identifier:
        raise UserError('The source is another cluster than the one that was linked',
                        "Sync with the parameter resync, which copies anew.")
    catch_up(cluster, upstream, position, staged_source.parameters.sync_minutes or 60)


def catch_up(cluster, upstream, position, minutes):
    cluster.run('prepare the standby', 'See that the staging mount can be written.',
                'rm -f -- "$DATA/recovery.signal" "$DATA/postmaster.pid" && touch -- "$DATA/standby.signal"')
    try:
        cluster.start(STAGING_PORT, primary=upstream.address, slot=upstream.slot, password=upstream.password,
                      patience=minutes * 60)
        cluster.run(
            'catch up with the source',
            'If the source no longer has the log, sync with the parameter resync, and give a replicationSlot or raise '
            'wal_keep_size; else see that it can be reached.',
            CATCH_UP, PORT=STAGING_PORT, ROLE=upstream.role, TARGET=position, PATIENCE=minutes * 60)
    finally:
        # At rest whatever happened: what is half replayed goes on from there the next time.
        cluster.stop()


def described(cluster):
    """What a snapshot holds."""
    control = cluster.control()
    end = control.get('Minimum recovery ending location', '0/0')
    return SnapshotDefinition(
        version=str(cluster.version),
        lsn=end if end != '0/0' else control.get('Latest checkpoint location', ''),
        timeline=int(control.get("Latest checkpoint's TimeLineID", '0')),
        system_identifier=control.get('Database system identifier', ''),
        time=datetime.now(timezone.utc).isoformat(timespec='seconds'))
