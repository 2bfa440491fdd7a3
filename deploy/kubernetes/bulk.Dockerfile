# One shard of a bulk job (deploy/kubernetes/bulk-job.yaml), with what that needs and nothing more. Built from the
# repository's root:
#
#     docker build --file deploy/kubernetes/bulk.Dockerfile --tag ru-emotions-bulk .

# `make pin-images` adds the digest.
ARG BASE=python:3.12-slim
FROM $BASE AS dependencies
WORKDIR /build
# In a layer of their own, so that a change of the code installs nothing anew.
COPY locks/bulk.txt ./
RUN python -m venv /opt/bulk \
    && /opt/bulk/bin/pip install --no-cache-dir --no-deps --only-binary=:all: --require-hashes \
        --requirement bulk.txt \
    && /opt/bulk/bin/pip check

FROM $BASE
ENV PATH=/opt/bulk/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
COPY --from=dependencies /opt/bulk /opt/bulk
COPY contract ./contract
COPY clients ./clients
# Who builds for others says what it is made from: docs/running/supply-chain.md#images.
ARG VERSION=unknown REVISION=unknown SOURCE=unknown
LABEL org.opencontainers.image.title="ru-emotions-bulk" \
    org.opencontainers.image.version=$VERSION \
    org.opencontainers.image.revision=$REVISION \
    org.opencontainers.image.source=$SOURCE \
    org.opencontainers.image.licenses="Apache-2.0"
USER 10001:10001
ENTRYPOINT ["python", "-m", "clients.cluster"]
