"""What a constant decides: the accuracy of the alignment with other values of it.

    python tests/benchmarks/constants.py loop.matching._WEAK_PEAK 0.3,0.6,0.8
    python tests/benchmarks/constants.py loop.slabs.BLURRED_MARGIN 0,1,2,4 --cases base,masked20

A constant that decides something says beside it why it is what it is; where that was measured, by
this command. Each value runs some cases of `accuracy.py`, each with several seeds, with default
parameters. Printed are the geometric mean and the largest of error over bound, the iterations, the
seconds, sound frames that were not trusted, and runs that called themselves converged above 0.2 px.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import sys

import numpy as np
from accuracy import run_case, table_cases
from machine import facts, table

CASES = "noise5,axis3,jitter15,15angles,truncated1.6,wedge60,blank3dup2,masked20"


def put(name: str, value: object) -> None:
    """Give a constant another value, in its module and wherever it was imported to."""
    where, _, attribute = name.rpartition(".")
    home = importlib.import_module(f"napari_tomoalign.{where}")
    before = getattr(home, attribute)
    for path, module in list(sys.modules.items()):
        if path.startswith("napari_tomoalign.") and vars(module).get(attribute) is before:
            setattr(module, attribute, value)


def main(arguments: list[str] | None = None) -> None:
    """Run the cases with each value and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("name", help="module.CONSTANT, below napari_tomoalign")
    parser.add_argument("values", help="separated by commas; the first is run first")
    parser.add_argument("--cases", default=CASES)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args(arguments)
    cases = [case for case in table_cases() if case.name in options.cases.split(",")]
    header = ("value", "mean", "largest", "at", "iterations", "seconds", "alarms", "misleading")
    rows = [header]
    for value in map(ast.literal_eval, options.values.split(",")):
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
