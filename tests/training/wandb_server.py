"""A W&B server on the loopback interface, as far as the client needs one, and a reader of its file.

What the client asks for was found by trying wandb 0.31: GraphQL on ``/graphql``, the epochs on
``/files/.../file_stream``, and files on the addresses that the server hands out.
"""

import gzip
import json
import re
import socket
import struct
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

#: An API key as the client expects one; a secret in the eyes of the tests.
KEY = "5ec2e7" * 6 + "abcd"


class WandbServer:
    """Keeps runs by project and id: ``state``, ``config``, labels, ``history`` and ``summary``.

    ``asked`` lists the names of the operations in their order, ``uploads`` what was put where.
    With ``fails`` every answer is an error of the server; with ``answers`` it falls silent after
    so many.
    """

    def __init__(self, fails=False, answers=None):
        self.runs = {}
        self.asked = []
        self.uploads = {}
        self.artifacts = []
        self._answers = answers
        self._closed = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                status, answer = (400, {}) if fails else (200, server.answer(self.path, body))
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_PUT = do_POST  # noqa: N815

            def handle(self):
                with suppress(ConnectionError):
                    super().handle()

            def log_message(self, *arguments):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def close(self):
        self._closed.set()
        self._http.shutdown()
        self._http.server_close()

    def add(self, project, name, state, config, history=(), summary=None):
        """A run that somebody else has sent."""
        self.runs[project, name] = {
            "state": state,
            "config": {key: {"value": value} for key, value in config.items()},
            "history": list(history),
            "summary": summary or {},
        }

    def answer(self, path, body):
        if self._answers is not None and len(self.asked) >= self._answers:
            self._closed.wait()
        if path == "/graphql":
            question = json.loads(body)
            name = re.search(r"(?:query|mutation)\s+(\w+)", question["query"])[1]
            self.asked.append(name)
            variables = question.get("variables") or {}
            return {"data": getattr(self, f"_{name}")(variables, question["query"])}
        if path.endswith("/file_stream"):
            self._stream(*path.split("/")[-3:-1], json.loads(body))
        elif path.startswith("/storage/"):
            self.uploads[path.removeprefix("/storage/")] = body
        return {}

    def _stream(self, project, name, part):
        run = self.runs[project, name]
        for file, lines in part.get("files", {}).items():
            content = [json.loads(line) for line in lines["content"]]
            if file == "wandb-history.jsonl":
                run["history"][lines["offset"] :] = content
            elif file == "wandb-summary.json":
                run["summary"] = content[-1]
        if part.get("complete"):
            run["state"] = "finished" if part["exitcode"] == 0 else "failed"

    def _UpsertBucket(self, asked, query):  # noqa: N802
        place = (asked["project"], asked["name"])
        inserted = place not in self.runs
        if inserted:
            self.add(*place, "running", {})
        run = self.runs[place]
        run["config"] = json.loads(asked["config"])
        for name in ("displayName", "groupName", "tags"):
            if asked[name] is not None:
                run[name] = asked[name]
        bucket = {
            "id": f"id-{asked['name']}",
            "name": asked["name"],
            "displayName": asked["displayName"],
            "description": None,
            "config": asked["config"],
            "sweepName": None,
            "project": {"id": "p", "name": asked["project"], "entity": {"id": "e", "name": "me"}},
            "historyLineCount": 0,
        }
        return {"upsertBucket": {"bucket": bucket, "inserted": inserted}}

    def _Viewer(self, asked, query):  # noqa: N802
        user = {"id": "u", "entity": "me", "username": "me", "email": "me@example.org"}
        return {"viewer": {**user, "flags": "{}", "teams": {"edges": []}}}

    _GetDefaultEntity = _Viewer

    def _ServerFeaturesQuery(self, asked, query):  # noqa: N802
        return {"serverInfo": {"features": []}}

    def _RunStoppedStatus(self, asked, query):  # noqa: N802
        return {"project": {"run": {"stopped": False}}}

    def _ArtifactType(self, asked, query):  # noqa: N802
        return {"project": {"artifact": None}}

    def _CreateRunFiles(self, asked, query):  # noqa: N802
        files = [self._place(f"{asked['run']}/{name}", name) for name in asked["files"]]
        return {"createRunFiles": {"runID": asked["run"], "uploadHeaders": [], "files": files}}

    def _CreateArtifact(self, asked, query):  # noqa: N802
        self.artifacts.append(asked["input"])
        artifact = {
            "id": f"artifact-{len(self.artifacts)}",
            "digest": asked["input"]["digest"],
            "state": "PENDING",
            "artifactSequence": {"id": "s", "latestArtifact": None},
        }
        return {"createArtifact": {"artifact": artifact}}

    def _CreateArtifactManifest(self, asked, query):  # noqa: N802
        manifest = {"id": "m", "file": {**self._place("manifest", asked["name"]), "id": "f"}}
        return {"createArtifactManifest": {"artifactManifest": manifest}}

    def _CreateArtifactFiles(self, asked, query):  # noqa: N802
        edges = [
            {
                "node": {
                    **self._place(f"artifact/{file['name']}", file["name"]),
                    "id": "f",
                    "storagePath": file["name"],
                    "uploadMultipartUrls": None,
                    "artifact": {"id": file["artifactID"]},
                }
            }
            for file in asked["input"]["artifactFiles"]
        ]
        return {"createArtifactFiles": {"files": {"edges": edges}}}

    def _CommitArtifact(self, asked, query):  # noqa: N802
        return {"commitArtifact": {"artifact": {"id": asked["artifactID"], "digest": "d"}}}

    def _Runs(self, asked, query):  # noqa: N802
        names = [name for project, name in self.runs if project == asked["project"]]
        edges = [{"node": self._node(asked["project"], n, query), "cursor": n} for n in names]
        page = {"endCursor": None, "hasNextPage": False}
        project = {"internalId": "1", "runCount": len(names), "readOnly": False}
        return {"project": {**project, "runs": {"edges": edges, "pageInfo": page}}}

    def _Run(self, asked, query):  # noqa: N802
        node = self._node(asked["project"], asked["name"], query)
        return {"project": {"internalId": "1", "run": node}}

    def _RunFullHistory(self, asked, query):  # noqa: N802
        rows = self.runs[asked["project"], asked["name"]]["history"]
        return {"project": {"run": {"history": [json.dumps(row) for row in rows]}}}

    def _node(self, project, name, query):
        run = self.runs[project, name]
        node = {
            "id": f"id-{name}",
            "projectId": 1,
            "tags": run.get("tags", []),
            "name": name,
            "displayName": run.get("displayName", name),
            "sweepName": None,
            "state": run["state"],
            "group": run.get("groupName"),
            "jobType": None,
            "commit": None,
            "readOnly": False,
            "createdAt": "2026-01-01T00:00:00",
            "heartbeatAt": "2026-01-01T00:00:00",
            "description": None,
            "notes": None,
            "historyLineCount": len(run["history"]),
            "user": {"name": "me", "username": "me"},
        }
        if "summaryMetrics" in query:  # lists of runs come without
            node["config"] = json.dumps(run["config"])
            node["summaryMetrics"] = json.dumps(run["summary"])
            node["systemMetrics"] = "{}"
            node["historyKeys"] = None
        return node

    def _place(self, path, name):
        url = f"{self.url}/storage/{path}"
        return {"name": name, "displayName": name, "uploadUrl": url, "uploadHeaders": []}


