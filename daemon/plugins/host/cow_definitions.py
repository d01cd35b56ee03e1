"""The module `generated.definitions`: a class for each definition of a plugin's schemas.

`dvp build` writes these classes with a code generator. A plugin that is installed from its source folder gets the same
ones from here: the same names, checks and texts. Arrays keep their items as they are, strings and switches have the
defaults of the schema, and what a schema does not know is dropped, all as in the generated code.
"""
from __future__ import absolute_import

import collections
import hashlib
import io
import json
import keyword
import pprint
import re
import sys
import types

TEXT = type(u'')
STRING = str if sys.version_info[0] > 2 else basestring  # noqa: F821
NUMBERS = (int, float, complex) if sys.version_info[0] > 2 else (int, long, float, complex)  # noqa: F821
WHOLE = int if sys.version_info[0] > 2 else (int, long)  # noqa: F821
PLATFORM = 'https://delphix.com/platform/api#'
# Names that the code generator does not leave to attributes, beside Python's keywords.
RESERVED = set(keyword.kwlist) | {'print', 'exec', 'property', 'self', 'none', 'true', 'false', 'nonlocal'}


class GeneratedClassesError(Exception):
    """A value does not fit the schema."""

    @property
    def message(self):
        return self.args[0]


class GeneratedClassesTypeError(GeneratedClassesError):
    """A value has a wrong type."""


class Model(object):
    """What all definitions have in common."""

    swagger_types = {}
    attribute_map = {}
    _fields = ()

    def __init__(self, *values, **named):
        validate = named.pop('validate', True)
        names = [field.attribute for field in self._fields]
        if len(values) > len(names) + 1:
            raise TypeError('%s takes at most %d arguments' % (type(self).__name__, len(names) + 1))
        if len(values) > len(names):
            values, validate = values[:-1], values[-1]
        given = dict(zip(names, values))
        for name, value in named.items():
            if name not in names:
                raise TypeError("__init__() got an unexpected keyword argument '%s'" % name)
            if name in given:
                raise TypeError("__init__() got multiple values for argument '%s'" % name)
            given[name] = value
        for field in self._fields:
            value = given.get(field.attribute, field.default)
            field.check(type(self), value, validate)
            self.__dict__['_' + field.attribute] = value

    @classmethod
    def from_dict(cls, dikt):
        instance = cls(validate=False)
        if not cls._fields:
            return instance if dikt is None or isinstance(dikt, dict) else dikt
        for field in cls._fields:
            if isinstance(dikt, dict) and field.key in dikt:
                setattr(instance, field.attribute, field.read(dikt[field.key]))
        return instance

    def to_dict(self):
        plain = lambda value: value.to_dict() if hasattr(value, 'to_dict') else value  # noqa: E731
        result = {}
        for field in self._fields:
            value = getattr(self, field.attribute)
            if value is None:
                continue
            if isinstance(value, list):
                value = [plain(item) for item in value]
            elif isinstance(value, dict):
                value = dict((key, plain(item)) for key, item in value.items())
            result[field.key] = plain(value)
        return result

    def to_str(self):
        return pprint.pformat(self.to_dict())

    def __repr__(self):
        return self.to_str()

    def __eq__(self, other):
        return hasattr(other, 'to_dict') and self.to_dict() == other.to_dict()

    def __ne__(self, other):
        return not self == other

    def __hash__(self):
        text = json.dumps(self.to_dict(), sort_keys=True, ensure_ascii=True, default=str)
        return int(hashlib.sha1(text.encode()).hexdigest(), 16)


def shown(kind):
    """A type as the errors name it."""
    kind = kind[0] if isinstance(kind, tuple) else kind
    return str(kind).replace('<', '').replace('>', '')


