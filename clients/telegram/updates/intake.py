"""Takes each update once, keeps the order of each person's messages, and bounds how many may wait."""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from telegram import Bot, Update, User

from clients.telegram.asked import Button, Flooded, Interrupted, Job, job_of
from clients.telegram.conversation import Conversation
from clients.telegram.state import Released, State, StateError

logger = logging.getLogger(__name__)

_Lane = tuple[int, int]
"""A person in a chat: their messages are answered one after the other, in their order."""


@dataclass
class _Waiting:
    """A job that was taken."""

    job: Job
    finished: asyncio.Event = field(default_factory=asyncio.Event)


class Intake:
    """The jobs that wait or are being answered."""

    def __init__(self, me: User, conversation: Conversation, state: State, max_waiting: int) -> None:
        self._me = me
        self._conversation = conversation
        self._state = state
        self._max_waiting = max_waiting
        self._unfinished: dict[int, _Waiting] = {}
        self._released: set[int] = set()
        self._lanes: dict[_Lane, deque[_Waiting]] = {}
        self._workers: dict[_Lane, asyncio.Task[None]] = {}
        self._waiting: Counter[int] = Counter()
        self._told: set[int] = set()
        self._stopping = False
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Fails with StateError when nothing can be remembered any more."""

    def take(self, sent: dict[str, Any], bot: Bot) -> bool:
        """Take an update as Telegram sent it; False if it needs nothing, or was taken before."""
        try:
            job = job_of(Update.de_json(sent, bot), self._me)
        except Exception as error:
            # A kind of update that the library does not know must not hold up all others. Its content is not for logs.
            logger.error("update %s can't be read: %s", sent.get("update_id"), type(error).__name__)
            return False
        if job is None or job.update_id in self._unfinished or self._state.is_known(job.update_id):
            return False
        if self._waiting[job.user_id] >= self._max_waiting:
            if job.user_id in self._told or isinstance(job.asked, Button):
                self._state.done(job.update_id)
                return False
            self._told.add(job.user_id)
            logger.warning("somebody has more than %d messages waiting", self._max_waiting)
            job = job.instead(Flooded())
        self._put(job)
        return True

    def take_up_released(self) -> None:
        """Ask the senders of messages that an earlier run confirmed, and did not answer, to send them again."""
        for one in self._state.left_released():
            self._released.add(one.update_id)
            self._put(
                Job(
                    update_id=one.update_id,
                    chat_id=one.chat_id,
                    group=one.chat_id < 0,
                    user_id=one.user_id,
                    language=one.language,
                    message_id=one.message_id,
                    thread_id=None,
                    asked=Interrupted(),
                )
            )

    def unfinished(self) -> list[int]:
        """The updates that must not be confirmed to Telegram yet."""
        return [update_id for update_id in self._unfinished if update_id not in self._released]

    def count(self) -> int:
        """How many jobs wait or are being answered."""
        return len(self._unfinished)

    async def wait(self, update_ids: Iterable[int], seconds: float) -> bool:
        """Wait until all these are finished, but no longer than that; True if they are."""
        waits = [waiting.finished.wait() for one in update_ids if (waiting := self._unfinished.get(one))]
        try:
            async with asyncio.timeout(seconds):
                await asyncio.gather(*waits)
        except TimeoutError:
            return False
        return True

    def release(self, update_ids: Iterable[int]) -> None:
        """Let these be confirmed to Telegram before they are answered; a kill then costs their sender a repetition."""
        jobs = [self._unfinished[one].job for one in update_ids if one in self._unfinished]
        self._state.release(
            [
                Released(job.update_id, job.chat_id, job.message_id, job.user_id, job.language)
                for job in jobs
                if job.message_id is not None and not isinstance(job.asked, Button)
            ]
        )
        self._released.update(job.update_id for job in jobs)

    def fail(self, error: StateError) -> None:
        """Nothing can be remembered any more: the bot has to end."""
        if not self.failed.done():
            self.failed.set_exception(error)

    async def stop(self, seconds: float) -> None:
        """Finish the answers that are being made; those that wait are left to the next run."""
        self._stopping = True
        if self._workers:
            _, late = await asyncio.wait(self._workers.values(), timeout=seconds)
            for worker in late:
                worker.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _put(self, job: Job) -> None:
        waiting = _Waiting(job)
        self._unfinished[job.update_id] = waiting
        self._waiting[job.user_id] += 1
        lane = (job.chat_id, job.user_id)
        self._lanes.setdefault(lane, deque()).append(waiting)
        if lane not in self._workers:
            self._workers[lane] = asyncio.create_task(self._work(lane))

    async def _work(self, lane: _Lane) -> None:
        queue = self._lanes[lane]
        try:
            while queue and not self._stopping:
                await self._answer(queue[0].job)
                self._finish(queue.popleft())
        except StateError as error:
            self.fail(error)
        finally:
            del self._lanes[lane], self._workers[lane]

    async def _answer(self, job: Job) -> None:
        try:
            await self._conversation.answer(job)
        except StateError:
            raise
        except Exception:
            # A fault in one answer must stop no other. What was asked is in no frame's line of a traceback.
            logger.exception("an answer failed")
            await self._apologise(job)

    async def _apologise(self, job: Job) -> None:
        try:
            await self._conversation.apologise(job)
        except StateError:
            raise
        except Exception:
            logger.exception("even an apology failed")

    def _finish(self, waiting: _Waiting) -> None:
        job = waiting.job
        self._state.done(job.update_id)
        del self._unfinished[job.update_id]
        self._released.discard(job.update_id)
        self._waiting[job.user_id] -= 1
        if self._waiting[job.user_id] == 0:
            del self._waiting[job.user_id]
            self._told.discard(job.user_id)
        waiting.finished.set()
