"""What a browser without script would send of a form."""

from __future__ import annotations

from html.parser import HTMLParser

Pairs = list[tuple[str, str]]


class _Form(HTMLParser):
    def __init__(self, form_id: str) -> None:
        super().__init__()
        self.sent: Pairs = []
        self._form_id = form_id
        self._is_inside = False
        self._depth_of_templates = 0
        self._name = ""
        self._text: str | None = None
        self._options: list[tuple[str, bool]] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._is_inside = given.get("id") == self._form_id
        self._depth_of_templates += tag == "template"
        if not self._is_inside or self._depth_of_templates:
            return
        if tag == "option" and self._options is not None:
            self._options.append((given["value"], "selected" in given))
        elif tag in ("input", "select", "textarea") and "name" in given and "form" not in given:
            self._begin(tag, given)

    def _begin(self, tag: str, given: dict[str, str]) -> None:
        self._name = given["name"]
        if tag == "select":
            self._options = []
        elif tag == "textarea":
            self._text = ""
        elif given.get("type") not in ("checkbox", "radio") or "checked" in given:
            self.sent.append((self._name, given.get("value", "")))

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text += data

    def handle_endtag(self, tag: str) -> None:
        self._depth_of_templates -= tag == "template"
        if tag == "select" and self._options is not None:
            chosen = [value for value, is_selected in self._options if is_selected]
            self.sent.append((self._name, chosen[-1] if chosen else self._options[0][0]))
            self._options = None
        elif tag == "textarea" and self._text is not None:
            # The first line end after the tag is no part of the text.
            self.sent.append((self._name, self._text.removeprefix("\n")))
            self._text = None
        elif tag == "form":
            self._is_inside = False


def inputs(page: str, form_id: str = "study-form") -> Pairs:
    """The inputs of a form on a page with what stands in them, in order, its buttons left out."""
    parser = _Form(form_id)
    parser.feed(page)
    return parser.sent
