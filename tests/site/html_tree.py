"""A page as a small tree, to look things up in."""

from html.parser import HTMLParser

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source"}


class Element:
    """An element of a page: ``name``, ``attributes``, ``children`` (elements and strings)."""

    def __init__(self, name, attributes, parent):
        self.name, self.attributes, self.parent = name, attributes, parent
        self.children = []

    def __getitem__(self, attribute):
        return self.attributes.get(attribute)

    @property
    def text(self):
        """The text inside, white space collapsed."""
        return " ".join(self._text().split())

    def _text(self):
        return "".join(each if isinstance(each, str) else each._text() for each in self.children)

    def all(self, name=None, /, **attributes):
        """The elements inside of that name and with those attributes; ``class_`` is one class."""
        found = []
        for each in self.children:
            if isinstance(each, Element):
                if (name is None or each.name == name) and each._has(**attributes):
                    found.append(each)
                found += each.all(name, **attributes)
        return found

    def one(self, name=None, /, **attributes):
        """The only such element."""
        found = self.all(name, **attributes)
        assert len(found) == 1, f"{name} {attributes}: {len(found)} found"
        return found[0]

    def _has(self, class_=None, **attributes):
        return (class_ is None or class_ in (self["class"] or "").split()) and all(
            self[key.replace("_", "-")] == value for key, value in attributes.items()
        )


class _Tree(HTMLParser):
    def __init__(self):
        super().__init__()
        self.here = self.root = Element(None, {}, None)

    def handle_starttag(self, tag, attrs):
        child = Element(tag, {key: value or "" for key, value in attrs}, self.here)
        self.here.children.append(child)
        if tag not in VOID:
            self.here = child

    def handle_startendtag(self, tag, attrs):
        self.here.children.append(Element(tag, dict(attrs), self.here))

    def handle_endtag(self, tag):
        assert self.here.name == tag, f"</{tag}> closes <{self.here.name}>"
        self.here = self.here.parent

    def handle_data(self, data):
        self.here.children.append(data)


def tree(path):
    """The page as a tree; every element must be closed in its place."""
    parser = _Tree()
    parser.feed(path.read_text(encoding="utf-8"))
    parser.close()
    assert parser.here is parser.root
    return parser.root
