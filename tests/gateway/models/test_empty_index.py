"""What Triton's index lacks and Triton serves nevertheless, as when its repository is a bucket that is empty now."""

import time
from pathlib import Path

from tests.gateway.support.fake_triton import answer, running_fake_triton
from tests.gateway.support.gateway_process import running_gateway


def test_what_answers_stays(repository: Path) -> None:
    with running_fake_triton() as fake:
        fake.infer = lambda request, _: answer(request)
        with running_gateway(repository, fake.address, "--refresh-interval=0.1") as gateway, gateway.client() as client:
            gateway.wait_until_ready()
            fake.loaded, fake.served = fake.served, ()
            time.sleep(1)  # ten looks
            assert gateway.readiness() == 200
            assert client.post("/v1/emotions", json={"text": "рад"}).status_code == 200
            assert [row["model"] for row in client.get("/v1/models").json()["models"]] == ["emotion_rubert"]
            fake.loaded = ()
            gateway.wait_until_ready(status=503)
