"""A stand-in for the Hugging Face hub and its storage: a real HTTP server on each of two ports.

It keeps repositories of models in memory and answers what `huggingface_hub` asks for them. It is strict: who asks, for
what revision, whether a model card's head is one, whether what was uploaded is what was said. `faults` makes it fail.
"""

import base64
import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

WRITER: Final = "hf_writerwriterwriter"
READER: Final = "hf_readerreaderreader"
OWNER: Final = "team"
_LARGE: Final = 20_000
"""Bytes from which a file goes to the storage; the hub's own bound is 10 MB."""


@dataclass
class Fault:
    """What becomes of requests: `times` of those whose method is this one and whose path holds this.

    `status` is answered with `headers`; without one, half of the answer is sent and the connection is cut.
    """

    method: str
    path: str
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    times: int = 1


@dataclass
class Repo:
    """A repository: its commits, oldest first, and what names them."""

    private: bool
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def commit(self, branch: str, files: dict[str, bytes]) -> str:
        oid = hashlib.sha1(f"{branch}{len(self.commits)}".encode()).hexdigest()  # noqa: S324 - a name
        self.commits[oid] = files
        self.branches[branch] = oid
        return oid

    def resolve(self, revision: str) -> str | None:
        oid = self.branches.get(revision) or self.tags.get(revision) or revision
        return oid if oid in self.commits else None


