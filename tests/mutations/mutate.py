"""Changes the sources of lab1 one place at a time, and says which test notices.

``python tests/mutations/mutate.py`` goes through ``mutations.tsv`` beside it, and writes it anew
into ``test-artifacts/``; interrupted, it goes on.  ``--draw 100`` draws a new list.  A place is
known by its function's name and its text: a function that moves keeps its mutations.  In the table
``caught`` is yes, no, gone (no such place now), equivalent (why: ``by``), or the pass to come.
"""

import argparse
import ast
import copy
import csv
import hashlib
import io
import itertools
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = "output.txt"
LIST = Path(__file__).with_name("mutations.tsv")
COLUMNS = ("id", "file", "function", "before", "after", "caught", "by", "seconds")
PAIRS = "Lt LtE, Gt GtE, Eq NotEq, In NotIn, Is IsNot, Add Sub, Mult Div, And Or"
OTHER: dict[type, type] = {}
for pair in PAIRS.split(", "):
    one, other = (getattr(ast, name) for name in pair.split())
    OTHER |= {one: other, other: one}
#: What no mutation touches: it may end processes or remove files that are not the test's.
DANGEROUS = re.compile(r"kill|rmtree|unlink|signal|terminate|fork|setsid")
#: Tests that need a built site.
SITES = ("tests/browser/", "tests/site/test_quarto.py", "tests/site/test_preview.py")
#: A row of the table, and which bytes of the source go (`at`).
Mutation = dict[str, Any]


def changed(node: ast.AST) -> ast.AST | None:
    """What is to stand in a node's place."""
    new: Any = copy.copy(node)
    match new:
        case ast.Compare(ops=[op, *others]):
            new.ops = [OTHER[type(op)](), *others]
        case ast.BinOp(op=op) | ast.BoolOp(op=op) if type(op) in OTHER:
            new.op = OTHER[type(op)]()
        case ast.UnaryOp(op=ast.Not()):
            return new.operand
        case ast.Constant(value=bool() | int() | float() as value):
            return ast.Constant(not value if isinstance(value, bool) else value + 1)
        case ast.IfExp():
            new.body, new.orelse = new.orelse, new.body
        case ast.Return(value=ast.expr() as value) if ast.unparse(value) != "None":
            return ast.Return(None)
        case ast.Raise() | ast.AugAssign() | ast.Expr(value=ast.Call()):
            return ast.Pass()
        case ast.Call(args=[one, two, *rest]) if ast.Starred not in (type(one), type(two)):
            new.args = [two, one, *rest]
        case ast.Call(keywords=[*keywords, _]):
            new.keywords = keywords
        case _:
            return None
    return new


def mutations_of(file: Path, root: Path) -> Iterator[Mutation]:
    """All candidates of a source file."""
    source, path = file.read_bytes(), str(file.relative_to(root))
    starts = [0]
    starts += itertools.accumulate(map(len, source.splitlines(keepends=True)))

    def visit(node: ast.AST, function: str) -> Iterator[Mutation]:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            function = f"{function}.{node.name}".lstrip(".")
        for name, value in ast.iter_fields(node):
            is_type = name == "annotation" and value and "Annotated" not in ast.unparse(value)
            if name in ("returns", "decorator_list") or is_type:
                continue
            for child in value if isinstance(value, list) else [value]:
                # The positions within an f-string are not those of the file.
                if not isinstance(child, ast.AST) or isinstance(child, ast.JoinedStr):
                    continue
                if isinstance(child, ast.expr | ast.stmt) and (new := changed(child)):
                    text, after = ast.unparse(child), ast.unparse(new)
                    after = f"({after})" if isinstance(new, ast.expr) else after
                    start = starts[child.lineno - 1] + child.col_offset
                    end = starts[child.end_lineno - 1] + child.end_col_offset
                    if not DANGEROUS.search(text):
                        key = hashlib.sha256(f"{function}|{text}|{after}".encode()).hexdigest()
                        values = (key[:12], path, function, text, after)
                        yield dict(zip(COLUMNS, values, strict=False)) | {"at": (start, end)}
                yield from visit(child, function)

    yield from visit(ast.parse(source), "")


def draw(root: Path, count: int) -> list[Mutation]:
    """Shares the count among the folders by their lines; in each, every module has its turn."""
    turns, lines = defaultdict(list), Counter()
    for file in sorted((root / "lab1").rglob("*.py")):
        folder = file.relative_to(root).parts[1]
        lines[folder] += len(file.read_text().splitlines())
        of_file = sorted(mutations_of(file, root), key=itemgetter("id"))
        turns[folder] += [(turn, mutation["id"], mutation) for turn, mutation in enumerate(of_file)]
    drawn = []
    for folder, candidates in turns.items():
        share = max(1, round(count * lines[folder] / lines.total()))
        drawn += sorted(candidates, key=itemgetter(0, 1))[:share]
    return sorted((mutation for *_, mutation in drawn), key=itemgetter("id"))


def find(row: Mutation, there: list[Mutation]) -> Mutation | None:
    """The place of a listed mutation, by its hash; where its function was renamed, by its text."""
    same = [m for m in there if m["id"] == row["id"]]
    if not same:
        same = [m for m in there if (m["before"], m["after"]) == (row["before"], row["after"])]
        same = same if len(same) == 1 else []
    return next((m for m in same if m["file"] == row["file"]), same[0] if same else None)