class SilentServer:
    """Accepts every connection and never says a word; ``connections`` counts them."""

    def __init__(self):
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._open = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def connections(self):
        return len(self._open)

    def _accept(self):
        with suppress(OSError):
            while True:
                self._open.append(self._socket.accept()[0])

    def close(self):
        self._socket.close()
        for each in self._open:
            each.close()


def read_file(path):
    """The records of a ``.wandb`` file: a header of seven bytes, then LevelDB's log format."""
    from wandb.proto import wandb_internal_pb2

    content = path.read_bytes()
    assert content[:4] == b":W&B"
    records, payload, position = [], b"", 7
    while position + 7 <= len(content):
        room = 32768 - position % 32768
        if room < 7:
            position += room
            continue
        _, length, kind = struct.unpack("<IHB", content[position : position + 7])
        position += 7 + length
        payload += content[position - length : position]
        if kind in (1, 4):  # a whole record, or the last piece of one
            record = wandb_internal_pb2.Record()
            record.ParseFromString(payload)
            records.append(record)
            payload = b""
    return records


def offline_run(path):
    """What a ``.wandb`` file holds: run, config, history, summary, artifacts and exit status."""
    found = {"config": {}, "history": [], "summary": {}, "artifacts": [], "exit": None}
    for record in read_file(path):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            found["run"] = record.run
            found["config"] |= _values(record.run.config.update)
        elif kind == "config":
            found["config"] |= _values(record.config.update)
        elif kind == "history":
            found["history"].append(_values(record.history.item))
        elif kind == "summary":
            found["summary"] |= _values(record.summary.update)
        elif kind == "artifact":
            found["artifacts"].append(record.artifact)
        elif kind == "exit":
            found["exit"] = record.exit.exit_code
    return found


def _values(items):
    return {each.key or "/".join(each.nested_key): json.loads(each.value_json) for each in items}
