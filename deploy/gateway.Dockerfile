# The gateway, with what serving needs and nothing more. Built from the repository's root:
#
#     docker build --file deploy/gateway.Dockerfile --tag ru-emotions-gateway .

FROM python:3.12-slim AS dependencies
WORKDIR /build
COPY pyproject.toml constraints.txt ./
# The pinned dependencies of the project itself and those for traces, without the extras for
# training and development; a layer of their own, so that a change of the code installs nothing anew.
RUN python -c "import tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
        print(*project['dependencies'], *project['optional-dependencies']['tracing'], sep='\n')" \
        > requirements.txt \
    && python -m venv /opt/gateway \
    && /opt/gateway/bin/pip install --no-cache-dir --only-binary=:all: \
        --requirement requirements.txt --constraint constraints.txt \
    && /opt/gateway/bin/pip check

FROM python:3.12-slim
ENV PATH=/opt/gateway/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
COPY --from=dependencies /opt/gateway /opt/gateway
COPY contract ./contract
COPY gateway ./gateway
USER 10001:10001
EXPOSE 8080
# Settings come as EMOTION_… variables; `python -m gateway --help` lists them.
CMD ["python", "-m", "gateway"]
