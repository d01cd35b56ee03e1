"""The plugins for trees of files, each through all that it can do."""
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

from harness import Engine, Failed, Plugin, defined, plain, sdk

SDK = sdk()


def run(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


@unittest.skipIf(SDK is None, 'the SDK cannot be had')
@unittest.skipIf(os.getuid() != 0, 'mounts take root')
class Directory(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix='cow-directory-')
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.folder.chmod(0o755)
        self.source = self.folder / "a source's $(tree)"
        self.share = self.folder / 'share'
        for path in [self.source, self.share]:
            path.mkdir()
        # So that it is a mount.
        run('mount', '-t', 'tmpfs', 'none', str(self.share))
        self.addCleanup(run, 'umount', str(self.share))
        (self.source / 'kept').mkdir()
        (self.source / 'kept' / 'file').write_bytes(b'x' * 100_000)
        (self.source / 'kept' / 'link').symlink_to('file')
        (self.source / 'left out').mkdir()
        self.engine = Engine(self.folder / 'engine', dataset=self.share)
        self.connection = self.engine.connection('root')
        self.repository = defined({'name': 'Directories'})
        self.config = defined({'name': 'tree', 'path': str(self.source)})

    def same(self):
        return run('rsync', '-aHnci', '--delete', '--exclude=left out', str(self.source) + '/', str(self.share) + '/') == ''

    def virtual(self):
        parameters = {'json': json.dumps({'path': str(self.share)})}
        return {'guid': 'v', 'connection': self.connection, 'parameters': parameters, 'mounts': []}

    def copies(self, plugin):
        """What both plugins do with copies."""
        named = {'virtual_source': self.virtual(), 'repository': self.repository}
        told = plugin.call('virtual', 'mount_specification', 'VirtualMountSpec', **named)
        self.assertEqual([mount['mount_path'] for mount in told['mounts']], [str(self.share)])
        snapshot = {'snapshot': defined({'path': '/x', 'time': 'now'})}
        config = plugin.call('virtual', 'configure', 'Configure', **named, **snapshot)['source_config']
        self.assertEqual(plain(config), {'name': 'share', 'path': str(self.share)})
        named['source_config'] = config
        plugin.call('virtual', 'reconfigure', 'Reconfigure', **named, **snapshot)
        self.assertEqual(plain(plugin.call('virtual', 'post_snapshot', 'VirtualPostSnapshot', **named)['snapshot'])['path'],
                         str(self.share))
        self.assertEqual(plugin.call('virtual', 'status', 'VirtualStatus', **named).get('status', 'ACTIVE'), 'ACTIVE')
        size = plugin.call('virtual', 'virtual_source_size', 'VirtualSourceSize', **named)['database_size']
        self.assertGreaterEqual(int(size), 100_000)
        physical = {'guid': 'p', 'connection': self.connection, 'target_directory': str(self.source),
                    'parameters': {'json': '{}'}}
        with self.assertRaisesRegex(Failed, 'not empty') as raised:
            plugin.call('virtual', 'virtual_pre_source_to_physical', 'VirtualPreSourceToPhysical', **named, **snapshot,
                        physical_source=physical)
        self.assertTrue(raised.exception.kind == 'user' and raised.exception.action)

    def test_direct(self):
        plugin = Plugin('directory', self.engine, SDK)
        found = plugin.call('discovery', 'repository', 'RepositoryDiscovery', source_connection=self.connection)
        self.assertEqual([plain(one) for one in found['repositories']], [{'name': 'Directories'}])
        parameters = {'json': json.dumps({'excludes': ['left out']})}
        linked = {'guid': 'l', 'parameters': parameters}
        named = {'direct_source': {'linked_source': linked, 'connection': self.connection},
                 'repository': self.repository, 'source_config': self.config,
                 'snapshot_parameters': {'parameters': {'json': 'null'}}}
        for content in [None, b'changed']:
            if content:
                (self.source / 'kept' / 'file').write_bytes(content)
            plugin.call('linked', 'direct_pre_snapshot', 'DirectPreSnapshot', **named)
            self.assertTrue(self.same())
        told = plugin.call('linked', 'direct_post_snapshot', 'DirectPostSnapshot', **named)
        self.assertEqual(plain(told['snapshot'])['path'], str(self.source))
        (self.source / 'kept' / 'file').write_bytes(b'x' * 100_000)
        plugin.call('linked', 'direct_pre_snapshot', 'DirectPreSnapshot', **named)
        self.copies(plugin)
        named['source_config'] = defined({'name': 'tree', 'path': '/nowhere'})
        with self.assertRaisesRegex(Failed, 'Cannot read /nowhere: there is no such directory') as raised:
            plugin.call('linked', 'direct_pre_snapshot', 'DirectPreSnapshot', **named)
        self.assertTrue(raised.exception.kind == 'user' and raised.exception.action)

    def test_staged(self):
        plugin = Plugin('directory-staged', self.engine, SDK)
        parameters = {'mountPath': str(self.share), 'excludes': ['left out']}
        named = {'repository': self.repository, 'source_config': self.config,
                 'snapshot_parameters': {'parameters': {'json': 'null'}}}

        def sync():
            linked = {'guid': 'l', 'parameters': {'json': json.dumps(parameters)}}
            named['staged_source'] = {
                'linked_source': linked, 'source_connection': self.connection, 'staged_connection': self.connection,
                'staged_mount': {'remote_environment': self.connection['environment'], 'mount_path': ''}}
            plugin.call('linked', 'staged_pre_snapshot', 'StagedPreSnapshot', **named)

        sync()
        self.assertTrue(self.same())
        # Only what changed is written: the file stays the one that it was.
        before = (self.share / 'kept' / 'file').stat().st_ino
        with (self.source / 'kept' / 'file').open('r+b') as file:
            file.write(b'changed')
        (self.source / 'new').write_text('new')
        sync()
        self.assertTrue(self.same())
        self.assertEqual((self.share / 'kept' / 'file').stat().st_ino, before)
        told = plugin.call('linked', 'mount_specification', 'StagedMountSpec', staged_source=named['staged_source'],
                           repository=self.repository)
        self.assertEqual(told['staged_mount']['mount_path'], str(self.share))
        status = plugin.call('linked', 'status', 'StagedStatus', **{
            key: named[key] for key in ['staged_source', 'repository', 'source_config']})
        self.assertEqual(status.get('status', 'ACTIVE'), 'ACTIVE')
        self.copies(plugin)
        # A source that is not reached, with a password that must be in no text.
        self.engine.credentials = {'username': 'nobody', 'password': 'unspeakable'}
        parameters.update(sourceAddress='127.0.0.1', sourcePort=1, credentials={'type': 'x'})
        with self.assertRaises(Failed) as raised:
            sync()
        failed = raised.exception
        self.assertTrue(failed.kind == 'user' and failed.action and 'Cannot copy 127.0.0.1:' in failed.message, failed)
        self.assertNotIn('unspeakable', str(failed) + str(self.engine.commands))
        self.assertEqual(list((self.engine.folder / 'scratch').iterdir()), [])


if __name__ == '__main__':
    unittest.main()
