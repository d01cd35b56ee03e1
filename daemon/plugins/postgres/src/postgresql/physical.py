"""V2P: copied files become a cluster as PostgreSQL's own tools make one, which nothing of cow is left in."""
from dlpx.virtualization import libs
from dlpx.virtualization.platform.exceptions import UserError

from postgresql.cluster import Cluster
from postgresql.host import run

CHECK = r'''
[ ! -e "$TARGET" ] || [ -d "$TARGET" ] || { echo "$TARGET is no directory" >&2; exit 1; }
[ -z "$(ls -A -- "$TARGET" 2>/dev/null)" ] || { echo "$TARGET is not empty" >&2; exit 1; }
'''

# The engine copied as root or as the environment's user; only root can give the files away.
TAKE = r'''
owner=${OWNER:-$(id -un)}
[ "$(stat -c %U -- "$DATA")" = "$owner" ] || chown -R -- "$owner": "$TARGET"
'''

# Settings that lay outside of the source's data directory did not come along.
LEAVE_PLAIN = r'''
set -euo pipefail
rm -rf -- "$DATA/cow.conf" "$DATA/cow_hba.conf" "$DATA/cow_ident.conf" "$DATA/log/cow.log" "$DATA/postmaster.opts"
[ -e "$DATA/postgresql.conf" ] || printf '%s\n' "port = $PORT" >"$DATA/postgresql.conf"
[ -e "$DATA/pg_ident.conf" ] || : >"$DATA/pg_ident.conf"
[ -e "$DATA/pg_hba.conf" ] || printf '%s\n' 'local all all peer' 'host all all 127.0.0.1/32 scram-sha-256' \
    'host all all ::1/128 scram-sha-256' >"$DATA/pg_hba.conf"
'''

PRIVATE_PORT = 5432


def before(repository, physical_source):
    parameters = physical_source.parameters
    target = physical_source.target_directory
    # As the environment's user: the database's owner may not be able to look there.
    connection = physical_source.connection
    said = libs.run_bash(connection, CHECK, {'TARGET': target})
    if said.exit_code != 0:
        raise UserError('Cannot copy to {}: {}'.format(target, said.stderr.strip()), 'Name another directory, or empty it.')
    run(connection, parameters.os_user, 'find the programs in ' + repository.bin_path,
        'Install PostgreSQL {} on host {}.'.format(repository.version, connection.environment.host.name),
        '[ "$("$BIN/postgres" --version | grep -oE "[0-9]+" | head -n 1)" = "$VERSION" ]',
        BIN=repository.bin_path, VERSION=repository.version)


def after(repository, physical_source):
    parameters, target = physical_source.parameters, physical_source.target_directory
    connection = physical_source.connection
    cluster = Cluster(connection, repository, parameters.os_user, target + '/data', physical_source.guid + target)
    taken = libs.run_bash(connection, TAKE, {'OWNER': parameters.os_user or '', 'TARGET': target, 'DATA': cluster.data})
    if taken.exit_code != 0:
        raise UserError('Cannot give {} to its owner'.format(target), 'Use an environment user that is root or the owner.',
                        taken.stderr)
    cluster.settle()
    # It recovers here, by itself, so that what is left is a cluster at rest.
    cluster.start(PRIVATE_PORT)
    cluster.stop()
    cluster.run('write the settings', 'See that {} can be written.'.format(target), LEAVE_PLAIN,
                PORT=parameters.port or 5432)
    cluster.attempt('rm -rf -- "$SOCKETS"')
