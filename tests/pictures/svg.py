"""Draws what a terminal shows: standard input, with its escape sequences, becomes an SVG on standard output.

svg.py TITLE
"""

import io
import re
import sys

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

WIDTH = 80
# Nothing is fetched by whoever looks at the picture.
FORMAT = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL).replace("Fira Code", "DejaVu Sans Mono")


def main() -> None:
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="256")
    for line in sys.stdin.read().rstrip("\n").split("\n"):
        console.print(Text.from_ansi(line), soft_wrap=True)
    print(console.export_svg(title=sys.argv[1], code_format=FORMAT, unique_id="terminal"))


main()
