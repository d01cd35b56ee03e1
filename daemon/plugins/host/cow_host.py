"""Runs one operation of one plugin, for cowd.

cowd starts this program anew for each operation, writes one line of JSON to its standard input, and reads lines of
JSON from its standard output: requests of the seven library functions, each answered by a line, and at last what the
operation answered or how it failed. Before any code of a plugin runs, both channels are moved out of its reach: what
it prints goes to standard error, which cowd takes for lines of its log.

It works with Python 2.7, 3.8 and 3.11, and with the SDK of each generation: the messages are the SDK's own.
"""
from __future__ import absolute_import, print_function

import importlib
import json
import os
import sys
import traceback

# Most bytes of an exception's text or stack.
TEXT_MAX = 128 << 10


class Channel(object):
    """Lines of JSON to and from cowd."""

    def __init__(self):
        self.incoming = os.fdopen(os.dup(0), 'rb')
        self.outgoing = os.fdopen(os.dup(1), 'wb')
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)

    def receive(self):
        line = self.incoming.readline()
        if not line:
            # cowd is gone, and nobody waits for an answer.
            os._exit(1)
        return json.loads(line.decode('utf-8'))

    def send(self, message):
        self.send_line(json.dumps(message).encode('ascii'))

    def send_line(self, line):
        self.outgoing.write(line + b'\n')
        self.outgoing.flush()


def limit_memory(limit):
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def prepare(task, channel):
    """Makes the plugin's modules and the SDK's ready to be imported."""
    import site
    root = task['root']
    here = os.path.dirname(os.path.abspath(__file__))
    import cow_definitions
    import cow_engine
    sys.path[:] = [path for path in sys.path if os.path.abspath(path or '.') != here]
    others = list(sys.path)
    for folder in task.get('folders', []):
        site.addsitedir(folder)
    # In front of what the interpreter brings along, and behind what the plugin does.
    sys.path[:] = [root] + [path for path in sys.path if path not in others] + others
    os.chdir(root)
    if task.get('schemas') and not os.path.isdir(os.path.join(root, 'generated')):
        cow_definitions.install(task['schemas'])
    libs = cow_engine.install(channel)
    sys.argv = [root]
    return libs


def load(entry_point):
    module, name = entry_point.split(':')
    return getattr(importlib.import_module(module), name)


def call(plugin, task):
    from google.protobuf import json_format
    from dlpx.virtualization.api import platform_pb2
    request_class = getattr(platform_pb2, task['request'], None)
    operations = getattr(plugin, task['group'])
    function = getattr(operations, task['function'], None)
    if request_class is None or function is None:
        return {'failed': {'kind': 'unsupported', 'message': 'the SDK of the plugin has no ' + task['function']}}
    request = json_format.ParseDict(task['fields'], request_class(), ignore_unknown_fields=True)
    response = function(request)
    return {'done': json_format.MessageToDict(response, preserving_proto_field_name=True).get('return_value', {})}


def inspect(plugin, task):
    """Tells which operations a plugin has, as `dvp build` does for the manifest."""
    found = []
    for group, name in task['operations']:
        if getattr(getattr(plugin, group), name + '_impl', None):
            found.append([group, name])
    ids = getattr(plugin.upgrade, 'migration_id_list', [])
    return {'done': {'operations': found, 'migration_ids': list(ids)}}


def text_of(value):
    if isinstance(value, bytes):
        return value.decode('utf-8', 'replace')
    if isinstance(value, type(u'')):
        return value
    for convert in (type(u''), lambda other: bytes(other).decode('utf-8', 'replace')):
        try:
            return convert(value)
        except Exception:
            pass
    return u'(its text cannot be shown)'


def cut(value, keep_end=False):
    text = text_of(value)
    if len(text) <= TEXT_MAX:
        return text
    return text[-TEXT_MAX:] if keep_end else text[:TEXT_MAX]


# Classes of exceptions by name, since a plugin may carry an SDK of its own: the first one that fits counts.
KINDS = [
    ('UserError', 'user'),
    ('OperationNotDefinedError', 'missing'),
    ('GeneratedClassesError', 'definition'),
    ('PluginRuntimeError', 'runtime'),
    ('LibraryError', 'library_error'),
    ('PlatformError', 'runtime'),
    ('MemoryError', 'memory'),
    ('SystemExit', 'exit'),
]


def described(error, stage):
    """What an exception means for whoever asked for the operation."""
    names = [cls.__name__ for cls in type(error).__mro__ if cls.__module__.startswith(
        ('dlpx.', 'generated', 'builtins', 'exceptions'))]
    kind = next((kind for name, kind in KINDS if name in names), 'exception')
    if kind == 'user':
        parts = [cut(part) for part in list(error.args) + ['', '', '']][:3]
        return {'kind': kind, 'message': parts[0], 'action': parts[1], 'output': parts[2]}
    if stage == 'import' and kind != 'memory':
        kind = 'import'
    message = text_of(error)
    if kind in ('exception', 'import'):
        message = type(error).__name__ + (u': ' + message if message else u'')
    # The first frames are this program's own.
    here = os.path.abspath(__file__).replace('.pyc', '.py')
    frames = [frame for frame in traceback.extract_tb(sys.exc_info()[2]) if os.path.abspath(frame[0]) != here]
    lines = traceback.format_list(frames) + traceback.format_exception_only(type(error), error)
    return {'kind': kind, 'message': cut(message), 'stack': cut(''.join(text_of(line) for line in lines), True)}


def run(task, channel):
    stage = 'import'
    try:
        prepare(task, channel)
        plugin = load(task['entry_point'])
        stage = 'run'
        answer = (inspect if task['mode'] == 'inspect' else call)(plugin, task)
        line = json.dumps(answer).encode('ascii')
        if len(line) > task['answer_max']:
            return json.dumps({'failed': {'kind': 'too_large'}}).encode('ascii')
        return line
    except BaseException as error:
        return json.dumps({'failed': described(error, stage)}).encode('ascii')


def main():
    channel = Channel()
    task = channel.receive()
    if task.get('memory'):
        limit_memory(task['memory'])
    if task['mode'] == 'unpack':
        import cow_unpack
        line = json.dumps(cow_unpack.unpack(task)).encode('ascii')
    else:
        line = run(task, channel)
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except Exception:
        pass
    channel.send_line(line)
    # Threads that the plugin left behind hold nothing up.
    os._exit(0)


if __name__ == '__main__':
    main()
