"""One cluster in a data directory of ours: its settings, its server, what its control file says.

The settings that a copy depends on are given on the server's command line, where neither the source's postgresql.conf
nor its postgresql.auto.conf can change them: a copy never archives, listens elsewhere or writes where the source does.
"""
import hashlib

from postgresql.host import attempt, run

# Where the server can be reached on the host itself. Not in the data directory: a share holds no sockets for certain,
# and a socket's path may have no more than 107 bytes.
SOCKETS = '/tmp/cow-postgres-{}'

START = r'''
set -euo pipefail
umask 077
mkdir -p -- "$SOCKETS"
[ -O "$SOCKETS" ] && [ ! -L "$SOCKETS" ] || { echo "$SOCKETS belongs to somebody else" >&2; exit 1; }
mkdir -p -- "$DATA/log"
chmod 700 -- "$DATA"

printf '%s\n' "include_if_exists 'postgresql.conf'" >"$DATA/cow.conf"
# A standby needs room for as many sessions as its source has, whose settings may lie elsewhere.
"$BIN/pg_controldata" -D "$DATA" | sed -n \
    -e 's/^max_prepared_xacts setting: */max_prepared_transactions = /p' \
    -e 's/^max_locks_per_xact setting: */max_locks_per_transaction = /p' \
    -e 's/^\(max_connections\|max_worker_processes\|max_wal_senders\) setting: */\1 = /p' >>"$DATA/cow.conf"
printf '%s\n' "$SETTINGS" >>"$DATA/cow.conf"
# On the host itself only who may enter the socket's directory gets in: the database's owner.
printf '%s\n' 'local all all trust' 'local replication all trust' "$ACCESS" >"$DATA/cow_hba.conf"
: >"$DATA/cow_ident.conf"

options=()
option() { options+=("-c $1=$(printf %q "$2")"); }
option config_file "$DATA/cow.conf"
option hba_file "$DATA/cow_hba.conf"
option ident_file "$DATA/cow_ident.conf"
option data_directory "$DATA"
option external_pid_file ''
option port "$PORT"
option listen_addresses "$LISTEN"
option unix_socket_directories "$SOCKETS"
option unix_socket_permissions 0700
option archive_mode off
option logging_collector off
option log_destination stderr
option ssl off
# It is asked how far it is. A copy that recovers is not, and need not have as much room as its source.
option hot_standby "$([ -n "$PRIMARY" ] && echo on || echo off)"
option restore_command "$RESTORE"
option primary_conninfo "$PRIMARY"
option primary_slot_name "$SLOT"
option recovery_target_timeline latest
log=$DATA/log/cow.log
: >"$log"
if "$BIN/pg_ctl" -s -w -t "$PATIENCE" -D "$DATA" -l "$log" -o "${options[*]}" start; then
    # pg_ctl takes one that still recovers for one that has started.
    until=$((SECONDS + PATIENCE))
    while [ $SECONDS -lt $until ] && "$BIN/pg_ctl" -D "$DATA" status >/dev/null; do
        "$BIN/pg_isready" -q -h "$SOCKETS" -p "$PORT" && exit
        sleep 0.1
    done
    echo "it does not come to take connections" >&2
fi
grep -E 'FATAL|PANIC|could not' "$log" | tail -n 5 >&2
exit 1
'''

STOP = r'''
set -euo pipefail
if "$BIN/pg_ctl" -D "$DATA" status >/dev/null 2>&1; then
    "$BIN/pg_ctl" -s -w -t 600 -m fast -D "$DATA" stop
fi
rmdir -- "$SOCKETS" 2>/dev/null || true
'''

# What must not come along from where the files were: a server's id, and what a standby was told.
SETTLE = r'''
set -euo pipefail
[ -f "$DATA/PG_VERSION" ] || { echo "there is no cluster in $DATA" >&2; exit 1; }
found=$(cat "$DATA/PG_VERSION")
[ "$found" = "$VERSION" ] || { echo "the cluster is of version $found, the programs are of $VERSION" >&2; exit 1; }
rm -f -- "$DATA/postmaster.pid" "$DATA/standby.signal" "$DATA/recovery.signal" "$DATA"/pg_stat_tmp/*
# A copy of a standby ends its recovery on a timeline of its own. A copy of a server that ran recovers by itself.
state=$("$BIN/pg_controldata" -D "$DATA" | sed -n 's/^Database cluster state: *//p')
case $state in
    *'in recovery' | 'in archive recovery') touch -- "$DATA/recovery.signal" ;;
esac
[ ! -e "$DATA/backup_label" ] || touch -- "$DATA/recovery.signal"
'''


class Cluster(object):
    """The cluster in `data`, on the host of `connection`, with the programs in `bin_path`."""

    def __init__(self, connection, repository, owner, data, guid):
        self.connection = connection
        self.version = repository.version
        self.owner = owner
        self.data = data
        self.bin_path = repository.bin_path
        self.sockets = SOCKETS.format(hashlib.sha256(guid.encode()).hexdigest()[:12])

    def run(self, act, action, script, **variables):
        return run(self.connection, self.owner, act, action, script,
                   BIN=self.bin_path, DATA=self.data, SOCKETS=self.sockets, VERSION=self.version, **variables)

    def attempt(self, script, **variables):
        return attempt(self.connection, self.owner, script,
                       BIN=self.bin_path, DATA=self.data, SOCKETS=self.sockets, VERSION=self.version, **variables)

    def settle(self):
        """Makes a copy of files ready to be started as a database of its own."""
        self.run('prepare ' + self.data, 'Choose a repository of the version of the source.', SETTLE)

    def start(self, port, listen='', access=(), settings=(), primary='', slot='', password='', patience=300):
        self.run(
            'start PostgreSQL in ' + self.data,
            'Read {}/log/cow.log; see that port {} is free and that the settings fit this host.'.format(self.data, port),
            START, PORT=port, LISTEN=listen, ACCESS='\n'.join(access), SETTINGS='\n'.join(settings), PATIENCE=patience,
            # With nothing to be restored from, recovery ends where the files' own log does.
            PRIMARY=primary, SLOT=slot, RESTORE='' if primary else 'false', PGPASSWORD=password)

    def stop(self):
        self.run('stop PostgreSQL in ' + self.data, 'Read {}/log/cow.log.'.format(self.data), STOP)

    def is_running(self):
        return self.attempt('"$BIN/pg_ctl" -D "$DATA" status').exit_code == 0

    def sql(self, port, role, statement, act):
        """What a statement answers, on the host itself."""
        return self.run(
            act, 'See that the role {} is there, and read {}/log/cow.log.'.format(role, self.data),
            'exec "$BIN/psql" -X -A -t -q -v ON_ERROR_STOP=1 -h "$SOCKETS" -p "$PORT" -U "$ROLE" -d postgres -c "$SQL"',
            PORT=port, ROLE=role, SQL=statement)

    def control(self):
        """What the control file says, by the names that pg_controldata has."""
        said = self.run('read the control file of ' + self.data, 'See that it is there.',
                        '"$BIN/pg_controldata" -D "$DATA"')
        pairs = (line.split(':', 1) for line in said.splitlines() if ':' in line)
        return {name.strip(): value.strip() for name, value in pairs}
