"""A tree of files: linked where it is, copied where it is wanted.

The engine brings the tree itself (`libs.run_sync`), so a source host needs nothing but ssh and rsync. What is left for
the plugin: to check before each sync that the directory is there, and to tell where copies are mounted.
"""
from datetime import datetime, timezone

from dlpx.virtualization import libs
from dlpx.virtualization.platform import Mount, MountSpecification, Plugin, Status
from dlpx.virtualization.platform.exceptions import UserError
from generated.definitions import RepositoryDefinition, SnapshotDefinition, SourceConfigDefinition

plugin = Plugin()


def run(connection, act, script, **variables):
    """Runs a script on a host and returns what it said.

    What users gave travels in variables, never in the script's text: then no name, however odd, is taken for code.
    """
    result = libs.run_bash(connection, script, variables)
    if result.exit_code != 0:
        raise UserError(
            'Cannot {}: {}'.format(act, last_line(result.stderr) or 'exit code {}'.format(result.exit_code)),
            'Mend that on host {}, then try again.'.format(connection.environment.host.name),
            result.stderr)
    return result.stdout.strip()


def last_line(text):
    lines = text.strip().splitlines()
    return lines[-1] if lines else ''


def now():
    return datetime.now(timezone.utc).isoformat(timespec='seconds')


def size_of(connection, path):
    return int(run(connection, 'measure ' + path, 'set -o pipefail; du -sb -- "$TREE" | cut -f1', TREE=path))


# What can be found on a host.


@plugin.discovery.repository()
def find_repositories(source_connection):
    # A host without rsync cannot be synced from: it is better to offer nothing than to fail later.
    has_rsync = libs.run_bash(source_connection, 'command -v rsync').exit_code == 0
    return [RepositoryDefinition(name='Directories')] if has_rsync else []


@plugin.discovery.source_config()
def find_source_configs(source_connection, repository):
    return []


# What is linked.


@plugin.linked.pre_snapshot()
def sync(direct_source, repository, source_config, optional_snapshot_parameters):
    connection, parameters = direct_source.connection, direct_source.parameters
    # rsync would say it as well, but not in words that tell what to do.
    run(connection, 'read ' + source_config.path, '[ -d "$TREE" ] || { echo "there is no such directory" >&2; exit 1; }',
        TREE=source_config.path)
    libs.run_sync(
        connection,
        source_config.path,
        rsync_user=parameters.read_as,
        exclude_paths=parameters.excludes or [],
        sym_links_to_follow=parameters.follow_links or [])


@plugin.linked.post_snapshot()
def describe_sync(direct_source, repository, source_config, optional_snapshot_parameters):
    return SnapshotDefinition(path=source_config.path, time=now())


@plugin.linked.source_size()
def measure_source(direct_source, repository, source_config):
    return size_of(direct_source.connection, source_config.path)


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
    mounted = libs.run_bash(virtual_source.connection, 'mountpoint -q -- "$TREE"', {'TREE': source_config.path})
    return Status.ACTIVE if mounted.exit_code == 0 else Status.INACTIVE


@plugin.virtual.source_size()
def measure_copy(virtual_source, repository, source_config):
    return size_of(virtual_source.connection, source_config.path)


# What becomes plain files of another host.


def check_target(physical_source):
    """Before the engine copies: nothing of somebody else's is to be mixed with."""
    run(physical_source.connection, 'copy to ' + physical_source.target_directory, '''
[ ! -e "$TARGET" ] || [ -d "$TARGET" ] || { echo "it is there, and no directory" >&2; exit 1; }
[ -z "$(ls -A -- "$TARGET" 2>/dev/null)" ] || { echo "the directory is not empty" >&2; exit 1; }
''', TARGET=physical_source.target_directory)


def check_copied(physical_source):
    run(physical_source.connection, 'find the copy in ' + physical_source.target_directory,
        '[ -d "$TARGET" ] || { echo "there is no such directory" >&2; exit 1; }',
        TARGET=physical_source.target_directory)


@plugin.linked.pre_source_to_physical()
def before_copy_of_source(direct_source, repository, source_config, snapshot, physical_source):
    check_target(physical_source)


@plugin.linked.source_to_physical()
def after_copy_of_source(direct_source, repository, source_config, snapshot, physical_source):
    check_copied(physical_source)


@plugin.virtual.pre_source_to_physical()
def before_copy_of_copy(virtual_source, repository, source_config, snapshot, physical_source):
    check_target(physical_source)


@plugin.virtual.source_to_physical()
def after_copy_of_copy(virtual_source, repository, source_config, snapshot, physical_source):
    check_copied(physical_source)
