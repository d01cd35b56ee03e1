"""Which operation does what. The engine calls these; all else in this package is called from here."""
from dlpx.virtualization.platform import Mount, MountSpecification, OwnershipSpecification, Plugin, Status

from postgresql import discovery, physical, staging, virtual
from postgresql.host import ids_of, run

plugin = Plugin()


def mounts_of(connection, path, owner):
    """One mount, which belongs to the database's owner: PostgreSQL takes no directory of somebody else's."""
    uid, gid = ids_of(connection, owner)
    return MountSpecification([Mount(connection.environment, path)], OwnershipSpecification(uid, gid))


def size_of(cluster):
    return int(cluster.run('measure ' + cluster.data, 'See that it is mounted.',
                           'set -o pipefail; du -sb -- "$DATA" | cut -f1'))


# What can be found on a host.


@plugin.discovery.repository()
def find_repositories(source_connection):
    return discovery.find_installations(source_connection)


@plugin.discovery.source_config()
def find_source_configs(source_connection, repository):
    return discovery.find_clusters(source_connection, repository)


# What is linked.


@plugin.linked.mount_specification()
def tell_staging_mounts(staged_source, repository):
    parameters = staged_source.parameters
    return mounts_of(staged_source.staged_connection, parameters.mount_path, parameters.os_user)


@plugin.linked.pre_snapshot()
def sync(staged_source, repository, source_config, optional_snapshot_parameters):
    staging.sync(staged_source, repository, optional_snapshot_parameters)


@plugin.linked.post_snapshot()
def describe_sync(staged_source, repository, source_config, optional_snapshot_parameters):
    return staging.described(staging.staged(staged_source, repository))


@plugin.linked.start_staging()
def start_staging(staged_source, repository, source_config):
    # The standby runs only during a sync. Here it is only seen to that the next one will find its files.
    parameters = staged_source.parameters
    run(staged_source.staged_connection, parameters.os_user, 'see the staging mount', 'See that it is mounted.',
        'mountpoint -q -- "$SHARE"', SHARE=parameters.mount_path)


@plugin.linked.stop_staging()
def stop_staging(staged_source, repository, source_config):
    # A sync that was cut off may have left it running, and the share could not be unmounted.
    staging.staged(staged_source, repository).stop()


@plugin.linked.status()
def staging_status(staged_source, repository, source_config):
    cluster = staging.staged(staged_source, repository)
    return Status.ACTIVE if cluster.attempt('[ -f "$DATA/PG_VERSION" ]').exit_code == 0 else Status.INACTIVE


@plugin.linked.source_size()
def measure_source(staged_source, repository, source_config):
    return size_of(staging.staged(staged_source, repository))


# What is provisioned.


@plugin.virtual.mount_specification()
def tell_mounts(virtual_source, repository):
    parameters = virtual_source.parameters
    return mounts_of(virtual_source.connection, parameters.path, parameters.os_user)


@plugin.virtual.configure()
def configure(virtual_source, repository, snapshot):
    return virtual.configure(virtual_source, repository)


@plugin.virtual.reconfigure()
def reconfigure(virtual_source, repository, source_config, snapshot):
    # After a rewind, or when it is enabled again: the port stays.
    return virtual.configure(virtual_source, repository, source_config)


@plugin.virtual.initialize()
def initialize(virtual_source, repository):
    return virtual.initialize(virtual_source, repository)


@plugin.virtual.unconfigure()
def unconfigure(virtual_source, repository, source_config):
    # What is about to be unmounted must not be in use.
    virtual.copy_of(virtual_source, repository).stop()


@plugin.virtual.cleanup()
def cleanup(virtual_source, repository, source_config):
    virtual.clean_up(virtual_source, repository)


@plugin.virtual.start()
def start(virtual_source, repository, source_config):
    if not virtual.copy_of(virtual_source, repository).is_running():
        virtual.start(virtual_source, repository, source_config.port)


@plugin.virtual.stop()
def stop(virtual_source, repository, source_config):
    virtual.copy_of(virtual_source, repository).stop()


@plugin.virtual.pre_snapshot()
def before_snapshot(virtual_source, repository, source_config):
    virtual.checkpoint(virtual_source, repository, source_config)


@plugin.virtual.post_snapshot()
def describe_snapshot(virtual_source, repository, source_config):
    return staging.described(virtual.copy_of(virtual_source, repository))


@plugin.virtual.status()
def status(virtual_source, repository, source_config):
    return Status.ACTIVE if virtual.answers(virtual_source, repository, source_config) else Status.INACTIVE


@plugin.virtual.source_size()
def measure_copy(virtual_source, repository, source_config):
    return size_of(virtual.copy_of(virtual_source, repository))


# What becomes a plain cluster of another host.


@plugin.linked.pre_source_to_physical()
def before_copy_of_source(staged_source, repository, source_config, snapshot, physical_source):
    physical.before(repository, physical_source)


@plugin.linked.source_to_physical()
def after_copy_of_source(staged_source, repository, source_config, snapshot, physical_source):
    physical.after(repository, physical_source)


@plugin.virtual.pre_source_to_physical()
def before_copy_of_copy(virtual_source, repository, source_config, snapshot, physical_source):
    physical.before(repository, physical_source)


@plugin.virtual.source_to_physical()
def after_copy_of_copy(virtual_source, repository, source_config, snapshot, physical_source):
    physical.after(repository, physical_source)