class Field(object):
    """A property of a definition."""

    def __init__(self, key, schema, required, nested):
        self.key = key
        self.attribute = attribute_name(key)
        self.schema = schema
        self.required = required
        self.nested = nested
        self.kind = schema.get('type') if isinstance(schema.get('type'), STRING) else None
        default = schema.get('default')
        self.default = default if self.kind in ('string', 'boolean') else None

    def python_type(self):
        if self.nested:
            return self.nested
        return {'string': STRING, 'integer': WHOLE, 'number': NUMBERS, 'boolean': bool, 'array': list,
                'object': dict}.get(self.kind)

    def read(self, value):
        """A value of JSON as the attribute has it."""
        if value is None or not self.nested:
            if self.kind == 'number' and isinstance(value, NUMBERS) and not isinstance(value, bool):
                return float(value)
            return value
        return self.nested.from_dict(value)

    def check(self, owner, value, validate=True):
        suffix = '' if self.required else ' if defined'
        if value is None:
            if self.required and validate:
                raise GeneratedClassesError("The required parameter '%s' must not be 'None'." % self.attribute)
            return
        if not validate:
            return
        wanted = self.python_type()
        if wanted is not None and not isinstance(value, wanted):
            name = {'number': 'class \'float\'', 'array': "type 'list of {}'".format(self.item_name()),
                    'object': "a dict with keys type 'str'"}.get(self.kind if not self.nested else '', shown(wanted))
            raise GeneratedClassesTypeError("{}'s parameter '{}' was {} but should be of {}{}.".format(
                owner.__name__, self.attribute, shown(type(value)), name, suffix))
        self.check_items(owner, value, suffix)
        self.check_value(value, suffix)

    def item_type(self):
        items = self.schema.get('items' if self.kind == 'array' else 'additionalProperties')
        kind = items.get('type') if isinstance(items, dict) else None
        return {'string': STRING, 'integer': WHOLE, 'number': NUMBERS, 'boolean': bool}.get(
            kind if isinstance(kind, STRING) else None)

    def item_name(self):
        item = self.item_type()
        if item is NUMBERS:
            return 'float'
        return 'object' if item is None else getattr(item[0] if isinstance(item, tuple) else item, '__name__')

    def check_items(self, owner, value, suffix):
        if self.nested or self.kind not in ('array', 'object'):
            return
        values = list(value.values()) if isinstance(value, dict) else value
        item = self.item_type()
        wrong = [each for each in values if item is not None and not isinstance(each, item)]
        if isinstance(value, dict) and not all(isinstance(key, STRING) for key in value):
            wrong = wrong or [next(key for key in value if not isinstance(key, STRING))]
        if wrong:
            listed = ', '.join(shown(type(each)) for each in values)
            template = ("{}'s parameter '{}' was a list of [{}] but should be of type 'list of {}'{}."
                        if isinstance(value, list) else "{}'s parameter '{}' was a dict of {{{}}} but should be of"
                        " type 'dict of str:{}'{}.")
            raise GeneratedClassesTypeError(template.format(
                owner.__name__, self.attribute, listed, self.item_name(), suffix))

    def check_value(self, value, suffix):
        schema, name = self.schema, self.attribute
        if self.kind == 'string' and 'enum' in schema and value not in schema['enum']:
            raise GeneratedClassesError("Invalid enum value {} for '{}', must be one of [{}]{}.".format(
                value, name, ', '.join(map(str, schema['enum'])), suffix))
        sizes = {'string': ('maxLength', 'minLength', 'length'), 'array': ('maxItems', 'minItems', 'number of items')}
        if self.kind in sizes:
            most, least, what = sizes[self.kind]
            if most in schema and len(value) > schema[most]:
                self.refuse('%s was %d but must be less than or equal to %s.' % (what, len(value), schema[most]))
            if least in schema and len(value) < schema[least]:
                self.refuse('%s was %d but must be greater than or equal to %s.' % (what, len(value), schema[least]))
        if self.kind in ('integer', 'number'):
            if 'maximum' in schema and value > schema['maximum']:
                self.refuse('value was {} but must be less than or equal to {}.'.format(value, schema['maximum']))
            if 'minimum' in schema and value < schema['minimum']:
                self.refuse('value was {} but must be greater than or equal to {}.'.format(value, schema['minimum']))
        if self.kind == 'string' and 'pattern' in schema and not re.search(schema['pattern'], value):
            self.refuse("was '{}' but must follow the pattern '{}'.".format(value, schema['pattern']))

    def refuse(self, why):
        raise GeneratedClassesError("Invalid value for '{}', {}".format(self.attribute, why))


