"""Figures as SVG inside a page: text stays text, and colours follow the page."""

import html
import io
import re
import warnings

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from mstool.pictures.colours import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY

# What a page that is dark, or printed, may turn into its own colours.
_BY_PAGE = {
    BLACK: "currentColor",
    "#ffffff": "var(--ground)",
    "#d9d9d9": "var(--faint)",
    BLUE: "var(--blue)",
    ORANGE: "var(--orange)",
    GREEN: "var(--green)",
    PURPLE: "var(--purple)",
    SKY: "var(--sky)",
    GREY: "var(--grey)",
}
_STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # names of files and cells may hold $
    "font.family": "sans-serif",
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}


def page_style() -> mpl.RcParams:
    """Context in which figures for a page are drawn."""
    return mpl.rc_context(_STYLE)


def to_svg(figure: Figure, key: str, alt: str) -> str:
    """Give a figure as an SVG element; same figure and key, same text.

    Parameters
    ----------
    key : str
        Letters and digits that begin all of its identifiers, another one for each figure of a page.
    alt : str
        What the figure shows, for those who do not see it.
    """
    FigureCanvasSVG(figure)
    figure.patch.set_alpha(0)
    stream = io.StringIO()
    with mpl.rc_context({**_STYLE, "svg.hashsalt": key}), warnings.catch_warnings():
        # letters that the font lacks are drawn by another one of the reader's
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    return _follow_page(_own_identifiers(_element(text, alt), key))


def _element(text: str, alt: str) -> str:
    """The SVG element alone, without what only a file needs."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.S)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.S)
    opening = re.match(r"<svg[^>]*>", text)[0]
    view, width = re.search(r'viewBox="[^"]*"', opening)[0], re.search(r'width="([\d.]+)', opening)
    words = html.escape(alt)
    new = f'<svg role="img" aria-label="{words}" {view} style="--width: {float(width[1]):g}px" '
    new += 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
    return new + text[len(opening) :].rstrip()


def _own_identifiers(text: str, key: str) -> str:
    """Identifiers that no other figure of the page has; those that nothing refers to are left."""
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', text))

    def rename(found: re.Match) -> str:
        return f' id="{key}-{found[1]}"' if found[1] in used else ""

    text = re.sub(r' id="([^"]+)"', rename, text)
    return re.sub(r'(url\(#|href="#)', rf"\1{key}-", text)


def _follow_page(text: str) -> str:
    for colour, name in _BY_PAGE.items():
        text = re.sub(rf"{colour}\b", name, text, flags=re.I)
    # matplotlib names its own fonts, in one of two ways; the page has others
    text = re.sub(r'font-family: [^;"]*(?:; |(?="))', "", text)
    return re.sub(r'font: (?:[a-z]+ )?([\d.]+)px [^;"]*', r"font-size: \1px", text)
