"""YAML whose values mean what they mean on the command line, without what nobody means.

PyYAML reads version 1.1, where `yes` is true, `010` is eight, `1:30` ninety and `1e-3` a text, and
where the last of two equal keys wins.  Here every scalar stays the text that was written, and the
declaration of its parameter reads it, by the core schema of version 1.2 (see `lab1.core.fields`).
A key stands once, and what is absurdly large, deep or full of references is refused at once.
Anchors, references and `<<` are as in version 1.1; what has a tag is refused.
"""

import codecs
import re
from pathlib import Path
from typing import Any

import yaml

from ..errors import ParameterError, short_repr

#: The most bytes of a file, and the most values once every reference is followed.
MOST_BYTES = 2**18
MOST_NODES = 200_000

_TAG = "tag:yaml.org,2002:"


def load(text: str, where: str) -> Any:
    """Parses a text; raises `ParameterError`, naming `where` it stood, if it is not in order."""
    if len(text) > MOST_BYTES:
        raise _too_large(where)
    try:
        loader = _Loader(text)
        loader.name = where
        node = loader.get_single_node()
        if node is None:
            return None
        _check_size(node, {})
        return loader.construct_document(node)
    except RecursionError as error:
        raise ParameterError(f"{where}: not readable as YAML: nested too deeply") from error
    except yaml.YAMLError as error:
        raise ParameterError(f"{where}: not readable as YAML: {_words(error)}") from error


def load_file(path: Path) -> Any:
    """Parses a file, named without its folder; raises `ParameterError` as `load` does."""
    if not path.is_file():
        raise ParameterError(f"{path.name}: cannot be read: it is no file, or leads to none")
    try:
        with path.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise ParameterError(f"{path.name}: cannot be read: {error.strerror or error}") from error
    if len(content) > MOST_BYTES:
        raise _too_large(path.name)
    if content.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ParameterError(
            f"{path.name}: begins with a byte order mark; allowed: UTF-8 without such a mark"
        )
    try:
        return load(content.decode(), path.name)
    except UnicodeDecodeError as error:
        raise ParameterError(
            f"{path.name}: byte {error.start} is not UTF-8; save the file in that encoding"
        ) from error


def _words(error: yaml.YAMLError) -> str:
    """The fault and its place, in one line."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return " ".join(str(error).split())
    return f"{getattr(error, 'problem', '')} (line {mark.line + 1}, column {mark.column + 1})"


def _too_large(where: str) -> ParameterError:
    return ParameterError(f"{where}: too large to be read; allowed: at most {MOST_BYTES} bytes")


def _check_size(node: yaml.Node, sizes: dict[int, int]) -> int:
    """The number of values in a node and below it, references followed."""
    size = sizes.get(id(node))
    if size is None:
        sizes[id(node)] = 0  # while it is counted: what is found in itself has no end
        below = node.value if isinstance(node, yaml.CollectionNode) else ()
        parts = [part for item in below for part in (item if isinstance(item, tuple) else (item,))]
        size = sizes[id(node)] = 1 + sum(_check_size(part, sizes) for part in parts)
    if size == 0:
        raise yaml.YAMLError("a value refers to itself")
    if size > MOST_NODES:
        raise yaml.YAMLError(f"its references stand for more than {MOST_NODES} values")
    return size


class _Loader(yaml.SafeLoader):
    """Makes mappings, lists and texts, and nothing else."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012
    yaml_constructors = {  # noqa: RUF012
        tag: yaml.SafeLoader.yaml_constructors[tag]
        for tag in (f"{_TAG}str", f"{_TAG}seq", f"{_TAG}map")
    }

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """A mapping in which no key stands twice."""
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        keys = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in keys:
                    raise yaml.composer.ComposerError(
                        problem=f"the key {short_repr(key.value)} stands twice",
                        problem_mark=key.start_mark,
                    )
                keys.add(key.value)
        return node

    def _tagged(self, node: yaml.Node) -> str:
        """A scalar of any other tag as it was written, so that it is refused by its name."""
        if not isinstance(node, yaml.ScalarNode):
            raise yaml.constructor.ConstructorError(
                problem=f"the tag {short_repr(node.tag)} is not allowed",
                problem_mark=node.start_mark,
            )
        return f"{node.tag.replace(_TAG, '!!')} {node.value}"


_Loader.add_constructor(None, _Loader._tagged)
_Loader.add_implicit_resolver(f"{_TAG}merge", re.compile("<<$"), ["<"])
