"""Calls operations of a plugin as cowd does, with the real Python host, on this host instead of others.

The library functions run here: a connection's user is a user of this host. COW_SDK names the folder with the SDK, as
`pip install --target` makes it. To run the tests by hand, as root:

    COW_SDK=FOLDER unshare --mount python3.11 -m unittest discover daemon/plugins/tests
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
HOST = HERE.parent / 'host' / 'cow_host.py'
TOOLKIT = HERE.parents[1] / 'src' / 'hosts' / 'toolkit'


def sdk():
    """The folder with the SDK; None where it is not told."""
    return pathlib.Path(os.environ['COW_SDK']) if os.environ.get('COW_SDK') else None


class Failed(Exception):
    """An operation failed: `kind` is `user` for a UserError, which tells `message` and `action`."""

    def __init__(self, failed):
        super().__init__(json.dumps(failed, indent=1))
        self.kind, self.message = failed.get('kind'), failed.get('message', '')
        self.action, self.output = failed.get('action', ''), failed.get('output', '')


class Engine:
    """The engine's side: hosts that are this one, and a dataset that is a folder."""

    def __init__(self, folder, dataset=None, credentials=None):
        self.folder, self.dataset, self.credentials = folder, dataset, credentials
        self.binaries = folder / 'toolkit' / 'Delphix_COMMON_0_host' / 'scripts' / 'bin'
        self.binaries.mkdir(parents=True)
        shutil.copy(TOOLKIT / 'dlpx_db_exec', self.binaries)
        (self.binaries / 'dlpx_db_exec').chmod(0o755)
        (folder / 'scratch').mkdir()
        (folder / 'scratch').chmod(0o1777)
        self.commands = []

    def connection(self, user):
        host = {'name': 'here', 'reference': 'UNIX_HOST-1', 'binary_path': str(self.binaries),
                'scratch_path': str(self.folder / 'scratch')}
        environment = {'name': 'here', 'reference': 'UNIX_HOST_ENVIRONMENT-1', 'host': host}
        return {'environment': environment, 'user': {'name': user, 'reference': 'HOST_USER-1'}}

    def answer(self, function, request):
        return {'return_value': getattr(self, function)(**request)}

    def run_bash(self, remote_connection, command, variables=None, use_login_shell=False):
        user = remote_connection['user']['name']
        words = ['bash', '-c', command]
        if user != 'root':
            words = ['runuser', '-u', user, '--'] + words
        environment = {'PATH': os.environ['PATH'], 'HOME': '/', **(variables or {})}
        done = subprocess.run(words, env=environment, cwd='/', stdin=subprocess.DEVNULL, capture_output=True, text=True)
        self.commands.append((command, done.stdout + done.stderr))
        return {'exit_code': done.returncode, 'stdout': done.stdout, 'stderr': done.stderr}

    def run_sync(self, remote_connection, source_directory, rsync_user=None, exclude_paths=(), sym_links_to_follow=()):
        options = ['--exclude=' + path for path in exclude_paths]
        subprocess.run(['rsync', '-aHI', '--delete'] + options + [source_directory + '/', str(self.dataset) + '/'], check=True)
        return {}

    def log(self, **_):
        return {}

    def retrieve_credentials(self, credentials_supplier):
        return self.credentials


class Plugin:
    """A plugin in its source folder."""

    def __init__(self, name, engine, sdk_folder):
        folder = HERE.parent / name
        self.engine, self.sdk = engine, sdk_folder
        self.root = engine.folder / ('root-' + name)
        shutil.copytree(folder / 'src', self.root, ignore=shutil.ignore_patterns('__pycache__'))
        self.schemas = str(folder / 'schema.json')
        config = (folder / 'plugin_config.yml').read_text()
        self.entry_point = next(line.split()[-1] for line in config.splitlines() if line.startswith('entryPoint'))

    def call(self, group, function, message, **fields):
        """Calls an operation by the SDK's names of it."""
        task = {
            'mode': 'call', 'root': str(self.root), 'folders': [str(self.sdk)], 'schemas': self.schemas,
            'entry_point': self.entry_point, 'group': group, 'function': '_internal_' + function,
            'request': message + 'Request', 'fields': fields, 'answer_max': 4 << 20,
        }
        host = subprocess.Popen([sys.executable, '-B', str(HOST)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd='/')
        try:
            answer = task
            while True:
                host.stdin.write(json.dumps(answer).encode() + b'\n')
                host.stdin.flush()
                line = host.stdout.readline()
                if not line:
                    raise Failed({'kind': 'ended'})
                told = json.loads(line)
                if 'library' not in told:
                    break
                answer = self.engine.answer(told['library'], told['request'])
        finally:
            host.kill()
            host.wait()
            host.stdin.close()
            host.stdout.close()
        if 'failed' in told:
            raise Failed(told['failed'])
        return told['done']


def defined(value):
    """A plugin's own data, as messages have it."""
    return {'parameters': {'json': json.dumps(value)}}


def plain(message):
    """The plugin's own data in a message."""
    return json.loads(message['parameters']['json'])