class HubStandIn:
    """Both servers and what they hold. `log` has the method and the path of every request, and the token's owner."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.stored: dict[str, bytes] = {}
        self.faults: list[Fault] = []
        self.log: list[tuple[str, str, str]] = []
        self.lock = threading.Lock()
        self._servers = [ThreadingHTTPServer(("127.0.0.1", 0), self._handler(kind)) for kind in (_Hub, _Storage)]
        self.url, self.storage_url = (f"http://127.0.0.1:{server.server_port}" for server in self._servers)
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def _handler(self, kind: type["_Handler"]) -> type["_Handler"]:
        return type(kind.__name__, (kind,), {"hub": self})

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def files(self, repo: str, revision: str = "main") -> dict[str, bytes]:
        found = self.repos[repo]
        return found.commits[found.resolve(revision) or ""]

    def hold(self, repo: str, files: dict[str, bytes], *, private: bool = False) -> None:
        self.repos[repo] = Repo(private)
        self.repos[repo].commit("main", files)

    def fault_for(self, method: str, path: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.times and fault.method == method and fault.path in path:
                    fault.times -= 1
                    return fault
        return None


@contextlib.contextmanager
def hub_stand_in() -> Iterator[HubStandIn]:
    hub = HubStandIn()
    try:
        yield hub
    finally:
        hub.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: HubStandIn

    def log_message(self, *_: Any) -> None:
        pass

    def _serve(self) -> None:
        self.path_only = unquote(urlsplit(self.path).path)
        self.query = parse_qs(urlsplit(self.path).query)
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length)
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        self.who = {"": "nobody", WRITER: "writer", READER: "reader"}.get(token, "a stranger")
        self.hub.log.append((self.command, self.path_only, self.who))
        self.fault = self.hub.fault_for(self.command, self.path_only)
        if self.fault and self.fault.status:
            self.refuse(self.fault.status, "as was asked for", self.fault.headers)
        else:
            self.answer()

    do_GET = do_HEAD = do_POST = do_PUT = _serve  # noqa: N815 - http.server's names

    def answer(self) -> None:
        raise NotImplementedError

    def send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.fault and not self.fault.status:
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
        elif self.command != "HEAD":
            self.wfile.write(body)

    def send_json(self, content: Any, status: int = 200) -> None:
        self.send(status, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def refuse(self, status: int, message: str, headers: dict[str, str] | None = None, code: str = "") -> None:
        body = json.dumps({"error": message}).encode()
        self.send(
            status, body, {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {}) | (headers or {})
        )

    def send_file(self, content: bytes, headers: dict[str, str]) -> None:
        """The file, or the part of it that a Range asks for."""
        asked, status = self.headers.get("Range"), 200
        if asked:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            headers |= {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
            content, status = content[start:], 206
        self.send(status, content, {"Accept-Ranges": "bytes", **headers})


class _Hub(_Handler):
    def answer(self) -> None:
        if self.who == "a stranger":
            return self.refuse(401, "Invalid credentials in Authorization header")
        if self.command == "POST" and self.who != "writer":
            return self.refuse(403, "you have no write permission")
        parts = self.path_only.strip("/").split("/")
        if self.path_only == "/api/repos/create":
            return self.create(json.loads(self.body))
        if self.path_only == "/api/validate-yaml":
            return self.validate(json.loads(self.body)["content"])
        name = "/".join(parts[2:4] if parts[0] == "api" else parts[:2]).removesuffix(".git")
        self.repo, self.name = self.hub.repos.get(name), name
        if self.repo is None or (self.repo.private and self.who == "nobody"):
            return self.refuse(401 if self.who == "nobody" else 404, "Repository not found", code="RepoNotFound")
        if parts[0] != "api":
            return self.batch() if parts[-1] == "batch" else self.resolve(parts[3], "/".join(parts[4:]))
        what, rest = (parts[4] if len(parts) > 4 else "revision"), "/".join(parts[5:]) or "main"
        return getattr(self, what)(rest)

    def create(self, asked: dict[str, Any]) -> None:
        name = f"{asked['organization']}/{asked['name']}"
        if asked["organization"] != OWNER or asked.get("type", "model") != "model":
            return self.refuse(403, "not your namespace")
        if name in self.hub.repos:
            return self.refuse(409, "You already created this model repo")
        self.hub.hold(name, {".gitattributes": b"*.onnx filter=lfs\n"}, private=asked.get("visibility") == "private")
        return self.send_json({"url": f"{self.hub.url}/{name}"})

    def validate(self, content: str) -> None:
        """As the hub does: what its own pages are made of must be there and of the right kind."""
        head = yaml.safe_load(content.split("---\n")[1])
        wrong = [name for name in ("language", "license", "tags", "pipeline_tag", "model-index") if name not in head]
        for model in head.get("model-index", []):
            for result in model["results"]:
                wrong += [] if {"type", "name"} <= result["dataset"].keys() and result["task"]["type"] else ["dataset"]
                wrong += [metric["type"] for metric in result["metrics"] if not isinstance(metric["value"], float)]
        if not content.startswith("---\n") or wrong:
            return self.send_json({"errors": [{"message": f"wrong: {wrong}"}], "warnings": []}, 400)
        return self.send_json({"errors": [], "warnings": []})

    def _oid(self, revision: str) -> str | None:
        oid = self.repo.resolve(revision)
        if oid is None:
            self.refuse(404, f"Invalid rev id: {revision}", code="RevisionNotFound")
        return oid

    def revision(self, revision: str) -> None:
        if (oid := self._oid(revision)) is None:
            return
        siblings = [{"rfilename": name, "size": len(content)} for name, content in self.repo.commits[oid].items()]
        if "blobs" not in self.query:
            siblings = [{"rfilename": each["rfilename"]} for each in siblings]
        self.send_json({"id": self.name, "sha": oid, "private": self.repo.private, "siblings": siblings})

    def refs(self, _: str) -> None:
        found = {
            kind: [{"name": name, "ref": f"refs/{name}", "targetCommit": oid} for name, oid in named.items()]
            for kind, named in (("branches", self.repo.branches), ("tags", self.repo.tags))
        }
        self.send_json({**found, "converts": []})

    def branch(self, name: str) -> None:
        self.repo.branches[name] = self.repo.branches["main"]
        self.send_json({})

    def tag(self, revision: str) -> None:
        if (oid := self._oid(revision)) is not None:
            self.repo.tags[json.loads(self.body)["tag"]] = oid
            self.send_json({})

    def preupload(self, revision: str) -> None:
        if (oid := self._oid(revision)) is None:
            return
        there, answers = self.repo.commits[oid], []
        for file in json.loads(self.body)["files"]:
            large, content = file["size"] >= _LARGE, there.get(file["path"])
            known = None if content is None else hashlib.sha256(content).hexdigest() if large else _git_oid(content)
            mode = "lfs" if large else "regular"
            answers.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": known})
        self.send_json({"files": answers})

    def batch(self) -> None:
        asked = json.loads(self.body)
        if asked["operation"] != "upload" or asked["hash_algo"] != "sha256" or "basic" not in asked["transfers"]:
            return self.refuse(422, "not understood")
        objects = []
        for each in asked["objects"]:
            upload = {"href": f"{self.hub.storage_url}/{each['oid']}/{each['size']}"}
            verify = {"href": f"{self.hub.url}/api/models/{self.name}/verify"}
            there = each["oid"] in self.hub.stored
            objects.append({**each, **({} if there else {"actions": {"upload": upload, "verify": verify}})})
        return self.send_json({"transfer": "basic", "objects": objects})

    def verify(self, _: str) -> None:
        asked = json.loads(self.body)
        good = len(self.hub.stored.get(asked["oid"], b"")) == asked["size"]
        return self.send_json({}) if good else self.refuse(422, "not what was uploaded")

    def commit(self, branch: str) -> None:
        if branch not in self.repo.branches:
            return self.refuse(404, f"no branch {branch}", code="RevisionNotFound")
        lines = [json.loads(line) for line in self.body.splitlines()]
        if self.headers["Content-Type"] != "application/x-ndjson" or lines[0]["key"] != "header":
            return self.refuse(400, "no commit")
        if lines[0]["value"]["parentCommit"] != self.repo.branches[branch]:
            return self.refuse(412, "A commit has happened since")
        files = dict(self.repo.commits[self.repo.branches[branch]])
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"], validate=True)
            elif line["key"] == "lfsFile" and len(self.hub.stored.get(value["oid"], b"")) == value["size"]:
                files[value["path"]] = self.hub.stored[value["oid"]]
            elif line["key"] == "deletedFile" and value["path"] in files:
                del files[value["path"]]
            else:
                return self.refuse(400, f"can't commit {line['key']} {value['path']}")
        oid = self.repo.commit(branch, files)
        return self.send_json({"commitUrl": f"{self.hub.url}/{self.name}/commit/{oid}", "commitOid": oid})

    def resolve(self, revision: str, name: str) -> None:
        if (oid := self._oid(revision)) is None:
            return None
        content = self.repo.commits[oid].get(name)
        if content is None:
            return self.refuse(404, "Entry not found", code="EntryNotFound")
        sha = hashlib.sha256(content).hexdigest()
        headers = {"X-Repo-Commit": oid, "ETag": f'"{_git_oid(content)}"'}
        if len(content) < _LARGE:
            return self.send_file(content, headers)
        self.hub.stored[sha] = content
        linked = {"X-Linked-Etag": f'"{sha}"', "X-Linked-Size": str(len(content))}
        location = f"{self.hub.storage_url}/{sha}/{len(content)}"
        return self.send(302, b"", headers | linked | {"Location": location})


class _Storage(_Handler):
    """Where large files are, at an address of its own, which must never see a token."""

    def answer(self) -> None:
        oid, size = self.path_only.strip("/").split("/")
        if self.who != "nobody":
            return self.refuse(400, "who gave me this token?")
        if self.command == "PUT":
            if hashlib.sha256(self.body).hexdigest() != oid or len(self.body) != int(size):
                return self.refuse(400, "not what was said")
            self.hub.stored[oid] = self.body
            return self.send(200, b"", {})
        return self.send_file(self.hub.stored[oid], {"ETag": f'"{oid}"'})


def _git_oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()  # noqa: S324 - as git does