def attribute_name(key):
    """`HTTPServerName` is `http_server_name`, and `class` is `_class`."""
    name = re.sub(r'[^a-zA-Z0-9_]', '_', key.replace('$', ''))
    if name.isupper():
        name = name.lower()
    name = re.sub(r'([A-Z]+)([A-Z][a-z])', r'\1_\2', name)
    name = re.sub(r'([a-z\d])([A-Z])', r'\1_\2', name).lower().lstrip('_')
    return '_' + name if name in RESERVED or name[:1].isdigit() else name


def class_name(name):
    """`repositoryDefinition_nested` is `RepositoryDefinitionNested`."""
    return ''.join(part[:1].upper() + part[1:] for part in re.split(r'[^a-zA-Z0-9]+', name) if part)


def accessor(field):
    hidden = '_' + field.attribute

    def put(self, value):
        field.check(type(self), value)
        self.__dict__[hidden] = value
    return property(lambda self: self.__dict__[hidden], put)


def define(name, schema, classes):
    """Makes the class of an object's schema, and those of objects in it."""
    required = schema.get('required') or []
    fields = []
    for key, inner in (schema.get('properties') or {}).items():
        if not isinstance(inner, dict) or not inner:
            continue
        if inner.get('$ref', '').startswith(PLATFORM):
            inner = {'type': 'object'}
        nested = None
        if inner.get('type') == 'object' and inner.get('properties'):
            nested = define(name + '_' + key, inner, classes)
        items = inner.get('items')
        if isinstance(items, dict) and items.get('type') == 'object' and items.get('properties'):
            define(name + '_' + key, items, classes)
        fields.append(Field(key, inner, key in required, nested))
    body = {'_fields': tuple(fields), '__module__': 'generated.definitions'}
    for field in fields:
        body[field.attribute] = accessor(field)
    made = type(str(class_name(name)), (Model,), body)
    made.swagger_types = collections.OrderedDict((field.attribute, field.python_type()) for field in fields)
    made.attribute_map = collections.OrderedDict((field.attribute, field.key) for field in fields)
    classes[made.__name__] = made
    return made


# Definitions that older SDKs' schemas lack: their classes are there, and empty.
LATER = ['snapshotParametersDefinition', 'virtualToPhysicalDefinition']


def install(schema_file):
    """Makes the classes, and the modules that they are imported from."""
    with io.open(schema_file, encoding='utf-8') as text:
        schemas = json.load(text, object_pairs_hook=collections.OrderedDict)
    classes = {}
    for name in list(schemas) + [name for name in LATER if name not in schemas]:
        if isinstance(schemas.get(name, {}), dict):
            define(name, schemas.get(name, {}), classes)
    outer, inner, base = [types.ModuleType(name) for name in (
        'generated', 'generated.definitions', 'generated.definitions.base_model_')]
    for error in (GeneratedClassesError, GeneratedClassesTypeError, Model):
        error.__module__ = base.__name__
        setattr(base, error.__name__, error)
        setattr(inner, error.__name__, error)
    outer.__path__, inner.__path__ = [], []
    outer.definitions, inner.base_model_ = inner, base
    for made in classes.values():
        setattr(inner, made.__name__, made)
        name = re.sub(r'([a-z\d])([A-Z])', r'\1_\2', made.__name__).lower()
        own = types.ModuleType('generated.definitions.' + name)
        setattr(own, made.__name__, made)
        setattr(inner, name, own)
        sys.modules[own.__name__] = own
    for module in (outer, inner, base):
        sys.modules[module.__name__] = module
