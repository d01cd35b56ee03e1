"""What a host has: installations of PostgreSQL, and clusters."""
from dlpx.virtualization import libs
from generated.definitions import RepositoryDefinition, SourceConfigDefinition

# The first version whose base backups and recovery are as this plugin uses them.
VERSION_MIN = 13

# Where packages and administrators put the programs, and where running servers have theirs.
FIND_PROGRAMS = r'''
{
    ls -d /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/local/pgsql/bin /usr/local/pgsql*/bin /opt/postgresql*/bin
    dirname -- "$(command -v postgres)"
    command -v pg_config >/dev/null && pg_config --bindir
    ps -eo args= | awk '$1 ~ /^\/.*\/(postgres|postmaster)$/ { sub(/\/[^\/]*$/, "", $1); print $1 }'
} 2>/dev/null | while read -r folder; do
    [ -x "$folder/postgres" ] && [ -x "$folder/pg_ctl" ] && [ -x "$folder/psql" ] || continue
    folder=$(cd "$folder" && pwd -P)
    version=$("$folder/postgres" --version | sed -n 's/.* \([0-9][0-9]*\)[.a-z].*/\1/p')
    [ -z "$version" ] || printf '%s\t%s\n' "$version" "$folder"
done | sort -u
'''

# Running servers tell their directory in their arguments; others are looked for where packages put them.
FIND_CLUSTERS = r'''
{
    ps -eo args= | sed -n 's/^[^ ]*\/\(postgres\|postmaster\) \(.* \)\{0,1\}-D \{0,1\}\([^ ]*\).*/\3/p'
    ls -d /var/lib/postgresql/*/* /var/lib/pgsql/data /var/lib/pgsql/*/data /srv/postgresql/*
} 2>/dev/null | while read -r folder; do
    [ "$(cat "$folder/PG_VERSION" 2>/dev/null)" = "$VERSION" ] || continue
    printf '%s\t%s\n' "$(sed -n 4p "$folder/postmaster.pid" 2>/dev/null)" "$(cd "$folder" && pwd -P)"
done | sort -u
'''


def find_installations(connection):
    said = libs.run_bash(connection, FIND_PROGRAMS)
    found = []
    for line in said.stdout.splitlines():
        version, path = line.split('\t')
        if int(version) >= VERSION_MIN:
            name = 'PostgreSQL {} ({})'.format(version, path)
            found.append(RepositoryDefinition(name=name, bin_path=path, version=int(version)))
    return found


def find_clusters(connection, repository):
    said = libs.run_bash(connection, FIND_CLUSTERS, {'VERSION': str(repository.version)})
    found = []
    for line in said.stdout.splitlines():
        port, path = line.split('\t')
        found.append(SourceConfigDefinition(name=path, data_path=path, port=int(port) if port.isdigit() else None))
    return found
