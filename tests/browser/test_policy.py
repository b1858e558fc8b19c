"""The preview's pages under a strict Content-Security-Policy: nothing blank, no errors.

Quarto's own scripts stand within its pages, and such a policy forbids them.
"""

import pytest
import serving
from reader import KINDS, Reader

pytestmark = pytest.mark.slow

#: No script within a page, and none made of text; pictures as data are the hardest images'.
POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; object-src 'none'; base-uri 'none'"
)


@pytest.fixture(scope="module")
def strict(preview_site):
    with serving.served(preview_site.home, POLICY) as address:
        yield address


def test_the_policy_is_in_force(chromium, strict):
    with Reader(chromium, strict) as reader:
        reader.open("index.html")
        reader.page.evaluate(
            """() => new Promise((resolve) => {
                let left = 2;
                document.addEventListener("securitypolicyviolation", () => --left || resolve());
                const script = document.createElement("script");
                script.textContent = "window.within = 1";
                document.head.append(script);
                setTimeout("window.made = 1");
            })"""
        )
        assert reader.page.evaluate("[window.within, window.made]") == [None, None]
        assert len(reader.complaints) == 2


@pytest.mark.parametrize("name", [*KINDS, "report/1_2.html", "report/2_2.html"])
def test_under_a_strict_policy_a_page_is_whole(chromium, strict, name):
    """Its charts come alive, its theme can be changed, and nothing complains."""
    with Reader(chromium, strict) as reader:
        reader.open(name)
        reader.see_all()
        before = reader.page.evaluate("document.documentElement.dataset.bsTheme")
        reader.page.click("#theme-toggle")
        assert reader.page.evaluate("document.documentElement.dataset.bsTheme") != before
        for form in reader.page.locator(".lab1-watch form").all():
            form.get_by_label("Networks").select_option("plain")
            form.get_by_role("button", name="Train").click()
            reader.page.get_by_text("Trained in").wait_for(timeout=120_000)
        for place in reader.page.locator(".lab1-draw").all():
            place.scroll_into_view_if_needed()
            place.locator("canvas").first.click()
            reader.page.locator(".lab1-likeliest").first.wait_for()
        assert reader.complaints == []
        assert len(reader.page.inner_text("main")) > 500