def stages(mutation: Mutation, root: Path, known: str) -> list[list[str]]:
    """The arguments of pytest for each pass: the tests that name the module and function first."""
    texts = {str(f.relative_to(root)): f.read_text() for f in (root / "tests").rglob("test_*.py")}
    package, _, module = mutation["file"].removesuffix(".py").replace("/", ".").rpartition(".")
    function = mutation["function"].rpartition(".")[2] or module
    names = re.compile(rf"{package}\.{module}\b|from {package} import .*\b{module}\b")

    nearest = {f: (not re.search(rf"\b{function}\b", t), len(t)) for f, t in texts.items()}
    files = [file for file in sorted(texts, key=nearest.get) if not file.startswith(SITES)]
    mirror = [file for file in files if names.search(texts[file]) or module in file]
    rest = [file for file in files if file not in mirror]
    again = [known] if known.partition("::")[0] in texts else []
    quick = [["-m", "not slow", *part] if part else [] for part in (mirror[:4], mirror[4:], rest)]
    return [again, *quick[:2], ["-m", "slow", *mirror] if mirror else [], quick[2]]


def run(arguments: list[str], root: Path, seconds: float = 600) -> str:
    """Runs pytest in a child of this process, which has imported the libraries: what failed."""
    if (child := os.fork()) == 0:
        os.setsid()
        os.chdir(root)
        descriptor = os.open(OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(descriptor, stream)
        os.environ["PYTHONPATH"] = sys.path[0] = str(root)
        os._exit(int(pytest.main(["-xv", "-p", "no:cacheprovider", "--tb=line", *arguments])))
    ended, ends = 0, time.monotonic() + seconds
    while not ended and time.monotonic() < ends:
        time.sleep(0.2)
        ended, status = os.waitpid(child, os.WNOHANG)
    subprocess.run(["pkill", "-KILL", "-g", str(child)], check=False)  # and all that it started
    if not ended:
        status = os.waitpid(child, 0)[1]
    code, text = os.waitstatus_to_exitcode(status), (root / OUTPUT).read_text(errors="replace")
    if code in (0, 5) or (code == 4 and "while loading conftest" not in text):
        return ""  # 5: no test was selected; 4: there is none of that name
    if failed := re.search(r"^(?:FAILED|ERROR) (tests/.+?)(?: - .*)?$", text, re.M):
        return failed[1]
    begun = re.findall(r"^(tests/\S+::.+?) (?:PASSED|SKIPPED|$)", text, re.M) or arguments[-1:]
    if not ended and len(arguments) > 1:  # does it hang, or are there many tests?
        return run(begun[-1:], root, 120)
    return f"{begun[-1]} ({'ends the process' if ended else 'hangs'})"


def notice(mutation: Mutation, root: Path, arguments: list[str]) -> str:
    """Applies a mutation, gives the first test that notices, and takes the mutation back."""
    file, (start, end) = root / mutation["file"], mutation["at"]
    source = file.read_bytes()

    def put(content: bytes) -> None:
        file.write_bytes(content)
        for compiled in (file.parent / "__pycache__").glob(f"{file.stem}.*"):
            compiled.unlink()

    put(source[:start] + mutation["after"].encode() + source[end:])
    failed = run(arguments, root)
    put(source)
    # On a busy machine a test may fail on the unchanged sources too.
    if failed and failed not in arguments and run([failed], root):
        return notice(mutation, root, [f"--deselect={failed}", *arguments])
    return failed


def read(table: Path) -> dict[str, Mutation]:
    text = table.read_text() if table.exists() else ""
    return {row["id"]: row for row in csv.DictReader(io.StringIO(text), delimiter="\t")}


def write(table: Path, rows: Iterable[Mutation]) -> None:
    table.parent.mkdir(exist_ok=True)
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, "", "ignore", "excel-tab", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draw", type=int, metavar="COUNT", help="draw a new list")
    parser.add_argument("--commit", default="HEAD", help="whose sources and tests (HEAD)")
    options = parser.parse_args()
    asked = ["git", "-C", ROOT, "rev-parse", options.commit]
    commit = subprocess.check_output(asked, text=True).strip()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        subprocess.run(["git", "clone", "-q", "--shared", "-n", ROOT, root], check=True)
        subprocess.run(["git", "-C", root, "checkout", "-q", commit], check=True)
        there = [m for file in (root / "lab1").rglob("*.py") for m in mutations_of(file, root)]
        if options.draw:
            write(LIST, draw(root, options.draw))
        table = ROOT / "test-artifacts" / f"mutations-{commit[:7]}.tsv"
        before, rows = read(LIST), read(table)
        for number in range(5):
            for key, known in before.items():
                fresh = known | {"caught": "0", "by": "", "seconds": "0"}
                row = rows.setdefault(key, known if known["caught"] == "equivalent" else fresh)
                if row["caught"] != str(number):
                    continue
                if (mutation := find(row, there)) is None:
                    row["caught"] = "gone"
                elif arguments := stages(mutation, root, known["by"])[number]:
                    began = time.monotonic()
                    row["by"] = notice(mutation, root, arguments)
                    row["seconds"] = f"{float(row['seconds']) + time.monotonic() - began:.0f}"
                    row["file"] = mutation["file"]
                if row["caught"] == str(number):
                    row["caught"] = "yes" if row["by"] else "no" if number == 4 else str(number + 1)
                print(number, *row.values(), sep="\t", flush=True)
                write(table, rows.values())
    print(Counter(row["caught"] for row in rows.values()))


if __name__ == "__main__":
    os.environ |= {"OMP_NUM_THREADS": "1"}
    for library in ("altair", "pandas", "torchvision"):  # then the children need not
        __import__(library)
    main()
