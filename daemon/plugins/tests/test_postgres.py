"""The plugin for PostgreSQL, on a real one: linked, synced, copied, written, rewound, and made a plain cluster."""
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from harness import Engine, Failed, Plugin, defined, plain, sdk

SDK = sdk()
BIN = pathlib.Path('/usr/lib/postgresql/15/bin')
PASSWORD = 'unspeakable it\'s'


def run(*words, **more):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, **more)
    if done.returncode != 0:
        raise AssertionError('{}: {}{}'.format(words, done.stdout, done.stderr))
    return done.stdout.strip()


def as_postgres(*words, **more):
    return run('runuser', '-u', 'postgres', '--', *words, cwd='/', **more)


@unittest.skipIf(SDK is None, 'the SDK cannot be had')
@unittest.skipIf(os.getuid() != 0, 'mounts take root')
@unittest.skipIf(not BIN.is_dir(), 'PostgreSQL 15 is not installed')
class Postgres(unittest.TestCase):
    # The environment's user, and the parameter for who owns the database.
    user, owner = 'root', 'postgres'

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix='cow-postgres-')
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.folder.chmod(0o755)
        self.engine = Engine(self.folder / 'engine', credentials={'username': 'copier', 'password': PASSWORD})
        self.plugin = Plugin('postgres', self.engine, SDK)
        self.connection = self.engine.connection(self.user)
        self.source, self.sockets = self.folder / 'source', self.folder / 'sockets'
        for path in [self.source, self.sockets]:
            path.mkdir()
            shutil.chown(path, 'postgres', 'postgres')
        self.make_source()
        self.repository = defined({'name': 'x', 'binPath': str(BIN), 'version': 15})
        self.config = defined({'name': 'source', 'dataPath': str(self.source)})
        self.share = self.mounted('share')
        self.linked = {'mountPath': str(self.share), 'sourceHost': '127.0.0.1', 'sourcePort': 5499, 'role': 'copier',
                       'credentials': {'type': 'x'}, 'replicationSlot': 'cow', 'osUser': self.owner, 'syncMinutes': 1}

    def make_source(self):
        as_postgres(BIN / 'initdb', '-D', self.source, '-U', 'postgres', '-k', '-A', 'scram-sha-256',
                    '--auth-local=trust')
        # As where the settings that matter lie elsewhere, and others are set that no copy may heed.
        (self.source / 'elsewhere.conf').write_text(
            "listen_addresses = '127.0.0.1'\nport = 5499\nmax_connections = 150\nshared_buffers = 16MB\n"
            "unix_socket_directories = '{}'\nhba_file = '{}'\n".format(self.sockets, self.source / 'pg_hba.conf'))
        (self.source / 'postgresql.conf').write_text("archive_mode = on\narchive_command = '/bin/false'\n")
        as_postgres(BIN / 'pg_ctl', '-s', '-w', '-D', self.source, '-l', self.sockets / 'log', '-o',
                    '-c config_file={}'.format(self.source / 'elsewhere.conf'), 'start', )
        self.addCleanup(as_postgres, BIN / 'pg_ctl', '-s', '-D', self.source, '-m', 'immediate', 'stop')
        self.on_source("CREATE ROLE copier LOGIN REPLICATION PASSWORD '{}'".format(PASSWORD.replace("'", "''")))
        self.on_source('ALTER SYSTEM SET port = 5498')
        as_postgres(BIN / 'pgbench', '-i', '-q', '-s', '2', '-h', self.sockets, '-p', 5499, 'postgres')

    def on_source(self, statement):
        return as_postgres(BIN / 'psql', '-XAtq', '-h', self.sockets, '-p', 5499, '-v', 'ON_ERROR_STOP=1', '-c',
                           statement, 'postgres')

    def guid(self, name):
        """An id that no other run has, since sockets are named by it; they are removed with the rest."""
        guid = '{}/{}'.format(self.folder, name)
        self.addCleanup(shutil.rmtree, '/tmp/cow-postgres-' + hashlib.sha256(guid.encode()).hexdigest()[:12], True)
        return guid

    def mounted(self, name):
        path = self.folder / name
        path.mkdir()
        run('mount', '-t', 'tmpfs', 'none', path)
        self.addCleanup(run, 'umount', '-l', path)
        shutil.chown(path, 'postgres', 'postgres')
        return path

    def staged(self, **more):
        linked = {'guid': self.guid('linked'), 'parameters': {'json': json.dumps(self.linked)}}
        source = {'linked_source': linked, 'source_connection': self.connection, 'staged_connection': self.connection,
                  'staged_mount': {'remote_environment': self.connection['environment'], 'mount_path': ''}}
        return {'staged_source': source, 'repository': self.repository, 'source_config': self.config, **more}

    def sync(self, parameters=None):
        named = self.staged(snapshot_parameters={'parameters': {'json': json.dumps(parameters)}})
        self.plugin.call('linked', 'staged_pre_snapshot', 'StagedPreSnapshot', **named)
        return plain(self.plugin.call('linked', 'staged_post_snapshot', 'StagedPostSnapshot', **named)['snapshot'])

    def virtual(self, path, config=None, **more):
        parameters = {'path': str(path), 'osUser': self.owner, **more}
        parameters = {name: value for name, value in parameters.items() if value is not None}
        source = {'guid': self.guid(path.name), 'connection': self.connection, 'parameters': {'json': json.dumps(parameters)}}
        named = {'virtual_source': source, 'repository': self.repository}
        return named if config is None else {**named, 'source_config': defined(config)}

    def act(self, function, named, message=None):
        return self.plugin.call('virtual', function, message or function.title(), **named)

    def copied(self, origin, name):
        """As the engine's clones: the same files at another place."""
        path = self.mounted(name)
        run('cp', '-a', str(origin) + '/.', path)
        return path

    def on_copy(self, config, statement):
        pid = (pathlib.Path(config['dataPath']) / 'postmaster.pid').read_text().splitlines()
        self.assertEqual(pid[3], str(config['port']))
        return as_postgres(BIN / 'psql', '-XAtq', '-h', pid[4], '-p', pid[3], '-U', 'postgres', '-c', statement, 'postgres')

    def sound(self, config):
        self.on_copy(config, 'CREATE EXTENSION IF NOT EXISTS amcheck')
        pid = (pathlib.Path(config['dataPath']) / 'postmaster.pid').read_text().splitlines()
        as_postgres(BIN / 'pg_amcheck', '--heapallindexed', '-h', pid[4], '-p', pid[3], '-U', 'postgres', 'postgres')

    def configure(self, path, snapshot, **more):
        named = self.virtual(path, **more)
        config = self.act('configure', {**named, 'snapshot': defined(snapshot)})
        self.addCleanup(subprocess.run, ['runuser', '-u', 'postgres', '--', str(BIN / 'pg_ctl'), '-s', '-D',
                                         str(path / 'data'), '-m', 'immediate', 'stop'], capture_output=True)
        return plain(config['source_config'])

    def status(self, path, config):
        return self.act('status', self.virtual(path, config), 'VirtualStatus').get('status', 'ACTIVE')

    def counted(self, config=None):
        statement = 'SELECT count(*), sum(abalance) FROM pgbench_accounts'
        return self.on_source(statement) if config is None else self.on_copy(config, statement)

    def test_a_cluster_is_followed_and_copied(self):
        # What can be found.
        found = self.plugin.call('discovery', 'repository', 'RepositoryDiscovery', source_connection=self.connection)
        found = [plain(one) for one in found['repositories']]
        self.assertIn({'name': 'PostgreSQL 15 ({})'.format(BIN), 'binPath': str(BIN), 'version': 15}, found)
        clusters = self.plugin.call('discovery', 'source_config', 'SourceConfigDiscovery',
                                    source_connection=self.connection, repository=self.repository)
        clusters = [plain(one) for one in clusters['source_configs']]
        self.assertIn({'name': str(self.source), 'dataPath': str(self.source), 'port': 5499}, clusters)

        told = self.plugin.call('linked', 'mount_specification', 'StagedMountSpec', **{
            key: value for key, value in self.staged().items() if key != 'source_config'})
        self.assertEqual(told['ownership_spec'], {'uid': self.share.stat().st_uid, 'gid': self.share.stat().st_gid})

        # Link, write, sync: the copy has what the source had.
        first = self.sync()
        one = self.copied(self.share, 'one')
        as_postgres(BIN / 'pgbench', '-n', '-t', '300', '-h', self.sockets, '-p', 5499, 'postgres')
        second = self.sync()
        self.assertNotEqual(first['lsn'], second['lsn'])
        self.assertEqual(first['systemIdentifier'], second['systemIdentifier'])
        as_postgres(BIN / 'pg_checksums', '--check', '-D', self.share / 'data')
        two = self.copied(self.share, 'two')

        config_two = self.configure(two, second, port=None)
        self.assertEqual(self.counted(config_two), self.counted())
        self.assertEqual(self.status(two, config_two), 'ACTIVE')
        config_one = self.configure(one, first, port=5490, listenAddresses='127.0.0.1', settings=['work_mem = 9MB'])
        self.assertNotEqual(self.counted(config_one), self.counted())
        self.assertEqual(self.on_copy(config_one, 'SHOW work_mem'), '9MB')
        for name, value in [('archive_mode', 'off'), ('max_connections', '150'), ('port', '5490'), ('ssl', 'off')]:
            self.assertEqual(self.on_copy(config_one, 'SHOW ' + name), value)
        self.assertEqual(self.on_copy(config_one, 'SELECT pg_is_in_recovery()'), 'f')
        self.sound(config_one)
        self.sound(config_two)

        # Written, snapshotted while it runs, written on, and rewound to that.
        self.on_copy(config_two, 'CREATE TABLE mine AS SELECT generate_series(1, 1000) AS n')
        self.act('pre_snapshot', self.virtual(two, config_two), 'VirtualPreSnapshot')
        saved = self.copied(two, 'saved')
        snapshot = plain(self.act('post_snapshot', self.virtual(two, config_two), 'VirtualPostSnapshot')['snapshot'])
        self.on_copy(config_two, 'DROP TABLE mine')
        for _ in range(2):
            self.act('unconfigure', self.virtual(two, config_two))
        self.assertEqual(self.status(two, config_two), 'INACTIVE')
        run('rsync', '-aI', '--delete', str(saved) + '/', str(two) + '/')
        named = {**self.virtual(two, config_two), 'snapshot': defined(snapshot)}
        self.assertEqual(plain(self.act('reconfigure', named)['source_config']), config_two)
        self.assertEqual(self.on_copy(config_two, 'SELECT count(*) FROM mine'), '1000')
        for _ in range(2):
            self.act('stop', self.virtual(two, config_two))
        self.assertEqual(self.status(two, config_two), 'INACTIVE')
        for _ in range(2):
            self.act('start', self.virtual(two, config_two))
        self.assertEqual(self.on_copy(config_two, 'SELECT count(*) FROM mine'), '1000')
        self.sound(config_two)
        size = self.act('virtual_source_size', self.virtual(two, config_two), 'VirtualSourceSize')['database_size']
        self.assertGreater(int(size), 30_000_000)
        # A copy of the copy.
        config = self.configure(self.copied(saved, 'three'), snapshot, port=None)
        self.assertEqual(self.on_copy(config, 'SELECT count(*) FROM mine'), '1000')

        self.become_plain(second)
        self.act('cleanup', self.virtual(two, config_two), 'VirtualCleanup')
        for config in [config_one, config_two]:
            self.act('stop', self.virtual(pathlib.Path(config['dataPath']).parent, config))
            as_postgres(BIN / 'pg_checksums', '--check', '-D', config['dataPath'])
        self.nothing_is_told()

    def become_plain(self, snapshot):
        target = self.folder / 'plain'
        named = self.staged(snapshot=defined(snapshot), physical_source={
            'guid': 'p', 'connection': self.connection, 'target_directory': str(target),
            'parameters': {'json': json.dumps({'port': 5489, 'osUser': self.owner} if self.owner else {'port': 5489})}})
        self.plugin.call('linked', 'staged_pre_source_to_physical', 'StagedPreSourceToPhysical', **named)
        run('cp', '-a', self.share, target)
        self.plugin.call('linked', 'staged_source_to_physical', 'StagedSourceToPhysical', **named)
        with self.assertRaisesRegex(Failed, 'is not empty'):
            self.plugin.call('linked', 'staged_pre_source_to_physical', 'StagedPreSourceToPhysical', **named)
        data = target / 'data'
        self.assertEqual([path.name for path in data.iterdir() if path.name.startswith('cow')], [])
        as_postgres(BIN / 'pg_checksums', '--check', '-D', data)
        as_postgres(BIN / 'pg_ctl', '-s', '-w', '-D', data, '-l', self.sockets / 'plain', '-o',
                    '-p 5489 -c archive_mode=off -k {}'.format(self.sockets), 'start')
        count = as_postgres(BIN / 'psql', '-XAtq', '-h', self.sockets, '-p', 5489, '-U', 'postgres', '-c',
                            'SELECT count(*), sum(abalance) FROM pgbench_accounts', 'postgres')
        as_postgres(BIN / 'pg_ctl', '-s', '-w', '-D', data, 'stop')
        self.assertEqual(count, self.counted())

    def nothing_is_told(self):
        """The password is in nothing that was said, nor in any file of a copy."""
        self.assertNotIn(PASSWORD, json.dumps(self.engine.commands))
        for word in [PASSWORD, PASSWORD.replace("'", "\\'")]:
            found = subprocess.run(['grep', '-rlaF', word, str(self.folder)], capture_output=True, text=True)
            self.assertEqual(found.stdout, '')

    def test_failures_tell_what_to_do(self):
        def fails(text, act):
            with self.assertRaises(Failed) as raised:
                act()
            failed = raised.exception
            self.assertEqual((failed.kind, text in failed.message, bool(failed.action)), ('user', True, True), failed)

        named = dict(self.linked)
        for change, text in [
                ({'credentials': None, 'password': 'wrong'}, 'Cannot ask the source'),
                ({'sourcePort': 1}, 'Cannot ask the source'),
                ({'osUser': 'nobody-at-all'}, 'Cannot ask the source')]:
            self.linked = {name: value for name, value in {**named, **change}.items() if value is not None}
            fails(text, self.sync)
        self.linked = named
        self.repository = defined({'name': 'x', 'binPath': str(BIN), 'version': 14})
        fails('The source is PostgreSQL 15', self.sync)
        self.repository = defined({'name': 'x', 'binPath': str(BIN), 'version': 15})
        if self.user == 'root':
            self.linked = {name: value for name, value in named.items() if name != 'osUser'}
            fails('refuses to be run by root', self.sync)
            self.linked = named
        del self.linked['replicationSlot']
        self.sync()
        # The source has thrown away what the copy needs, and is told to copy anew.
        for _ in range(6):
            self.on_source('SELECT pg_switch_wal(); CHECKPOINT')
            self.on_source('CREATE TABLE IF NOT EXISTS filler (n int); INSERT INTO filler SELECT generate_series(1, 9)')
        self.on_source('CHECKPOINT')
        fails('the source has no longer what is needed', self.sync)
        self.sync({'resync': True})
        # What does not start says why.
        one = self.copied(self.share, 'one')
        fails('Cannot start PostgreSQL', lambda: self.configure(one, {}, settings=['no_such_setting = 1']))
        self.assertEqual(self.configure(one, {})['dataPath'], str(one / 'data'))

    def test_an_empty_database_is_made(self):
        path = self.mounted('empty')
        config = plain(self.act('initialize', self.virtual(path, port=None))['source_config'])
        self.assertEqual(self.on_copy(config, 'SELECT count(*) FROM pg_roles WHERE rolsuper'), '1')
        self.sound(config)
        self.act('unconfigure', self.virtual(path, config))
        as_postgres(BIN / 'pg_checksums', '--check', '-D', path / 'data')


@unittest.skipIf(SDK is None, 'the SDK cannot be had')
@unittest.skipIf(os.getuid() != 0, 'mounts take root')
@unittest.skipIf(not BIN.is_dir(), 'PostgreSQL 15 is not installed')
class PostgresByItsOwner(Postgres):
    """The same where the environment's user is the database's owner."""
    user, owner = 'postgres', None

    def setUp(self):
        super().setUp()
        del self.linked['osUser']


if __name__ == '__main__':
    unittest.main()
