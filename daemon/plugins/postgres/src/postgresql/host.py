"""Scripts on hosts, as the user who owns the database."""
import inspect

from dlpx.virtualization import libs
from dlpx.virtualization.platform.exceptions import UserError

# Becomes the database's owner, if the environment's user is somebody else. `dlpx_db_exec` comes from the engine. The
# script and its variables go by standard input: sudo drops the environment, and arguments are seen by everybody.
AS_OWNER = r'''
export LC_ALL=C
cd /
if [ -z "$COW_USER" ] || [ "$COW_USER" = "$(id -un)" ]; then
    [ "$(id -u)" != 0 ] || { echo "PostgreSQL refuses to be run by root: give the parameter osUser" >&2; exit 1; }
    exec bash -c "$COW_SCRIPT"
fi
{
    for name in $COW_NAMES; do printf 'export %s=%q\n' "$name" "${!name}"; done
    printf '%s\n' "$COW_SCRIPT"
} | "$COW_EXEC" "$COW_USER" bash -c 'cd /; script=$(cat); eval "$script"' 
'''


def run(connection, owner, act, action, script, **variables):
    """Runs a script as the database's owner and returns what it said.

    What users gave travels in variables, never in the script's text: then no name, however odd, is taken for code.
    `act` and `action` are for whoever reads why it failed: what was being done, and what they can do.
    """
    result = attempt(connection, owner, script, **variables)
    if result.exit_code != 0:
        said = result.stderr.strip() or result.stdout.strip() or 'exit code {}'.format(result.exit_code)
        raise UserError('Cannot {}: {}'.format(act, said.splitlines()[-1]), action, said)
    return result.stdout.strip()


def attempt(connection, owner, script, **variables):
    """The same for what may fail."""
    variables = {name: '' if value is None else str(value) for name, value in variables.items()}
    # A user of the host may have variables of these names in a profile.
    variables.update(
        COW_NAMES=' '.join(list(variables) + ['LC_ALL']),
        COW_USER=owner or '',
        COW_SCRIPT=inspect.cleandoc(script),
        COW_EXEC=connection.environment.host.binary_path + '/dlpx_db_exec')
    return libs.run_bash(connection, AS_OWNER, variables)


def ids_of(connection, owner):
    """User and group id of the database's owner on a host."""
    said = libs.run_bash(connection, 'user=${OWNER:-$(id -un)}; id -u -- "$user" && id -g -- "$user"', {'OWNER': owner or ''})
    words = said.stdout.split()
    if said.exit_code != 0 or len(words) != 2:
        raise UserError(
            'Host {} has no user {}'.format(connection.environment.host.name, owner),
            'Make it there, or give the parameter osUser.', said.stderr)
    return int(words[0]), int(words[1])
