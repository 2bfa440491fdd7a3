# The gateway, with what serving needs and nothing more. Built from the repository's root:
#
#     docker build --file deploy/gateway.Dockerfile --tag ru-emotions-gateway .

# `make pin-images` adds the digest.
ARG BASE=python:3.12-slim
FROM $BASE AS dependencies
WORKDIR /build
# In a layer of their own, so that a change of the code installs nothing anew.
COPY locks/gateway.txt ./
RUN python -m venv /opt/gateway \
    && /opt/gateway/bin/pip install --no-cache-dir --no-deps --only-binary=:all: --require-hashes \
        --requirement gateway.txt \
    && /opt/gateway/bin/pip check
# The version that /docs and the metrics name: the code below is copied, not installed, so it has no metadata else.
COPY pyproject.toml ./
RUN /opt/gateway/bin/python -c "import pathlib, sysconfig, tomllib; \
        project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
        name = project['name'].replace('-', '_') + '-' + project['version'] + '.dist-info'; \
        place = pathlib.Path(sysconfig.get_path('purelib'), name); place.mkdir(); lines = 'Metadata-Version: 2.1', \
        'Name: ' + project['name'], 'Version: ' + project['version'], ''; \
        (place / 'METADATA').write_text(chr(10).join(lines))"

FROM $BASE
ENV PATH=/opt/gateway/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
COPY --from=dependencies /opt/gateway /opt/gateway
COPY contract ./contract
COPY gateway ./gateway
# Who builds for others says what it is made from: docs/running/supply-chain.md#images.
ARG VERSION=unknown REVISION=unknown SOURCE=unknown
ENV EMOTION_REVISION=$REVISION
LABEL org.opencontainers.image.title="ru-emotions-gateway" \
    org.opencontainers.image.version=$VERSION \
    org.opencontainers.image.revision=$REVISION \
    org.opencontainers.image.source=$SOURCE \
    org.opencontainers.image.licenses="Apache-2.0"
USER 10001:10001
EXPOSE 8080
# Settings come as EMOTION_… variables; `python -m gateway --help` lists them.
CMD ["python", "-m", "gateway"]
