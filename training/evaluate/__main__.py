"""`python -m training.evaluate`: see `training.evaluate.evaluation`."""

from training.common.command import run_command
from training.evaluate.evaluation import main

if __name__ == "__main__":
    run_command(main)
