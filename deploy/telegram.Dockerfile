# The Telegram bot, with what it needs and nothing more. Built from the repository's root:
#
#     docker build --file deploy/telegram.Dockerfile --tag ru-emotions-telegram .

# `make pin-images` adds the digest.
ARG BASE=python:3.12-slim
FROM $BASE AS dependencies
WORKDIR /build
# In a layer of their own, so that a change of the code installs nothing anew.
COPY locks/telegram.txt ./
RUN python -m venv /opt/telegram \
    && /opt/telegram/bin/pip install --no-cache-dir --no-deps --only-binary=:all: --require-hashes \
        --requirement telegram.txt \
    && /opt/telegram/bin/pip check

FROM $BASE
ENV PATH=/opt/telegram/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
COPY --from=dependencies /opt/telegram /opt/telegram
COPY contract ./contract
COPY gateway ./gateway
COPY clients/__init__.py ./clients/__init__.py
COPY clients/telegram ./clients/telegram
# A new volume takes its owner from here.
RUN install --directory --owner=10001 --group=10001 --mode=0700 /state
# Who builds for others says what it is made from: docs/running/supply-chain.md#images.
ARG VERSION=unknown REVISION=unknown SOURCE=unknown
LABEL org.opencontainers.image.title="ru-emotions-telegram" \
    org.opencontainers.image.version=$VERSION \
    org.opencontainers.image.revision=$REVISION \
    org.opencontainers.image.source=$SOURCE \
    org.opencontainers.image.licenses="Apache-2.0"
USER 10001:10001
VOLUME /state
# Settings come as EMOTION_… variables; `python -m clients.telegram --help` lists them.
CMD ["python", "-m", "clients.telegram"]
