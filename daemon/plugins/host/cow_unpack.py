"""Unpacks the code of an artifact, which is a zip in base64 in JSON."""
from __future__ import absolute_import

import base64
import io
import json
import os
import zipfile

# Most bytes that the code of a plugin may unpack to, and most files.
BYTES_MAX = 1 << 30
FILES_MAX = 100000


def refused(message):
    return {'failed': {'kind': 'artifact', 'message': message}}


def unpack(task):
    """Unpacks into a new directory. Names that lead out of it are refused."""
    target = os.path.abspath(task['target'])
    try:
        with io.open(task['artifact'], encoding='utf-8') as artifact:
            code = json.load(artifact)['sourceCode']
        archive = zipfile.ZipFile(io.BytesIO(base64.b64decode(code)))
        entries = archive.infolist()
        if len(entries) > FILES_MAX or sum(entry.file_size for entry in entries) > BYTES_MAX:
            return refused('sourceCode unpacks to more than %d MiB' % (BYTES_MAX >> 20))
        for entry in entries:
            path = os.path.abspath(os.path.join(target, entry.filename))
            if path != target and not path.startswith(target + os.sep):
                return refused('sourceCode holds %r, which leads out of the plugin' % entry.filename)
        archive.extractall(target)
    except Exception as error:
        return refused('sourceCode is no zip in base64: %s' % error)
    return {'done': {'files': len(entries)}}
