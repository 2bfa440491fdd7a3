"""A real `python -m clients.telegram` for tests: started, watched and cleared away."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.clients.telegram.fake_bot_api import SECRET_PART, TOKEN, FakeBotApi
from tests.gateway.support.gateway_process import environment
from tests.support.triton_process import ROOT
from tests.support.waiting import SECONDS, wait_until

GATEWAY_KEY = "a-key-of-the-gateway-that-nobody-may-read"
_CYRILLIC = re.compile("[А-Яа-яЁё]|\\\\u04")


@dataclass
class BotProcess:
    process: subprocess.Popen[bytes]
    output_path: Path

    def output(self) -> str:
        """Everything it printed."""
        return self.output_path.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, text: str) -> None:
        def found() -> bool:
            assert text in self.output() or self.process.poll() is None, self.output()
            return text in self.output()

        wait_until(found, self.output)

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(SECONDS)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def start_bot(state: Path, *flags: str, **variables: str) -> BotProcess:
    """Start it and wait for nothing. It logs all that it can."""
    descriptor, path = tempfile.mkstemp(prefix="test-bot-", suffix=".log")
    command = [sys.executable, "-m", "clients.telegram", f"--state={state}", "--log-level=debug", *flags]
    variables = {"EMOTION_TELEGRAM_TOKEN": TOKEN, "PYTHONASYNCIODEBUG": "1", **variables}
    with os.fdopen(descriptor, "wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment(**variables), stdout=output, stderr=subprocess.STDOUT
        )
    return BotProcess(process, Path(path))


@contextlib.contextmanager
def running_bot(api: FakeBotApi, gateway_url: str, state: Path, *flags: str, **variables: str) -> Iterator[BotProcess]:
    """A bot that answers; stopped with SIGTERM, which must give 0, unless the test ends it.

    Whatever happens to it, what it printed holds no secret, no text and no unexpected traceback.
    """
    bot = start_bot(state, f"--api-url={api.url}", f"--gateway-url={gateway_url}", *flags, **variables)
    try:
        bot.wait_for("the bot answers")
        yield bot
        if bot.process.poll() is None:
            assert bot.stop() == 0, bot.output()
        assert_tells_nothing(bot.output())
        assert "Traceback" not in bot.output(), bot.output()
    finally:
        if bot.process.poll() is None:
            bot.kill()
        bot.output_path.unlink(missing_ok=True)


def assert_tells_nothing(output: str) -> None:
    """No secret and no text of a person was printed. Tests send Cyrillic; our own words are English."""
    assert SECRET_PART not in output
    assert GATEWAY_KEY not in output
    assert not _CYRILLIC.search(output), output
