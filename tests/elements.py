"""What a page of HTML consists of."""

from html.parser import HTMLParser


class Elements(HTMLParser):
    """The elements of a page with their attributes, and the text in its scripts."""

    def __init__(self, text):
        super().__init__()
        self.all, self.scripts, self._open = [], [], False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.all.append((tag, dict(attrs)))
        self._open = tag == "script"
        if self._open:
            self.scripts.append("")

    def handle_endtag(self, tag):
        self._open = False

    def handle_data(self, data):
        if self._open:
            self.scripts[-1] += data

    def one(self, name, **attributes):
        """The attributes of the only element of that name that has these."""
        (match,) = (
            own for tag, own in self.all if tag == name and attributes.items() <= own.items()
        )
        return match

    def values(self, tags, *names):
        """What these attributes say in the elements of some names, or of any."""
        return [
            own[name]
            for tag, own in self.all
            for name in names
            if own.get(name) and tag in (tags or (tag,))
        ]
