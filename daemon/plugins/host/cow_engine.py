"""The module `dlpx.virtualization._engine`: the seven library functions, asked of cowd."""
from __future__ import absolute_import

import sys
import threading
import types

# A function, and the message that answers it.
FUNCTIONS = {
    'run_bash': 'RunBashResponse',
    'run_expect': 'RunExpectResponse',
    'run_powershell': 'RunPowerShellResponse',
    'run_sync': 'RunSyncResponse',
    'log': 'LogResponse',
    'retrieve_credentials': 'CredentialsResponse',
    'upgrade_password': 'UpgradePasswordResponse',
}


class Libraries(object):
    """Asks one thing at a time, whichever thread of the plugin asks."""

    def __init__(self, channel):
        self._channel = channel
        self._lock = threading.Lock()

    def _ask(self, function, request):
        from dlpx.virtualization.api import libs_pb2
        from google.protobuf import json_format
        fields = json_format.MessageToDict(request, preserving_proto_field_name=True)
        with self._lock:
            self._channel.send({'library': function, 'request': fields})
            answer = self._channel.receive()
        response = getattr(libs_pb2, FUNCTIONS[function])()
        return json_format.ParseDict(answer, response, ignore_unknown_fields=True)


def _function(name):
    return lambda self, request: self._ask(name, request)


for _name in FUNCTIONS:
    setattr(Libraries, _name, _function(_name))


def install(channel):
    module = types.ModuleType('dlpx.virtualization._engine')
    module.libs = Libraries(channel)
    sys.modules[module.__name__] = module
    return module.libs
