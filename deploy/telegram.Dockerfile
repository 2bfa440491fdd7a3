# The Telegram bot, with what it needs and nothing more. Built from the repository's root:
#
#     docker build --file deploy/telegram.Dockerfile --tag ru-emotions-telegram .

FROM python:3.12-slim AS dependencies
WORKDIR /build
COPY pyproject.toml constraints.txt ./
# The bot's own, and of the project's what it imports: the gateway's schemas, and a server for the webhook.
RUN python -c "import re, tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
        needed = {'prometheus-client', 'pydantic', 'fastapi', 'uvicorn'}; \
        own = [line for line in project['dependencies'] if re.split('[^a-z0-9-]', line)[0] in needed]; \
        print(*own, *project['optional-dependencies']['telegram'], sep='\n')" \
        > requirements.txt \
    && python -m venv /opt/telegram \
    && /opt/telegram/bin/pip install --no-cache-dir --only-binary=:all: \
        --requirement requirements.txt --constraint constraints.txt \
    && /opt/telegram/bin/pip check

FROM python:3.12-slim
ENV PATH=/opt/telegram/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
COPY --from=dependencies /opt/telegram /opt/telegram
COPY contract ./contract
COPY gateway ./gateway
COPY clients/__init__.py ./clients/__init__.py
COPY clients/telegram ./clients/telegram
# A new volume takes its owner from here.
RUN install --directory --owner=10001 --group=10001 --mode=0700 /state
USER 10001:10001
VOLUME /state
# Settings come as EMOTION_… variables; `python -m clients.telegram --help` lists them.
CMD ["python", "-m", "clients.telegram"]
