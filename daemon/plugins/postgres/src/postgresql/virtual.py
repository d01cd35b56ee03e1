"""Copies that are databases of their own: on a port of their own, on a timeline of their own."""
import zlib

from dlpx.virtualization import libs
from dlpx.virtualization.platform.exceptions import UserError
from generated.definitions import SourceConfigDefinition

from postgresql.cluster import Cluster

DATA = '/data'
PORTS = range(5433, 6433)
# Without anything else: passwords from this host, as in PostgreSQL's own default.
ACCESS = ['host all all 127.0.0.1/32 scram-sha-256', 'host all all ::1/128 scram-sha-256']

FREE_PORT = r'''
for port in $PORTS; do
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; exit; }
done
exit 1
'''

INITIALIZE = r'''
set -euo pipefail
umask 077
# The first line of a superuser's password is nobody's: roles get theirs from whoever uses the database.
"$BIN/initdb" -D "$DATA" -U "$ROLE" -k -A scram-sha-256 --pwfile=<(head -c 24 /dev/urandom | base64) >/dev/null
'''


def copy_of(virtual_source, repository):
    """The cluster of a virtual source."""
    parameters = virtual_source.parameters
    return Cluster(virtual_source.connection, repository, parameters.os_user, parameters.path + DATA,
                   virtual_source.guid)


def role_of(virtual_source):
    return virtual_source.parameters.role or 'postgres'


def port_of(virtual_source, source_config=None):
    """The port: the one given, else the one it has, else a free one."""
    if virtual_source.parameters.port:
        return virtual_source.parameters.port
    if source_config is not None and source_config.port:
        return source_config.port
    # Each copy begins to look at another place: a port may belong to one that is stopped.
    first = zlib.crc32(virtual_source.guid.encode()) % len(PORTS)
    ports = ' '.join(str(port) for port in list(PORTS[first:]) + list(PORTS[:first]))
    found = libs.run_bash(virtual_source.connection, FREE_PORT, {'PORTS': ports})
    if found.exit_code != 0:
        raise UserError('No port from {} to {} is free'.format(PORTS[0], PORTS[-1]), 'Give one with the parameter port.')
    return int(found.stdout)


def start(virtual_source, repository, port):
    parameters = virtual_source.parameters
    copy_of(virtual_source, repository).start(
        port, listen=parameters.listen_addresses or 'localhost', access=parameters.host_access or ACCESS,
        settings=parameters.settings or [])


def configure(virtual_source, repository, source_config=None):
    """Makes a database of copied files, and tells where it is."""
    cluster, port = copy_of(virtual_source, repository), port_of(virtual_source, source_config)
    cluster.settle()
    start(virtual_source, repository, port)
    return told(cluster, port)


def initialize(virtual_source, repository):
    """Makes an empty database."""
    cluster, port = copy_of(virtual_source, repository), port_of(virtual_source)
    cluster.run('make a cluster in ' + cluster.data, 'See that the mount is empty and can be written.', INITIALIZE,
                ROLE=role_of(virtual_source))
    start(virtual_source, repository, port)
    return told(cluster, port)


def told(cluster, port):
    return SourceConfigDefinition(name='PostgreSQL at port {}'.format(port), data_path=cluster.data, port=port)


def checkpoint(virtual_source, repository, source_config):
    """Before a snapshot: what it then needs to recover is short."""
    cluster = copy_of(virtual_source, repository)
    if cluster.is_running():
        cluster.sql(source_config.port, role_of(virtual_source), 'CHECKPOINT', 'write a checkpoint')


def answers(virtual_source, repository, source_config):
    """Whether it takes connections: a server that recovers, or stops, is none yet."""
    cluster = copy_of(virtual_source, repository)
    ready = cluster.attempt('"$BIN/pg_isready" -q -h "$SOCKETS" -p "$PORT"', PORT=source_config.port)
    return ready.exit_code == 0


def clean_up(virtual_source, repository):
    copy_of(virtual_source, repository).attempt('rm -rf -- "$SOCKETS"')
