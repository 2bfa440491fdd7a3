"""`push` and `pull`: the flags, and what is printed."""

from argparse import ArgumentParser
from pathlib import Path

from training.common.command import command_parser
from training.publish.commands import add_gate_arguments, add_serving_arguments
from training.publish.quarantine import quarantine_blocking
from training.publish.triton.serving import report_serving


def _add_hub_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--token-file", type=Path, metavar="FILE", help="where the hub's token is (default: HF_TOKEN, or your login)"
    )


def push_command(arguments: list[str]) -> None:
    """Push a version."""
    parser = command_parser(
        "training.publish push",
        "Put a version and a model card into a repository on a Hugging Face hub (HF_ENDPOINT names another hub).",
    )
    parser.add_argument("version", type=Path, help="directory of a version, such as model_repository/emotion_rubert/2")
    parser.add_argument("--repo", required=True, metavar="OWNER/NAME", help="the repository; made if it is not there")
    parser.add_argument(
        "--revision", default="main", metavar="BRANCH", help="branch; made if it is not there (default: %(default)s)"
    )
    parser.add_argument("--tag", help="give the commit this tag, so that it can be pulled by it for ever")
    parser.add_argument("--private", action="store_true", help="nobody else may see it; refused if others can already")
    _add_hub_arguments(parser)
    given = parser.parse_args(arguments)
    # Imported here: the commands that ask no hub answer at once.
    from training.publish.hub.connection import connect
    from training.publish.hub.push import Push, push

    hub = connect(given.repo, given.token_file)
    pushed = push(hub, Push(given.version, given.revision, given.tag, given.private))
    what = f"pushed {given.version} to" if pushed.changed else f"nothing to push: {given.version} is already in"
    print(f"{what} {hub.address}, branch {given.revision}, commit {pushed.commit}", flush=True)
    if given.tag:
        print(f"its tag is {given.tag}")


def pull_command(arguments: list[str]) -> None:
    """Pull a version."""
    parser = command_parser(
        "training.publish pull",
        "Fetch a version from a repository on a Hugging Face hub (HF_ENDPOINT names another hub), check it as "
        "publishing checks its own, and publish it under the model's next number.",
    )
    parser.add_argument("repo", metavar="OWNER/NAME", help="the repository")
    parser.add_argument("--model", required=True, help="model name in the repository here, such as emotion_rubert")
    parser.add_argument("--revision", help="branch, tag or commit (default: main)")
    parser.add_argument("--repository", type=Path, default=Path("model_repository"), help="default: %(default)s")
    parser.add_argument(
        "--data-dir", type=Path, help="directory of <data set>/<split>.jsonl, to compare on (default: the hub)"
    )
    parser.add_argument(
        "--dataset", default="cedr", help="your own rows to compare on, as NAME=DIRECTORY (default: %(default)s)"
    )
    add_gate_arguments(parser)
    _add_hub_arguments(parser)
    add_serving_arguments(parser)
    given = vars(parser.parse_args(arguments))
    url, seconds, quarantine = given.pop("url"), given.pop("wait"), given.pop("quarantine")
    from training.publish.hub.connection import connect

    hub = connect(given.pop("repo"), given.pop("token_file"))
    # Imported here: PyTorch takes seconds to load, and a mistake in the flags is told without it.
    from training.publish.hub.pull import Pull, pull

    asked = Pull(**given)
    if quarantine:
        quarantine_blocking(asked.repository, asked.model)
    published = pull(hub, asked)
    print(f"published {published}, pulled from {hub.address}", flush=True)
    report_serving(asked.model, published, url, seconds)
