"""Writes a report again from the raw figures of its run.

python -m benchmarks.report benchmarks/results/report/results.json
"""

from pathlib import Path

from benchmarks.command import run_command
from benchmarks.report.results import Results
from benchmarks.report.writing import REPORT, write_report
from training.common.command import command_parser


def main() -> None:
    """Write the report of a results file beside the others."""
    parser = command_parser("benchmarks.report", __doc__)
    parser.add_argument("results", type=Path, help="what a run has left: results.json")
    parser.add_argument("--output", type=Path, default=REPORT, help="default: %(default)s")
    arguments = parser.parse_args()
    output = arguments.output.resolve()
    write_report(Results.load(arguments.results), output, output.parent / "report")
    print(f"wrote {output}")


if __name__ == "__main__":
    run_command(main)
