"""A tree of files, brought to a staging host by rsync.

The engine mounts an empty share on the staging host; `sync` fills it, the first time and each time after. Then the
engine takes a snapshot of the share, so whatever is in it then is what copies are made of.
"""
from datetime import datetime, timezone

from dlpx.virtualization import libs
from dlpx.virtualization.common import KeyPairCredentials, PasswordCredentials
from dlpx.virtualization.libs import retrieve_credentials
from dlpx.virtualization.platform import Mount, MountSpecification, Plugin, Status
from dlpx.virtualization.platform.exceptions import UserError
from generated.definitions import RepositoryDefinition, SnapshotDefinition, SourceConfigDefinition

plugin = Plugin()

# `--inplace --no-whole-file` writes only the blocks that differ, over the old ones: rsync would write each changed file
# anew, and the next snapshot would keep all of it. `--delete-after`, so that what a
# failed sync leaves is the old tree and more. `--modify-window=-1`, as rsync looks at seconds only, and would take a file
# for unchanged that was written twice in one.
SYNC = r'''
set -euo pipefail
umask 077
work=$(mktemp -d -p "${SCRATCH:-/tmp}")
trap 'rm -rf -- "$work"' EXIT
mountpoint -q -- "$SHARE" || { echo "$SHARE is not mounted" >&2; exit 1; }

options=(-aH --numeric-ids --inplace --no-whole-file --modify-window=-1 --delete-after --delete-excluded)
if [ -n "$EXCLUDES" ]; then
    printf '%s\n' "$EXCLUDES" >"$work/excludes"
    options+=("--exclude-from=$work/excludes")
fi
if [ -z "$ADDRESS" ]; then
    [ -d "$TREE" ] || { echo "there is no directory $TREE" >&2; exit 1; }
    rsync "${options[@]}" -- "$TREE/" "$SHARE/" && code=0 || code=$?
else
    ssh="ssh -p $PORT -o StrictHostKeyChecking=accept-new"
    if [ -n "$KEY" ]; then
        printf '%s\n' "$KEY" >"$work/key"
        ssh+=" -i $work/key -o IdentitiesOnly=yes -o BatchMode=yes"
    elif [ -n "$PASSWORD" ]; then
        # ssh takes a password from nobody but a program; that one has it from the environment, so it is in no argument.
        printf '#!/bin/sh\nprintf "%%s\\n" "$PASSWORD"\n' >"$work/ask"
        chmod 700 "$work/ask"
        export SSH_ASKPASS="$work/ask" SSH_ASKPASS_REQUIRE=force DISPLAY=:0
        ssh+=" -o NumberOfPasswordPrompts=1 -o PubkeyAuthentication=no"
    else
        ssh+=" -o BatchMode=yes"
    fi
    # -s: names reach the source's shell as they are.
    rsync "${options[@]}" -s -e "$ssh" -- "${ACCOUNT:+$ACCOUNT@}$ADDRESS:$TREE/" "$SHARE/" && code=0 || code=$?
fi
# 24: files of a program that runs went away while they were read. That is no failure.
[ "$code" = 24 ] || exit "$code"
'''


def run(connection, act, action, script, **variables):
    """Runs a script on a host and returns what it said.

    What users gave travels in variables, never in the script's text: then no name, however odd, is taken for code.
    """
    result = libs.run_bash(connection, script, variables)
    if result.exit_code != 0:
        raise UserError(
            'Cannot {}: {}'.format(act, last_line(result.stderr) or 'exit code {}'.format(result.exit_code)),
            action, result.stderr)
    return result.stdout.strip()


def last_line(text):
    lines = text.strip().splitlines()
    return lines[-1] if lines else ''


def now():
    return datetime.now(timezone.utc).isoformat(timespec='seconds')


def is_mounted(connection, path):
    mounted = libs.run_bash(connection, 'mountpoint -q -- "$TREE"', {'TREE': path})
    return Status.ACTIVE if mounted.exit_code == 0 else Status.INACTIVE


def size_of(connection, path):
    return int(run(connection, 'measure ' + path, 'See that it is there and can be read.',
                   'set -o pipefail; du -sb -- "$TREE" | cut -f1', TREE=path))


def secrets_of(parameters):
    """User, password and private key. They are fetched when they are needed, and kept nowhere."""
    if not parameters.credentials:
        return parameters.source_user or '', '', ''
    found = retrieve_credentials(parameters.credentials)
    password = found.password if isinstance(found, PasswordCredentials) else ''
    key = found.private_key if isinstance(found, KeyPairCredentials) else ''
    return parameters.source_user or found.username or '', password, key


# What can be found on a host.


