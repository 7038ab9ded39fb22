"""What a constant decides: the accuracy of the alignment with other values of it.

    python tests/benchmarks/constants.py loop.matching._WEAK_PEAK 0.3,0.6,0.8
    python tests/benchmarks/constants.py loop.slabs.BLURRED_MARGIN 0,1,2,4 --cases base,masked20
    python tests/benchmarks/constants.py start.frames x0.5,x2 --foreign 12   all of a module

A constant that decides something says beside it why it is what it is; where that was measured, by
this command. Each value runs some cases of `accuracy.py`, each with several seeds, with default
parameters. Printed are the geometric mean and the largest of error over bound, the iterations, the
seconds, sound frames that were not trusted, and runs that called themselves converged above 0.2 px.

With ``--foreign`` the cases are the first small scans of `storm_foreign.py`'s developing set that
have something the matter with them, and what is printed is, beside the value as it stands, how many
of them end otherwise (by more than a tenth of their error and 0.01 px, or with another word).
"""

from __future__ import annotations

import argparse
import ast
import importlib
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
from accuracy import run_case, table_cases
from machine import facts, table

CASES = "noise5,axis3,jitter15,15angles,truncated1.6,wedge60,blank3dup2,masked20"
SMALL = 1e5  # pixels of a stack, for a foreign scan to be small


def home_of(name: str) -> tuple[ModuleType, str]:
    """Return the module of a constant, and what it is called there; "" for a module's name."""
    try:
        return importlib.import_module(f"napari_tomoalign.{name}"), ""
    except ModuleNotFoundError:
        where, _, attribute = name.rpartition(".")
        return importlib.import_module(f"napari_tomoalign.{where}"), attribute


def put(name: str, value: object) -> None:
    """Give a constant another value, in its module and wherever it was imported to."""
    home, attribute = home_of(name)
    before = getattr(home, attribute)
    for path, module in list(sys.modules.items()):
        if path.startswith("napari_tomoalign.") and vars(module).get(attribute) is before:
            setattr(module, attribute, value)


def named(name: str) -> list[str]:
    """Return the constant, or all numbers of a module that are its own."""
    module, attribute = home_of(name)
    if attribute:
        return [name]
    source = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    targets = [node.targets[0] for node in source.body if isinstance(node, ast.Assign)]
    own = [target.id for target in targets if isinstance(target, ast.Name)]
    return [f"{name}.{one}" for one in own if type(getattr(module, one)) in (int, float)]


def values_of(name: str, text: str) -> list[float]:
    """Return the values of a constant that are asked for: numbers, or factors such as x0.5."""
    home, attribute = home_of(name)
    now = getattr(home, attribute)
    values = []
    for part in text.split(","):
        value = ast.literal_eval(part.removeprefix("x"))
        values.append(type(now)(now * value) if part.startswith("x") else value)
    return values


def foreign(names: list[str], text: str, count: int) -> None:
    """Print which scans end otherwise with other values."""
    from storm_foreign import draw, kinds_of, score

    numbers: list[int] = []
    number = 0
    while len(numbers) < count:
        scan = draw("developing", number)
        if scan["angles"] * scan["rows"] * scan["n"] < SMALL and kinds_of(scan) != ["nothing"]:
            numbers.append(number)
        number += 1

    def lines() -> list[dict[str, object]]:
        return [score("developing", one) for one in numbers]

    usual = lines()
    print(facts(), flush=True)
    for name in names:
        home, attribute = home_of(name)
        stands = getattr(home, attribute)
        for value in values_of(name, text):
            put(name, value)
            changed = []
            for before, after in zip(usual, lines(), strict=True):
                errors = [float(str(one.get("error", "nan"))) for one in (before, after)]
                apart = abs(errors[1] - errors[0]) > max(0.01, 0.1 * errors[0])
                words = [one.get("converged") for one in (before, after)]
                if apart or words[0] != words[1]:
                    both = "/".join("converged" if word else "-" for word in words)
                    changed.append(f"{before['number']}: {errors[0]:.3f} {errors[1]:.3f} {both}")
            print(
                f"{name} {stands:g} -> {value:g}: {len(changed)} of {count} {changed}", flush=True
            )
            put(name, stands)


def main(arguments: list[str] | None = None) -> None:
    """Run the cases with each value and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("name", help="module.CONSTANT, below napari_tomoalign; or a module")
    parser.add_argument("values", help="separated by commas; the first is run first")
    parser.add_argument("--cases", default=CASES)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--foreign", type=int, metavar="SCANS")
    options = parser.parse_args(arguments)
    if options.foreign:
        foreign(named(options.name), options.values, options.foreign)
        return
    cases = [case for case in table_cases() if case.name in options.cases.split(",")]
    header = ("value", "mean", "largest", "at", "iterations", "seconds", "alarms", "misleading")
    rows = [header]
    for value in values_of(options.name, options.values):
        run_case(cases[0], "builtin", 0)  # everything is compiled, and every module is there
        put(options.name, value)
        scores = [
            run_case(case, "builtin", seed) for case in cases for seed in range(options.seeds)
        ]
        ratios = np.array([score.ratio for score in scores])
        worst = scores[int(np.nanargmax(ratios))].case.name
        rows.append(
            (
                f"{value:g}",
                f"{np.exp(np.mean(np.log(ratios))):.3f}",
                f"{ratios.max():.2f}",
                worst,
                f"{np.mean([score.iterations for score in scores]):.1f}",
                f"{sum(score.seconds for score in scores):.0f}",
                str(sum(score.false_alarms for score in scores)),
                str(sum(score.misleading for score in scores)),
            )
        )
    print(facts())
    print(options.name)
    print(table(rows))


if __name__ == "__main__":
    main()