@plugin.discovery.repository()
def find_repositories(source_connection):
    # A host without rsync cannot stage: it is better to offer nothing than to fail later.
    has_rsync = libs.run_bash(source_connection, 'command -v rsync').exit_code == 0
    return [RepositoryDefinition(name='Directories')] if has_rsync else []


@plugin.discovery.source_config()
def find_source_configs(source_connection, repository):
    return []


# What is linked.


@plugin.linked.mount_specification()
def tell_staging_mounts(staged_source, repository):
    # staged_source.mount may be of another time, or of none: where the share belongs is told by the parameters.
    environment = staged_source.staged_connection.environment
    return MountSpecification([Mount(environment, staged_source.parameters.mount_path)])


@plugin.linked.pre_snapshot()
def sync(staged_source, repository, source_config, optional_snapshot_parameters):
    connection, parameters = staged_source.staged_connection, staged_source.parameters
    account, password, key = secrets_of(parameters)
    source = (parameters.source_address + ':' if parameters.source_address else '') + source_config.path
    run(connection, 'copy ' + source,
        'See that the staging host reaches the source, and that the user and the credentials are right there.',
        SYNC,
        TREE=source_config.path.rstrip('/') or '/',
        SHARE=parameters.mount_path,
        ADDRESS=parameters.source_address or '',
        PORT=str(parameters.source_port or 22),
        ACCOUNT=account,
        PASSWORD=password,
        KEY=key,
        EXCLUDES='\n'.join(parameters.excludes or []),
        SCRATCH=connection.environment.host.scratch_path)


@plugin.linked.post_snapshot()
def describe_sync(staged_source, repository, source_config, optional_snapshot_parameters):
    return SnapshotDefinition(path=source_config.path, time=now())


@plugin.linked.status()
def staging_status(staged_source, repository, source_config):
    return is_mounted(staged_source.staged_connection, staged_source.parameters.mount_path)


@plugin.linked.source_size()
def measure_source(staged_source, repository, source_config):
    return size_of(staged_source.staged_connection, staged_source.parameters.mount_path)


# What is provisioned.


@plugin.virtual.mount_specification()
def tell_mounts(virtual_source, repository):
    return MountSpecification([Mount(virtual_source.connection.environment, virtual_source.parameters.path)])


def told(virtual_source):
    path = virtual_source.parameters.path
    return SourceConfigDefinition(name=path.rstrip('/').rsplit('/', 1)[-1] or path, path=path)


@plugin.virtual.configure()
def configure(virtual_source, repository, snapshot):
    # Files are usable as they are.
    return told(virtual_source)


@plugin.virtual.reconfigure()
def reconfigure(virtual_source, repository, source_config, snapshot):
    return told(virtual_source)


@plugin.virtual.initialize()
def initialize(virtual_source, repository):
    return told(virtual_source)


@plugin.virtual.post_snapshot()
def describe_snapshot(virtual_source, repository, source_config):
    return SnapshotDefinition(path=source_config.path, time=now())


@plugin.virtual.status()
def status(virtual_source, repository, source_config):
    return is_mounted(virtual_source.connection, source_config.path)


@plugin.virtual.source_size()
def measure_copy(virtual_source, repository, source_config):
    return size_of(virtual_source.connection, source_config.path)


# What becomes plain files of another host.


def check_target(physical_source):
    """Before the engine copies: nothing of somebody else's is to be mixed with."""
    run(physical_source.connection, 'copy to ' + physical_source.target_directory, 'Name another directory, or empty it.', '''
[ ! -e "$TARGET" ] || [ -d "$TARGET" ] || { echo "it is there, and no directory" >&2; exit 1; }
[ -z "$(ls -A -- "$TARGET" 2>/dev/null)" ] || { echo "the directory is not empty" >&2; exit 1; }
''', TARGET=physical_source.target_directory)


def check_copied(physical_source):
    run(physical_source.connection, 'find the copy in ' + physical_source.target_directory, 'Try again.',
        '[ -d "$TARGET" ] || { echo "there is no such directory" >&2; exit 1; }',
        TARGET=physical_source.target_directory)


@plugin.linked.pre_source_to_physical()
def before_copy_of_source(staged_source, repository, source_config, snapshot, physical_source):
    check_target(physical_source)


@plugin.linked.source_to_physical()
def after_copy_of_source(staged_source, repository, source_config, snapshot, physical_source):
    check_copied(physical_source)


@plugin.virtual.pre_source_to_physical()
def before_copy_of_copy(virtual_source, repository, source_config, snapshot, physical_source):
    check_target(physical_source)


@plugin.virtual.source_to_physical()
def after_copy_of_copy(virtual_source, repository, source_config, snapshot, physical_source):
    check_copied(physical_source)
